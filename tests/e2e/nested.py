# SPDX-License-Identifier: BSD-3-Clause
"""Cases 3, 4, 5 and 6: a guest in a guest, and two real (emulated) devices passed through.

L0 is Debian's QEMU 7.2 with an emulated VT-d. L1 runs the QEMU under test, whose
virtio-iommu stands between L2 and the devices: what L2's kernel is told, what it then
does, and what L1's IOMMU makes of it.
"""
import functools
import json
import os
import random
import subprocess

import l1
from l1 import Under, boot_l1, guest
from machine import PATIENCE, Answer, CaseError, Checks, Scratch, kernel, once, shell, userland
from versions import DRIVER_PAIRS, PAIRS

TOP = 2**64 - 1
MSI = (0xFEE00000, 0xFEEFFFFF)
# what QEMU 7.2 to 10.2 say when the host refuses a map that they promised to the guest
COMPLAINT = r"dma_map\(.*\) = -22"


def nest(name, *how, **more):
    """One boot of L0, L1 and L2; cases that look at the same boot share it."""
    return once(repr((how, sorted(more.items()))), lambda: nest_once(name, *how, **more))


COLD = {"driver": "vfio-pci", "host": "@cold@", "bus": "rp1", "id": "coldev"}
HOT = {"driver": "vfio-pci", "host": "@hot@", "bus": "rp2", "id": "hotdev"}


def arguments(device):
    """A device as words for the command line."""
    rest = ",".join(f"{key}={value}" for key, value in device.items() if key != "driver")
    return ["-device", f"{device['driver']},{rest}"]


def nest_once(name, under, what, bits, port="pcie-root-port", viommu="", l2=(),
              cold=(COLD,), hot=(HOT,), wrong=False):
    """@cold@ and @hot@ stand for the addresses of the two devices; `hot` are plugged over QMP."""
    inner_machine = ["-device", "virtio-iommu-pci" + viommu]
    for number in (1, 2):
        inner_machine += ["-device", f"{port},id=rp{number},chassis={number},slot={number}"]
    for each in cold:
        inner_machine += arguments(each)
    words = [
        "vfio_iommu_type1.allow_unsafe_interrupts=1 iommufd.allow_unsafe_interrupts=1",
        f"e2e.patience={PATIENCE}",
        "iommu.forcedac=1" if what == "rng" else "",
        *l2,
    ]
    with Scratch() as scratch:
        script = "l2-vfio.sh" if what == "edu" else "l2-rng.sh"
        inner = scratch.pack({"case.sh": guest(script)}, "l2")
        files = {
            "case.sh": guest("l1-nested.sh"),
            "l2/initrd": scratch.join(userland(), inner, to="l2.cpio"),
            "l2/bzImage": kernel(under.linux),
            "args": scratch.write("args", "\n".join(inner_machine)),
            "plugs": scratch.write(
                "plugs", "".join(f"plug{n} {json.dumps(p)}\n" for n, p in enumerate(hot, 1))
            ),
        }
        if wrong:
            tool = shell("build_tool", "probe-feed")
            for endpoint in ("100", "200"):
                command = [tool, "host", str(bits), scratch.path, endpoint, "wrong"]
                subprocess.run(command, check=True)
                files["feed/" + endpoint] = os.path.join(scratch.path, endpoint)
        spoken = "e2e.l2=" + ";".join(words).replace(" ", ";")
        return boot_l1(name, under, scratch, files, what, bits, [spoken])


def regions(answer: Answer, address):
    """What L2's kernel shows in reserved_regions, doubles removed: at 2^64-1 it fails to merge."""
    return sorted(
        {(int(r[1], 16), int(r[2], 16), r[3]) for r in answer.said("L2", "resv") if r[0] == address}
    )


def addresses(answer):
    return {word: address for word, address in answer.said("L2", "device")}


def maps(answer, address):
    return {m[1]: " ".join(m[2:]) for m in answer.said("L2", "map") if m[0] == address}


OUTSIDE = {39: "0x8000000000", 48: "0x1000000000000"}


def plugged(answer, tag="plug1"):
    """QMP's answer to a device_add: "" when it went well, else the sentence."""
    for line in answer.lines["QMP"]:
        if f'"{tag}"' in line:
            return json.loads(line).get("error", {}).get("desc", "")
    return None


