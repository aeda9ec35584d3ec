"""A guard as docs/filter.md, docs/filter-ipv6.md and docs/policy.md describe it, told frame after frame."""

from addresses6 import Addresses6
from dhcp4 import Dhcp4
from dhcp6 import Dhcp6
from ipv4 import Ipv4
from ipv6 import Ipv6
from leases4 import Leases4
from nd import Nd
from policy import Flows, Rules


class Guard(Ipv4, Leases4, Dhcp4, Ipv6, Nd, Addresses6, Dhcp6):
    def __init__(self, settings, now):
        self.settings, self.now = settings, now
        self.rules, self.flows = Rules(settings), Flows()
        self.start_leases4()
        self.start_addresses6()

    def decide(self, inward, data):
        """A reason, or PASS; or a set of reasons, where the documents do not say which comes first."""
        self.end_bindings()
        return self.to_guest(data) if inward else self.from_guest(data)

    def end_bindings(self):
        for b in sorted(self.bindings4, key=lambda one: one.expires):
            if not b.is_static and self.now >= b.expires and not b.in_grace:
                self.ran_out4 = b.address
        self.bindings4 = [b for b in self.bindings4 if self.now < b.expires]
