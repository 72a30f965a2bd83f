/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_TABLE_H
#define IOVAGEOM_LIB_TABLE_H

#include "itree.h"

/*
 * A sorted table from numbers (the ids of endpoints or domains, say) to objects. It is an interval
 * tree in which each number is a range of one address, with the pointer as its value. The table
 * doesn't own the objects: who puts one in takes it out before freeing it.
 */
struct iovageom_table {
    struct iovageom_itree tree;
    uint64_t inline_values[IOVAGEOM_ITREE_INLINE]; /* of `tree`: must follow it directly */
};

int iovageom_table_init(struct iovageom_table *table, const struct iovageom_allocator *allocator);
void iovageom_table_deinit(struct iovageom_table *table);
size_t iovageom_table_count(const struct iovageom_table *table);
/* The object with that number; NULL when there is none. O(log n). */
void *iovageom_table_at(const struct iovageom_table *table, uint64_t key);
/* The object with the lowest number from `key` up; NULL when there is none. O(log n). */
void *iovageom_table_from(const struct iovageom_table *table, uint64_t key);
/* There must be none with that number. IOVAGEOM_ERR_NO_MEMORY. */
int iovageom_table_put(struct iovageom_table *table, uint64_t key, void *object);
/*
 * Puts in a range of numbers with one value for all of them. The calls above give that value as if
 * it were a pointer. IOVAGEOM_ERR_OVERLAP: one of the numbers is there already.
 * IOVAGEOM_ERR_NO_MEMORY.
 */
int iovageom_table_put_range(struct iovageom_table *table, struct iovageom_range range,
                             uint64_t value);
/* Does nothing when there is none with that number. Never fails. */
void iovageom_table_drop(struct iovageom_table *table, uint64_t key);

#endif
