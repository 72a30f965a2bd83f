#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Turns the JSON of bench/run into a summary, a table for docs/performance.md, and a chart.

    report.py summary RESULTS.json
    report.py docs RESULTS.json DOCS_DIRECTORY [TEXT_SIZE]
"""

import json
import math
import sys

SIZES = [8, 64, 1000, 64000, 1000000]
SIZE_NAMES = {8: "8", 64: "64", 1000: "1k", 64000: "64k", 1000000: "1M"}
# What we want to reach against the best peer of a row.
GOALS = {
    "lookup": [4, 4, 4, 3, 2],
    "lookup_batch": [3, 3, 3, 5, 10],
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
    "lookup_batch": "lookup, batch of 16",
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


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "summary":
        summary(Results(sys.argv[2]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
