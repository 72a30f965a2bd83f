# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Words for the scripts that run inside the test guests. An answer is a line on the console
# that starts with "E2E".

say() { echo "E2E $*"; }
clock() { say "clock $(cut -d" " -f1 /proc/uptime) $*"; }

# Devices by vendor and device, as their addresses: `devices 0x1234 0x11e8`
devices() {
    for folder in /sys/bus/pci/devices/*; do
        if [ "$(cat "$folder/vendor")" = "$1" ] && [ "$(cat "$folder/device")" = "$2" ]; then
            echo "${folder##*/}"
        fi
    done
}

bind_vfio() {
    folder=/sys/bus/pci/devices/$1
    [ ! -e "$folder/driver" ] || echo "$1" >"$folder/driver/unbind"
    echo vfio-pci >"$folder/driver_override"
    echo "$1" >/sys/bus/pci/drivers_probe
    [ -e "$folder/driver" ] || say "unbound $1"
}

reserved_regions() {
    while read -r start last type; do
        say "resv $1 $start $last $type"
    done <"/sys/bus/pci/devices/$1/iommu_group/reserved_regions"
}

# `wait_for SECONDS COMMAND...`: until the command succeeds; longer on a busy machine
wait_for() {
    turns=$(($1 * 5 * ${patience:-1}))
    shift
    while ! "$@"; do
        turns=$((turns - 1))
        [ $turns -gt 0 ] || return 1
        sleep 0.2
    done
}

# `within SECONDS COMMAND...`: its status, or 124 when it hangs. A process that hangs in
# the kernel can't be killed: leave it behind.
within() {
    limit=$1
    shift
    rm -f /tmp/within
    ("$@"; echo $? >/tmp/within) &
    wait_for "$limit" test -s /tmp/within || return 124
    return "$(cat /tmp/within)"
}

# ---- for L2, whose own virtio_rng drives what it was given ----

rng=/sys/class/misc/hw_random

rngs() { tr ' ' '\n' <"$rng/rng_available" | grep virtio; }

read_one() {
    echo "$2" >"$rng/rng_current" && dd if=/dev/hwrng bs=16 count=1 of="/tmp/$1" 2>/dev/null
}

# `inspect_rng WORD NAME`: what the kernel was told, and sixteen bytes, or a hang. From the command
# line: readwait (seconds to wait for them).
inspect_rng() {
    for address in $(devices 0x1af4 0x1044); do
        # shellcheck disable=SC2012
        say "group $1 $(ls "/sys/bus/pci/devices/$address/iommu_group/devices" | tr '\n' ' ')"
        reserved_regions "$address"
    done
    if within "${readwait:-30}" read_one "$1" "$2"; then
        say "bytes $1 $(wc -c <"/tmp/$1")"
    else
        say "bytes $1 none"
    fi
}

# ---- for L1, which has a QEMU and an L2 ----

# Every line of a file onto the console, marked with where it came from.
relay() {
    tail -n +1 -f "$2" | while IFS= read -r line; do echo "$1| $line"; done &
}

# `start_l2 ARGUMENTS...`. KVM stands on the emulated SVM of L1. From the command line: accel. Where
# there are several L2s, $vm tells which one is meant, here and below; $emulator is another QEMU's folder.
start_l2() {
    mkfifo "/tmp/qmp.in$vm"
    : >"/tmp/l2.log$vm"
    : >"/tmp/qmp.out$vm"
    : >"/tmp/qemu.err$vm"
    relay L2 "/tmp/l2.log$vm"
    relay QMP "/tmp/qmp.out$vm"
    relay QEMU "/tmp/qemu.err$vm"
    exec 3<>"/tmp/qmp.in$vm"
    sleep 100000 & # has it open, too, and so QMP does not end with the next L2
    "${emulator:-/qemu}/qemu-system-x86_64" -L /qemu -accel "${accel:-kvm}" -M q35 -cpu qemu64 -m 256 -nodefaults \
        -display none -no-reboot -serial "file:/tmp/l2.log$vm" -qmp stdio "$@" \
        <"/tmp/qmp.in$vm" >"/tmp/qmp.out$vm" 2>"/tmp/qemu.err$vm" &
    L2=$!
    echo '{"execute":"qmp_capabilities"}' >&3
}

# What of L2's memory is pinned for its devices, in KiB.
locked() {
    while read -r key value _; do
        [ "$key" != VmLck: ] || locked=$value
    done <"/proc/$L2/status"
}
pinned() {
    locked=
    locked
    say "pinned $1 $locked"
}

# `most_pinned WORD COMMAND...`: at most while the command runs, and a second later.
most_pinned() {
    (
        most=0
        trap 'say "pinned $word $most"; exit' TERM
        word=$1
        while locked && sleep 0.02; do
            [ "$locked" -le "$most" ] || most=$locked
        done
    ) &
    watcher=$!
    shift
    "$@"
    sleep 1
    kill "$watcher"
    wait "$watcher"
}

l2_said() { grep -q "^E2E $1" "/tmp/l2.log$vm"; }
l2_gone() { ! kill -0 "$L2" 2>/dev/null; }
l2_said_or_gone() { l2_said "$1" || l2_gone; }

# `qmp COMMAND ID [ARGUMENTS]`: ask, wait for the answer, which the relay prints
qmp() {
    echo "{\"execute\":\"$1\",\"id\":\"$2\"${3:+,\"arguments\":$3}}" 1<>"/tmp/qmp.in$vm"
    wait_for 30 grep -q "\"id\": \"$2\"" "/tmp/qmp.out$vm" || say "qmp-silent $2"
}

# `end_l2 SECONDS`: wait for its last word, and then for its end, or put an end to it: Linux 6.1 with
# a dead virtio_rng can't power off.
end_l2() {
    wait_for "$1" l2_said_or_gone end
    if ! wait_for 10 l2_gone; then
        say "l2-timeout"
        kill -9 "$L2"
    fi
    sleep 1.1 # tail looks once a second
}
