# SPDX-License-Identifier: BSD-3-Clause
"""Case 2: a guest kernel is fed PROBE bytes that the library encoded, and does what we foretold."""
import functools
import os
import subprocess
import time

from machine import HERE, CaseError, Checks, Scratch, boot, emulator, kernel, shell, userland
from versions import KERNELS, NEWEST

ENDPOINTS = 28  # edu devices 00:02.0 to 00:1d.0 of one boot
BOOTS = 8
WIDTHS = (64, 39, 48, 52)


def feeder():
    """The encoder's program, and a QEMU that answers with its bytes."""
    shell("fetch_source", "qemu", "10.0")
    return shell("build_qemu", "10.0", "feed"), shell("build_tool", "probe-feed")


def foretold(text):
    """endpoint -> (regions, ranges) or the word "dead" or "none" (told, but nothing to map)."""
    out = {}
    for line in text.splitlines():
        endpoint, word, *rest = line.split()
        entry = out.setdefault(int(endpoint, 16), {"resv": [], "usable": [], "state": "works"})
        if word in ("dead", "none"):
            entry["state"] = word
        else:
            entry[word].append(tuple(rest))
    return out


def seen(answer):
    out = {}
    for word in ("resv", "usable"):
        for address, *rest in answer.said("L1", word):
            endpoint = int(address[5:7], 16) << 8 | int(address[8:10], 16) << 3
            entry = out.setdefault(endpoint, {"resv": [], "usable": []})
            entry[word].append(tuple(rest if word == "resv" else rest[1:]))
    return out


def one_boot(name, linux, number, seed, wrong):
    qemu, tool = feeder()
    bits = WIDTHS[number % len(WIDTHS)]
    with Scratch() as scratch:
        command = [tool, str(seed * 1000 + number), str(ENDPOINTS), str(bits), scratch.path]
        made = subprocess.run(
            command + (["wrong"] if wrong else []), stdout=subprocess.PIPE, text=True, check=False
        )
        if made.returncode:
            raise CaseError(f"probe-feed fails for seed {seed}")
        image = scratch.join(
            userland(), scratch.pack({"case.sh": f"{HERE}/guest/probed.sh"}, "case"), to="initrd"
        )
        machine = [qemu, "-L", "/usr/share/seabios"]
        machine += ["-L", "/usr/share/qemu", "-accel", "tcg", "-m", "512", "-nodefaults"]
        machine += ["-display", "none", "-no-reboot", "-machine", "q35", "-cpu", "qemu64"]
        machine += ["-device", f"virtio-iommu-pci,addr=0x1,aw-bits={bits},granule=4k"]
        for slot in range(2, 2 + ENDPOINTS):
            machine += ["-device", f"edu,addr={slot:#x}"]
        machine += ["-kernel", kernel(linux), "-initrd", image, "-append"]
        machine += [
            "console=ttyS0 panic=-1 no_timer_check quiet pci=nomsi vfio_iommu_type1.allow_unsafe_interrupts=1"
        ]
        answer = boot(f"{name}-{number}", machine, 200, IOVAGEOM_E2E_PROBE=scratch.path)
    check = Checks(answer)
    got = seen(answer)
    counts = {"works": 0, "dead": 0, "none": 0}
    told_of = foretold(made.stdout)
    check.equal(len(told_of), ENDPOINTS, f"seed {seed}: endpoints that are foretold")
    for endpoint, told in told_of.items():
        counts[told["state"]] += 1
        real = got.get(endpoint, {"resv": [], "usable": []})
        check.equal(real["resv"], told["resv"], f"seed {seed}, endpoint {endpoint:#x}, sysfs")
        check.equal(real["usable"], told["usable"], f"seed {seed}, endpoint {endpoint:#x}, VFIO")
    check.verdict()
    return counts


def guest_side(name, linux, boots=BOOTS, wrong=False):
    def run():
        seed = int(os.environ.get("IOVAGEOM_SEED") or time.time()) % 10**6
        print(f"      {name}: IOVAGEOM_SEED={seed}", flush=True)
        total = {}
        for number in range(boots):
            try:
                for state, count in one_boot(name, linux, number, seed, wrong).items():
                    total[state] = total.get(state, 0) + count
            except CaseError as error:
                if wrong and any("sysfs" in reason for reason in error.reasons):
                    return ["the wrong byte was caught: " + error.reasons[0][:200]]
                raise
        if wrong:
            raise CaseError("the wrong byte was not caught")
        return [f"{sum(total.values())} geometries, seed {seed}: {total}"]

    return run


def needs(linux):
    emulator("")
    kernel(linux)
    userland()
    feeder()


def case(name, compared, linux, **more):
    name += "-on-" + linux
    CASES.append((name, compared, guest_side(name, linux, **more), functools.partial(needs, linux)))


CASES = []
for each in KERNELS:
    case("2.guest", "PROBE bytes: guestview against the kernel's sysfs and VFIO", each)
case("2.wrong-byte", "a wrong byte in the PROBE answer is noticed", NEWEST, boots=1, wrong=True)
