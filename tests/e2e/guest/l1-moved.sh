# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154,SC2086
# L1: an L2 that moves from one QEMU to another. Its passed-through device is unplugged before, for
# QEMU can't take it along, and an equal one is plugged where it goes on.
#
# From the command line: vendor, device, l2 (words for L2, ; is a blank), part:
#   stay    all in this L1: by a socket to a second QEMU; there a snapshot, and back to it; then by a
#           file to those that refuse it, and to a third one, which goes on
#   stock   from a QEMU without the shim (/stock), by a file; no device is there
#   leave   into a file, which is left on the disk
#   arrive  from that file, to those that refuse it, and to the one that goes on
# From files: /args/NAME, arguments of an emulator, of which `source` and `fit` go on and all others
# must refuse; @cold@ and @hot@ are the addresses of the two devices.

# shellcheck disable=SC2046
set -- $(devices "$vendor" "$device")
cold=$1
hot=$2
bind_vfio "$cold"
bind_vfio "$hot"
vfio-try ranges "$cold"
sed -i "s/@cold@/$cold/g; s/@hot@/$hot/g" /args/*
awk 'BEGIN { for (n = 0; n < 2048; n++) printf "%-4095s\n", "block " n }' >/tmp/disk

# `machine NAME ARGUMENTS...`: the arguments are those of the source but for the devices.
machine() {
    arguments=$(cat "/args/$1")
    shift
    start_l2 -kernel /l2/bzImage -initrd /l2/initrd $arguments \
        -append "console=ttyS0 panic=-1 transparent_hugepage=never quiet $(echo "$l2" | tr ';' ' ')" "$@"
}

beats() { grep -c '^E2E beat' "/tmp/l2.log$vm"; }
more_beats() { [ "$(beats)" -ge "$wanted" ] || l2_gone; }
# Three beats from here on, or it hangs.
goes_on() {
    wanted=$(($(beats) + 3))
    if wait_for 60 more_beats && ! l2_gone; then say "goes-on $1"; else say "stands-still $1"; fi
}

unplugged() { grep -q '"DEVICE_DELETED".*"coldev"' "/tmp/qmp.out$vm"; }

begin() {
    vm=.source
    machine source
    wait_for 150 l2_said_or_gone wants-unplug
    [ "$part" != stock ] || return
    # what QEMU says of a device that can't be taken along
    qmp migrate "with-device" '{"uri":"exec:cat >/dev/null"}'
    qmp device_del "unplug" '{"id":"coldev"}'
    wait_for 60 unplugged || say stays-plugged
    goes_on source
}

# Asks, and looks at what was answered until now: no waiting within wait_for.
migrated() {
    echo '{"execute":"query-migrate","id":"asked"}' 1<>"/tmp/qmp.in$vm"
    grep '"asked"' "/tmp/qmp.out$vm" | grep -q '"status": "\(completed\|failed\)"'
}

# `move_to URI`: to its end, and then the source is no more.
move_to() {
    qmp migrate-set-parameters "patient" '{"downtime-limit":30000}'
    qmp migrate "move" "{\"uri\":\"$1\"}"
    if wait_for 120 migrated; then
        say "moved $vm $(grep '"asked"' "/tmp/qmp.out$vm" | grep -o 'completed\|failed' | head -n 1)"
    else
        say "moved $vm not"
    fi
    qmp quit "quit"
    wait_for 10 l2_gone || kill -9 "$L2"
}

# To another QEMU while it runs.
over_a_socket() {
    source=$L2
    vm=.live
    machine fit -incoming unix:/tmp/socket
    target=$L2
    wait_for 30 test -S /tmp/socket
    vm=.source
    L2=$source
    move_to unix:/tmp/socket
    vm=.live
    L2=$target
    goes_on live
}

# `job COMMAND NAME ARGUMENTS`: to its end
job_ended() { grep '"JOB_STATUS_CHANGE"' "/tmp/qmp.out$vm" | grep "\"id\": \"$1\"" | grep -q concluded; }
job() {
    qmp "$1" "$2" "{\"job-id\":\"$2\",$3}"
    wait_for 120 job_ended "$2" || say "ends-not $2"
    qmp query-jobs "after-$2"
}

# Into a file of QEMU's own, and back after a while: what it read meanwhile it reads once more.
snapshot_and_back() {
    what='"tag":"then","vmstate":"snap","devices":["snap"]'
    file='"driver":"file","filename":"/tmp/snapshot"'
    job blockdev-create make-file "\"options\":{$file,\"size\":0}"
    qmp blockdev-add open-file "{$file,\"node-name\":\"file\"}"
    job blockdev-create make-image '"options":{"driver":"qcow2","file":"file","size":1048576}'
    qmp blockdev-add open-image '{"driver":"qcow2","file":"file","node-name":"snap"}'
    job snapshot-save save "$what"
    goes_on saved
    job snapshot-load load "$what"
    goes_on loaded
}

# Each QEMU that must refuse the file: how it ends, and what it says.
refusals() {
    for file in /args/*; do
        name=${file##*/}
        [ "$name" != source ] && [ "$name" != fit ] || continue
        vm=.$name
        machine "$name" -incoming "exec:cat /tmp/state"
        wait_for 60 l2_gone || say "goes-on $name"
        kill -9 "$L2" 2>/dev/null
        say "refusal $name $(tr '\n' ' ' <"/tmp/qemu.err$vm")"
    done
}

# `plug ID PORT`: the other device; false when it is refused.
plug() {
    qmp device_add "$1" "{\"driver\":\"vfio-pci\",\"host\":\"$hot\",\"bus\":\"$2\",\"id\":\"hotdev\"}"
    ! grep "\"id\": \"$1\"" "/tmp/qmp.out$vm" | grep -q '"error"'
}

# Where it goes on, and is given the other device, at the port where the first one was, or else at one
# of its own.
arrive() {
    vm=.fit
    machine fit -incoming "exec:cat /tmp/state"
    goes_on fit
    if ! plug plug rp1; then
        goes_on refused
        [ "$part" = stock ] && plug again rp2 || kill "$L2"
    fi
    end_l2 100
}

case $part in
stay)
    begin
    over_a_socket
    snapshot_and_back
    move_to "exec:cat >/tmp/state"
    refusals
    arrive
    ;;
stock)
    emulator=/stock
    begin
    emulator=
    goes_on source
    move_to "exec:cat >/tmp/state"
    refusals
    arrive
    ;;
leave)
    begin
    move_to "exec:cat >/tmp/state"
    tar -C /tmp -cf /dev/vda state
    sync
    ;;
arrive)
    tar -C /tmp -xf /dev/vda
    refusals
    arrive
    ;;
esac
say "state $(wc -c </tmp/state) bytes"
clock over
