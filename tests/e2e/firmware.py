# SPDX-License-Identifier: BSD-3-Clause
"""Case 7: boot bypass. Firmware knows no virtio-iommu: its disk works while that is bypassed.

L2 is SeaBIOS or edk2 with a disk behind the virtual IOMMU, and a device passed through from the
start. While it bypasses, all of L2's memory is pinned for that device, as iovageom-probe's plan says.
"""
import functools

import l1
from l1 import Under, boot_l1, guest
from machine import Checks, Scratch, shell
from nested import COLD, arguments, nest
from versions import PAIRS

# Edk2 writes CR8. When KVM on an emulated SVM waits to inject an interrupt, the outermost QEMU (7.2
# as 10.2) ends in an assertion then: so edk2 runs in an L2 that is emulated twice.
FIRMWARE = {"SeaBIOS": ("kvm", []), "edk2": ("tcg", ["-bios", "/l2/firmware"])}
RAM = 256 << 10  # KiB
ROM = 4 << 10  # at most: the firmware's own memory is mapped for devices, too


def nest_firmware(name, under, firmware, bypass):
    accel, machine = FIRMWARE[firmware]
    machine = machine + ["-device", f"virtio-iommu-pci,aw-bits=64,boot-bypass={bypass}"]
    machine += ["-device", "pcie-root-port,id=rp1,chassis=1,slot=1", *arguments(COLD)]
    machine += ["-drive", "file=/l2/disk,format=raw,if=none,id=disk"]
    machine += ["-device", "virtio-blk-pci,drive=disk,iommu_platform=on,disable-legacy=on"]
    with Scratch() as scratch:
        files = {
            "case.sh": guest("l1-firmware.sh"),
            "bin/host-probe": shell("build_host_probe", "amd64"),
            "args": scratch.write("args", "\n".join(machine)),
            "l2/disk": shell("build_disk"),
            "l2/firmware": "/usr/share/ovmf/OVMF.fd",
        }
        # without a bypass nothing is said, however long one waits; with it, a second or two after its
        # first DMA
        seconds, lost = {"kvm": (20, 10), "tcg": (100, 20)}[accel]
        words = [f"e2e.saywait={seconds} e2e.lostwait={lost} e2e.accel={accel}"]
        return boot_l1(name, under, scratch, files, words=words)


def pinned(answer):
    return {words[0]: int(words[1]) for words in answer.said("L1", "pinned") if len(words) == 2}


def planned(answer, how):
    """What iovageom-probe's plan says is pinned, in words."""
    lines = [" ".join(line) for line in answer.said("L1", "plan")]
    return [line.split()[-1] for line in lines if line.startswith(how)]


def all_pinned(kib):
    """But for what shows no RAM below 1M."""
    return RAM - 1024 <= kib <= RAM + ROM


def bypassed(name, under, firmware):
    """The firmware reads its disk, and all memory is pinned for the device."""

    def run():
        answer = nest_firmware(name, under, firmware, "on")
        check = Checks(answer)
        said = [line for line in answer.said("L2", "disk")]
        check.equal(len(said), 1, "words of the disk's program")
        check.equal(planned(answer, "bypassed (boot-bypass=on)"), ["256M"], "pinned by plan")
        kib = pinned(answer)
        check.equal(sorted(kib), ["said", "start"], "measured")
        check.that(all(map(all_pinned, kib.values())), f"pinned, KiB: {kib}")
        check.verdict()
        return [f"{' '.join(said[0])}; pinned {kib['said']} KiB"]

    return run


def not_bypassed(name, under, firmware):
    """Without the bypass the disk's DMA goes nowhere, and nothing is pinned."""

    def run():
        answer = nest_firmware(name, under, firmware, "off")
        check = Checks(answer)
        check.equal(answer.said("L2", "disk"), [], "words of the disk's program")
        check.that(answer.said("L1", "silent"), "L2 was not waited for")
        check.equal(pinned(answer), {"start": 0, "said": 0}, "pinned, KiB")
        lost = answer.seen("QEMU", "virtio_iommu_translate")
        check.that(lost, "no DMA of the firmware's came to the virtual IOMMU")
        check.verdict()
        return lost

    return run


def linux(name, under, bypass):
    """A guest's driver: what is pinned before it, with it, and at most while a device is plugged."""

    def run():
        answer = nest(name, under, "edu", 39, viommu=f",aw-bits=64,boot-bypass={bypass}")
        check = Checks(answer)
        kib = pinned(answer)
        check.equal(sorted(answer.said("L2", "device")) != [], True, "L2 saw devices")
        wanted = {"start": bypass == "on", "driven": False, "plugged": bypass == "on"}
        # L2's program may map a page or two of the new device while that is watched.
        most = {"plugged": 8}
        for when, everything in wanted.items():
            some = kib.get(when, -1)
            good = all_pinned(some) if everything else 0 <= some <= most.get(when, 0)
            check.that(good, f"pinned {when}, KiB: {kib.get(when)}")
        check.verdict()
        return [f"pinned, KiB: {kib}"]

    return run


def needs(under):
    l1.needs(under)
    shell("build_disk")
    shell("build_host_probe", "amd64")


CASES = []


def case(name, compared, make, under, *rest):
    name += f"-{under.qemu}-on-{under.linux}"
    CASES.append((name, compared, make(name, under, *rest), functools.partial(needs, under)))


shim = Under(*PAIRS[2][:1], "shim", *PAIRS[2][1:])
for each in FIRMWARE:
    case(f"7.{each}-bypass", "firmware's disk works, and all of the guest's memory is pinned",
         bypassed, shim, each)
    case(f"7.{each}-no-bypass", "firmware's disk fails, and nothing is pinned",
         not_bypassed, shim, each)
for how in ("on", "off"):
    case(f"7.linux-bypass-{how}", "what is pinned with a driver, and by a hot-plug", linux, shim, how)
