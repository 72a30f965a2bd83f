# SPDX-License-Identifier: BSD-3-Clause
"""The cases by name: what each compares, how, and what must be built before."""
import os
import subprocess
import time
from typing import Callable, NamedTuple

import feed
import firmware
import host
import judge
import migrate
import nested
from machine import HERE, PATIENCE, SLOTS, shell, used


class Case(NamedTuple):
    name: str
    compared: str
    run: Callable
    needs: Callable  # builds into the cache; its time is not the case's


EACH = (host, feed, nested, firmware, judge, migrate)
# In what order the cases are begun, by their numbers: the longest first, so that no processor is idle at
# the end; 6 looks at boots of 3.
ORDER = "972358461"
ALL = {case[0]: Case(*case) for module in EACH for case in module.CASES}


def circumstances():
    """What a table of results was made with."""

    def first_line(*command):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        return done.stdout.splitlines()[0] if done.stdout else "?"

    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "commit": first_line("git", "-C", HERE, "describe", "--always", "--dirty"),
        "emulator": first_line("qemu-system-x86_64", "--version"),
        "under test": [
            first_line(shell("build_qemu", *which), "--version") for which in used("build_l1")
        ],
        "kernels": [first_line("file", "-b", shell("build_kernel", *which))
                    for which in used("build_kernel")],
        "processors": os.cpu_count(),
        "machines at a time": SLOTS,
        "patience": PATIENCE,
        "load": os.getloadavg(),
    }
