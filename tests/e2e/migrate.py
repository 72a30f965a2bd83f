# SPDX-License-Identifier: BSD-3-Clause
"""Case 9: a guest that moves, and the books of its virtual IOMMU with it.

L2 has a disk behind the virtual IOMMU, which it reads all the time, and a passed-through device. QEMU
can't take such a device along, so it is unplugged before, and an equal one is plugged where L2 goes
on: in another QEMU of the same L1, or in another L1. What L2's guest group was promised comes with it.
"""
import functools
import re

import l1
from l1 import Under, boot_l1, guest
from machine import PATIENCE, Checks, Scratch, kernel, once, shell, userland
from nested import COLD, COMPLAINT, MSI, TOP, arguments
from versions import PAIRS

BEATS = 1000
# What can't take L2 over, and what it says: the width, the granule, and the envelope, which reserves for
# the port what L2 was promised there.
NARROWER = {
    "width": (",aw-bits=39", r"input range"),
    "granule": (",aw-bits=64,granule=64k", r"granule"),
    "envelope": (",aw-bits=64,iovageom-envelope=32", r"promise"),
}


def machine(viommu, *devices):
    """Equal but for what is narrower. The first port has no ACS: it is in the device's guest group."""
    words = ["-device", "virtio-iommu-pci" + viommu, "-device", "ioh3420,id=rp1,chassis=1,slot=1"]
    words += ["-device", "pcie-root-port,id=rp2,chassis=2,slot=2"]
    words += ["-drive", "file=/tmp/disk,format=raw,if=none,id=disk,read-only=on"]
    words += ["-device", "virtio-blk-pci,drive=disk,iommu_platform=on,disable-legacy=on", *devices]
    return "\n".join(words)


def boot_one(name, under, part, bits, refusing, disk):
    cold = [] if part == "stock" else arguments(COLD)
    machines = {"source": machine(",aw-bits=64", *cold), "fit": machine(",aw-bits=64")}
    with Scratch() as scratch:
        inner = scratch.pack({"case.sh": guest("l2-moved.sh")}, "l2")
        files = {
            "case.sh": guest("l1-moved.sh"),
            "l2/initrd": scratch.join(userland(), inner, to="l2.cpio"),
            "l2/bzImage": kernel(under.linux),
        }
        for which, text in {**machines, **refusing}.items():
            files["args/" + which] = scratch.write("args." + which, text)
        patient = f"e2e.readwait=30;e2e.patience={PATIENCE}"
        if part == "stock":
            files["stock/qemu-system-x86_64"] = shell("build_qemu", under.qemu, "stock")
            patient += ";e2e.coldwait=1"
        words = [f"e2e.part={part}", f"e2e.l2=iommu.forcedac=1;e2e.beats={BEATS};{patient}"]
        attached = ["-drive", f"file={disk},format=raw,if=none,id=left"]
        attached += ["-device", "virtio-blk-pci,drive=left"]
        return boot_l1(name, under, scratch, files, "rng", bits, words, attached)


def in_one_host(name, under):
    """All in one L1 of 39 bits."""

    def make():
        refusing = {which: machine(how) for which, (how, _) in NARROWER.items()
                    if (under.qemu, which) != ("7.2", "granule")}
        with Scratch() as scratch:
            return boot_one(name, under, "stay", 39, refusing, scratch.blank("disk"))

    return once(("stay", under), make)


def between_hosts(name, under):
    """From an L1 of 48 bits to one of 48 and to one of 39: what each said, by its bits or "source"."""

    def make():
        # there before L2 is, which was promised 48 bits
        early = {"device": machine(",aw-bits=64", *arguments(COLD))}
        with Scratch() as scratch:
            disk = scratch.blank("disk")
            return {
                "source": boot_one(name + "-source", under, "leave", 48, {}, disk),
                48: boot_one(name + "-48bit", under, "arrive", 48, {}, disk),
                39: boot_one(name + "-39bit", under, "arrive", 39, early, disk),
            }

    return once(("hosts", under), make)


