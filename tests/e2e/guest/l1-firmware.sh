# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154,SC2086
# L1: an L2 that is nothing but firmware and a disk, and a device passed through from the start. What
# the firmware says, and what of L2's memory is pinned meanwhile.
#
# From the command line: vendor, device, patience, saywait (seconds for L2 to say a word, or to try),
# lostwait (seconds to say it nevertheless when its first DMA went nowhere).
# From a file: /args, arguments of the emulator; @cold@ is the device's address.

l2_said_or_lost() { l2_said_or_gone disk || grep -q virtio_iommu_translate /tmp/qemu.err; }

cold=$(devices "$vendor" "$device" | head -n 1)
bind_vfio "$cold"
host-probe plan --ram 256M "$cold" | sed 's/^/E2E plan /'
sed -i "s/@cold@/$cold/g" /args
start_l2 $(cat /args)
most_pinned start qmp query-status up # the device is there by then
wait_for "$saywait" l2_said_or_lost
wait_for "$lostwait" l2_said_or_gone disk || say silent
pinned said
kill "$L2"
end_l2 10
