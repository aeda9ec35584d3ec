#!/bin/bash -eu
# What ClusterFuzzLite's container does with .clusterfuzzlite/build.sh, without the container: the same variables, one sanitizer
# (address, or that of the first argument), and each target once over its seeds as they come out of their archives. Needs clang.
cd "$(dirname "$0")/../.."
sanitizer=${1:-address}
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
export SRC=$room/src WORK=$room/work OUT=$room/out SANITIZER=$sanitizer FUZZING_ENGINE=libfuzzer ARCHITECTURE=x86_64
export CC=clang CXX=clang++ LIB_FUZZING_ENGINE=-fsanitize=fuzzer
export CFLAGS="-O1 -fno-omit-frame-pointer -gline-tables-only -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION -fsanitize=$sanitizer \
	-fsanitize=fuzzer-no-link"
export CXXFLAGS="$CFLAGS"
mkdir -p "$SRC/softnet" "$WORK" "$OUT"
git ls-files -z | xargs -0 cp --parents -t "$SRC/softnet"
cp .clusterfuzzlite/build.sh "$SRC/"
(cd "$SRC/softnet" && bash -eu "$SRC/build.sh")
cd "$OUT"
for target in fuzz_*; do
	[ -f "$target" ] && [ -x "$target" ] || continue
	mkdir "$room/seeds-$target"
	python3 -m zipfile -e "${target}_seed_corpus.zip" "$room/seeds-$target"
	dictionary=$([ -f "$target.dict" ] && echo "-dict=$target.dict" || true)
	"./$target" $dictionary -runs=0 "$room/seeds-$target" 2>"$room/said" || { cat "$room/said"; exit 1; }
	ldd "$OUT/$target" | awk -v own="$OUT/lib/" '/jansson|nettle|xml|icu|lzma/ && !index($0, own) { exit 1 }' || { echo "$target needs a library that is not there"; exit 1; }
	echo "$target: $(find "$room/seeds-$target" -type f | wc -l) seeds"
done