def beats(check, answers, moves, snapshots=0):
    """L2 read its disk all the time. A line that is said while L2 moves may be torn."""
    said = [words for answer in answers for words in answer.said("L2", "beat")]
    good = [int(words[0]) for words in said if words[1:] == ["block", words[0]]]
    check.equal([words for words in said if words[1:] == ["none"]], [], "reads that hung")
    back = [number for number, before in zip(good[1:], good) if number <= before]
    check.equal(len(back), snapshots, f"times that L2 went back ({good})")
    torn = set(range(1, max(good, default=0) + 1)) - set(good)
    check.that(len(torn) <= moves, f"lost beats: {sorted(torn)}")
    for answer in answers:
        check.equal(answer.said("L1", "stands-still"), [], "where L2 did not go on")
        check.equal(answer.seen("QEMU", COMPLAINT), [], "complaints of L1's QEMU")
    return f"{len(good)} blocks read"


def told(answer, word):
    """What L2 was told of the device when it came."""
    regions, all_regions = [], {}
    for line in answer.lines["L2"]:
        words = line.split()
        if words[:2] == ["E2E", "resv"]:
            regions.append((int(words[3], 16), int(words[4], 16), words[5]))
        elif words[:2] == ["E2E", "bytes"]:
            all_regions[words[2]] = sorted(set(regions))
            regions = []
    return all_regions.get(word)


def wanted(bits):
    return [(*MSI, "msi"), (2**bits, TOP, "reserved")]


def alike(check, before, after, bits):
    """The device that left and the one that came."""
    for answer, word in ((before, "cold"), (after, "hot")):
        check.equal(told(answer, word), wanted(bits), f"L2 was told ({word})")
        got = [words[1] for words in answer.said("L2", "bytes") if words[0] == word]
        check.equal(got, ["16"], f"bytes in L2 ({word})")
    check.that(after.seen("L2", "^E2E end"), "L2 did not come to its end")


def answered(answer, tag):
    """QMP's answer as text."""
    return " ".join(line for line in answer.lines["QMP"] if f'"{tag}"' in line)


def because(text):
    """The sentence alone, of what a QEMU or QMP said."""
    lead = r"(?:taken over: |\"vfio [0-9a-f:.]+: (?:Failed to set vIOMMU: )?)"
    found = re.search(lead + r"(.*?)(?: qemu-system|\"\}|$)", text)
    return found.group(1) if found else text


def live(name, under):
    """L2 goes on in another QEMU of the same L1, by a socket."""

    def run():
        answer = in_one_host(name, under)
        check = Checks(answer)
        check.that("error" in answered(answer, "with-device"), "QEMU takes the device along")
        check.equal(answer.said("L1", "moved")[:1], [[".source", "completed"]], "by the socket")
        check.that(["live"] in answer.said("L1", "goes-on"), "L2 does not go on there")
        notes = beats(check, [answer], 2, 1)
        check.verdict()
        return [notes]

    return run


def snapshot(name, under):
    """Back to a snapshot in one QEMU; then by a file to another. An equal device is let in there."""

    def run():
        answer = in_one_host(name, under)
        check = Checks(answer)
        for job in ("save", "load"):
            jobs = answered(answer, "after-" + job)
            check.that("concluded" in jobs and "error" not in jobs, f"snapshot-{job}: {jobs}")
        check.equal(answer.said("L1", "moved")[1:], [[".live", "completed"]], "into the file")
        went = [words[0] for words in answer.said("L1", "goes-on")]
        check.equal(went, ["source", "live", "saved", "loaded", "fit"], "where L2 goes on")
        alike(check, answer, answer, 39)
        notes = beats(check, [answer], 2, 1)
        check.verdict()
        return [notes, *(f"{words[0]} bytes of stream" for words in answer.said("L1", "state"))]

    return run


def refused(name, under):
    """QEMUs that can't keep what L2 was promised end with the reason."""

    def run():
        answer = in_one_host(name, under)
        check = Checks(answer)
        sentences = {words[0]: because(" ".join(words)) for words in answer.said("L1", "refusal")}
        for which, (_, regex) in NARROWER.items():
            if (under.qemu, which) != ("7.2", "granule"):
                said = sentences.get(which, "nothing")
                check.that(re.search(regex, said), f"{which}: {said!r}")
        check.equal([words for words in answer.said("L1", "goes-on") if words[0] in NARROWER], [],
                    "where L2 goes on")
        check.verdict()
        return [f"{which}: {said}" for which, said in sentences.items()]

    return run


