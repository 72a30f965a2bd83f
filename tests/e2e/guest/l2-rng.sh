# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154
# L2: the kernel's own virtio_rng drives the devices; sixteen bytes from each, or a hang.

second_rng() { [ "$(rngs | wc -l)" -eq 2 ]; }

wait_for 10 rngs >/dev/null
first=$(rngs)
inspect_rng cold "$first"
say wants-hot
if wait_for "${hotwait:-40}" second_rng; then
    inspect_rng hot "$(rngs | grep -vx "$first")"
else
    say no-hot
fi
