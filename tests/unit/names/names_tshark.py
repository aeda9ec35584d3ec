#!/usr/bin/env python3
"""Compares our readers of hellos with tshark's: names_tshark.py PRINT_HELLOS [SEED]

Hellos of the TLS library that is here, made ones in TLS and QUIC, and mutations of all of them. Where both readers find a
name it must be the same one, and the only one. Each may refuse what the other reads, but nothing that was not mutated.
"""
import hashlib
import hmac
import json
import pathlib
import random
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile

try:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:
    AESGCM = None

SKIPPED = 77
MUTATIONS = 12  # of each hello
NAMES = ["a.example", "API.GitHub.com", "x" * 63 + ".example", "a_b.example", "192.0.2.1", "a.example.", "localhost"]


def ssl_hello(name, versions):
    """What the ssl module of Python, so OpenSSL, sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version, context.maximum_version = versions
    context.set_alpn_protocols(["h2", "http/1.1"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def extension(kind, data):
    return struct.pack(">HH", kind, len(data)) + data


def made_hello(rng, name):
    """A handshake message with extensions in any order; QUIC takes it as it is."""
    encoded = name.encode()
    extensions = [extension(0, struct.pack(">HBH", len(encoded) + 3, 0, len(encoded)) + encoded),
                  extension(43, b"\x02\x03\x04"), extension(16, b"\x00\x03\x02h2"), extension(10, b"\x00\x02\x00\x1d"),
                  extension(51, b"\x00\x24\x00\x1d\x00\x20" + rng.randbytes(32)), extension(13, b"\x00\x02\x04\x03")]
    if rng.random() < 0.3:
        extensions.append(extension(21, bytes(rng.randrange(1200))))
    if rng.random() < 0.2:
        extensions.append(extension(0xfe0d, rng.randbytes(60)))
    if rng.random() < 0.2:
        extensions.append(extension(0x4a4a, b""))
    rng.shuffle(extensions)
    body = b"\x03\x03" + rng.randbytes(32) + b"\x20" + rng.randbytes(32) + b"\x00\x04\x13\x01\x13\x02\x01\x00"
    body += struct.pack(">H", sum(map(len, extensions))) + b"".join(extensions)
    return b"\x01" + len(body).to_bytes(3, "big") + body


def records(message, size):
    parts = [message[i:i + size] for i in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(part)) + part for part in parts)


def expand(secret, label, octets):
    label = b"tls13 " + label
    info = octets.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0\1"
    return hmac.new(secret, info, hashlib.sha256).digest()[:octets]


VERSIONS = {1: ("38762cf7f55934b34d179ae6a4c80cadccbb7f0a", b"quic", 0), 0x6b3343cf: ("0dede3def700a6db819381be6e269dcbf9bd2ed9", b"quicv2", 1)}


def initial(version, destination, number, frames, octets):
    """RFC 9001 5: an Initial packet of a client that is `octets` long."""
    salt, label, kind = VERSIONS[version]
    secret = expand(hmac.new(bytes.fromhex(salt), destination, hashlib.sha256).digest(), b"client in", 32)
    key, nonce, protect = (expand(secret, label + b" " + what, n) for what, n in ((b"key", 16), (b"iv", 12), (b"hp", 16)))
    head = bytes([0xc3 | kind << 4]) + version.to_bytes(4, "big") + bytes([len(destination)]) + destination + b"\x00\x00"
    frames += bytes(max(0, octets - len(head) - 2 - 4 - 16 - len(frames)))
    head += struct.pack(">HI", 0x4000 | 4 + len(frames) + 16, number)
    sealed = AESGCM(key).encrypt(bytes(a ^ b for a, b in zip(nonce, number.to_bytes(12, "big"))), frames, head)
    mask = Cipher(algorithms.AES(protect), modes.ECB()).encryptor().update(sealed[:16])
    protected = bytes([head[0] ^ mask[0] & 15]) + head[1:-4] + bytes(a ^ b for a, b in zip(head[-4:], mask[1:5]))
    return protected + sealed


def crypto_frame(message, start, end):
    return b"\x06" + struct.pack(">HH", 0x4000 | start, 0x4000 | end - start) + message[start:end]


def quic_flow(rng, message):
    """The message in CRYPTO frames of any size, in one or two datagrams that come in order."""
    cuts = sorted({0, len(message), *(rng.randrange(len(message)) for _ in range(rng.randrange(4)))})
    frames = [crypto_frame(message, a, b) for a, b in zip(cuts, cuts[1:])]
    rng.shuffle(frames)
    groups = [[]]
    for frame in frames:
        if sum(map(len, groups[-1])) + len(frame) > 1100:
            groups.append([])
        groups[-1].append(frame)
    version, destination = rng.choice(list(VERSIONS)), rng.randbytes(8)
    return [initial(version, destination, i, b"".join(group), 1200) for i, group in enumerate(groups)]


def mutate(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(data))
        if rng.random() < 0.6:
            data[at] = rng.choice((0, 1, 255, data[at] ^ 1 << rng.randrange(8), rng.randrange(256)))
        elif rng.random() < 0.5:
            del data[at:at + rng.choice((1, 2, 4))]
        else:
            data[at:at] = rng.randbytes(rng.choice((1, 2, 4)))
    return bytes(data)


def tcp_frame(port, sequence, data, flags):
    tcp = struct.pack(">HHIIBBHHH", port, 443, sequence, 1, 0x50, flags, 65535, 0, 0) + data
    return ip_frame(6, tcp)


def udp_frame(port, data):
    return ip_frame(17, struct.pack(">HHHH", port, 443, 8 + len(data), 0) + data)


def ip_frame(protocol, payload):
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + socket.inet_aton("10.0.0.1") + socket.inet_aton("10.0.0.2")
    return bytes(12) + b"\x08\x00" + ip + payload


def write_capture(path, flows):
    """Each flow has a source port of its own; that of TCP is its number from 1024 on, like that of UDP."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for number, (kind, parts) in enumerate(flows):
            port, frames = 1024 + number, []
            if kind == "tls":
                frames = [tcp_frame(port, 0, b"", 2)] + [
                    tcp_frame(port, 1 + i, parts[0][i:i + 1400], 0x18) for i in range(0, len(parts[0]), 1400)]
            else:
                frames = [udp_frame(port, part) for part in parts]
            for frame in frames:
                file.write(struct.pack("<IIII", number, 0, len(frame), len(frame)) + frame)


