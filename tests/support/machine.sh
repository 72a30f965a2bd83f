# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# For the scripts of the tests, which source it: where they may write, and what this machine can do.
# What it can't do is found out by trying, never by names of systems or packages.

writable() { # folder: made if need be; tried, for root may write where nobody can (a read-only mount)
    mkdir -p "$1" 2>/dev/null && : 2>/dev/null >"$1/.writable" && rm -f "$1/.writable"
}

# Sets and exports IOVAGEOM_BUILD, the folder for all that is built: what the caller gave, or build/
# in the tree, or, where that can't be written, a folder in the user's cache or a temporary one.
choose_build_folder() { # root of the tree
    local folder cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}
    if [ -n "${IOVAGEOM_BUILD-}" ]; then
        writable "$IOVAGEOM_BUILD" ||
            { echo "IOVAGEOM_BUILD=$IOVAGEOM_BUILD can't be written to" >&2; return 1; }
        IOVAGEOM_BUILD=$(cd "$IOVAGEOM_BUILD" && pwd)
    else
        folder=$1/build
        writable "$folder" || folder=$cache/iovageom-build/$(cksum <<<"$1" | cut -d' ' -f1)
        writable "$folder" || folder=$(mktemp -d 2>/dev/null)
        [ -n "$folder" ] || { echo 'no folder to build in: set IOVAGEOM_BUILD' >&2; return 1; }
        IOVAGEOM_BUILD=$folder
    fi
    export IOVAGEOM_BUILD
}

have() { command -v "$1" >/dev/null 2>&1; }

# Programs of another machine: the kernel decides (IA32 emulation, binfmt_misc), not what is
# installed. Sets `runner` to what must stand before such a program: nothing, or the emulator.
# 1: they run in no way; 2: they can't be built.
choose_runner() { # folder, compiler and flags in one word, emulator
    local program=$1/foreign compiler
    read -ra compiler <<<"$2"
    runner=()
    mkdir -p "$1"
    printf '#include <stdio.h>\nint main(void) { return puts("runs") < 0; }\n' >"$program.c"
    "${compiler[@]}" -o "$program" "$program.c" >"$program.log" 2>&1 || return 2
    [ "$("$program" 2>>"$program.log")" != runs ] || return 0
    runner=("$3")
    have "$3" && [ "$("$3" "$program" 2>>"$program.log")" = runs ]
}
