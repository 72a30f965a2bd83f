# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154,SC2086
# L1: two devices on vfio-pci, one cold-plugged into L2 and one hot-plugged over QMP.
#
# From the command line: vendor, device (of the two devices), port (what stands above each
# in L2), viommu (more properties of virtio-iommu-pci; @cold@ and @hot@ are the addresses
# of the two devices), again (plug the hot device twice), nocold (leave the
# other one out), l2 (words for L2, ; is a blank).

# shellcheck disable=SC2046
set -- $(devices "$vendor" "$device")
cold=$1
hot=$2
for address in $cold $hot; do
    bind_vfio "$address"
    vfio-try ranges "$address"
done
host=$(vfio-try ranges "$cold" | awk '$2 == "usable" { printf "%s%s-%s", n++ ? "," : "", $5, $6 }')
viommu=$(echo "$viommu" | sed "s/@cold@/$cold/g; s/@hot@/$hot/g")
plug="{\"driver\":\"vfio-pci\",\"host\":\"$hot\",\"bus\":\"rp2\",\"id\":\"hotdev\"}"

clock start
colddev="-device vfio-pci,host=$cold,bus=rp1,id=coldev"
[ -z "$nocold" ] || colddev=
# PROBE answers from files, for a QEMU that takes them (feed.insertions)
[ ! -d /feed ] || export IOVAGEOM_E2E_PROBE=/feed
start_l2 "e2e.host=$host e2e.port=$port $(echo "$l2" | tr ';' ' ')" \
    -device "virtio-iommu-pci$viommu" \
    -device "$port,id=rp1,chassis=1,slot=1" -device "$port,id=rp2,chassis=2,slot=2" \
    $colddev
if wait_for 120 l2_said_or_gone wants-hot && ! l2_gone; then
    qmp device_add plug1 "$plug"
    [ -z "$again" ] || qmp device_add plug2 "$plug"
fi
clock hot
end_l2 120
clock over
dmesg | grep -i 'dmar' | grep -i 'fault\|MGAW\|error' | sed 's/^/L1| /'
