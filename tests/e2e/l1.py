# SPDX-License-Identifier: BSD-3-Clause
"""L1: a machine with an emulated VT-d that runs the QEMU under test, and has two devices to give away."""
import os
from typing import NamedTuple

from machine import HERE, PATIENCE, boot, emulator, image_with, kernel, userland

# vendor and device, and how L0 makes one
DEVICES = {
    "edu": ("0x1234", "0x11e8", "edu,dma_mask=0xffffffffffffffff"),
    "rng": ("0x1af4", "0x1044", "virtio-rng-pci,iommu_platform=on,disable-legacy=on"),
}


class Under(NamedTuple):
    """What is under test: L1's emulator, and the kernel of L1 and L2."""

    qemu: str
    kind: str
    linux: str


def guest(name):
    return os.path.join(HERE, "guest", name)


def needs(under):
    emulator("qemu-system-x86_64")
    kernel(under.linux)
    userland()
    image_with(under.qemu, under.kind)


def boot_l1(name, under, scratch, files, what="edu", bits=39, words=(), machine=()):
    """One boot with these files in L1, of which one is /case.sh."""
    vendor, device, made = DEVICES[what]
    parts = userland(), image_with(under.qemu, under.kind), scratch.pack(files, "l1")
    command = [emulator("qemu-system-x86_64"), "-accel", "tcg", "-m", "2048"]
    command += ["-nodefaults", "-display", "none", "-no-reboot", "-machine", "q35"]
    # with nested paging, so that L2 is as quick as L1
    command += ["-cpu", "qemu64,+svm,+npt", "-device", f"intel-iommu,aw-bits={bits}"]
    command += ["-device", made] * 2 + list(machine)
    command += ["-kernel", kernel(under.linux), "-initrd", scratch.join(*parts, to="initrd")]
    command += ["-append", " ".join([
        "console=ttyS0 panic=-1 no_timer_check transparent_hugepage=never quiet intel_iommu=on",
        f"e2e.vendor={vendor} e2e.device={device} e2e.patience={PATIENCE}",
        *words,
    ])]
    return boot(name, command, 400)