def rfc_stock72(name, under, bits):
    """The bug of the RFC: L2 is told nothing, and its map beyond the aperture looks fine."""

    def run():
        answer = nest(name, under, "edu", bits, l2=[f"e2e.outside={OUTSIDE[bits]}"])
        check = Checks(answer)
        check.equal(sorted(addresses(answer)), ["cold", "hot"], "devices seen in L2")
        for word, address in addresses(answer).items():
            check.equal(regions(answer, address), [(*MSI, "msi")], f"L2 was told ({word})")
            check.equal(maps(answer, address), {OUTSIDE[bits]: "ok"}, f"maps in L2 ({word})")
        check.that(answer.seen("QEMU", COMPLAINT), "L1's QEMU did not complain of a map")
        check.verdict()
        return ["the map returns 0 in L2 and fails in L1"]

    return run


def edus(name, under, bits):
    """The boot with two edu devices that cases 3 and 6 look at."""
    chooser = random.Random(os.environ.get("IOVAGEOM_SEED", "1"))
    some = [f"{chooser.randrange(0x100000, 2**(bits - 12)) << 12:#x}" for _ in range(8)]
    return nest(
        name, under, "edu", bits,
        viommu=",aw-bits=64",
        l2=[f"e2e.outside={OUTSIDE[bits]}", "e2e.iovas=" + ",".join(some)],
    )


def told(name, under, bits):
    """L2 knows the host's geometry, cold and hot, and can't map beyond it."""

    def run():
        answer = edus(name, under, bits)
        check = Checks(answer)
        check.equal(sorted(addresses(answer)), ["cold", "hot"], "devices seen in L2")
        wanted = [(*MSI, "msi"), (2**bits, TOP, "reserved")]
        for word, address in addresses(answer).items():
            check.equal(regions(answer, address), wanted, f"L2 was told ({word})")
            check.equal(
                maps(answer, address), {OUTSIDE[bits]: "Invalid argument"}, f"maps in L2 ({word})"
            )
        check.equal(answer.seen("QEMU", COMPLAINT), [], "complaints of L1's QEMU")
        check.verdict()
        return [f"both devices: {bits} bits and the MSI window"]

    return run


def wrong_byte(name, under):
    """The test of the test: a byte of the PROBE answer is wrong, and it is noticed."""

    def run():
        answer = nest(
            name, under, "edu", 39, viommu=",aw-bits=64", wrong=True,
            l2=[f"e2e.outside={OUTSIDE[39]}"],
        )
        wanted = [(*MSI, "msi"), (2**39, TOP, "reserved")]
        seen = {word: regions(answer, where) for word, where in addresses(answer).items()}
        if sorted(seen) != ["cold", "hot"] or wanted in seen.values():
            raise CaseError(f"L2 was told {seen}", answer.log)
        return [f"L2 was told {[(hex(s), hex(l), t) for s, l, t in seen['cold']]}"]

    return run


def moved(name, under, bits):
    """The edu device moves bytes at the lowest, the highest and random usable addresses."""

    def run():
        answer = edus(name, under, bits)
        check = Checks(answer)
        total = 0
        for word, address in addresses(answer).items():
            transfers = {m[1]: " ".join(m[2:]) for m in answer.said("L2", "dma") if m[0] == address}
            total += len(transfers)
            check.that(len(transfers) >= 12, f"only {len(transfers)} transfers ({word})")
            for iova, verdict in transfers.items():
                check.equal(verdict, "ok", f"DMA at {iova} ({word})")
        check.that(total >= 24, f"{total} transfers, not 24")
        check.verdict()
        return [f"{total} round trips"]

    return run


def driver(name, under, port, alive, viommu=""):
    """virtio_rng of L2's kernel: the bytes arrive, or its DMA dies at the top of the space."""

    def run():
        aw = "" if (under.qemu, under.kind) == ("7.2", "stock") else ",aw-bits=64"
        answer = nest(
            name, under, "rng", 39, port=port, viommu=aw + viommu,
            l2=[f"e2e.readwait={30 if alive else 6}"],
        )
        check = Checks(answer)
        got = {word: count for word, count in answer.said("L2", "bytes")}
        if alive:
            check.equal(got, {"cold": "16", "hot": "16"}, "bytes in L2")
            check.equal(answer.seen("QEMU", COMPLAINT), [], "complaints of L1's QEMU")
        else:
            check.equal(got.get("cold"), "none", "bytes of the cold-plugged device in L2")
            check.that(answer.seen("QEMU", COMPLAINT), "L1's QEMU did not complain of a map")
        # "group WORD ADDRESS...": the word, and the port only where the group is shared
        sizes = {len(group) - 1 for group in answer.said("L2", "group")}
        check.equal(sizes, {2 if port == "ioh3420" else 1}, "devices in L2's IOMMU groups")
        check.verdict()
        return [f"bytes: {got}"]

    return run


