# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154
# L2: a selftest of VFIO on the device that was passed through, and what it asked, line by line.
#
# From the command line: programs, as in selftests.sh.

export IOVAGEOM_RECORD=/tmp/record
: >/tmp/record
first=$(devices 0x1234 0x11e8 | head -n 1)
say "device cold $first"
bind_vfio "$first"
reserved_regions "$first"
for program in $(echo "$programs" | tr ',' ' '); do
    "$program" "$first" 2>&1 | sed "s/^/E2E tap $program /"
done
sed 's/^/E2E record /' /tmp/record
