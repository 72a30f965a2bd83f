# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154,SC2086
# L1: two devices on vfio-pci, and an emulator that gives them to L2, at once or over QMP.
#
# From the command line: vendor, device (of the two devices), l2 (words for L2, ; is a blank).
# From files: /args, arguments of the emulator; /plugs, lines of a name and the arguments of a
# device_add, for when L2 says that it wants them. @cold@ and @hot@ are the addresses of the two.

# shellcheck disable=SC2046
set -- $(devices "$vendor" "$device")
cold=$1
hot=$2
for address in $cold $hot; do
    bind_vfio "$address"
    vfio-try ranges "$address"
done
host=$(vfio-try ranges "$cold" | awk '$2 == "usable" { printf "%s%s-%s", n++ ? "," : "", $5, $6 }')
sed -i "s/@cold@/$cold/g; s/@hot@/$hot/g" /args /plugs

plug_all() {
    while read -r name arguments; do
        qmp device_add "$name" "$arguments"
    done </plugs
}

clock start
# PROBE answers from files, for a QEMU that takes them (feed.insertions)
[ ! -d /feed ] || export IOVAGEOM_E2E_PROBE=/feed
start_l2 -kernel /l2/bzImage -initrd /l2/initrd $(cat /args) \
    -append "console=ttyS0 panic=-1 transparent_hugepage=never quiet e2e.host=$host $(echo "$l2" | tr ';' ' ')"
most_pinned start qmp query-status up # the devices are there by then
if wait_for 150 l2_said_or_gone wants-hot && ! l2_gone; then
    pinned driven
    most_pinned plugged plug_all
fi
clock hot
end_l2 200
pinned over
clock over
dmesg | grep -i 'dmar' | grep -i 'fault\|MGAW\|error' | sed 's/^/L1| /'
