# SPDX-License-Identifier: BSD-3-Clause
"""Cases 3, 4, 5 and 6: a guest in a guest, and two real (emulated) devices passed through.

L0 is Debian's QEMU 7.2 with an emulated VT-d. L1 runs the QEMU under test, whose
virtio-iommu stands between L2 and the devices: what L2's kernel is told, what it then
does, and what L1's IOMMU makes of it.
"""
import os
import random

from machine import HERE, Answer, Checks, Scratch, boot, kernel, qemu_image, shell, userland

EDU = ("0x1234", "0x11e8")
RNG = ("0x1af4", "0x1044")
DEVICE = {
    "edu": ["-device", "edu,dma_mask=0xffffffffffffffff"],
    "rng": ["-device", "virtio-rng-pci,iommu_platform=on,disable-legacy=on"],
}
TOP = 2**64 - 1
MSI = (0xFEE00000, 0xFEEFFFFF)


def guest(name):
    return os.path.join(HERE, "guest", name)


def nest(name, version, kind, what, bits, port="pcie-root-port", viommu="", l2=(), l1=()):
    """One boot of L0, L1 and L2."""
    image, base = qemu_image(version, kind), userland()
    shell("need_packages", "qemu-system-x86", "qemu-system-data", "seabios", "ipxe-qemu")
    vendor, device = EDU if what == "edu" else RNG
    words = [
        "console=ttyS0 panic=-1 quiet intel_iommu=on",
        f"e2e.vendor={vendor} e2e.device={device} e2e.port={port} e2e.viommu={viommu}",
        *l1,
        "e2e.l2="
        + ";".join(
            [
                "vfio_iommu_type1.allow_unsafe_interrupts=1 iommufd.allow_unsafe_interrupts=1",
                "iommu.forcedac=1" if what == "rng" else "",
                *l2,
            ]
        ).replace(" ", ";"),
    ]
    with Scratch() as scratch:
        script = "l2-vfio.sh" if what == "edu" else "l2-rng.sh"
        inner = scratch.join(base, scratch.pack({"case.sh": guest(script)}, "l2"), to="l2.cpio")
        outer = scratch.pack({"case.sh": guest("l1-nested.sh"), "l2/initrd": inner}, "l1")
        command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-m", "2048", "-smp", "2"]
        command += ["-nodefaults", "-display", "none", "-no-reboot", "-machine", "q35"]
        command += ["-cpu", "qemu64", "-device", f"intel-iommu,aw-bits={bits}"]
        command += DEVICE[what] * 2
        command += ["-kernel", kernel(), "-initrd", scratch.join(base, image, outer, to="initrd")]
        command += ["-append", " ".join(words)]
        return boot(name, command, 400)


def regions(answer: Answer, address):
    """What L2's kernel shows in reserved_regions, doubles removed: at 2^64-1 it fails to merge."""
    return sorted(
        {(int(r[1], 16), int(r[2], 16), r[3]) for r in answer.said("L2", "resv") if r[0] == address}
    )


def addresses(answer):
    return {word: address for word, address in answer.said("L2", "device")}


def top_of(bits):
    return 2**bits - 1


def maps(answer, address):
    return {m[1]: " ".join(m[2:]) for m in answer.said("L2", "map") if m[0] == address}


def transfers(answer, address):
    return {m[1]: " ".join(m[2:]) for m in answer.said("L2", "dma") if m[0] == address}


OUTSIDE = {39: "0x8000000000", 48: "0x1000000000000"}


def rfc_stock72(name, bits):
    """The bug of the RFC: L2 is told nothing, and its map beyond the aperture looks fine."""

    def run():
        answer = nest(name, "7.2", "stock", "edu", bits, l2=[f"e2e.outside={OUTSIDE[bits]}"])
        check = Checks(answer)
        check.equal(sorted(addresses(answer)), ["cold", "hot"], "devices seen in L2")
        for word, address in addresses(answer).items():
            check.equal(regions(answer, address), [(*MSI, "msi")], f"L2 was told ({word})")
            check.equal(maps(answer, address), {OUTSIDE[bits]: "ok"}, f"maps in L2 ({word})")
        check.that(
            answer.seen("QEMU", "VFIO_MAP_DMA failed: Invalid argument"),
            "L1's QEMU did not complain of VFIO_MAP_DMA",
        )
        check.verdict()
        return ["the bug is there: the map returns 0 in L2 and fails in L1"]

    return run


