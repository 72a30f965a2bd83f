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
    struct iovageom_shortcuts *shortcuts;          /* or NULL */
};

/*
 * Each request of a guest and each access of a device begins with a number. For their tables there
 * is a small array besides, in which a hash of the number finds those that were put in last. Only
 * putting in and taking out change it, so that readers may run at once.
 */
enum { IOVAGEOM_SHORTCUT_BITS = 8, IOVAGEOM_SHORTCUTS = 256 }; /* 2 to the power of that */

struct iovageom_shortcuts {
    struct iovageom_shortcut {
        uint64_t key; /* while it is not in use, one that another shortcut is for */
        void *object;
    } list[IOVAGEOM_SHORTCUTS];
};

int iovageom_table_init(struct iovageom_table *table, const struct iovageom_allocator *allocator);
void iovageom_table_deinit(struct iovageom_table *table);
/* Gives shortcuts to an empty table. They live as long as the table, in memory of the caller's. */
void iovageom_table_shorten(struct iovageom_table *table, struct iovageom_shortcuts *shortcuts);
size_t iovageom_table_count(const struct iovageom_table *table);
/* The object with that number; NULL when there is none. O(log n). */
void *iovageom_table_at(const struct iovageom_table *table, uint64_t key);
/* The object with the lowest number from `key` up; NULL when there is none. O(log n). */
void *iovageom_table_from(const struct iovageom_table *table, uint64_t key);
/* IOVAGEOM_ERR_OVERLAP: there is one with that number. IOVAGEOM_ERR_NO_MEMORY. */
int iovageom_table_put(struct iovageom_table *table, uint64_t key, void *object);
/* Does nothing when there is none with that number. Never fails. */
void iovageom_table_drop(struct iovageom_table *table, uint64_t key);

/* Numbers that follow one another, and those that differ in high bits only, as the bus of a PCI
 * device, get shortcuts of their own: the multiplier is 2^64 divided by the golden ratio. */
static inline size_t iovageom_shortcut_index(uint64_t key)
{
    return (size_t)(key * 0x9e3779b97f4a7c15U >> (64 - IOVAGEOM_SHORTCUT_BITS));
}

/* Where the object with that number is, if that is known without a search; else NULL, and
 * table_at() may know it. */
static inline const struct iovageom_shortcut *iovageom_shortcut_to(
    const struct iovageom_shortcuts *shortcuts, uint64_t key)
{
    const struct iovageom_shortcut *shortcut = &shortcuts->list[iovageom_shortcut_index(key)];

    return shortcut->key == key ? shortcut : NULL;
}

#endif
