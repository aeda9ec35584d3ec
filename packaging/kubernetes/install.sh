#!/bin/sh
# Puts softnet and its plug-in for CNI onto a node, with the libraries that they were built with: a node may have others.
#
#     install.sh ROOT      ROOT is the node's file system, as the DaemonSet mounts it. Everything goes to ROOT/opt.
#
# A new version lies beside the old one, and the plug-in is switched over at once: no call meets half of it.

set -eu
root=$1
program=$(command -v softnet)
plugin=${CNI_PLUGIN:-/usr/lib/cni/softnet-cni}
version=$(softnet --version | sed 's/[^0-9]*//')
place=/opt/softnet/$version
plugins=/opt/cni/bin

# What a program is loaded with: the paths of its libraries, and last that of the loader.
libraries() {
    ldd "$1" | awk '/=> \// { print $3 } /^[[:space:]]*\// { loader = $1 } END { print loader }'
}

# On the node the program is started by that loader.
wrap() {
    cat <<END
#!/bin/sh
PATH=$place/bin:\$PATH
exec $place/lib/$loader --library-path $place/lib $place/program/$1 "\$@"
END
}

build() {
    mkdir -p "$1/lib" "$1/bin" "$1/program"
    for one in "$program" "$plugin"; do
        cp "$one" "$1/program/"
        libraries "$one" | while read -r library; do cp -L "$library" "$1/lib/"; done
    done
    loader=$(basename "$(libraries "$program" | tail -n 1)")
    for one in softnet softnet-cni; do
        wrap $one >"$1/bin/$one"
        chmod 755 "$1/bin/$one"
    done
}

if [ ! -d "$root$place" ]; then
    rm -rf "$root$place.new"
    build "$root$place.new"
    mv "$root$place.new" "$root$place"
fi
mkdir -p "$root$plugins"
cp "$root$place/bin/softnet-cni" "$root$plugins/.softnet-cni.new"
mv "$root$plugins/.softnet-cni.new" "$root$plugins/softnet-cni"
echo "softnet $version: $plugins/softnet-cni"
