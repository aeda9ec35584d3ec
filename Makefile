# The verbs people type. Meson does the work; build/ is for use, build-check/ has the sanitizers in.
SOFTNET = build/softnet
# With what a backtrace needs, and no more. -Og: with the sanitizers in it, a file takes half of what -O1 takes, the judge a quarter.
MESON_CHECK = --werror -Doptimization=g -Ddebug=false -Dc_args=-g1 -Db_sanitize=address,undefined -Db_lundef=false -Dtests=enabled

all: build/build.ninja
	meson compile -C build

build/build.ninja:
	meson setup build

build-check/build.ninja:
	meson setup build-check $(MESON_CHECK)

# The program alone: who looks at the demo does not wait for tests to compile.
program: build/build.ninja
	meson compile -C build softnet:executable

# Everything that must hold: builds without a warning, fuzz targets, unit tests and eBPF verdicts, then real networks;
# the guard has both sanitizers in it.
check: build-check/build.ninja
	meson compile -C build-check
	+tests/all.sh build-check

# Without a sanitizer files are closed, too: what honest guards open is tried again.
CONFINED = test_sandbox or test_slirp or test_expose or test_relay or test_control or test_policy or test_events or \
	test_capture or test_state or test_systemd or test_claims or test_metrics or test_status or test_names or test_ground

# The same, with the tests that take long, the sandbox as it is without a sanitizer, and a minute of random input for each
# fuzz target.
check-long:
	SOFTNET_LONG=1 $(MAKE) check
	$(MAKE) program
	SOFTNET=build/softnet SOFTNET_LONG=1 SOFTNET_TESTS_PARTS=8 tests/network/run -k "$(CONFINED)"
	$(MAKE) fuzz
	tests/fuzz/cluster.sh

# The macOS program with doubles of Apple's frameworks, for the network tests.
macos-doubles: build-check/build.ninja
	meson compile -C build-check softnet:executable
	$(MAKE) -s -j2 -f tests/macos/Makefile OUT=build/macos/address PLAIN=build-check SANITIZER=address,undefined
ifdef SOFTNET_LONG
	$(MAKE) -s program
	$(MAKE) -s -j2 -f tests/macos/Makefile OUT=build/macos/thread SANITIZER=thread
endif

# The macOS program, as far as it can be checked without a Mac; UPDATE=1 writes the list of its imports anew.
macos-check:
	tests/macos/check.sh $(if $(UPDATE),--update)

demo: program vm
	tests/demo/demo.py

vm:
	tests/vm/image.sh build/vm

# FUZZ_SECONDS long, each. What it finds is written to the folder it is started in; make a unit test of it.
FUZZ_SECONDS = 60
fuzz:
	$(MAKE) -s -j2 -f tests/fuzz/Makefile
	$(MAKE) -f tests/fuzz/Makefile fuzz FUZZ_SECONDS=$(FUZZ_SECONDS)

# What the snoopers learn, in every order of EXPLORE events; ./check goes to five, make check-long to six.
EXPLORE = 7
explore: build/build.ninja
	ninja -C build tests/test_explore
	EXPLORE=$(EXPLORE) build/tests/test_explore

# A model that was made from the documents alone against the guard and the judge of the kernel, over so many frames.
MODEL = 1e7
model: all
	tests/model/model.py build/tests/model/model_guard build/ebpf/judge.bpf.o --frames $(MODEL)

# kill -9 at random moments, of each process that softnet has, for KILL_MINUTES; as root.
KILL_MINUTES = 60
kills: build-check/build.ninja
	meson compile -C build-check
	SOFTNET=build-check/softnet SOFTNET_KILL_SECONDS=$$(($(KILL_MINUTES) * 60)) tests/network/run -s -k test_killed_at_random

# Guards of each kind under mixed load for SOAK_MINUTES, judged by frames that came back, by counters and by memory; as root.
SOAK_MINUTES = 30
soak: program
	SOFTNET_SOAK_MINUTES=$(SOAK_MINUTES) tests/network/run -s -k test_soak

# What Frama-C proves of the judge; with FAULTS=1 that it finds planted faults as well. Debian: frama-c-base z3 cvc4
prove:
	tests/prove/prove.py $(if $(FAULTS),--faults)

# Faults in core that the unit tests must notice.
mutate:
	tests/mutate.py $(MUTATE)

# Each system call of a guard fails once in each way that it can: minutes; as root.
faults: program
	SOFTNET=$(SOFTNET) SOFTNET_LONG=1 SOFTNET_TESTS_PARTS=6 tests/network/run -s -k test_fault

# The lines of core that unit tests and corpora reach.
coverage:
	tests/coverage.py

# What rules and flows cost, and frames, round trips and guards that rest, beside bare relays and other NATs. With PAGE=docs/relay.md
# the tables of that page and its picture are written anew.
bench: program
	ninja -C build tests/bench tests/bench_judge
	build/tests/bench
	tests/bench/all.py build/bench-results 9 $(PAGE)

# What a guard in the kernel costs beside a plain bridge, nftables and a guard that relays; as root. With PAGE=docs/performance.md
# the tables of that page are written anew.
bench-attach: program
	tests/bench/attach.py build/bench-attach 15 $(PAGE)

# What a host pays for each of many ports: memory, starts, new rules, status; as root. With PAGE=docs/scale.md its table is written
# anew.
PORTS = 500
bench-scale: program
	tests/bench/scale.py build/bench-scale $(PORTS) $(PAGE)

# One test of any kind: make test T=NAME. tests/one.py says what may be named.
test: build/build.ninja
	@tests/one.py "$(T)"

# What the suite lint says: rooms, format, analysis, what the documents promise. `make format` mends the format.
lint: build/build.ninja
	meson compile -C build
	meson test -C build --suite lint --print-errorlogs

format:
	tests/idiom.py --write
	tests/format.sh --write

clean:
	rm -rf build build-check

install: all
	meson install -C build

uninstall:
	ninja -C build uninstall

# build/dist/softnet-VERSION.tar.gz of the commit that is checked out; the same octets wherever it is made.
dist:
	packaging/dist.py build/dist

.PHONY: all program check check-long macos-doubles macos-check demo vm fuzz explore model kills soak prove mutate faults coverage bench bench-attach bench-scale test lint format clean install uninstall dist
