#!/usr/bin/python3
"""The walls between the rooms: every include must be one that docs/architecture.md allows.

    tests/layers.py [--graph]      --graph prints which room includes which, and how often

The page has a block that begins with the line "rooms:". Each of its lines names a room and, behind "->", the rooms that it
may include. A room may include itself. Fails too where the allowed includes make a circle, where files include each other in
one, where a room is not in the list, and where a folder holds too many files.
"""

import collections
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = "core", "ebpf", "port", "softnet", "system"
FILES_MAX = 17
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def read_rooms():
    """{room: set of rooms that it may include}, from the page."""
    text = (TOP / "docs/architecture.md").read_text()
    block = re.search(r"^ {4}rooms:\n((?: {4}.*\n)+)", text, re.M).group(1)
    rooms = {}
    for line in block.splitlines():
        room, _, others = line.strip().partition("->")
        rooms[room.strip()] = set(others.split())
    return rooms


def read_includes():
    """{file: [included files]} of the program, as paths from the top."""
    files = [str(path.relative_to(TOP)) for folder in FOLDERS for path in (TOP / folder).rglob("*.[ch]")]
    return {name: INCLUDE.findall((TOP / name).read_text()) for name in files}


def room_of(name):
    return str(pathlib.PurePath(name).parent)


def find_circle(arrows):
    """A path that ends where it began, or None."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return None
        path.append(node)
        for other in sorted(arrows.get(node, ())):
            circle = visit(other)
            if circle:
                return circle
        done.add(path.pop())
        return None

    for node in sorted(arrows):
        circle = visit(node)
        if circle:
            return circle
    return None


def main():
    rooms, includes = read_rooms(), read_includes()
    faults, count = [], collections.Counter()
    for name, others in sorted(includes.items()):
        for other in others:
            if other not in includes:
                faults.append(f"{name}: includes \"{other}\", which is no path from the top")
                continue
            room, other_room = room_of(name), room_of(other)
            count[room, other_room] += 1
            if room != other_room and other_room not in rooms.get(room, ()):
                faults.append(f"{name}: includes {other}, but {room} may not include {other_room}")
    for room in {room_of(name) for name in includes} - rooms.keys():
        faults.append(f"{room}: is no room of docs/architecture.md")
    for room in rooms:
        size = sum(room_of(name) == room for name in includes)
        if size == 0:
            faults.append(f"{room}: a room of docs/architecture.md without files")
        if size > FILES_MAX:
            faults.append(f"{room}: {size} files, more than {FILES_MAX}")
        for other in rooms[room] - rooms.keys():
            faults.append(f"docs/architecture.md: {room} -> {other}: no such room")
        for other in rooms[room]:
            if count[room, other] == 0:
                faults.append(f"docs/architecture.md: {room} -> {other}: nothing includes it, so it need not be allowed")
    for arrows in rooms, includes:
        circle = find_circle(arrows)
        if circle:
            faults.append("a circle: " + " -> ".join(circle))
    if "--graph" in sys.argv:
        for (room, other), n in sorted(count.items()):
            if room != other:
                print(f"{room} -> {other} ({n})")
    print("\n".join(faults) if faults else f"{len(includes)} files in {len(rooms)} rooms, all includes within the walls")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
