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
    # shellcheck disable=SC2016 # apt's variables
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

# ---- what runs inside the guests ----

# The kernel's configuration is ours; its source is Debian's linux-source-6.12. ARCH is
# Debian's word: amd64 or arm64.
KERNEL_PACKAGE=linux-source-6.12/bookworm-backports

kernel_config() { cat "$E2E/kernel.config" "$E2E/kernel-$1.config"; }
kernel_dir() { echo "$IOVAGEOM_CACHE/kernel-$1-$(kernel_config "$1" | grep ^CONFIG | md5sum | cut -c1-10)"; }
kernel_image() { echo "$(kernel_dir "$1")/image"; }

# `no_dropped_options RECIPE CONFIGURATION`: an option that allnoconfig dropped, for its name is
# another in this kernel or it depends on one that we don't ask for, is a broken recipe: say so here,
# not in a guest.
no_dropped_options() {
    local asked dropped
    asked=$(grep '^CONFIG_' "$1") && [ -s "$2" ] || return 1
    dropped=$(grep -vxFf "$2" <<<"$asked")
    [ -n "$dropped" ] || return 0
    printf 'the configuration has not, or not so: %s\n' $dropped
    return 1
}

# `build_kernel ARCH`: prints the image's path.
build_kernel() {
    local arch=$1 out build tar image=arch/x86/boot/bzImage make=(make -s)
    out=$(kernel_dir "$arch")
    [ ! -e "$out/image" ] || { echo "$out/image" && return 0; }
    need_packages gcc make bc flex bison libelf-dev libssl-dev xz-utils rsync kmod cpio
    [ "$arch" = amd64 ] || {
        need_packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross
        make+=(ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-)
        image=arch/arm64/boot/Image
    }
    build=$IOVAGEOM_CACHE/build/kernel-$arch
    rm -rf "$build"
    mkdir -p "$build" "$out"
    say "building the guest kernel for $arch (about 8 CPU minutes)"
    unpack_package amd64 "$KERNEL_PACKAGE" "$build/deb" || die "cannot unpack $KERNEL_PACKAGE"
    tar=$(echo "$build"/deb/usr/src/linux-source-*.tar.xz)
    mkdir "$build/linux"
    tar -C "$build/linux" --strip-components=1 -xf "$tar" || die "cannot unpack $tar"
    kernel_config "$arch" >"$build/config"
    # One chain, for `set -e` means nothing on the left of ||.
    (
        cd "$build/linux" &&
            "${make[@]}" KCONFIG_ALLCONFIG="$build/config" allnoconfig &&
            no_dropped_options "$build/config" .config &&
            nice "${make[@]}" -j"$JOBS" "${image##*/}" &&
            "${make[@]}" headers_install INSTALL_HDR_PATH="$out/uapi" &&
            cp "$image" "$out/image.new"
    ) >"$out/build.log" 2>&1 || die "the kernel doesn't build, see $out/build.log"
    mv "$out/image.new" "$out/image" || exit
    rm -rf "$build"
    echo "$out/image"
}

# `pack DIR FILE`: a gzipped cpio; several of them may be concatenated. There at once, for
# another run may be reading the old one.
pack() {
    (
        set -o pipefail
        cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 | gzip -1
    ) >"$2.$$" && mv "$2.$$" "$2"
}

# `compiler ARCH`: builds programs for the guests.
compiler() {
    case $1 in
    amd64) echo gcc ;;
    arm64) echo aarch64-linux-gnu-gcc ;;
    esac
}

# The userland of all guests: busybox, our init, our programs. Prints the image's path.
build_userland() {
    local arch=$1 out=$IOVAGEOM_CACHE/guest-$1 root busybox=/bin/busybox
    build_kernel "$arch" >/dev/null
    need_packages busybox-static cpio gcc libc6-dev
    if [ "$arch" != amd64 ]; then
        busybox=$out/deb/bin/busybox
        [ -e "$busybox" ] || unpack_package "$arch" busybox-static/bookworm "$out/deb"
    fi
    root=$(mktemp -d)
    mkdir -p "$out" "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp"
    cp "$busybox" "$root/bin/busybox"
    install -m 755 "$E2E/guest/init" "$root/init"
    cp "$E2E/guest/lib.sh" "$root/"
    "$(compiler "$arch")" -static -O2 -s -Wall -Wextra -Werror \
        -isystem "$(kernel_dir "$arch")/uapi/include" "$E2E/guest/vfio-try.c" \
        -o "$root/bin/vfio-try" || die "vfio-try doesn't build"
    pack "$root" "$out/userland.cpio.gz"
    rm -rf "$root"
    echo "$out/userland.cpio.gz"
}

