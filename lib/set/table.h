/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_TABLE_H
#define IOVAGEOM_LIB_TABLE_H

#include "itree.h"

/*
 * A table from numbers to objects, ascending by number: a tree of ranges of one address each, whose
 * value is the pointer. The table doesn't own the objects.
 */
struct iovageom_table {
    struct iovageom_itree tree;
    uint64_t inline_values[IOVAGEOM_ITREE_INLINE]; /* of the tree: they must follow it */
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
 * The same for a range of numbers that overlaps no other, and a value. IOVAGEOM_ERR_OVERLAP,
 * IOVAGEOM_ERR_NO_MEMORY.
 */
int iovageom_table_put_range(struct iovageom_table *table, struct iovageom_range range,
                             uint64_t value);
/* Does nothing when there is none with that number. Never fails. */
void iovageom_table_drop(struct iovageom_table *table, uint64_t key);

#endif
