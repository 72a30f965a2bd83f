# SPDX-License-Identifier: BSD-3-Clause
"""Case 1: host-probe in a guest kernel with some IOMMU, against what that kernel accepts."""
import dataclasses
import functools
import os
import subprocess
import tarfile

from machine import (
    HERE, CaseError, Checks, Scratch, boot, emulator, kernel, shell, stock_qemu, userland,
)
from versions import ARM64, KERNELS, NEWEST, number

EDU = ["-device", "edu"]
UNSAFE = "vfio_iommu_type1.allow_unsafe_interrupts=1 iommufd.allow_unsafe_interrupts=1"
BELOW_MSI = (0, 0xFEDFFFFF)


@dataclasses.dataclass
class Host:
    """A machine with an IOMMU, and what an edu device can map there."""

    iommu: list
    usable: list  # or, by kernel, what differs
    words: str = ""
    processor: str = "qemu64"
    arch: str = "amd64"
    disk: str = ""
    # one of the QEMUs under test, when bookworm's can't emulate it
    outer: str = ""
    # kernels whose iommufd takes no device there
    without_iommufd: tuple = ()


def intel(bits, iommu="", words="", usable=0, **more):
    return Host(
        ["-machine", "q35", "-device", f"intel-iommu,aw-bits={bits}{iommu}"],
        below(usable or bits),
        "intel_iommu=on" + words,
        **more,
    )


def below(bits):
    return [BELOW_MSI, (0xFEF00000, 2**bits - 1)]


def below_and_above(bits):
    """Around the hole of HyperTransport."""
    return [BELOW_MSI, (0xFEF00000, 0xFCFFFFFFFF), (0x10000000000, 2**bits - 1)]


def amd(usable, **more):
    return Host(
        ["-machine", "q35", "-device", "amd-iommu,intremap=on"],
        usable,
        processor="EPYC",
        # QEMU says that the I/O APIC is 00:14.0, and has nothing there. Linux 7.3 gives up interrupt
        # remapping, and so VFIO, unless that place has what a southbridge has: here, an SMBus.
        disk=",class=0x0c05,addr=0x14",
        **more,
    )


