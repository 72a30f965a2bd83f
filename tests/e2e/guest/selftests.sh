# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154
# Linux's own selftests of iommufd or VFIO, as they are, and what they asked the kernel: out by the
# first serial port, for the console is the second.
#
# From the command line: programs (with commas between); devices: 1 to give each the address of a
# device on vfio-pci.

export IOVAGEOM_RECORD=/tmp/record
: >/tmp/record
mount -t debugfs debugfs /sys/kernel/debug
address=
if [ -n "$devices" ]; then
    address=$(devices 0x1234 0x11e8 | head -n 1)
    bind_vfio "$address"
fi
for program in $(echo "$programs" | tr ',' ' '); do
    say "clock $(cut -d' ' -f1 /proc/uptime) $program"
    # shellcheck disable=SC2086 # no address is no argument
    "$program" $address 2>&1 | sed "s/^/E2E tap $program /"
done
say "warnings $(dmesg | grep -c 'WARNING:\|BUG:')"
dmesg | grep -A 20 'WARNING:\|BUG:' | head -n 60
gzip -c /tmp/record | base64 >/dev/ttyS0
