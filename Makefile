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
check: all build-check/build.ninja vm $(if $(filter Linux,$(shell uname)),macos-doubles)
	meson compile -C build-check
	meson test -C build-check --print-errorlogs
	SOFTNET=build-check/softnet tests/network/run

# The macOS program with doubles of Apple's frameworks, for the network tests.
macos-doubles: all
	$(MAKE) -s -j2 -f tests/macos/Makefile OUT=build/macos/address SANITIZER=address,undefined
	$(MAKE) -s -j2 -f tests/macos/Makefile OUT=build/macos/thread SANITIZER=thread

# The macOS program, as far as it can be checked without a Mac; UPDATE=1 writes the list of its imports anew.
macos-check:
	tests/macos/check.sh $(if $(UPDATE),--update)

demo: all vm
	tests/demo/demo.py

vm:
	tests/vm/image.sh build/vm

# FUZZ_SECONDS long, each. What it finds is written to the folder it is started in; make a unit test of it.
FUZZ_SECONDS = 60
fuzz:
	mkdir -p build
	/usr/bin/env python3 tests/fuzz/corpus.py build/fuzz-corpus build/fuzz-describe
	clang -std=gnu17 -g -O1 -I. -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		tests/fuzz/fuzz_decide.c core/*.c -o build/fuzz_decide
	build/fuzz_decide -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 build/fuzz-corpus
	clang -std=gnu17 -g -O1 -I. -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		tests/fuzz/fuzz_describe.c softnet/describe*.c softnet/text.c -o build/fuzz_describe
	build/fuzz_describe -max_total_time=$(FUZZ_SECONDS) -max_len=400 -print_final_stats=1 build/fuzz-describe
	mkdir -p build/fuzz-control
	clang -std=gnu17 -g -O1 -I. -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		tests/fuzz/fuzz_control.c softnet/control_policy.c softnet/rpc.c softnet/rules.c softnet/rules_compile.c \
		softnet/text.c core/*.c -ljansson -o build/fuzz_control
	build/fuzz_control -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -dict=tests/fuzz/control.dict \
		-len_control=0 -print_final_stats=1 build/fuzz-control tests/fuzz/control
	mkdir -p build/fuzz-pcap
	/usr/bin/env python3 tests/bench/capture.py build/fuzz-pcap/bench 20
	clang -std=gnu17 -g -O1 -I. -D_GNU_SOURCE -DSOFTNET_VERSION='"0"' -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all tests/fuzz/fuzz_pcap.c softnet/pcap_*.c softnet/replay_comment.c softnet/options.c \
		softnet/option_values*.c softnet/verbs.c softnet/help.c softnet/policy_file.c softnet/expose_text.c softnet/rules*.c \
		softnet/text.c softnet/log.c softnet/privileges.c softnet/platform_linux.c $(addprefix port/,batch.c bridge_port.c datagram.c \
		io_linux.c port.c stream.c tap.c) core/*.c -o build/fuzz_pcap
	build/fuzz_pcap -max_total_time=$(FUZZ_SECONDS) -max_len=16384 -len_control=0 -dict=tests/fuzz/pcap.dict \
		-print_final_stats=1 build/fuzz-pcap

# What rules and flows cost, as ratios.
bench: build/build.ninja
	meson compile -C build bench
	build/tests/bench

clean:
	rm -rf build build-check

install: all
	meson install -C build

.PHONY: all check macos-doubles macos-check demo vm fuzz bench clean install
