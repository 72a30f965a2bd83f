# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154
# A host with some IOMMU: what host-probe says of it, and what the kernel then accepts.
#
# From the command line: wrong (claim one page too much, as a test of the test).

mkdir /tmp/out
for address in $(devices 0x1234 0x11e8); do
    bind_vfio "$address"
done
host-probe --color=never --numeric >/tmp/out/live.txt 2>&1 || say "host-probe-failed $?"
host-probe --save /tmp/out/snapshot --list >/dev/null 2>&1 || say "save-failed $?"
for address in $(devices 0x1234 0x11e8); do
    group=$(readlink "/sys/bus/pci/devices/$address/iommu_group")
    group=${group##*/}
    ranges=$(host-probe list -nr -o group,name,start,last 2>/dev/null |
        awk -v group="$group" '$1 == group && $2 == "usable" { print $3 "-" $4 }')
    # shellcheck disable=SC2086
    say "claim $address" $ranges
    [ -z "$wrong" ] || ranges="$ranges $wrong"
    # shellcheck disable=SC2086
    vfio-try accept "$address" $ranges
done
tar -C /tmp/out -cf /dev/vda .
sync
