"""What guests may do to the machines beside them, and what those may do to a guest, live.

    guest -- softnet -- tap u-NAME -- br0 -- eth0 gateway
"""

import platform

import pytest

import services
import vm

ONE_MAC = "52:54:00:00:00:0a"
# RFC 903: a reverse request, in which both MAC addresses are the sender's and both IP addresses nobody's.
RARP = bytes.fromhex("ffffffffffff 52540000000a 8035 0001 0800 06 04 0003 52540000000a 00000000 52540000000a 00000000")


@pytest.mark.skipif(vm.qemu_path() is None, reason="no QEMU")
def test_qemu_announces_a_moved_guest(segment, softnet):
    """As it does behind a migration. The machine runs its firmware, and no guest: what speaks is QEMU."""
    program, machine, _ = vm.MACHINES[platform.machine()]
    wire = segment.gateway.wire("eth0")
    running = segment.start(
        [softnet, "run", "-v", "--vm-mac-address", ONE_MAC, "--uplink", "tap:u-vm,bridge=br0", "--", program, *machine,
         "-accel", "tcg", "-m", "64", "-nodefaults", "-no-user-config", "-nographic", "-monitor", "stdio",
         "-netdev", "dgram,id=n0,local.type=fd,local.str={fd}", "-device", "virtio-net-device,netdev=n0,mac={mac}"],
        name="qemu", kind=services.Softnet)
    running.wait_line("QEMU .* monitor", 30)
    running.write_line("announce_self")
    wire.wait_frame(lambda frame: frame[:42] == RARP, 10, "QEMU's announcement")
    assert running.counters().dropped("guest") == 0
    running.write_line("quit")
    assert running.wait() == 0
    wire.close()
