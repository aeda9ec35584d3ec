#!/usr/bin/python3
"""What nobody uses leaves: functions, macros and enumerators that stand in one place alone, and what only tests call.

    tests/unused.py

A function of one file is static. In the Python of tests: functions, constants and imports. Names are compared, not scopes, so a
name that means two things hides what is unused; fields of structs are not looked at.
"""

import ast
import collections
import re
import sys

import idiom
import layers
import sizes

DIRECTIVE = re.compile(r"^[ \t]*#(?!\s*include)((?:\\\n|[^\n])*)", re.M)
COMMENT = re.compile(r"/\*.*?\*/", re.S)
MACRO = re.compile(r"^[ \t]*#\s*define\s+([A-Za-z]\w*)", re.M)     # with a '_' in front they speak to the system's headers
LOCAL = {"static", "INLINE", "PART", "SUBPROGRAM", "APART", "BIG_SUBPROGRAM"}
CALLED_BY_NAME = {"main", "LLVMFuzzerTestOneInput"}                  # by the system, or a library
DOUBLES = "tests/macos/"                                            # of Apple's, called by Apple's names
FOR_TESTS = {"close_claims"}                                        # a guard that ends leaves it to the next one


class Source:
    def __init__(self, path, text):
        self.path, self.text, self.tokens = path, text, idiom.Text(text)
        self.words = collections.Counter(token for token in self.tokens.tokens if re.match(r"[A-Za-z_]", token))
        for m in DIRECTIVE.finditer(text):
            self.words.update(re.findall(r"[A-Za-z_]\w*", COMMENT.sub("", m.group(1))))
        self.defined, self.declared = {}, set()
        self.find_functions()

    def find_functions(self):
        tokens, depth, i, words = self.tokens, 0, 0, []
        while i < len(tokens.tokens):
            token = tokens.tokens[i]
            depth += (token == "{") - (token == "}")
            words = [] if token in ";}" else [*words, token]
            if token == "(" and depth == 0:
                end, name = tokens.closing_of(i), tokens.token(i - 1)
                if tokens.token(end + 1) == "{" and not {"SEC", "constructor"} & set(words):
                    self.defined[name] = bool(LOCAL & set(words))
                elif tokens.token(end + 1) == ";":
                    self.declared.add(name)
                words += tokens.tokens[i:end]
                i = end
            i += 1

    def enumerators(self):
        for m in re.finditer(r"\benum\b\s*\w*\s*\{([^}]*)\}", COMMENT.sub("", self.text)):
            yield from re.findall(r"(?:^|,)\s*([A-Za-z]\w*)", m.group(1))

    def is_program(self):
        return self.path.parts[0] in layers.FOLDERS


def find_in_c(sources):
    users_of, uses = collections.defaultdict(list), collections.Counter()
    for source in sources:
        uses.update(source.words)
        for name, count in source.words.items():
            if count > (name in source.declared) + (name in source.defined):
                users_of[name].append(source)
    for source in sources:
        for name, is_local in source.defined.items():
            users = users_of[name]
            if name in CALLED_BY_NAME:
                continue
            if not users:
                yield f"{source.path}: {name}() has no caller"
            elif source.is_program() and not any(user.is_program() for user in users) and name not in FOR_TESTS:
                yield f"{source.path}: {name}() is called by tests alone"
            elif not is_local and users == [source]:
                yield f"{source.path}: {name}() is of this file alone: static"
        for name in [*MACRO.findall(source.text), *source.enumerators()]:
            if uses[name] < 2:
                yield f"{source.path}: {name} is used nowhere"


def names_of(tree):
    for node in tree.body:
        for name in ast.walk(node) if isinstance(node, ast.Assign) else ():
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                yield name.id
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not re.match(r"test_|pytest_|__|do_[A-Z]|log_message", node.name):
            yield node.name


def find_in_python(texts):
    words = collections.Counter(word for text in texts.values() for word in re.findall(r"\w+", text))
    for path, text in texts.items():
        if path.suffix != ".py":
            continue
        tree = ast.parse(text)
        yield from (f"{path}: {name} is used nowhere" for name in names_of(tree) if words[name] < 2)
        for node in ast.walk(tree):
            for alias in node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else ():
                name = (alias.asname or alias.name).split(".")[0]
                is_marked = "noqa: F401" in "".join(text.splitlines()[node.lineno - 1:node.end_lineno])
                if name != "*" and not is_marked and len(re.findall(rf"\b{name}\b", text)) < 2:
                    yield f"{path}: {name} is imported, and not used"


def main():
    texts = dict(sizes.read_texts())
    sources = [Source(path, text) for path, text in texts.items() if path.suffix in (".c", ".h")]
    faults = [fault for fault in find_in_c(sources) if not fault.startswith(DOUBLES)]
    faults += find_in_python({path: text for path, text in texts.items() if path.suffix not in (".c", ".h")})
    print("\n".join(faults) if faults else "all that is defined is used")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
