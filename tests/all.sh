#!/bin/sh
# Runs all tests of the binaries in this folder (make check). Network tests mostly wait for somebody. So what only computes is
# done beside them and gives way; what it printed is shown behind them.
cd "$(dirname "$0")/.." || exit 1
build=$1
printed=$(mktemp) || exit 1
beside=
trap '[ -z "$beside" ] || kill "$beside" 2>/dev/null; rm -f "$printed"' EXIT
trap 'exit 130' HUP INT TERM

begin_beside() {
	"$@" >"$printed" 2>&1 &
	beside=$!
}

end_beside() {
	wait "$beside"
	status=$?
	beside=
	cat "$printed"
	return $status
}

# What the network tests need is made while the kernel looks at our programs: it does that on one core. Not beside the network
# tests, because some of them count the programs that the kernel has.
if [ "$(uname)" = Linux ]; then
	begin_beside make -s vm macos-doubles
	meson test -C "$build" --suite ebpf --print-errorlogs || exit
	end_beside || exit
fi
# On a machine that has more to do, a test may take longer than by itself. Some of these wait as well, so there are four at a time.
begin_beside nice meson test -C "$build" --no-suite ebpf --num-processes 4 --timeout-multiplier 8 --print-errorlogs
SOFTNET=$build/softnet tests/network/run
network=$?
end_beside && exit $network
