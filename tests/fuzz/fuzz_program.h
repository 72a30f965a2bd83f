/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_FUZZ_PROGRAM_H
#define IOVAGEOM_FUZZ_PROGRAM_H

#include <setjmp.h>

#include "../../examples/host-probe/basics.h"
#include "fuzz.h"

/* For a target that calls iovageom-probe's own functions: where that would end, the input does. */
static jmp_buf ended;

/* In place of the program's own (-Wl,--wrap). */
_Noreturn void __wrap_die(int code, const char *format, ...);
void __wrap_warn(const char *format, ...);

_Noreturn void __wrap_die(int code, const char *format, ...)
{
    fuzz_check(code > EXIT_GOOD && code <= EXIT_REFUSED && format != NULL);
    longjmp(ended, 1);
}

void __wrap_warn(const char *format, ...)
{
    (void)format;
}

#endif
