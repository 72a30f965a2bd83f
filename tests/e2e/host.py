# SPDX-License-Identifier: BSD-3-Clause
"""Case 1: host-probe in a guest kernel with some IOMMU, against what that kernel accepts."""
import os
import subprocess
import tarfile

from machine import HERE, CaseError, Checks, Scratch, boot, kernel, shell, userland

EDU = ["-device", "edu"]
INTEL = "intel_iommu=on"
UNSAFE = "vfio_iommu_type1.allow_unsafe_interrupts=1 iommufd.allow_unsafe_interrupts=1"
# name: (processor, devices, words for the kernel, usable ranges of an edu device)
BELOW_MSI = (0, 0xFEDFFFFF)
HOSTS = {
    "intel-39bit": ("qemu64", ["-device", "intel-iommu,aw-bits=39"], INTEL,
                    [BELOW_MSI, (0xFEF00000, 2**39 - 1)]),
    "intel-48bit": ("qemu64", ["-device", "intel-iommu,aw-bits=48"], INTEL,
                    [BELOW_MSI, (0xFEF00000, 2**48 - 1)]),
    "intel-48bit-scalable": (
        "qemu64", ["-device", "intel-iommu,aw-bits=48,x-scalable-mode=on"], INTEL + ",sm_on",
        [BELOW_MSI, (0xFEF00000, 2**48 - 1)]),
    "amd": ("EPYC", ["-device", "amd-iommu,intremap=on"], "",
            [BELOW_MSI, (0xFEF00000, 0xFCFFFFFFFF), (0x10000000000, 2**64 - 1)]),
    "virtio-iommu": ("qemu64", ["-device", "virtio-iommu-pci"], UNSAFE,
                     [BELOW_MSI, (0xFEF00000, 2**64 - 1)]),
}


def capture(name, host, words):
    """Boot the host; give its answer, its host-probe's output, and the same from its snapshot."""
    processor, devices, append, _ = HOSTS[host]
    shell("need_packages", "qemu-system-x86", "qemu-system-data", "seabios", "ipxe-qemu")
    probe = shell("build_host_probe")
    with Scratch() as scratch:
        case = scratch.pack({"case.sh": f"{HERE}/guest/host.sh", "bin/host-probe": probe}, "case")
        disk = os.path.join(scratch.path, "disk")
        with open(disk, "wb") as file:
            file.truncate(8 << 20)
        command = ["qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-nodefaults"]
        command += ["-display", "none", "-no-reboot", "-machine", "q35", "-cpu", processor]
        command += [*devices, *EDU, *EDU, "-drive", f"file={disk},format=raw,if=none,id=disk"]
        command += ["-device", "virtio-blk-pci,drive=disk", "-kernel", kernel()]
        command += ["-initrd", scratch.join(userland(), case, to="initrd")]
        command += ["-append", f"console=ttyS0 panic=-1 quiet {append} {words}"]
        answer = boot(name, command, 60)
        try:
            with tarfile.open(disk) as tar:
                tar.extractall(scratch.path, filter="data")
        except (tarfile.TarError, OSError) as error:
            raise CaseError(f"no snapshot came out: {error}", answer.log) from error
        with open(os.path.join(scratch.path, "live.txt"), encoding="utf-8") as file:
            live = file.read()
        again = subprocess.run(
            [probe, "--color=never", "--snapshot", os.path.join(scratch.path, "snapshot")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        ).stdout
    return answer, live, again


def host_side(name, host):
    def run():
        answer, live, again = capture(name, host, "")
        check = Checks(answer)
        wanted = [f"{start:#x}-{last:#x}" for start, last in HOSTS[host][3]]
        claims = answer.said("L1", "claim")
        check.equal(len(claims), 2, "devices that host-probe spoke of")
        for address, *ranges in claims:
            spans = [tuple(int(word, 16) for word in r.split("-")) for r in ranges]
            check.equal([f"{s:#x}-{l:#x}" for s, l in spans], wanted, f"usable for {address}")
        check.equal(answer.said("L1", "disagree"), [], "the kernel disagrees")
        ways = [line[1] for line in answer.said("L1", "accept") if line[-2:] == ["0", "disagreements"]]
        check.equal(sorted(ways), ["iommufd", "iommufd", "type1", "type1"], "asked and agreed")
        check.that("0x" in live, "host-probe said nothing: " + live[:200])
        check.equal(again, live, "host-probe --snapshot here and live there")
        check.verdict()
        return [f"first and last pages of {len(wanted)} ranges, both ways, two devices"]

    return run


def wrong_claim(name):
    """A claim of one page too much is noticed: the test of the test."""

    def run():
        answer, _, _ = capture(name, "intel-39bit", "e2e.wrong=0x8000000000-0x8000000fff")
        if not answer.said("L1", "disagree"):
            raise CaseError("a wrong claim was not noticed", answer.log)
        return [" ".join(answer.said("L1", "disagree")[0])]

    return run


CASES = [
    (f"1.{host}", "host-probe against what the kernel accepts", host_side(f"1.{host}", host))
    for host in HOSTS
] + [("1.wrong-claim", "a wrong claim is noticed", wrong_claim("1.wrong-claim"))]
