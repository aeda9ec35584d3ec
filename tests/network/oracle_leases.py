"""What the oracle remembers of DHCP for IPv4: leases, and the exchanges that make them."""

import dataclasses
import ipaddress

from packet4 import NOBODY, SERVER_PORT


@dataclasses.dataclass
class Lease:
    address: str
    since: float
    until: float
    subnet: ipaddress.IPv4Network
    resolvers: tuple = ()
    client_id: bytes = b""
    server_port: int = SERVER_PORT      # that the ACK came from
    server: str = NOBODY                # its identifier, option 54
    routers: tuple = ()                 # that it names
    successor: str = None       # in grace: the address whose first frame ends this one

    def reaches(self, router):
        return router in self.routers or ipaddress.ip_address(router) in self.subnet


@dataclasses.dataclass
class Transaction:
    since: float            # the first message of this id
    last: float
    client_id: bytes
    wanted: str = NOBODY
    promised: set = dataclasses.field(default_factory=set)      # offered or given by the server
    requested: float = None     # when the first REQUEST left: a lease counts from there
    closed: bool = False        # the client gave its address back since
    to_boot_server: bool = False        # asks by what to boot: nobody gets an address by it
    to_all: bool = False        # its last message went to all, and is no INFORM
    is_secret: bool = False     # a renewal by unicast, whose id no broadcast has told
    chosen: str = NOBODY        # the server that a REQUEST selects
    answered: bool = False      # with an ACK or NAK
    overhearer: str = None      # the MAC that was believed for knowing the id
