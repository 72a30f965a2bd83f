/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/pgsize.h>

/* The external definitions of inline functions, for other languages and calls not inlined. */
extern inline bool iovageom_pgsize_is_power(uint64_t value);
extern inline uint64_t iovageom_pgsize_granule(uint64_t mask);