# What a QEMU is made from. Stock: the recipe of its build. On the library: also that. `build` is
# quick when it has an older one: it compiles what changed, and links.
qemu_key() {
    (
        cd "$E2E/../.." || exit 1
        cat examples/shims/qemu/build examples/shims/qemu/devices.mak
        case $1 in
        shim)
            cat examples/shims/qemu/{insert.py,insertions-*,iovageom-shim.*} lib/*/*.[ch] \
                include/iovageom/*.h
            ;;
        feed) cat "$E2E/feed.insertions" ;;
        esac
    ) | md5sum
}

# `build_qemu VERSION stock|shim|feed`: the emulator; prints its path.
build_qemu() {
    local version=$1 kind=$2 prefix=$IOVAGEOM_CACHE/qemu/$1-$2 key how=()
    key=$(qemu_key "$kind")
    case $kind in
    stock) how=(--stock) ;;
    feed) how=(--insertions "$E2E/feed.insertions") ;;
    esac
    if [ ! -x "$prefix/bin/qemu-system-x86_64" ] || [ "$(cat "$prefix/key" 2>&1)" != "$key" ]; then
        "$E2E/../../examples/shims/qemu/build" "$version" --prefix "$prefix" "${how[@]}" \
            >/dev/null || exit 1
        echo "$key" >"$prefix/key"
    fi
    echo "$prefix/bin/qemu-system-x86_64"
}

# `build_l1 VERSION KIND`: an image for L1 with an emulator, its firmware and L2's kernel;
# prints its path.
build_l1() {
    local emulator kernel file root image=$IOVAGEOM_CACHE/qemu/$1-$2/l1.cpio.gz
    need_packages seabios qemu-system-data
    kernel=$(build_kernel amd64) && emulator=$(build_qemu "$1" "$2") || exit 1
    root=$(mktemp -d)
    mkdir -p "$root/qemu" "$root/l2"
    cp "$emulator" "$root/qemu/"
    for file in seabios/bios-256k.bin qemu/linuxboot_dma.bin qemu/kvmvapic.bin; do
        cp "/usr/share/$file" "$root/qemu/"
    done
    cp "$kernel" "$root/l2/bzImage"
    pack "$root" "$image"
    rm -rf "$root"
    echo "$image"
}

# `configure_cmake BUILD OPTION...`: of this checkout, whichever one BUILD was made from before.
configure_cmake() {
    local build=$1 root fresh=()
    shift
    root=$(cd "$E2E/../.." && pwd)
    grep -qsx "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$build/CMakeCache.txt" || fresh=(--fresh)
    cmake "${fresh[@]}" -G Ninja -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        -DIOVAGEOM_TESTS=OFF "$@"
}

# `build_library`: static, optimised, installed where pkg-config finds it.
build_library() {
    local build=$IOVAGEOM_CACHE/library-build
    need_packages cmake ninja-build gcc
    {
        configure_cmake "$build" -DIOVAGEOM_EXAMPLES=OFF -DIOVAGEOM_SHARED=OFF \
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
        "$IOVAGEOM_CACHE/library/lib/"libiovageom{-guest,}.a -o "$IOVAGEOM_CACHE/tools/$1" ||
        die "$1 doesn't build"
    echo "$IOVAGEOM_CACHE/tools/$1"
}

# `build_host_probe ARCH`: static, for a guest; prints its path.
build_host_probe() {
    local arch=$1 build=$IOVAGEOM_CACHE/host-probe-$1 cross=()
    need_packages cmake ninja-build gcc
    build_kernel "$arch" >/dev/null
    [ "$arch" = amd64 ] ||
        cross=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64
            "-DCMAKE_C_COMPILER=$(compiler "$arch")")
    {
        configure_cmake "$build" -DIOVAGEOM_EXAMPLES=ON \
            -DCMAKE_C_FLAGS="-isystem $(kernel_dir "$arch")/uapi/include" \
            -DIOVAGEOM_PROBE_STATIC=ON "${cross[@]}" &&
            cmake --build "$build" -j"$JOBS" --target host-probe-static
    } >"$IOVAGEOM_CACHE/host-probe-$arch.log" 2>&1 ||
        die "host-probe doesn't build, see $IOVAGEOM_CACHE/host-probe-$arch.log"
    echo "$build/examples/host-probe/host-probe-static"
}
