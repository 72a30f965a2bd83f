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

# `locked NAME COMMAND...`: one at a time, of this run and of others that share the cache. NAME is what
# is made. Locks are taken in one order: a thing before what it is made from, and packages last.
locked() {
    mkdir -p "$IOVAGEOM_CACHE/locks"
    (
        flock 8
        "${@:2}"
    ) 8>"$IOVAGEOM_CACHE/locks/$1"
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
    locked install install_packages "${missing[@]}" || exit
}

install_packages() {
    local missing=("$@")
    say "installing ${missing[*]}"
    apt-get update -qq >&2 || say "apt-get update failed, trying with the lists there are"
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qq -y \
        --no-install-recommends "${missing[@]}" >"$IOVAGEOM_CACHE/apt-install.log" 2>&1 ||
        die "apt-get install failed, see $IOVAGEOM_CACHE/apt-install.log"
}

# `suite_apt ARCH TOOL ARGUMENT...`: an apt tool with our own sources and lists. bookworm is what the
# tests run on; the others have newer kernels and emulators, and sid keeps sources of some that
# another suite has left behind.
suite_apt() { locked "apt-$1" suite_apt_alone "$@"; }

suite_apt_alone() {
    update_lists "$1"
    suite_apt_raw "$@"
}

update_lists() {
    local arch=$1 dir=$IOVAGEOM_CACHE/apt/$1 mirror suite
    [ ! -f "$dir/updated" ] || return 0
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || die "no bookworm archive among this machine's apt sources"
    mkdir -p "$dir/lists/partial" "$dir/archives/partial"
    for suite in bookworm bookworm-backports trixie trixie-backports; do
        echo "deb $mirror $suite main"
        [ "$arch" != amd64 ] || echo "deb-src $mirror $suite main"
    done >"$dir/sources.list"
    [ "$arch" != amd64 ] || echo "deb-src $mirror sid main" >>"$dir/sources.list"
    # A mirror need not have all of these suites.
    suite_apt_raw "$arch" apt-get update -qq >"$dir/update.log" 2>&1 ||
        say "not all suites can be read, see $dir/update.log"
    ! compgen -G "$dir/lists/*_Packages*" >/dev/null || touch "$dir/updated"
}

suite_apt_raw() {
    local arch=$1 tool=$2 dir=$IOVAGEOM_CACHE/apt/$1
    shift 2
    local foreign=()
    [ "$arch" = "$(dpkg --print-architecture)" ] ||
        foreign=(-o "APT::Architecture=$arch" -o "APT::Architectures=$arch")
    # What this system has installed or pinned says nothing here: apt would choose a version from an
    # archive that isn't in our lists, and find nowhere to fetch it from.
    "$tool" -o "Dir::Etc::SourceList=$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::status=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
        -o Dir::Etc::Preferences=/dev/null \
        -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache::archives=$dir/archives" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o APT::Get::AllowUnauthenticated=false -o APT::Sandbox::User=root \
        "${foreign[@]}" "$@"
}

