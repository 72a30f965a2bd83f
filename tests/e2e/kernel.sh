# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# The kernels of the end-to-end tests: a part of cache.sh.

# A kernel is named by its version, as Debian's package is (linux-source-VERSION), and by Debian's
# word for the architecture: amd64 or arm64; or by "judge", which is an amd64 for Linux's selftests
# (case 8). The configuration is ours.
kernel_config() {
    local arch=$2
    cat "$E2E/kernel.config"
    [ "$arch" != judge ] || cat "$E2E/kernel-amd64.config"
    cat "$E2E/kernel-$arch.config"
}
# Options that not each kernel knows.
kernel_some() {
    cat "$E2E/kernel-some.config"
    [ "$2" != judge ] || cat "$E2E/kernel-judge-some.config"
}
kernel_dir() {
    local key
    key=$({ kernel_config "$@" && kernel_some "$@"; } | grep ^CONFIG | md5sum)
    echo "$IOVAGEOM_CACHE/kernel-$1-$2-${key:0:10}"
}
kernel_image() { echo "$(kernel_dir "$@")/image"; }

# `known_options TREE ARCH`: the names of all options that a kernel of that architecture has.
known_options() {
    find "$1" -name 'Kconfig*' ! -path "$1/arch/*/*" -print0 | cat - \
        <(find "$1/arch/$2" -name 'Kconfig*' -print0) |
        xargs -0 sed -nE 's/^[[:space:]]*(menu)?config[[:space:]]+([A-Za-z0-9_]+).*/CONFIG_\2/p'
}

# `no_dropped_options RECIPE CONFIGURATION`: an option that allnoconfig dropped, for its name is
# another in this kernel or it depends on one that we don't ask for, is a broken recipe: say so here,
# not in a guest.
no_dropped_options() {
    local asked dropped
    asked=$(grep '^CONFIG_' "$1") && [ -s "$2" ] || return 1
    dropped=$(grep -vxFf "$2" <<<"$asked")
    [ -n "$dropped" ] || return 0
    sed 's/^/the configuration has not, or not so: /' <<<"$dropped"
    return 1
}

# `options_for RECIPE SOME KNOWN`: RECIPE, and of SOME the options that are among the KNOWN.
options_for() {
    cat "$1" && grep '^CONFIG_' "$2" | awk -F= 'NR == FNR { known[$1] = 1; next } $1 in known' "$3" -
}

# `compile_selftests BUILD OUT`: in the folder of a kernel's sources, its selftests of iommufd and, where
# it has them, of VFIO, as they are, into objects that build_selftest links. Nothing of them is ours. One
# that doesn't compile is not there: those of 6.12.117 use what only later kernels have.
compile_selftests() {
    local build=$1 out=$2 tests=tools/testing/selftests file
    local flags=(-O2 -Wall -Wno-unused-function -D_GNU_SOURCE= -isystem "$build/usr/include" -I "$tests"
        -I "$tests/vfio/lib/include" -I tools/include)
    rm -rf "$out/selftests"
    mkdir -p "$out/selftests/vfio" && make -s O="$build" headers || return
    for file in "$tests"/iommu/*.c "$tests"/vfio/vfio_dma_mapping*.c; do
        [ ! -e "$file" ] || gcc "${flags[@]}" -c "$file" -o "$out/selftests/$(basename "$file" .c).o" ||
            echo "$file does not compile"
    done
    for file in "$tests"/vfio/lib/*.c "$tests"/vfio/lib/drivers/*/*.c; do
        [ ! -e "$file" ] || gcc "${flags[@]}" -c "$file" -o "$out/selftests/vfio/$(basename "$file" .c).o" ||
            return
    done
}

# The sources of a kernel, and a folder for what is compiled of them by architecture: kernels that differ
# in few options share their objects. `forget_kernels` removes them when all kernels are there.
kernel_tree() { echo "$IOVAGEOM_CACHE/build/linux-$1"; }

# What nobody compiles here, half of the files; Kconfig wants all of its own.
NO_SOURCES=(Documentation/ 'arch/[!ax]*/' drivers/{gpu/drm,infiniband,media,scsi,staging}/ drivers/net/wireless/
    fs/{btrfs,xfs}/ sound/)

unpack_kernel() {
    local tree tar except=() folder
    tree=$(kernel_tree "$1")
    [ ! -e "$tree/unpacked" ] || return 0
    rm -rf "$tree"
    mkdir -p "$tree/source"
    unpack_package amd64 "linux-source-$1" "$tree/deb"
    tar=$(echo "$tree"/deb/usr/src/linux-source-*.tar.xz)
    for folder in "${NO_SOURCES[@]}"; do
        except+=("--exclude=linux-source-$1/$folder*."{[chS],rst,yaml})
    done
    tar -C "$tree/source" --strip-components=1 --anchored "${except[@]}" -xf "$tar" ||
        die "cannot unpack $tar"
    rm -r "$tree/deb"
    touch "$tree/unpacked"
}

# `forget_kernels VERSION...`: their sources, where no other run compiles one.
forget_kernels() {
    local version tree
    for version in "$@"; do
        tree=$(kernel_tree "$version")
        [ -e "$tree" ] || continue
        # an interruption leaves none that looks whole
        flock -n "$IOVAGEOM_CACHE/locks/kernel-$version-x86" \
            flock -n "$IOVAGEOM_CACHE/locks/kernel-$version-arm64" \
            sh -c 'rm -f "$1/unpacked" && rm -rf "$1"' - "$tree" ||
            say "Linux $version is being compiled, its sources stay"
    done
}

# `build_kernel VERSION ARCH`: prints the image's path.
build_kernel() {
    local source_arch=x86
    need_packages gcc make bc flex bison libelf-dev libssl-dev xz-utils kmod cpio
    case $2 in
    judge) need_packages libcap-dev uuid-dev ;;
    arm64)
        need_packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross
        source_arch=arm64
        ;;
    esac
    [ -e "$(kernel_image "$@")" ] || locked "kernel-$1-$source_arch" compile_kernel "$@" "$source_arch" || exit
    kernel_image "$@"
}

# `compile_kernel VERSION ARCH SOURCE_ARCH`
compile_kernel() {
    local version=$1 arch=$2 out tree build image=arch/x86/boot/bzImage
    out=$(kernel_dir "$@")
    [ ! -e "$out/image" ] || return 0
    tree=$(kernel_tree "$version")
    build=$tree/$3
    local make=(make -s O="$build")
    [ "$arch" != arm64 ] || {
        make+=(ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-)
        image=arch/arm64/boot/Image
    }
    locked "linux-$version" unpack_kernel "$version" || exit
    say "building Linux $version for $arch"
    mkdir -p "$build" "$out"
    # One chain, for `set -e` means nothing on the left of ||.
    (
        cd "$tree/source" &&
            kernel_config "$@" >"$build/recipe" && kernel_some "$@" >"$build/some" &&
            known_options . "$3" >"$build/known" &&
            options_for "$build/recipe" "$build/some" "$build/known" >"$build/config" &&
            "${make[@]}" KCONFIG_ALLCONFIG="$build/config" allnoconfig &&
            no_dropped_options "$build/config" "$build/.config" &&
            nice "${make[@]}" -j"$JOBS" "${image##*/}" && cp "$build/$image" "$out/image.new" &&
            { [ "$arch" != judge ] || compile_selftests "$build" "$out"; }
    ) >"$out/build.log" 2>&1 || die "Linux $version doesn't build, see $out/build.log"
    mv "$out/image.new" "$out/image" || exit
}
