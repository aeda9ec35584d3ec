#!/bin/bash -eu
# The fuzz targets and their corpora, as ClusterFuzzLite wants them. Where they run there is no jansson and no nettle.
make -j"$(nproc)" -f tests/fuzz/Makefile OUT="$WORK" CC="$CC" LINKER="$CXX" SANITIZER="$CFLAGS" ENGINE="$LIB_FUZZING_ENGINE" \
	LIBRARIES="-Wl,-Bstatic -ljansson -lnettle -Wl,-Bdynamic" all "$WORK/corpora"
for target in "$WORK"/fuzz_*; do
	[ -x "$target" ] || continue
	name=${target##*/fuzz_}
	cp "$target" "$OUT/"
	if [ -d "tests/fuzz/$name" ]; then
		cp -r "tests/fuzz/$name/." "$WORK/corpus-$name/"
	fi
	(cd "$WORK/corpus-$name" && python3 -m zipfile -c "$OUT/fuzz_${name}_seed_corpus.zip" .)
	if [ -f "tests/fuzz/$name.dict" ]; then
		cp "tests/fuzz/$name.dict" "$OUT/fuzz_$name.dict"
	fi
done
