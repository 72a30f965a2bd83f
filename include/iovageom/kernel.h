/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_KERNEL_H
#define IOVAGEOM_KERNEL_H

/**
 * @file
 * Rules that differ between versions of Linux: whose are meant. What differs, and which versions
 * were read and which were run, docs/kernels.md says.
 */

#ifdef __cplusplus
extern "C" {
#endif

/**
 * By whose rules a kernel goes, for parameters of the type uint32_t. A kernel that was not read, or
 * one with rules of several, is ANY.
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
