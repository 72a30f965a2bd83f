# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Guest behind a virtio-iommu whose PROBE answers we wrote: what became of them.
for address in $(devices 0x1234 0x11e8); do
    bind_vfio "$address"
    [ -e "/sys/bus/pci/devices/$address/iommu_group" ] || continue
    reserved_regions "$address"
    vfio-try ranges "$address"
done
