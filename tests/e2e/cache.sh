# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# The cache of the end-to-end tests: packages of other suites, a guest kernel, initramfs
# images, QEMUs. Everything lives in $IOVAGEOM_CACHE and can be deleted at any time.
#
# The mirror is whatever the machine itself uses: `apt-get indextargets` reads one-line and
# deb822 sources alike, so nobody's mirror is written down here.

E2E=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

: "${IOVAGEOM_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/iovageom}"
export IOVAGEOM_CACHE
JOBS=${IOVAGEOM_JOBS:-$(nproc)}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# Give the root folder of the Debian archive that this machine installs from.
debian_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk '$2 == "bookworm" && $3 == "main" { print $1; exit }'
}

# Packages of the running system: install them when we may, name them when we may not.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    [ "$(id -u)" -eq 0 ] || die "please install: apt-get install --no-install-recommends ${missing[*]}"
    say "installing ${missing[*]}"
    apt-get update -qq >&2 || say "apt-get update failed, trying with the lists there are"
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qq -y \
        --no-install-recommends "${missing[@]}" >"$IOVAGEOM_CACHE/apt-install.log" 2>&1 ||
        die "apt-get install failed, see $IOVAGEOM_CACHE/apt-install.log"
}

# apt-get with our own sources and lists: `suite_apt ARCH download PKG/SUITE`.
suite_apt() {
    local arch=$1 dir mirror
    shift
    dir=$IOVAGEOM_CACHE/apt/$arch
    if [ ! -f "$dir/updated" ]; then
        mirror=$(debian_mirror)
        [ -n "$mirror" ] || die "no bookworm archive among this machine's apt sources"
        mkdir -p "$dir/lists/partial" "$dir/archives/partial"
        printf 'deb %s %s main\n' "$mirror" bookworm "$mirror" bookworm-backports \
            "$mirror" trixie >"$dir/sources.list"
        [ "$arch" != amd64 ] ||
            printf 'deb-src %s %s main\n' "$mirror" bookworm "$mirror" bookworm-backports \
                "$mirror" trixie >>"$dir/sources.list"
        suite_apt_raw "$arch" update -qq || die "apt-get update of the private lists failed"
        touch "$dir/updated"
    fi
    suite_apt_raw "$arch" "$@"
}

suite_apt_raw() {
    local arch=$1 dir=$IOVAGEOM_CACHE/apt/$1
    shift
    local foreign=()
    [ "$arch" = "$(dpkg --print-architecture)" ] ||
        foreign=(-o "APT::Architecture=$arch" -o "APT::Architectures=$arch"
            -o "Dir::State::status=/dev/null")
    apt-get -o "Dir::Etc::SourceList=$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache::archives=$dir/archives" \
        -o APT::Get::AllowUnauthenticated=false -o APT::Sandbox::User=root \
        "${foreign[@]}" "$@"
}

# `unpack_package ARCH PKG/SUITE DIR`: fetch a binary package and unpack it, installing nothing.
unpack_package() {
    local arch=$1 name=$2 dir=$3 deb
    deb=$IOVAGEOM_CACHE/deb/$arch
    mkdir -p "$deb" "$dir"
    if ! compgen -G "$deb/${name%%/*}_*.deb" >/dev/null; then
        (cd "$deb" && suite_apt "$arch" download -qq "$name") || die "cannot download $name"
    fi
    dpkg-deb -x "$deb/${name%%/*}"_*.deb "$dir"
}