def told_and_moved(name, version, kind, bits):
    """L2 knows the host's geometry, cold and hot, and DMA works in all of the usable space."""

    def run():
        chooser = random.Random(os.environ.get("IOVAGEOM_SEED", "1"))
        some = [f"{chooser.randrange(0x100000, 2**(bits - 12)) << 12:#x}" for _ in range(8)]
        answer = nest(
            name,
            version,
            kind,
            "edu",
            bits,
            viommu=",aw-bits=64",
            l2=[f"e2e.outside={OUTSIDE[bits]}", "e2e.iovas=" + ",".join(some)],
        )
        check = Checks(answer)
        check.equal(sorted(addresses(answer)), ["cold", "hot"], "devices seen in L2")
        beyond = (2**bits, TOP, "reserved")
        for word, address in addresses(answer).items():
            told = regions(answer, address)
            check.that(beyond in told, f"L2 was told {told} ({word}), not {beyond}")
            check.equal(
                maps(answer, address), {OUTSIDE[bits]: "Invalid argument"}, f"maps in L2 ({word})"
            )
            moved = transfers(answer, address)
            check.that(len(moved) >= 4 + len(some), f"only {len(moved)} transfers ({word})")
            for iova, verdict in moved.items():
                check.equal(verdict, "ok", f"DMA at {iova} ({word})")
        check.equal(answer.seen("QEMU", "VFIO_MAP_DMA failed"), [], "complaints of L1's QEMU")
        check.verdict()
        return [f"{len(answer.said('L2', 'dma'))} transfers"]

    return run


def driver(name, version, kind, port, alive, viommu="", told=None):
    """virtio_rng of L2's kernel: the bytes arrive, or its DMA dies at the top of the space."""

    def run():
        aw = "" if (version, kind) == ("7.2", "stock") else ",aw-bits=64"
        answer = nest(
            name, version, kind, "rng", 39, port=port, viommu=aw + viommu,
            l2=["e2e.hotwait=20"],
        )
        check = Checks(answer)
        got = {word: count for word, count in answer.said("L2", "bytes")}
        if alive:
            check.equal(got, {"cold": "16", "hot": "16"}, "bytes in L2")
            check.equal(answer.seen("QEMU", "VFIO_MAP_DMA failed"), [], "complaints of L1's QEMU")
        else:
            check.equal(got.get("cold"), "none", "bytes of the cold-plugged device in L2")
            check.that(
                answer.seen("QEMU", "VFIO_MAP_DMA failed: Invalid argument"),
                "L1's QEMU did not complain of VFIO_MAP_DMA",
            )
        if told is not None:
            check.that(told(answer), "the guest group is not what the case is about")
        check.verdict()
        return [f"bytes: {got}"]

    return run


def shares_group(answer):
    groups = answer.said("L2", "group")
    return bool(groups) and all(len(group) > 2 for group in groups)


CASES = [
    ("3.stock-7.2-39bit", "the RFC's bug stands in stock 7.2",
     rfc_stock72("3.stock-7.2-39bit", 39)),
    ("3.stock-10.0-39bit", "stock 10.0 tells L2 the host's width",
     told_and_moved("3.stock-10.0-39bit", "10.0", "stock", 39)),
    ("4.stock-7.2-root-port", "L2's own driver dies on stock 7.2",
     driver("4.stock-7.2-root-port", "7.2", "stock", "pcie-root-port", False)),
    ("4.stock-10.0-root-port", "L2's own driver lives on stock 10.0",
     driver("4.stock-10.0-root-port", "10.0", "stock", "pcie-root-port", True)),
    ("4.stock-10.0-ioh3420", "L2's own driver dies on stock 10.0 in a shared guest group",
     driver("4.stock-10.0-ioh3420", "10.0", "stock", "ioh3420", False, told=shares_group)),
]