def from_stock(name, under):
    """From a QEMU that records no promise: all is taken for promised, where there is a device."""

    def run():
        refusing = {"device": machine(",aw-bits=64", *arguments(COLD)),
                    "envelope": machine(",aw-bits=64,iovageom-envelope=39"),
                    "granule": machine(",aw-bits=64,granule=64k"), "width": machine(",aw-bits=39")}
        because_of = ["does not record", "does not record", "multiples of 0x1000, ", "input range"]
        with Scratch() as scratch:
            answer = boot_one(name, under, "stock", 39, refusing, scratch.blank("disk"))
        check = Checks(answer)
        said = [because(" ".join(words)) for words in answer.said("L1", "refusal")]
        check.equal(len(said), len(because_of), "refusals")
        for sentence, reason in zip(said, because_of):
            check.that(reason in sentence, f"the sentence is {sentence!r}")
        sentence = because(answered(answer, "plug"))
        check.that(re.search(r"0x8000000000.*promised", sentence), f"plug at rp1: {sentence!r}")
        check.that("error" not in answered(answer, "again"), answered(answer, "again"))
        went = [words[0] for words in answer.said("L1", "goes-on")]
        check.equal(went, ["source", "fit", "refused"], "where L2 goes on")
        check.equal(told(answer, "hot"), wanted(39), "L2 was told")
        check.equal(answer.said("L2", "bytes"), [["hot", "16"]], "bytes in L2")
        notes = beats(check, [answer], 1)
        check.verdict()
        return [notes, *said, sentence]

    return run


def other_host(name, under):
    """Another L1, with a device that maps as much."""

    def run():
        hosts = between_hosts(name, under)
        before, after = hosts["source"], hosts[48]
        check = Checks(after)
        alike(check, before, after, 48)
        notes = beats(check, [before, after], 1)
        check.verdict()
        return [notes]

    return run


def narrower_host(name, under):
    """Another L1, whose devices map less than was promised: refused before L2 and after; L2 goes on."""

    def run():
        hosts = between_hosts(name, under)
        before, after = hosts["source"], hosts[39]
        check = Checks(after)
        check.equal(told(before, "cold"), wanted(48), "L2 was told")
        sentences = [because(" ".join(words)) for words in after.said("L1", "refusal")]
        sentences.append(because(answered(after, "plug")))
        for said in sentences:
            check.that(re.search(r"0x8000000000.*promised", said), f"the sentence is {said!r}")
        check.equal(len(sentences), 2, "refusals")
        check.equal(after.said("L1", "goes-on"), [["fit"], ["refused"]], "where L2 goes on")
        check.that(not after.said("L2", "bytes"), "L2 has a device")
        notes = beats(check, [before, after], 1)
        check.verdict()
        return [notes, *sentences]

    return run


def needs(under, word):
    l1.needs(under)
    if word == "from-stock":
        shell("build_qemu", under.qemu, "stock")


CASES = []


def case(word, compared, make, under, *rest):
    name = f"9.shim-{under.qemu}-{word}-on-{under.linux}"
    CASES.append((name, compared, make(name, under, *rest), functools.partial(needs, under, word)))


SHIMS = [Under(qemu, "shim", linux) for qemu, linux in PAIRS]
for shim in SHIMS:
    case("live", "L2 goes on in another QEMU, its disk's DMA with it", live, shim)
    if shim.qemu != "7.2":  # its stock has no aw-bits
        case("from-stock", "from stock QEMU: what nobody recorded counts as promised", from_stock, shim)
    case("other-host", "from one L1 to another with an equal device", other_host, shim)
# last, for they look at the same boots
for shim in SHIMS:
    case("snapshot", "back to a snapshot; by a file to another, where an equal device is let in",
         snapshot, shim)
    case("refused", "QEMUs that can't keep the promise refuse the stream with a sentence", refused, shim)
    case("narrower-host", "to an L1 of 39 bits: its device is refused, before L2 and after",
         narrower_host, shim)
