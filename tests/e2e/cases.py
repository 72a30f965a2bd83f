# SPDX-License-Identifier: BSD-3-Clause
"""The cases by name: what each compares, and how."""
import os
import subprocess

import feed
import host
import nested
from machine import kernel

ALL = {}


class Case:
    def __init__(self, name, compared, run):
        self.compared = compared
        self.run = run
        ALL[name] = self


def versions():
    def first_line(*command):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        return done.stdout.splitlines()[0] if done.stdout else "?"

    return {
        "emulator": first_line("qemu-system-x86_64", "--version"),
        "kernel": first_line("file", "-b", kernel()),
        "processors": os.cpu_count(),
    }


for case in host.CASES + feed.CASES + nested.CASES:
    Case(*case)
