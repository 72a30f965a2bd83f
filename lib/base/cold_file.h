/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_COLD_FILE_H
#define IOVAGEOM_LIB_COLD_FILE_H

/*
 * For files whose functions are all called seldom: they decode, plan, save or explain. Must be the
 * first header of such a file, because it changes what IOVAGEOM_API means in the headers behind it:
 * all public functions are then declared `cold`. GCC compiles those that the file defines for size,
 * and with them the static functions that only cold functions call.
 */
#include "hints.h"

#if defined(__GNUC__)
#undef IOVAGEOM_API
#define IOVAGEOM_API __attribute__((visibility("default"), cold))
#endif

#endif
