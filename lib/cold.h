/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_COLD_H
#define IOVAGEOM_LIB_COLD_H

#include <iovageom/api.h>

/*
 * Before a function that is seldom called, as one that explains a refusal: it is compiled for size,
 * and what leads to its call is kept out of the way of the rest.
 */
#if defined(__GNUC__)
#define IOVAGEOM_COLD __attribute__((cold, noinline))
#else
#define IOVAGEOM_COLD
#endif

#endif
