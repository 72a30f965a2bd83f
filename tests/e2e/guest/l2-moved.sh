# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154
# L2 that moves: its passed-through device leaves before, and an equal one comes after. All the time
# it reads blocks of its disk, whose DMA goes through the virtual IOMMU: a beat for each.
#
# From the command line: beats (how many at most), coldwait (seconds to wait for the first device).

no_rng() { ! rngs >/dev/null; }

# A block begins with its number. Each read maps and unmaps.
block() {
    dd if=/dev/vda bs=4096 count=1 skip="$1" iflag=direct of=/tmp/block 2>/dev/null
}

if wait_for "${coldwait:-10}" rngs >/dev/null; then
    inspect_rng cold "$(rngs)"
fi
say wants-unplug
wait_for 60 no_rng || say stays-plugged
number=0
while no_rng && [ "$number" -lt "$beats" ]; do
    number=$((number + 1))
    if within 30 block "$number"; then
        # shellcheck disable=SC2046
        say beat "$number" $(head -n 1 /tmp/block)
    else
        say beat "$number" none
    fi
    sleep 0.2
done
if no_rng; then
    say no-hot
else
    inspect_rng hot "$(rngs)"
fi
