#!/bin/bash -eu
# The fuzz targets and their corpora, as ClusterFuzzLite wants them. Where they run there is no jansson, no nettle and no libxml2.
# The last comes along, with what it needs: as a static library it would need the C++ of the compiler that has built it.
make -j"$(nproc)" -f tests/fuzz/Makefile OUT="$WORK" CC="$CC" LINKER="$CXX" SANITIZER="$CFLAGS" ENGINE="$LIB_FUZZING_ENGINE" \
	LIBRARIES="-Wl,-Bstatic -ljansson -lnettle -Wl,-Bdynamic" \
	LIBRARIES_libvirt="-lxml2 -Wl,--disable-new-dtags,-rpath,'\$\$ORIGIN/lib'" all "$WORK/corpora"
for target in "$WORK"/fuzz_*; do
	[ -x "$target" ] || continue
	name=${target##*/fuzz_}
	ldd "$target" | awk '/lib(xml2|icu|lzma|z\.|stdc)/ { print $3 }' >"$WORK/needed"
	if grep -q libxml2 "$WORK/needed"; then
		mkdir -p "$OUT/lib"
		xargs cp -t "$OUT/lib" <"$WORK/needed"
	fi
	cp "$target" "$OUT/"
	if [ -d "tests/fuzz/$name" ]; then
		cp -r "tests/fuzz/$name/." "$WORK/corpus-$name/"
	fi
	(cd "$WORK/corpus-$name" && python3 -m zipfile -c "$OUT/fuzz_${name}_seed_corpus.zip" .)
	if [ -f "tests/fuzz/$name.dict" ]; then
		cp "tests/fuzz/$name.dict" "$OUT/fuzz_$name.dict"
	fi
done