# `fetched NAME DIR FETCH...`: run FETCH, once more with new lists when the old ones name what is gone.
# What it fetches is in DIR when it is whole, and not before. What the archive hasn't got is no failure
# of ours: another status than that of `die`.
fetched() {
    local name=$1 dir=$2 log=$2/fetch-$1.log new=$2/new-$1 file
    rm -rf "$new"
    mkdir -p "$new"
    (cd "$new" && "${@:3}") >"$log" 2>&1 || {
        rm -f "$IOVAGEOM_CACHE"/apt/*/updated
        (cd "$new" && "${@:3}") >>"$log" 2>&1
    } || {
        rm -r "$new"
        say "$name cannot be fetched"
        exit 77
    }
    # of a source package the .dsc comes last, for it is what one looks for
    for file in "$new"/*.tar.* "$new"/*; do
        [ ! -e "$file" ] || mv "$file" "$dir/" || exit
    done
    rmdir "$new"
}

# `fetch_package ARCH PKG[/SUITE]`: prints where the binary package lies.
fetch_package() {
    locked "package-$1-${2%%/*}" fetch_package_alone "$@" || exit
}

fetch_package_alone() {
    local arch=$1 name=${2%%/*} deb=$IOVAGEOM_CACHE/deb/$1
    compgen -G "$deb/${name}_*.deb" >/dev/null ||
        fetched "$name" "$deb" suite_apt "$arch" apt-get download -qq "$2"
    echo "$deb/${name}"_*.deb
}

# `unpack_package ARCH PKG[/SUITE] DIR`: unpacked there, and nothing installed.
unpack_package() {
    local deb
    deb=$(fetch_package "$1" "$2") || exit
    mkdir -p "$3"
    dpkg-deb -x "$deb" "$3" || die "cannot unpack $deb"
}

# `unpack_once PKG[/SUITE] DIR`: for this machine.
unpack_once() {
    [ ! -e "$2/done" ] || return 0
    unpack_package amd64 "$1" "$2"
    touch "$2/done"
}

# `source_versions PKG PREFIX`: the full versions, newest first, of the source packages whose version
# begins so behind its epoch.
source_versions() {
    suite_apt amd64 apt-cache showsrc --only-source "$1" |
        sed -n 's/^Version: //p' | grep -E "^([0-9]+:)?${2//./\\.}[.+]" | sort -rV
}

# An archive may name a source that it hasn't got yet, or any more: then the next older one.
download_source() {
    local version
    for version in $(source_versions "$@"); do
        ! suite_apt amd64 apt-get source -qq --download-only "$1=$version" || return 0
    done
    return 1
}

# `fetch_source PKG VERSION`: prints where the source package lies. VERSION is the beginning of one:
# 10.0 is the newest 10.0.N that there is.
fetch_source() {
    locked "source-$1-$2" fetch_source_alone "$@" || exit
}

fetch_source_alone() {
    local src=$IOVAGEOM_CACHE/src/$1-$2
    compgen -G "$src/*.dsc" >/dev/null || fetched "$1-$2" "$src" download_source "$@"
    echo "$src"/*.dsc
}

# `unpack_source PKG VERSION DIR`: with Debian's patches applied.
unpack_source() {
    local dsc
    dsc=$(fetch_source "$1" "$2") || exit
    rm -rf "$3"
    dpkg-source --no-check -x "$dsc" "$3" >"$dsc.log" 2>&1 || die "cannot unpack, see $dsc.log"
}

# ---- what runs inside the guests ----

# shellcheck source=tests/e2e/kernel.sh
. "$E2E/kernel.sh"

# `compiled FILE ARGUMENT...`: a program, there when it is whole, for another run may be using it.
compiled() { gcc "${@:2}" -o "$1.new" && mv "$1.new" "$1"; }

# `build_selftest VERSION NAME`: with our recorder, static, for a guest; prints its path.
build_selftest() {
    local dir headers tests=$IOVAGEOM_CACHE/tools/selftests-$1 more=()
    need_packages gcc libc6-dev libcap-dev uuid-dev
    dir=$(kernel_dir "$1" judge)/selftests
    headers=$(kernel_headers amd64) || exit
    [ -e "$dir/$2.o" ] || die "Linux $1 has no selftest $2"
    mkdir -p "$tests"
    [[ $2 != vfio* ]] || more=("$dir"/vfio/*.o)
    # shellcheck disable=SC2086 # words
    compiled "$tests/$2" -O2 -Wall -Wextra -Werror $headers -static -s "$E2E/judge/recorder.c" \
        "$dir/$2.o" "${more[@]}" -Wl,--wrap=open,--wrap=close,--wrap=ioctl -lcap -luuid ||
        die "the selftest $2 doesn't link"
    echo "$tests/$2"
}

# `build_replay`: the judge's program on the library; prints its path.
build_replay() {
    local headers
    build_library
    headers=$(kernel_headers amd64) || exit
    mkdir -p "$IOVAGEOM_CACHE/tools"
    # shellcheck disable=SC2086 # words
    compiled "$IOVAGEOM_CACHE/tools/replay" -O2 -g -Wall -Wextra -Werror $headers \
        -I"$IOVAGEOM_CACHE/library/include" \
        "$E2E"/judge/{replay,ioas,calls,test_calls,vfio_calls}.c \
        "$IOVAGEOM_CACHE/library/lib/libiovageom.a" ||
        die "replay doesn't build"
    echo "$IOVAGEOM_CACHE/tools/replay"
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

# `kernel_headers ARCH`: the compiler's words for them. bookworm's own know no iommufd; those of 6.12
# have all that we ask of any kernel.
kernel_headers() {
    local dir=$IOVAGEOM_CACHE/uapi
    locked headers unpack_once linux-libc-dev/trixie "$dir" || exit
    echo "-isystem $dir/usr/include -isystem $dir/usr/include/$("$(compiler "$1")" -print-multiarch)"
}

# The userland of all guests: busybox, our init, our programs. Prints the image's path.
build_userland() {
    local arch=$1 out=$IOVAGEOM_CACHE/guest-$1 root headers busybox=/bin/busybox
    need_packages busybox-static cpio gcc libc6-dev
    [ "$arch" = amd64 ] || need_packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    headers=$(kernel_headers "$arch") || exit
    if [ "$arch" != amd64 ]; then
        busybox=$out/deb/bin/busybox
        [ -e "$busybox" ] || unpack_package "$arch" busybox-static/bookworm "$out/deb"
    fi
    root=$(mktemp -d)
    mkdir -p "$out" "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp"
    cp "$busybox" "$root/bin/busybox"
    install -m 755 "$E2E/guest/init" "$root/init"
    cp "$E2E/guest/lib.sh" "$root/"
    # shellcheck disable=SC2086 # words
    "$(compiler "$arch")" -static -O2 -s -Wall -Wextra -Werror $headers "$E2E/guest/vfio-try.c" \
        -o "$root/bin/vfio-try" || die "vfio-try doesn't build"
    pack "$root" "$out/userland.cpio.gz"
    rm -rf "$root"
    echo "$out/userland.cpio.gz"
}

# `build_disk`: what firmware boots; prints the image's path.
build_disk() {
    local out=$IOVAGEOM_CACHE/disk
    need_packages gcc binutils ovmf
    { gcc -c "$E2E/guest/disk.S" -o "$out.o" && objcopy -O binary -j .text "$out.o" "$out.$$" &&
        mv "$out.$$" "$out"; } || die "the disk can't be made"
    echo "$out"
}

# What a QEMU is made from. Stock: the recipe of its build. On the library: also that. `build` is
# quick when it has an older one: it compiles what changed, and links.
qemu_key() {
    (
        cd "$E2E/../.." || exit 1
        cat examples/shims/qemu/build examples/shims/qemu/devices.mak
        case $1 in
        shim)
            cat examples/shims/qemu/{insert.py,insertions-*,iovageom-s*} lib/*/*.[ch] \
                include/iovageom/*.h
            ;;
        feed) cat "$E2E/feed.insertions" ;;
        esac
    ) | md5sum
}

# `build_qemu VERSION stock|shim|feed`: the emulator; prints its path.
build_qemu() {
    locked "qemu-$1-$2" build_qemu_alone "$@" || exit
}

build_qemu_alone() {
    local version=$1 kind=$2 prefix=$IOVAGEOM_CACHE/qemu/$1-$2 key how=()
    key=$(qemu_key "$kind")
    case $kind in
    stock) how=(--stock) ;;
    feed) how=(--insertions "$E2E/feed.insertions") ;;
    esac
    if [ ! -x "$prefix/bin/qemu-system-x86_64" ] || [ "$(cat "$prefix/key" 2>&1)" != "$key" ]; then
        "$E2E/../../examples/shims/qemu/build" "$version" --prefix "$prefix" "${how[@]}" \
            >/dev/null || exit
        echo "$key" >"$prefix/key"
    fi
    echo "$prefix/bin/qemu-system-x86_64"
}

# `build_l1 VERSION KIND`: an image for L1 with an emulator and its firmware; prints its path.
build_l1() {
    local emulator file root image=$IOVAGEOM_CACHE/qemu/$1-$2/l1.cpio.gz
    need_packages seabios qemu-system-data
    emulator=$(build_qemu "$1" "$2") || exit
    root=$(mktemp -d)
    mkdir -p "$root/qemu"
    cp "$emulator" "$root/qemu/"
    for file in seabios/bios-256k.bin qemu/linuxboot_dma.bin qemu/kvmvapic.bin; do
        cp "/usr/share/$file" "$root/qemu/"
    done
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
    need_packages cmake ninja-build gcc
    locked library install_library || exit
}

install_library() {
    local build=$IOVAGEOM_CACHE/library-build
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
    compiled "$IOVAGEOM_CACHE/tools/$1" -O2 -Wall -Wextra -Werror \
        -I"$IOVAGEOM_CACHE/library/include" "$E2E/$1.c" \
        "$IOVAGEOM_CACHE/library/lib/"libiovageom{-guest,}.a ||
        die "$1 doesn't build"
    echo "$IOVAGEOM_CACHE/tools/$1"
}

# `build_host_probe ARCH`: static, for a guest; prints its path.
build_host_probe() {
    local arch=$1 build=$IOVAGEOM_CACHE/host-probe-$1 headers cross=()
    need_packages cmake ninja-build gcc
    headers=$(kernel_headers "$arch") || exit
    [ "$arch" = amd64 ] ||
        cross=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64
            "-DCMAKE_C_COMPILER=$(compiler "$arch")")
    {
        configure_cmake "$build" -DIOVAGEOM_EXAMPLES=ON \
            -DCMAKE_C_FLAGS="$headers" \
            -DIOVAGEOM_PROBE_STATIC=ON "${cross[@]}" &&
            cmake --build "$build" -j"$JOBS" --target host-probe-static
    } >"$IOVAGEOM_CACHE/host-probe-$arch.log" 2>&1 ||
        die "host-probe doesn't build, see $IOVAGEOM_CACHE/host-probe-$arch.log"
    echo "$build/examples/host-probe/host-probe-static"
}
