# SPDX-License-Identifier: BSD-3-Clause
"""Case 8: Linux's own selftests of iommufd and VFIO as judges.

They run as they are, in a guest; a recorder of ours that is linked in writes down each ioctl and
its answer. Here the same is asked of the library: the same addresses must be usable, and the same
calls be accepted and refused.
"""
import base64
import functools
import gzip
import os
import re
import subprocess

import l1
from l1 import Under, boot_l1, guest
from machine import (
    LOGS, PATIENCE, CaseError, Checks, Scratch, boot, emulator, kernel, once, shell, userland,
)
from nested import COLD, arguments

# those with iommufd and its test; 6.1 has neither
JUDGES = ("6.12", "7.3")
WITH_VFIO = ("7.3",)
MAPPINGS = ("vfio_dma_mapping_test", "vfio_dma_mapping_mmio_test")
# Whose tests a kernel runs: 6.12.117's own don't compile, for they use what later kernels have. Most of
# 7.3's then fail there, for the same reason; what they ask is judged.
TESTS = {"6.12": "7.3"}
# Tests that fail on a kernel for its own reasons. 7.3.4's mock gives 0 for a dma-buf, not the number of
# its file (iommufd_test_dmabuf_get), so that the tests map their standard input.
BROKEN = {"7.3": ("dmabuf_simple", "dmabuf_revoke")}
HOST = ["-device", "intel-iommu,aw-bits=39", "-device", "edu"]


def judge_kernel(linux):
    shell("fetch_package", "amd64", "linux-source-" + linux)
    return shell("build_kernel", linux, "judge")


def recorded(name, linux, programs, devices=()):
    """The answer and the record of one boot; cases that look at the same boot share it."""
    return once(("recorded", linux, programs), lambda: recorded_once(name, linux, programs, devices))


def recorded_once(name, linux, programs, devices):
    image = judge_kernel(linux)
    with Scratch() as scratch:
        tests = TESTS.get(linux, linux)
        files = {f"bin/{each}": shell("build_selftest", tests, each) for each in programs}
        case = scratch.pack({"case.sh": guest("selftests.sh"), **files}, "case")
        out = os.path.join(scratch.path, "out")
        command = [emulator("qemu-system-x86_64"), "-accel", "tcg", "-m", "1536", "-nodefaults"]
        command += ["-display", "none", "-no-reboot", "-machine", "q35", "-cpu", "qemu64", *devices]
        command += ["-serial", f"file:{out}", "-kernel", image]
        command += ["-initrd", scratch.join(userland(), case, to="initrd"), "-append", " ".join([
            "console=ttyS1 panic=-1 no_timer_check quiet intel_iommu=on hugepages=160",
            f"e2e.patience={PATIENCE} e2e.programs={','.join(programs)}",
            "e2e.devices=1" if devices else "",
        ])]
        answer = boot(name, command, 1500)
        with open(out, "rb") as file:
            packed = file.read()
        try:
            record = gzip.decompress(base64.b64decode(packed)).decode()
        except (ValueError, OSError, EOFError) as error:
            raise CaseError(f"no record came out: {error}", answer.log) from error
    return answer, record