# `unpack_source PKG/SUITE DIR`: Debian's source package with Debian's patches applied.
unpack_source() {
    local name=$1 dir=$2 src=$IOVAGEOM_CACHE/src/${1//\//_} dsc
    mkdir -p "$src"
    if ! compgen -G "$src/*.dsc" >/dev/null; then
        (cd "$src" && suite_apt amd64 source -qq --download-only "$name") ||
            die "cannot download the source of $name"
    fi
    dsc=$(echo "$src"/*.dsc)
    rm -rf "$dir"
    dpkg-source --no-check -x "$dsc" "$dir" >"$src/unpack.log" 2>&1 ||
        die "cannot unpack $dsc, see $src/unpack.log"
}

# Run a step once: `once NAME COMMAND...` leaves a stamp in the cache when it succeeded.
once() {
    local stamp=$IOVAGEOM_CACHE/stamp/$1
    shift
    [ -e "$stamp" ] && return 0
    mkdir -p "${stamp%/*}"
    "$@" && touch "$stamp"
}

# ---- what runs inside the guests ----

# The kernel's configuration is ours; its source is Debian's linux-source-6.12.
KERNEL_PACKAGE=linux-source-6.12/bookworm-backports

kernel_key() { grep "^CONFIG" "$E2E/kernel.config" | md5sum | cut -c1-10; }
kernel_image() { echo "$IOVAGEOM_CACHE/kernel-$(kernel_key)/bzImage"; }
kernel_headers() { echo "$IOVAGEOM_CACHE/kernel-$(kernel_key)/uapi/include"; }

build_kernel() {
    local out build tar
    out=$(dirname "$(kernel_image)")
    [ -e "$out/bzImage" ] && return 0
    need_packages gcc make bc flex bison libelf-dev libssl-dev xz-utils rsync kmod cpio
    build=$IOVAGEOM_CACHE/build/kernel
    rm -rf "$build"
    mkdir -p "$build" "$out"
    say "building the guest kernel (about 8 CPU minutes)"
    unpack_package amd64 "$KERNEL_PACKAGE" "$build/deb"
    tar=$(echo "$build"/deb/usr/src/linux-source-*.tar.xz)
    mkdir "$build/linux"
    tar -C "$build/linux" --strip-components=1 -xf "$tar"
    (
        set -e
        cd "$build/linux"
        make -s KCONFIG_ALLCONFIG="$E2E/kernel.config" allnoconfig
        # An option that allnoconfig dropped is a broken recipe: say so here, not in a guest.
        ! grep '^CONFIG_' "$E2E/kernel.config" | grep -vxFf .config
        nice make -s -j"$JOBS" bzImage
        make -s headers_install INSTALL_HDR_PATH="$out/uapi"
        cp arch/x86/boot/bzImage "$out/bzImage.new"
    ) >"$out/build.log" 2>&1 || die "the kernel doesn't build, see $out/build.log"
    mv "$out/bzImage.new" "$out/bzImage"
    rm -rf "$build"
}

# `pack DIR FILE`: a gzipped cpio; several of them may be concatenated. There at once, for
# another run may be reading the old one.
pack() {
    (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) |
        gzip -1 >"$2.$$" && mv "$2.$$" "$2"
}

# The userland of all guests: busybox, our init, our programs.
build_userland() {
    local out=$IOVAGEOM_CACHE/guest root
    need_packages busybox-static cpio gcc libc6-dev
    root=$(mktemp -d)
    mkdir -p "$out" "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp"
    cp /bin/busybox "$root/bin/busybox"
    install -m 755 "$E2E/guest/init" "$root/init"
    cp "$E2E/guest/lib.sh" "$root/"
    gcc -static -O2 -Wall -Wextra -Werror -isystem "$(kernel_headers)" \
        "$E2E/guest/vfio-try.c" -o "$root/bin/vfio-try" || die "vfio-try doesn't build"
    strip "$root/bin/vfio-try"
    pack "$root" "$out/userland.cpio.gz"
    rm -rf "$root"
}

# What a QEMU on the library is made from: its shim, the library, and the recipe.
shim_key() {
    (cd "$E2E/../.." && cat examples/shims/qemu/* lib/*.[ch] include/iovageom/*.h | md5sum)
}

# `build_qemu VERSION stock|shim|feed`: a QEMU for L1, and its image with firmware.
build_qemu() {
    local version=$1 kind=$2 prefix=$IOVAGEOM_CACHE/qemu/$1-$2 root file key=stock how=--stock
    need_packages seabios qemu-system-data
    [ "$kind" = stock ] || key=$(shim_key) how=''
    if [ "$kind" = feed ]; then
        build_feed_qemu
    elif [ ! -x "$prefix/bin/qemu-system-x86_64" ] || [ "$(cat "$prefix/key" 2>&1)" != "$key" ]; then
        "$E2E/../../examples/shims/qemu/build" "$version" --prefix "$prefix" $how || exit 1
        echo "$key" >"$prefix/key"
    fi
    root=$(mktemp -d)
    mkdir -p "$root/qemu" "$root/l2"
    cp "$prefix/bin/qemu-system-x86_64" "$root/qemu/"
    for file in seabios/bios-256k.bin qemu/linuxboot_dma.bin qemu/kvmvapic.bin; do
        cp "/usr/share/$file" "$root/qemu/"
    done
    cp "$(kernel_image)" "$root/l2/bzImage"
    pack "$root" "$prefix/l1.cpio.gz"
    rm -rf "$root"
}

# A QEMU whose PROBE answers come from files; runs as L0, so it needs no image.
build_feed_qemu() {
    local prefix=$IOVAGEOM_CACHE/qemu/10.0-feed key
    key=$(md5sum <"$E2E/feed.insertions")
    [ "$(cat "$prefix/key" 2>&1)" != "$key" ] || return 0
    "$E2E/../../examples/shims/qemu/build" 10.0 --prefix "$prefix" \
        --insertions "$E2E/feed.insertions" || exit 1
    echo "$key" >"$prefix/key"
}

# `build_library`: static, optimised, installed where pkg-config finds it.
build_library() {
    local build=$IOVAGEOM_CACHE/library-build root=$E2E/../..
    need_packages cmake ninja-build gcc
    {
        cmake -G Ninja -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
            -DIOVAGEOM_TESTS=OFF -DIOVAGEOM_EXAMPLES=OFF -DIOVAGEOM_SHARED=OFF \
            -DCMAKE_INSTALL_PREFIX="$IOVAGEOM_CACHE/library" -DCMAKE_INSTALL_LIBDIR=lib &&
            cmake --build "$build" -j"$JOBS" && cmake --install "$build"
    } >"$IOVAGEOM_CACHE/library.log" 2>&1 ||
        die "the library doesn't build, see $IOVAGEOM_CACHE/library.log"
}

# `build_tool NAME`: a program of this folder on the library; prints its path.
build_tool() {
    build_library
    mkdir -p "$IOVAGEOM_CACHE/tools"
    gcc -O2 -Wall -Wextra -Werror -I"$IOVAGEOM_CACHE/library/include" "$E2E/$1.c" \
        "$IOVAGEOM_CACHE/library/lib/libiovageom.a" -o "$IOVAGEOM_CACHE/tools/$1" ||
        die "$1 doesn't build"
    echo "$IOVAGEOM_CACHE/tools/$1"
}

# host-probe, static, for a guest; prints its path.
build_host_probe() {
    local build=$IOVAGEOM_CACHE/host-probe-build
    need_packages cmake ninja-build gcc
    {
        cmake -G Ninja -S "$E2E/../.." -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
            -DCMAKE_C_FLAGS="-isystem $(kernel_headers)" -DIOVAGEOM_TESTS=OFF \
            -DIOVAGEOM_EXAMPLES=ON -DIOVAGEOM_PROBE_STATIC=ON &&
            cmake --build "$build" -j"$JOBS" --target host-probe-static
    } >"$IOVAGEOM_CACHE/host-probe.log" 2>&1 ||
        die "host-probe doesn't build, see $IOVAGEOM_CACHE/host-probe.log"
    echo "$build/examples/host-probe/host-probe-static"
}
