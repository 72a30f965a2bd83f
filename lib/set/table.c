/* SPDX-License-Identifier: BSD-3-Clause */
#include "table.h"

#include <iovageom/status.h>

int iovageom_table_init(struct iovageom_table *table, const struct iovageom_allocator *allocator)
{
    return iovageom_itree_init(&table->tree, 1, allocator);
}

void iovageom_table_deinit(struct iovageom_table *table)
{
    iovageom_itree_clear(&table->tree);
}

size_t iovageom_table_count(const struct iovageom_table *table)
{
    return table->tree.count;
}

void *iovageom_table_from(const struct iovageom_table *table, uint64_t key)
{
    struct iovageom_itree_entry entry = iovageom_itree_find(&table->tree, key);

    return entry.range ? (void *)(uintptr_t)*entry.values : NULL;
}

/* Only the first number of a range that put_range() has put in is found here. */
void *iovageom_table_at(const struct iovageom_table *table, uint64_t key)
{
    struct iovageom_itree_entry entry = iovageom_itree_find(&table->tree, key);

    return entry.range && entry.range->start == key ? (void *)(uintptr_t)*entry.values : NULL;
}

int iovageom_table_put_range(struct iovageom_table *table, struct iovageom_range range,
                             uint64_t value)
{
    struct iovageom_itree_path path;
    struct iovageom_itree_entry entry = iovageom_itree_seek(&table->tree, range.start, &path);

    if (entry.range && entry.range->start <= range.last)
        return IOVAGEOM_ERR_OVERLAP;
    return iovageom_itree_insert(&table->tree, &path, range, &value);
}

int iovageom_table_put(struct iovageom_table *table, uint64_t key, void *object)
{
    return iovageom_table_put_range(table, (struct iovageom_range){key, key}, (uintptr_t)object);
}

void iovageom_table_drop(struct iovageom_table *table, uint64_t key)
{
    (void)iovageom_itree_erase(&table->tree, (struct iovageom_range){key, key});
}