def refused(name, under):
    """No envelope, a port without ACS: the hot-plug is refused, twice alike, and nothing else stirs."""

    def run():
        answer = nest(
            name, under, "edu", 39,
            port="ioh3420", viommu=",aw-bits=64", hot=(HOT, HOT),
            l2=["e2e.hotwait=4", "e2e.hold=4"],
        )
        check = Checks(answer)
        first, second = plugged(answer), plugged(answer, "plug2")
        check.that(first, "the plug was not refused")
        check.equal(second, first, "the second refusal")
        check.that("promise" in (first or ""), f"the sentence is {first!r}")
        check.that("0x8000000000" in (first or ""), f"the sentence is {first!r}")
        check.equal([h[1] for h in answer.said("L2", "hold")], ["ok"], "DMA of the other device")
        check.that(answer.seen("L2", "^E2E no-hot"), "L2 saw a second device")
        check.that(answer.seen("L2", "^E2E end"), "L2 did not go on to its end")
        check.verdict()
        return [first]

    return run


def refused_stock(name, under):
    """Q2: stock 10.0 refuses for a frozen granule, and remembers the device that it refused."""

    def run():
        answer = nest(
            name, under, "edu", 39,
            viommu=",aw-bits=64,granule=64k", cold=(), hot=(HOT, HOT),
            l2=["e2e.hotwait=2"],
        )
        check = Checks(answer)
        check.that("granule" in (plugged(answer) or ""), f"first refusal: {plugged(answer)!r}")
        check.that(
            "aliased BDF" in (plugged(answer, "plug2") or ""),
            f"second refusal: {plugged(answer, 'plug2')!r}",
        )
        check.verdict()
        return [plugged(answer), plugged(answer, "plug2")]

    return run


def many_windows(name, under):
    """Q1: thirty windows and a width are more than 512 bytes of PROBE; the guest is told them all."""

    def run():
        windows = [(0x100000000 + n * 0x1000000, 0x100000FFF + n * 0x1000000) for n in range(30)]
        text = "+".join(f"{start:x}-{last:x}" for start, last in windows)
        answer = nest(
            name, under, "edu", 39,
            port="ioh3420", viommu=f",aw-bits=64,iovageom-envelope=@hot@+{text}",
            l2=[f"e2e.outside={OUTSIDE[39]},{windows[7][0]:#x}"],
        )
        check = Checks(answer)
        check.equal(sorted(addresses(answer)), ["cold", "hot"], "devices seen in L2")
        wanted = [(*MSI, "msi"), *((*w, "reserved") for w in windows), (2**39, TOP, "reserved")]
        # the port of the cold-plugged device has no empty slot, so no envelope
        bare = [wanted[0], wanted[-1]]
        for word, address in addresses(answer).items():
            check.equal(
                regions(answer, address), wanted if word == "hot" else bare, f"L2 was told ({word})"
            )
            inside = maps(answer, address).get(f"{windows[7][0]:#x}")
            check.equal(inside, "Invalid argument" if word == "hot" else "ok", f"map ({word})")
        check.verdict()
        return [f"{len(wanted)} regions, {24 * len(wanted)} bytes"]

    return run


def functions(name, under):
    """A slot with two functions, plugged as Linux and QEMU want it: function 0 comes last."""

    def run():
        slot = {"driver": "vfio-pci", "bus": "rp2"}
        answer = nest(
            name, under, "edu", 39,
            port="ioh3420", viommu=",aw-bits=64,iovageom-envelope=@hot@", cold=(),
            hot=(
                {**slot, "host": "@cold@", "id": "second", "addr": "0.1"},
                {**slot, "host": "@hot@", "id": "first", "addr": "0.0", "multifunction": True},
            ),
            l2=[f"e2e.outside={OUTSIDE[39]}"],
        )
        check = Checks(answer)
        check.equal([plugged(answer, tag) for tag in ("plug1", "plug2")], ["", ""], "refusals")
        where = sorted(address for _, address in answer.said("L2", "device"))
        check.equal([address[-4:] for address in where], ["00.0", "00.1"], "devices seen in L2")
        wanted = [(*MSI, "msi"), (2**39, TOP, "reserved")]
        for address in where:
            check.equal(regions(answer, address), wanted, f"L2 was told ({address})")
            check.equal(
                maps(answer, address), {OUTSIDE[39]: "Invalid argument"}, f"maps in L2 ({address})"
            )
            good = [m for m in answer.said("L2", "dma") if m[0] == address and m[2:] == ["ok"]]
            check.equal(len(good), 4, f"DMA round trips ({address})")
        check.verdict()
        return [f"{' and '.join(where)}: both are told"]

    return run


