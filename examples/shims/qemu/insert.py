#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Insert our lines into a source tree, by anchors of our own, deleting nothing.

    insert.py TREE OURS RECIPE    copy our files and make the recipe's insertions
    insert.py --undo TREE         give back the tree as it was

A recipe is made of directives, each on a line that starts with "@":

    @copy NAME FOLDER       copy OURS/NAME to TREE/FOLDER/NAME
    @file PATH              the insertions that follow are for TREE/PATH
    @in REGEX               look only inside what starts at this line (a function, a
                            table) and ends at the next line that starts with "}"
    @after REGEX            put the lines below after the line that matches
    @before REGEX           put the lines below before the line that matches
    @first REGEX            as @after, but the first of several matches will do
    @start                  put the lines below after the scope's declarations: after the
                            first blank line that follows its opening brace
    @open                   put the lines below right after the scope's opening brace
    @end                    put the lines below at the end of the file, or of the scope

An anchor that is found no time, or more than once, is an error: a source which changed
must be looked at, not guessed about. Files keep their time stamps when nothing changes.
"""
import os
import re
import shutil
import sys

KEPT = ".before-iovageom"


def write_if_changed(path, text):
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    print("wrote", path)


def originals(tree):
    for folder, _, names in os.walk(tree):
        for name in names:
            if name.endswith(KEPT):
                yield os.path.join(folder, name)


def read_original(path):
    if not os.path.exists(path + KEPT):
        shutil.copy2(path, path + KEPT)
    with open(path + KEPT, encoding="utf-8") as file:
        return file.read().split("\n")


def undo(tree, keep=()):
    """Give back the files that an earlier recipe changed, but for those in `keep`."""
    for kept in originals(tree):
        path = kept[: -len(KEPT)]
        if path not in keep:
            with open(kept, encoding="utf-8") as file:
                write_if_changed(path, file.read())


class Recipe:
    def __init__(self, tree, ours):
        self.tree = tree
        self.ours = ours
        self.path = None
        self.lines = []
        self.scope = None
        self.insertions = {}  # position in the original -> our lines
        self.changed = set()

    def fail(self, message):
        sys.exit(f"insert.py: {self.path}: {message}")

    def find(self, regex, low, high, several=False):
        found = [i for i in range(low, high) if re.search(regex, self.lines[i])]
        if not found or (len(found) > 1 and not several):
            self.fail(f"/{regex}/ found {len(found)} times")
        return found[0]

    def bounds(self):
        return self.scope or (0, len(self.lines))

    def close_file(self):
        if self.path is None:
            return
        out = []
        for number, line in enumerate(self.lines + [None]):
            out += self.insertions.get(number, [])
            if line is not None:
                out.append(line)
        write_if_changed(os.path.join(self.tree, self.path), "\n".join(out))
        self.changed.add(os.path.join(self.tree, self.path))
        self.path = None

    def open_file(self, path):
        self.close_file()
        self.path = path
        self.scope = None
        self.insertions = {}
        self.lines = read_original(os.path.join(self.tree, path))

    def open_scope(self, regex):
        start = self.find(regex, 0, len(self.lines))
        end = next((i for i in range(start + 1, len(self.lines)) if self.lines[i][:1] == "}"), None)
        if end is None:
            self.fail(f"no end of /{regex}/")
        self.scope = (start, end)

    def place(self, verb, argument):
        low, high = self.bounds()
        if verb == "after":
            return self.find(argument, low, high) + 1
        if verb == "first":
            return self.find(argument, low, high, several=True) + 1
        if verb == "before":
            return self.find(argument, low, high)
        if verb == "end":
            return high
        brace = self.find(r"\{$", low, high, several=True)
        if verb == "open":
            return brace + 1
        return self.find(r"^$", brace, high, several=True) + 1

    def directive(self, verb, argument):
        """Carry out a directive; return the place which takes the lines that follow."""
        if verb == "copy":
            name, folder = argument.split()
            with open(os.path.join(self.ours, name), encoding="utf-8") as file:
                write_if_changed(os.path.join(self.tree, folder, name), file.read())
        elif verb == "file":
            self.open_file(argument)
        elif verb == "in":
            self.open_scope(argument)
        elif verb in ("after", "before", "first", "start", "open", "end"):
            return self.place(verb, argument)
        else:
            self.fail(f"unknown directive @{verb}")
        return None

    def run(self, text):
        place = None
        for line in text.split("\n"):
            if line.startswith("@"):
                verb, _, argument = line[1:].partition(" ")
                place = self.directive(verb, argument)
            elif place is not None:
                self.insertions.setdefault(place, []).append(line)
            elif line and not line.startswith("#"):
                self.fail(f"stray line in the recipe: {line}")
        self.close_file()


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "--undo":
        undo(arguments[1])
        return
    if len(arguments) != 3:
        sys.exit(__doc__)
    tree, ours, path = arguments
    with open(path, encoding="utf-8") as file:
        recipe = Recipe(tree, ours)
        recipe.run(file.read().rstrip("\n"))
    undo(tree, keep=recipe.changed)


main(sys.argv[1:])
