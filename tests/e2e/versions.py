# SPDX-License-Identifier: BSD-3-Clause
"""Which kernels and which emulators the cases run with, and together with which.

A version is the beginning of one of Debian's: 10.0 stands for the newest 10.0.N of the archive.
One that the archive hasn't got (any more) is passed over, with a line that says so.
"""

KERNELS = ("6.1", "6.12", "7.3")
NEWEST = KERNELS[-1]
# with a kernel for arm64, which takes as long to build as one for amd64
ARM64 = ("6.12", "7.3")

# Case 3, 5 and 6: an emulator, and the kernel of L1 and L2. Once with each emulator.
PAIRS = (("7.2", "6.12"), ("10.0", "6.12"), ("10.2", "7.3"), ("11.1", "7.3"))
# Case 4, the defect itself, also on what bookworm and trixie have, and with an older one on today's.
DRIVER_PAIRS = (("7.2", "6.1"), *PAIRS, ("10.0", "7.3"), ("10.2", "6.12"), ("10.2", "6.1"))


def number(version):
    """For comparisons: "6.12" comes after "6.6"."""
    return tuple(int(part) for part in version.split("."))