def aliased(name, under, refusal):
    """Q3: two devices behind one PCIe-to-PCI bridge, whose DMA shows as the same endpoint."""

    def run():
        bridge = {"driver": "pcie-pci-bridge", "bus": "rp1", "id": "br1"}
        answer = nest(
            name, under, "edu", 39,
            viommu=",aw-bits=64",
            cold=(bridge, {**COLD, "bus": "br1", "addr": "1"}),
            hot=({**HOT, "bus": "br1", "addr": "2"}, {**HOT, "bus": "br1", "addr": "2"}),
            l2=["e2e.hotwait=2"],
        )
        check = Checks(answer)
        first = plugged(answer)
        if refusal:
            check.that(refusal in (first or ""), f"QEMU's answer: {first!r}")
        else:
            check.equal(first, "", "QEMU's answer")
            second = plugged(answer, "plug2")
            check.that("uplicate" in (second or ""), f"the same id once more: {second!r}")
        # QEMU's virtio-iommu knows such a device by its alias only, Linux asks for its own number
        dead = answer.seen("L2", "^dmesg vfio-pci .* failed with error -22")
        check.equal(len(dead), 1 if refusal else 2, "devices for which L2's PROBE has no answer")
        check.that(answer.seen("L2", "^E2E end"), "L2 did not go on to its end")
        check.verdict()
        return [
            first or "both devices are plugged",
            "no QEMU answers L2's PROBE for a device behind such a bridge, so it can't be used there",
        ]

    return run


CASES = []


def needs(under):
    l1.needs(under)
    if under.kind == "feed":
        shell("build_tool", "probe-feed")


def case(name, compared, make, under, *rest, **more):
    name += "-on-" + under.linux
    run = make(name, under, *rest, **more)
    CASES.append((name, compared, run, functools.partial(needs, under)))


def stock_cases(qemu, linux):
    """What stock QEMU gets wrong, seen before the shim gets it right."""
    stock = Under(qemu, "stock", linux)
    if qemu == "7.2":
        for width in (39, 48):
            case(f"3.stock-7.2-{width}bit", "the RFC's bug stands in stock 7.2",
                 rfc_stock72, stock, width)
        return
    case(f"3.stock-{qemu}-39bit", f"stock {qemu} tells L2 the host's width", told, stock, 39)
    case(f"3.stock-{qemu}-refused-twice", f"Q2 stands in stock {qemu}", refused_stock, stock)
    case(f"3.stock-{qemu}-alias", f"Q3 stands in stock {qemu}: two devices behind a bridge to PCI",
         aliased, stock, "aliased BDF")
    case(f"3.shim-{qemu}-alias", "Q3: with the shim both are plugged",
         aliased, Under(qemu, "shim", linux), "")


def shim_cases(qemu, linux):
    shim = Under(qemu, "shim", linux)
    case(f"3.shim-{qemu}-functions", "two functions, hot-plugged, are told the same",
         functions, shim)
    for width in (39, 48):
        case(f"3.shim-{qemu}-{width}bit", "L2 is told the host's geometry, cold and hot",
             told, shim, width)
    case(f"3.shim-{qemu}-many-windows", "Q1: more windows than 512 bytes hold", many_windows, shim)


def driver_cases(qemu, linux):
    stock, shim = Under(qemu, "stock", linux), Under(qemu, "shim", linux)
    if qemu == "7.2":
        case("4.stock-7.2-root-port", "L2's own driver dies on stock 7.2",
             driver, stock, "pcie-root-port", False)
    else:
        case(f"4.stock-{qemu}-root-port", f"L2's own driver lives on stock {qemu}",
             driver, stock, "pcie-root-port", True)
        case(f"4.stock-{qemu}-ioh3420",
             f"L2's own driver dies on stock {qemu} in a shared guest group",
             driver, stock, "ioh3420", False)
    case(f"4.shim-{qemu}-root-port", "with the shim the bytes arrive, cold and hot",
         driver, shim, "pcie-root-port", True)
    case(f"4.shim-{qemu}-ioh3420", "so they do in a shared guest group",
         driver, shim, "ioh3420", True, viommu=",iovageom-envelope=@hot@")


for pair in PAIRS:
    stock_cases(*pair)
    shim_cases(*pair)
case("3.wrong-byte", "a wrong byte in the PROBE answer is noticed in L2",
     wrong_byte, Under("10.0", "feed", "6.12"))
for pair in DRIVER_PAIRS:
    driver_cases(*pair)
for qemu, linux in PAIRS:
    case(f"5.shim-{qemu}", "a plug is refused with a sentence; the VM and its DMA go on",
         refused, Under(qemu, "shim", linux))
# last, for they look at boots of 3
for qemu, linux in PAIRS:
    for width in (39, 48):
        case(f"6.shim-{qemu}-{width}bit",
             "bytes arrive at the lowest, highest and random addresses",
             moved, Under(qemu, "shim", linux), width)