def replayed(name, record, *options):
    """What the replay says of a record: its lines, by their first word; and whether it agrees."""
    path = os.path.join(LOGS, name + ".record")
    with open(path, "w", encoding="utf-8") as file:
        file.write(record)
    done = subprocess.run(
        [shell("build_replay"), *options, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )
    said = {}
    for line in done.stdout.splitlines():
        word, *rest = line.split(" ", 1)
        said.setdefault(word, []).append(" ".join(rest))
    if done.returncode not in (0, 1):
        raise CaseError(f"the replay ends with {done.returncode}: {done.stdout[-300:]}", path)
    return said, done.returncode == 0


def tested(check, who, programs, linux):
    """What the selftests themselves say."""
    notes = []
    for program in programs:
        lines = [" ".join(line[1:]) for line in check.answer.said(who, "tap") if line[0] == program]
        words = [re.match(r"(not ok|ok) \d+ (\S+)(.*)", line) for line in lines]
        words = [match for match in words if match]
        bad = [match[2] for match in words if match[1] == "not ok"]
        skipped = [match[2] for match in words if "SKIP" in match[3]]
        check.that(len(words) > len(skipped), f"{program} tested nothing")
        own = [name for name in bad if name.split(".")[-1] not in BROKEN.get(linux, ())]
        check.that(linux in TESTS or not own, f"{program}: not ok: {own}")
        notes.append(f"{program}: {len(words) - len(bad) - len(skipped)} ok, {len(bad)} not ok, "
                     f"{len(skipped)} skipped")
    return notes


def told(said):
    """The replay's totals in lines for a reader."""
    kinds = [line.split() for line in said.get("kind", [])]
    ranges = [f"{k[0]} {k[2]}+{k[4]}" for k in kinds if int(k[2]) + int(k[4])]
    left = [line for line in said.get("left", []) if not line.endswith(" 0")]
    return [
        said["total"][0], "accepted+refused: " + ", ".join(ranges),
        "left out: " + (", ".join(left) or "nothing"),
    ]


def judged(name, linux, programs, devices=(), options=()):
    """All that the selftests asked, asked of the library."""

    def run():
        answer, record = recorded(name, linux, programs, devices)
        check = Checks(answer)
        notes = tested(check, "L1", programs, linux)
        said, agrees = replayed(name, record, *options)
        check.that(agrees, f"{len(said.get('differ', []))} differences: {said.get('differ', [])[:5]}")
        check.verdict()
        return notes + told(said)

    return run


def nested(name, under, program):
    """In L2, behind the QEMU under test: VFIO there asks the books of the virtual IOMMU."""

    def run():
        inner = ["-device", "virtio-iommu-pci,aw-bits=64"]
        inner += ["-device", "pcie-root-port,id=rp1,chassis=1,slot=1", *arguments(COLD)]
        words = "vfio_iommu_type1.allow_unsafe_interrupts=1;iommufd.allow_unsafe_interrupts=1"
        with Scratch() as scratch:
            inside = {"case.sh": guest("l2-selftests.sh"),
                      "bin/" + program: shell("build_selftest", under.linux, program)}
            files = {
                "case.sh": guest("l1-nested.sh"),
                "l2/initrd": scratch.join(userland(), scratch.pack(inside, "l2"), to="l2.cpio"),
                "l2/bzImage": kernel(under.linux),
                "args": scratch.write("args", "\n".join(inner)),
                "plugs": scratch.write("plugs", ""),
            }
            spoken = f"e2e.l2={words};e2e.programs={program};e2e.patience={PATIENCE}"
            answer = boot_l1(name, under, scratch, files, words=[spoken])
        check = Checks(answer)
        notes = tested(check, "L2", [program], under.linux)
        record = "".join(" ".join(line) + "\n" for line in answer.said("L2", "record"))
        said, agrees = replayed(name, record, "--host", "39")
        check.that(agrees, f"{len(said.get('differ', []))} differences: {said.get('differ', [])[:5]}")
        check.equal(answer.seen("QEMU", r"dma_map\(.*\) = -22"), [], "complaints of L1's QEMU")
        check.verdict()
        return notes + told(said)

    return run


# One answer of each kind in the record is made another: what to look for, and what is put there.
# Fields: context, request, result, errno, before, after, array.
def _accept(line):
    return [*line[:2], "0", "0", *line[4:]]


def _refuse(line):
    return [*line[:2], "-1", "22", line[4], "=", line[6]]


def _other_range(line):
    return [*line[:6], line[6][:-2] + ("fe" if line[6][-2:] == "ff" else "ff")]


WRONG = {
    "a range one byte shorter": (("3b84", "0"), _other_range),
    "a map accepted, which was refused": (("3b85", "17"), _accept),
    "a map refused, which was accepted": (("3b85", "0"), _refuse),
    "an unmap accepted, which was refused": (("3b86", "2"), _accept),
    "a reservation accepted, which was refused": (("3ba0", "98"), _accept),
    "a copy refused, which was accepted": (("3b83", "0"), _refuse),
}


def wrong_answers(name, linux):
    """The test of the test: a changed answer is noticed, each by itself."""

    def run():
        answer, record = recorded(name, linux, ("iommufd",))
        lines = [line.split(" ") for line in record.splitlines()]
        noticed = []
        for what, ((request, error), change) in WRONG.items():
            places = [n for n, line in enumerate(lines) if (line[1], line[3]) == (request, error)]
            if not places:
                raise CaseError(f"the record has no place for {what}", answer.log)
            changed = lines.copy()
            changed[places[0]] = change(lines[places[0]])
            said, agrees = replayed(name, "".join(" ".join(line) + "\n" for line in changed))
            first = said.get("differ", [""])[0]
            if agrees or not first.startswith(f"line {places[0] + 1} "):
                raise CaseError(f"{what}, line {places[0] + 1}, was not noticed there: {first}",
                                answer.log)
            noticed.append(first)
        return noticed

    return run


CASES = []


def needs(linux, programs):
    emulator("qemu-system-x86_64")
    userland()
    judge_kernel(linux)
    judge_kernel(TESTS.get(linux, linux))
    for each in programs:
        shell("build_selftest", TESTS.get(linux, linux), each)
    shell("build_replay")


def nested_needs(under, program):
    l1.needs(under)
    judge_kernel(under.linux)
    shell("build_selftest", under.linux, program)
    shell("build_replay")


def case(name, linux, programs, **more):
    name += "-on-" + linux
    CASES.append((name, f"Linux's selftests {' and '.join(programs)}, asked of the library",
                  judged(name, linux, programs, **more), functools.partial(needs, linux, programs)))


for each in JUDGES:
    case("8.iommufd", each, ("iommufd",))
    case("8.fail-nth", each, ("iommufd_fail_nth",), options=("--injected",))
for each in WITH_VFIO:
    case("8.vfio", each, MAPPINGS, devices=HOST, options=("--host", "39"))
    shim = Under("10.2", "shim", each)
    title = f"8.vfio-shim-10.2-on-{each}"
    CASES.append((title, "Linux's selftest of DMA mappings in L2, with our books between",
                  nested(title, shim, MAPPINGS[0]), functools.partial(nested_needs, shim, MAPPINGS[0])))
title = f"8.wrong-answers-on-{JUDGES[-1]}"
CASES.append((title, "a changed answer in the record is noticed",
              wrong_answers(title, JUDGES[-1]), functools.partial(needs, JUDGES[-1], ("iommufd",))))
