# The verbs people type. Meson does the work; build/ is for use, build-check/ has the sanitizers in.
SOFTNET = build/softnet
MESON_CHECK = --werror -Db_sanitize=address,undefined -Db_lundef=false -Dtests=enabled

all: build/build.ninja
	meson compile -C build

build/build.ninja:
	meson setup build

build-check/build.ninja:
	meson setup build-check $(MESON_CHECK)

# Everything that must hold: builds without a warning, unit tests and eBPF verdicts, then real networks; the second
# time with both sanitizers in the guard.
check: all build-check/build.ninja vm
	meson compile -C build-check
	meson test -C build-check --print-errorlogs
	SOFTNET=build-check/softnet tests/network/run

demo: all vm
	tests/demo/demo.py

vm:
	tests/vm/image.sh build/vm

clean:
	rm -rf build build-check

install: all
	meson install -C build

.PHONY: all check demo vm clean install
