#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Turns the JSON of bench/run into a summary, a table for docs/performance.md, and a chart.

    report.py summary RESULTS.json
    report.py docs RESULTS.json DOCS_DIRECTORY
"""

import json
import math
import sys

SIZES = [8, 64, 1000, 64000, 1000000]
SIZE_NAMES = {8: "8", 64: "64", 1000: "1k", 64000: "64k", 1000000: "1M"}
# What we want to reach against the best peer of a row.
GOALS = {
    "lookup": [4, 4, 4, 3, 2],
    "overlap": [4, 4, 4, 3, 2],
    "insert": [1, 1.5, 2.5, 3, 1.5],
    "churn": [1.5, 2, 4, 3, 1.7],
    "iterate": [4, 4, 4, 3, 2],
    "build_sorted": [10, 10, 10, 10, 10],
    "build_unsorted": [None] * 5,
    "find_hole": [1, 2, 5, 10, 10],
}
NAMES = {
    "lookup": "lookup",
    "overlap": "overlap query",
    "insert": "insert, random order",
    "churn": "erase and insert again",
    "iterate": "iterate",
    "build_sorted": "build from sorted",
    "build_unsorted": "build from unsorted",
    "find_hole": "find a hole",
    "union": "union, arrays",
    "intersection": "intersection, arrays",
    "complement": "complement, arrays",
    "union_tree": "union, sets",
    "intersection_tree": "intersection, sets",
    "complement_tree": "complement, sets",
}
ALGEBRA = ["union", "intersection", "complement", "union_tree", "intersection_tree",
           "complement_tree"]
# Peers that are ourselves in another form, or no competitor but a floor.
NO_RIVAL = {"memcpy", "map", "mappings"}
# What QEMU does today.
QEMU = ("gtree", "glist")


def number(value):
    """Two significant digits up to 10, whole numbers above."""
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


class Results:
    def __init__(self, path):
        with open(path) as file:
            self.data = json.load(file)
        self.rows = {}
        for row in self.data["results"]:
            self.rows.setdefault((row["op"], row["n"]), {})[row["peer"]] = row

    def best(self, op, n, peers=None):
        rows = [row for peer, row in self.rows.get((op, n), {}).items()
                if (peer in peers if peers else peer not in NO_RIVAL)]
        return min(rows, key=lambda row: row["ratio"], default=None)

    def get(self, op, n, peer):
        return self.rows.get((op, n), {}).get(peer)

    def sizes(self):
        return [n for n in SIZES if any(key[1] == n for key in self.rows)]


def summary(results):
    sizes = results.sizes()
    known = list(GOALS) + ALGEBRA
    print("\nRatio to the best peer (goal); above 1 we are faster")
    if any(key[0] in known for key in results.rows):
        print(f"{'':22}" + "".join(f"{SIZE_NAMES[n]:>24}" for n in sizes))
    for op in known:
        if not any(results.best(op, n) for n in sizes):
            continue
        line = f"{op:22}"
        for n in sizes:
            row = results.best(op, n)
            goal = GOALS[op][SIZES.index(n)] if op in GOALS else None
            mark = "" if not row or goal is None or row["ratio"] >= goal else "!"
            text = f"{mark}{number(row['ratio'])} {row['peer']}" if row else "-"
            line += f"{text + (f' ({goal})' if goal else ''):>24}"
        print(line)
    algebra = [op for op in ALGEBRA if any(results.get(op, n, "memcpy") for n in sizes)]
    if algebra:
        print("\nTime of ours / time of memcpy of the inputs")
    for op in algebra:
        line = f"{op:22}"
        for n in sizes:
            row = results.get(op, n, "memcpy")
            line += f"{number(1 / row['ratio']) if row else '-':>24}"
        print(line)
    for (op, n), rows in results.rows.items():
        for row in rows.values() if op not in known else []:
            print(f"{op:16} {n:>8} {number(row['ratio']):>8} {row['peer']:12} "
                  f"ours {row['ours_ns']:.0f} ns")
    if results.data.get("bytes_per_range"):
        print("\nBytes per range:", ", ".join(
        f"{peer} {value:.1f}" for peer, value in
            sorted(results.data["bytes_per_range"].items(), key=lambda item: item[1])))
    for name, reason in results.data.get("missing", {}).items():
        print(f"not measured: {name}: {reason}")


def cell(results, op, n):
    row = results.best(op, n)
    if not row:
        return ""
    goal = GOALS.get(op, [None] * 5)[SIZES.index(n)]
    text = f"{number(row['ratio'])} {row['peer']}"
    if goal is None:
        return text
    return f"{text} ({goal})" if row["ratio"] >= goal else f"*{text}* ({goal})"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def duration(ns):
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= scale:
            return f"{ns / scale:.3g} {unit}"
    return f"{ns:.3g} ns"


JOBS = [
    ("map_unmap", "UNMAP and MAP, a pair, as calls, n live mappings"),
    ("requests", "the same as a guest's bytes, begin to end"),
    ("translate", "translate an access of an endpoint"),
    ("translate_span_1", "translate a span in 1 mapping"),
    ("translate_span_4", "translate a span over 4 mappings"),
    ("translate_span_64", "translate a span over 64 mappings"),
    ("readers", "translate in two threads beside one that serves the guest, under a read lock each time, "
                "per thread"),
    ("unmap_all", "UNMAP of all n mappings at once, each"),
    ("admission", "hot-plug admission against n live mappings, one of n/1000 domains concerned"),
    ("admission_shared", "the same, all domains concerned"),
    ("plug_unplug", "plug and unplug of n endpoints in one group, each"),
    ("probe_bytes", "from VFIO's answer with n ranges to the bytes of a PROBE"),
    ("meet", "meet of n hosts with 8 ranges each, per host"),
    ("meet_distinct", "the same, each host with windows of its own"),
]


def generated(results):
    data = results.data
    meta = data.get("meta", {})
    sizes = results.sizes()
    names = [SIZE_NAMES[n] for n in sizes]
    out = [f"Measured on {meta.get('date', '?')} on {meta.get('cpu', '?')}, "
           f"{meta.get('cores', '?')} cores, with {meta.get('compiler', '?')} `{meta.get('flags')}`"
           + (f", commit {meta['commit']}" if "commit" in meta else "")
           + (", by a quick run" if data.get("quick") else "") + ".\n"]
    if meta.get("older"):
        out.append(f"Put together from several runs of that day: {meta['older']}.\n")
    for name, reason in data.get("missing", {}).items():
        out.append(f"Not measured: {name} ({reason}).\n")
    out.append("![Times faster than the peers, by operation and number of ranges](performance.svg)\n")
    out.append("What a VMM does: time of the peer / our time.\n")
    rows = []
    for op, title in JOBS:
        for n in sorted(key[1] for key in results.rows if key[0] == op):
            peers = results.rows[(op, n)]
            ours = next(iter(peers.values()))["ours_ns"]
            rows.append([title, f"{n:,}", duration(ours),
                         ", ".join(f"{number(row['ratio'])} {name}"
                                   for name, row in sorted(peers.items()))])
    out.append(table(["job", "n", "ours", "peers"], rows))
    out.append("Sets alone: time of the best peer / our time; the goal in brackets, in *italics* where it is "
               "not reached.\n")
    out.append(table(["operation"] + ["n=" + name for name in names],
                     [[NAMES[op]] + [cell(results, op, n) for n in sizes] for op in GOALS]))
    out.append("Against what QEMU does today: time of the better of GTree and GList / our time.\n")
    qemu = [op for op in list(GOALS) + ALGEBRA if any(results.best(op, n, QEMU) for n in sizes)]
    out.append(table(["operation"] + ["n=" + name for name in names],
                     [[NAMES[op]] + [f"{number(row['ratio'])} {row['peer']}" if row else ""
                                     for row in (results.best(op, n, QEMU) for n in sizes)]
                      for op in qemu]))
    largest = sizes[-1]
    out.append(f"Set algebra at n={SIZE_NAMES[largest]} each: our time / that of memcpy of the "
               "inputs, and the peers' times / our time.\n")
    rows = []
    for op in ALGEBRA:
        peer = {name: results.get(op, largest, name)
                for name in ("memcpy", "merge", "croaring", "icl")}
        if not peer["memcpy"]:
            continue
        rows.append([NAMES[op], f"{1 / peer['memcpy']['ratio']:.1f}"] +
                    [number(peer[name]["ratio"]) if peer[name] else ""
                     for name in ("merge", "croaring", "icl")])
    out.append(table(["operation", "ours / memcpy", "textbook merge of arrays", "CRoaring",
                      "boost::icl"], rows))
    for key, what in (("bytes_per_range", "range"), ("bytes_per_mapping", "mapping in the books")):
        if data.get(key):
            out.append(f"Bytes for each {what} at n={SIZE_NAMES[data[key + '_n']]} after random "
                       "insertion, malloc's overhead included: " +
                       ", ".join(f"{name} {value:.1f}" for name, value in
                                 sorted(data[key].items(), key=lambda item: item[1])) + ".\n")
    peers = data.get("peers", {})
    out.append("Peers: " + "; ".join(f"*{name}*: {what}" for name, what in sorted(peers.items()))
               + ".\n")
    return "\n".join(out)


class Chart:
    """Small multiples: how many times faster we are, on a logarithmic scale."""

    OPS = ["lookup", "overlap", "iterate", "find_hole",
           "insert", "churn", "build_sorted", "build_unsorted", "map_unmap", "translate"]
    LINES = [("btreemap", "Rust BTreeMap", ["btreemap"]),
             ("qemu", "QEMU: GTree", ["gtree"]),
             ("best", "best of all peers", None)]
    COLUMNS = 5
    LOW, HIGH = 0.3, 1000
    WIDTH, HEIGHT = 204, 190
    LEFT, TOP, RIGHT, BOTTOM = 46, 30, 6, 26
    MARGIN_TOP = 62

    STYLE = """
    text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
    .title { font-weight: 600; } .head { font-size: 15px; font-weight: 600; }
    .small { font-size: 11px; fill: #59636e; }
    .grid { stroke: #d1d9e0; stroke-width: 1; } .one { stroke: #59636e; stroke-width: 1; }
    .slower { fill: #818b98; fill-opacity: 0.16; }
    .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
    .best { stroke: #0969da; stroke-width: 3; } .best.dot { fill: #0969da; }
    .qemu { stroke: #bc4c00; stroke-dasharray: 6 3; } .qemu.dot { fill: #bc4c00; }
    .btreemap { stroke: #8250df; stroke-dasharray: 2 3; } .btreemap.dot { fill: #8250df; }
    .dot { stroke: none; }
    .goal { stroke: #1f2328; stroke-width: 2; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; } .small { fill: #9198a1; }
      .grid { stroke: #3d444d; } .one { stroke: #9198a1; } .goal { stroke: #f0f6fc; }
      .best { stroke: #4493f8; } .best.dot { fill: #4493f8; }
      .qemu { stroke: #f0883e; } .qemu.dot { fill: #f0883e; }
      .btreemap { stroke: #ab7df8; } .btreemap.dot { fill: #ab7df8; }
    }"""

    def __init__(self, results):
        self.results = results
        self.sizes = results.sizes()
        self.out = []

    def x(self, n):
        span = self.WIDTH - self.LEFT - self.RIGHT
        return self.LEFT + span * (self.sizes.index(n) + 0.5) / len(self.sizes)

    def y(self, ratio):
        ratio = min(max(ratio, self.LOW), self.HIGH)
        part = math.log(ratio / self.LOW) / math.log(self.HIGH / self.LOW)
        return self.HEIGHT - self.BOTTOM - part * (self.HEIGHT - self.TOP - self.BOTTOM)

    def add(self, text):
        self.out.append(text)

    def line(self, kind, peers, op):
        points = [(n, self.results.best(op, n, peers)) for n in self.sizes]
        points = [(self.x(n), self.y(row["ratio"])) for n, row in points if row]
        if not points:
            return
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.add(f'<polyline class="line {kind}" points="{path}"/>')
        for x, y in points:
            self.add(f'<circle class="{kind} dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')

    def panel(self, op, left, top):
        right = self.WIDTH - self.RIGHT
        self.add(f'<g transform="translate({left},{top})">')
        title = dict(JOBS_SHORT, **NAMES)[op]
        self.add(f'<text class="title" x="{self.LEFT}" y="18">{title}</text>')
        self.add(f'<rect class="slower" x="{self.LEFT}" y="{self.y(1):.1f}" '
                 f'width="{right - self.LEFT}" height="{self.y(self.LOW) - self.y(1):.1f}"/>')
        for ratio in (1, 10, 100, 1000):
            y = self.y(ratio)
            self.add(f'<line class="{"one" if ratio == 1 else "grid"}" x1="{self.LEFT}" '
                     f'x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            self.add(f'<text class="small" x="{self.LEFT - 5}" y="{y + 4:.1f}" '
                     f'text-anchor="end">{ratio}x</text>')
        for n in self.sizes:
            self.add(f'<text class="small" x="{self.x(n):.1f}" y="{self.HEIGHT - 10}" '
                     f'text-anchor="middle">{SIZE_NAMES[n]}</text>')
        for kind, _, peers in self.LINES:
            self.line(kind, peers, op)
        for n in self.sizes:
            goal = GOALS.get(op, [None] * 5)[SIZES.index(n)]
            if goal:
                x, y = self.x(n), self.y(goal)
                self.add(f'<line class="goal" x1="{x - 8:.1f}" x2="{x + 8:.1f}" y1="{y:.1f}" '
                         f'y2="{y:.1f}"/>')
        self.add("</g>")

    def legend(self):
        self.add('<text class="head" x="10" y="22">How many times faster than its peers '
                 'libiovageom is, by number of ranges</text>')
        x = 10
        for kind, name, _ in reversed(self.LINES):
            self.add(f'<line class="line {kind}" x1="{x}" x2="{x + 34}" y1="43" y2="43"/>')
            self.add(f'<text x="{x + 41}" y="47">{name}</text>')
            x += 64 + round(6.6 * len(name))
        self.add(f'<line class="goal" x1="{x}" x2="{x + 16}" y1="43" y2="43"/>')
        self.add(f'<text x="{x + 23}" y="47">goal against the best</text>')
        x += 170
        self.add(f'<rect class="slower" x="{x}" y="36" width="24" height="14"/>')
        self.add(f'<text x="{x + 31}" y="47">the peer is faster</text>')

    def svg(self):
        width = self.COLUMNS * self.WIDTH + 10
        height = self.MARGIN_TOP + math.ceil(len(self.OPS) / self.COLUMNS) * self.HEIGHT
        self.add(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
                 f'width="{width}" height="{height}" role="img" '
                 'aria-label="Times faster than the peers, by operation and number of ranges">')
        self.add(f"<style>{self.STYLE}\n</style>")
        self.legend()
        for i, op in enumerate(self.OPS):
            self.panel(op, i % self.COLUMNS * self.WIDTH,
                       self.MARGIN_TOP + i // self.COLUMNS * self.HEIGHT)
        self.add("</svg>")
        return "\n".join(self.out) + "\n"


JOBS_SHORT = {"map_unmap": "MAP and UNMAP", "translate": "translate"}
BEGIN = "<!-- generated by bench/report.py: begin -->"
END = "<!-- generated by bench/report.py: end -->"


def docs(results, directory):
    path = f"{directory}/performance.md"
    with open(path) as file:
        text = file.read()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    with open(path, "w") as file:
        file.write(f"{before}{BEGIN}\n\n{generated(results)}\n{END}{after}")
    with open(f"{directory}/performance.svg", "w") as file:
        file.write(Chart(results).svg())


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "summary":
        summary(Results(sys.argv[2]))
    elif len(sys.argv) == 4 and sys.argv[1] == "docs":
        docs(Results(sys.argv[2]), sys.argv[3])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