HOSTS = {
    "intel-39bit": intel(39),
    "intel-48bit": intel(48),
    "intel-48bit-scalable": intel(48, ",x-scalable-mode=on", ",sm_on"),
    # no second stage; one bit less, for the first sign-extends. 6.12's iommufd answers EINVAL.
    "intel-48bit-first": intel(48, ",x-scalable-mode=on,x-flts=on", ",sm_on", usable=47,
                               outer="10.2", without_iommufd=("6.12",)),
    # 7.3 reads how many levels there are in the firmware's copy of EFR. QEMU 7.2 gives none, and 7.3
    # takes four; 10.2 gives one.
    "amd": amd({"": below_and_above(64), "7.3": below_and_above(48)}),
    "amd-efr": amd(below_and_above(64), outer="10.2"),
    "virtio-iommu": Host(
        ["-machine", "q35", "-device", "virtio-iommu-pci"],
        [BELOW_MSI, (0xFEF00000, 2**64 - 1)],
        UNSAFE,
    ),
    # a window for software MSI, which Linux puts at 128 MB there
    "arm64-smmuv3": Host(
        ["-machine", "virt,iommu=smmuv3,gic-version=3"],
        [(0, 0x7FFFFFF), (0x8100000, 2**48 - 1)],
        processor="max",
        arch="arm64",
    ),
}
SYSTEM = {"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}
CONSOLE = {"amd64": "ttyS0", "arm64": "ttyAMA0"}


def outer(host):
    return stock_qemu(host.outer) if host.outer else [emulator(SYSTEM[host.arch])]


def needs(name, linux):
    arch = HOSTS[name].arch
    outer(HOSTS[name])
    kernel(linux, arch)
    userland(arch)
    for each in {arch, "amd64"}:
        shell("build_host_probe", each)


def capture(name, host, linux, words):
    """Boot the host; give its answer, its host-probe's output, and the same from its snapshot."""
    host = HOSTS[host]
    probe = shell("build_host_probe", host.arch)
    with Scratch() as scratch:
        case = scratch.pack({"case.sh": f"{HERE}/guest/host.sh", "bin/host-probe": probe}, "case")
        disk = os.path.join(scratch.path, "disk")
        with open(disk, "wb") as file:
            file.truncate(8 << 20)
        command = [*outer(host), "-accel", "tcg", "-m", "512", "-nodefaults"]
        command += ["-display", "none", "-no-reboot", "-cpu", host.processor, *host.iommu]
        command += [*EDU, *EDU, "-drive", f"file={disk},format=raw,if=none,id=disk"]
        command += ["-device", "virtio-blk-pci,drive=disk" + host.disk]
        command += ["-kernel", kernel(linux, host.arch)]
        command += ["-initrd", scratch.join(userland(host.arch), case, to="initrd"), "-append"]
        command += [f"console={CONSOLE[host.arch]} panic=-1 no_timer_check quiet {host.words} {words}"]
        answer = boot(name, command, 60)
        try:
            with tarfile.open(disk) as tar:
                tar.extractall(scratch.path, filter="data")
        except (tarfile.TarError, OSError) as error:
            raise CaseError(f"no snapshot came out: {error}", answer.log) from error
        with open(os.path.join(scratch.path, "live.txt"), encoding="utf-8") as file:
            # a snapshot has no refusals
            live = "".join(line for line in file if not line.endswith(": not asked\n"))
        # here: by this machine's own host-probe, whatever the guest's was built for
        here = shell("build_host_probe", "amd64")
        again = subprocess.run(
            [here, "--color=never", "--numeric", "--snapshot", os.path.join(scratch.path, "snapshot")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            env={**os.environ, "LC_ALL": "C"},
        ).stdout
    return answer, live, again


def host_side(name, host, linux):
    # type1 always; iommufd by devices of VFIO's own since 6.6
    lacking = number(linux) < (6, 6) or linux in HOSTS[host].without_iommufd
    ways = ["type1"] if lacking else ["iommufd", "type1"]

    def run():
        answer, live, again = capture(name, host, linux, "")
        check = Checks(answer)
        usable = HOSTS[host].usable
        usable = usable.get(linux, usable[""]) if isinstance(usable, dict) else usable
        wanted = [f"{start:#x}-{last:#x}" for start, last in usable]
        claims = answer.said("L1", "claim")
        check.equal(len(claims), 2, "devices that host-probe spoke of")
        for address, *ranges in claims:
            spans = [tuple(int(word, 16) for word in r.split("-")) for r in ranges]
            check.equal([f"{s:#x}-{l:#x}" for s, l in spans], wanted, f"usable for {address}")
        check.equal(answer.said("L1", "disagree"), [], "the kernel disagrees")
        agreed = [line[1] for line in answer.said("L1", "accept") if line[-2:] == ["0", "disagreements"]]
        check.equal(sorted(agreed), sorted(2 * ways), "asked and agreed")
        check.that("0x" in live, "host-probe said nothing: " + live[:200])
        check.equal(again, live, "host-probe --snapshot here and live there")
        check.verdict()
        return [f"first and last pages of {len(wanted)} ranges, by {' and '.join(ways)}, two devices"]

    return run


def wrong_claim(name, linux):
    """A claim of one page too much is noticed: the test of the test."""

    def run():
        answer, _, _ = capture(name, "intel-39bit", linux, "e2e.wrong=0x8000000000-0x8000000fff")
        if not answer.said("L1", "disagree"):
            raise CaseError("a wrong claim was not noticed", answer.log)
        return [" ".join(answer.said("L1", "disagree")[0])]

    return run


CASES = []
for each in KERNELS:
    for kind, machine in HOSTS.items():
        if machine.arch == "amd64" or each in ARM64:
            title = f"1.{kind}-on-{each}"
            CASES.append((title, "host-probe against what the kernel accepts",
                          host_side(title, kind, each), functools.partial(needs, kind, each)))
CASES.append((f"1.wrong-claim-on-{NEWEST}", "a wrong claim is noticed",
              wrong_claim(f"1.wrong-claim-on-{NEWEST}", NEWEST),
              functools.partial(needs, "intel-39bit", NEWEST)))