def tshark_names(flows):
    """By source port, the names that tshark finds, in lower case."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "hellos.pcap"
        write_capture(path, flows)
        packets = json.loads(subprocess.run(
            ["tshark", "-r", path, "-Y", "tls.handshake.extensions_server_name", "-T", "json", "-e", "tcp.srcport", "-e",
             "udp.srcport", "-e", "tls.handshake.extensions_server_name"],
            check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    names = {}
    for packet in packets:
        fields = packet["_source"]["layers"]
        port = int(fields.get("tcp.srcport", fields.get("udp.srcport"))[0])
        names.setdefault(port - 1024, []).extend(name.lower() for name in fields["tls.handshake.extensions_server_name"])
    return names


def our_names(program, flows):
    text = "".join(f"{kind} {','.join(part.hex() for part in parts)}\n" for kind, parts in flows)
    return subprocess.run([program], input=text, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def make_flows(rng):
    """(kind, parts, the name that must be found; None: mutated)."""
    flows = []
    for name in NAMES:
        for _ in range(6):
            message = made_hello(rng, name)
            flows.append(("tls", [records(message, rng.choice((16384, 200, 90)))], name))
            if AESGCM is not None:
                flows.append(("quic", quic_flow(rng, message), name))
        if name[-1].isalpha():
            for versions in ((ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2), (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)):
                flows.append(("tls", [ssl_hello(name, versions)], name))
    for kind, parts, name in list(flows):
        if kind == "tls":
            flows += [(kind, [mutate(rng, parts[0])], None) for _ in range(MUTATIONS)]
    if AESGCM is not None: # in QUIC, of what is inside
        for name in NAMES:
            flows += [("quic", quic_flow(rng, mutate(rng, made_hello(rng, name))), None) for _ in range(MUTATIONS)]
    return flows


def is_host(name):
    labels = name.lower().split(".")
    return all(labels) and not labels[-1].isdigit()


def main():
    program, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    if shutil.which("tshark") is None:
        return SKIPPED
    rng = random.Random(seed)
    made = make_flows(rng)
    flows = [(kind, parts) for kind, parts, _ in made]
    theirs, ours = tshark_names(flows), our_names(program, flows)
    faults = agreed = 0
    for number, (kind, parts, expected) in enumerate(made):
        name, others = ours[number], theirs.get(number, [])
        found = name not in ("-", "more", "refused")
        wrong = found and others not in ([], [name])
        if expected is not None:
            wrong |= name != (expected.lower() if is_host(expected) else "-")
            wrong |= others != [expected.lower()] and kind == "tls" # tshark 4.0 misses some hellos in two datagrams
        agreed += found and others == [name]
        if wrong:
            faults += 1
            print(f"{kind} {','.join(part.hex() for part in parts)}\n  ours {name}, tshark {others}, made for {expected}")
    print(f"{len(flows)} hellos, {agreed} names that both find, {faults} differences")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
