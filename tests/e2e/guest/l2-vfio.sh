# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154
# L2: bind what it was given to vfio-pci; print what the kernel was told; try it.
#
# From the command line: host (the usable ranges as L1 knows them), iovas (more addresses
# for DMA), outside (addresses which no host maps), hold (seconds of DMA on the first
# device while the second is plugged).

page_before() { printf '0x%x' $(($1 - 0xfff)); }

inspect() {
    say "device $1 $2"
    bind_vfio "$2"
    reserved_regions "$2"
    vfio-try ranges "$2"
    # shellcheck disable=SC2046
    vfio-try map "$2" $(echo "$outside" | tr ',' ' ')
    for range in $(echo "$host" | tr ',' ' '); do
        within 60 vfio-try dma "$2" "${range%-*}" "$(page_before "${range#*-}")"
    done
    # shellcheck disable=SC2046
    [ -z "$iovas" ] || within 100 vfio-try dma "$2" $(echo "$iovas" | tr ',' ' ')
}

edus() { devices 0x1234 0x11e8; }
second_edu() { [ "$(edus | wc -l)" -eq 2 ]; }

first=$(edus)
[ -z "$first" ] || inspect cold "$first"
if [ -n "$hold" ]; then
    vfio-try hold "$first" 0x200000 "$hold" &
    holder=$!
    sleep 1
fi
say wants-hot
if wait_for "${hotwait:-40}" second_edu; then
    for address in $(edus); do
        [ "$address" = "$first" ] || inspect hot "$address"
    done
else
    say no-hot
fi
[ -z "$hold" ] || wait "$holder"
dmesg | grep -i 'iommu\|vfio' | tail -n 20 | sed 's/^/dmesg /'
