/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_KERNEL_H
#define IOVAGEOM_KERNEL_H

/**
 * @file
 * Where versions of Linux differ: whose rules are meant. docs/kernels.md says what differs, and
 * which versions were read and which were run.
 */

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The version whose rules a kernel follows; passed as a uint32_t. For a kernel that was not read,
 * or that has rules of several versions, pass ANY.
 */
enum iovageom_linux_rules {
    /** Not known: what holds by the rules of all that were read. */
    IOVAGEOM_LINUX_ANY = 0,
    IOVAGEOM_LINUX_6_1 = 1,
    IOVAGEOM_LINUX_6_12 = 2,
    /** Generic page tables, which came with 6.19. */
    IOVAGEOM_LINUX_7_3 = 3
};

#ifdef __cplusplus
}
#endif
#endif
