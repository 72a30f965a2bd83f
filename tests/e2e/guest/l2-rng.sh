# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154
# L2: the kernel's own virtio_rng drives the devices; sixteen bytes from each, or a hang.
#
# From the command line: readwait (seconds to wait for them).

rng=/sys/class/misc/hw_random

rngs() { tr ' ' '\n' <"$rng/rng_available" | grep virtio; }
second_rng() { [ "$(rngs | wc -l)" -eq 2 ]; }

read_one() {
    echo "$2" >"$rng/rng_current" && dd if=/dev/hwrng bs=16 count=1 of="/tmp/$1" 2>/dev/null
}

inspect() {
    for address in $(devices 0x1af4 0x1044); do
        # shellcheck disable=SC2012
        say "group $1 $(ls "/sys/bus/pci/devices/$address/iommu_group/devices" | tr '\n' ' ')"
        reserved_regions "$address"
    done
    if within "${readwait:-30}" read_one "$1" "$2"; then
        say "bytes $1 $(wc -c <"/tmp/$1")"
    else
        say "bytes $1 none"
    fi
}

wait_for 10 rngs >/dev/null
first=$(rngs)
inspect cold "$first"
say wants-hot
if wait_for "${hotwait:-40}" second_rng; then
    inspect hot "$(rngs | grep -vx "$first")"
else
    say no-hot
fi
