/* SPDX-License-Identifier: BSD-3-Clause */
#include "table.h"

#include <string.h>

#include <iovageom/status.h>

int iovageom_table_init(struct iovageom_table *table, const struct iovageom_allocator *allocator)
{
    table->shortcuts = NULL;
    return iovageom_itree_init(&table->tree, 1, allocator);
}

void iovageom_table_deinit(struct iovageom_table *table)
{
    iovageom_itree_clear(&table->tree);
}

/* Makes a shortcut lead nowhere. 0 belongs into the first one, 1 into another one. */
static void forget_shortcut(struct iovageom_shortcuts *shortcuts, size_t index)
{
    shortcuts->list[index].key = index == 0;
}

void iovageom_table_shorten(struct iovageom_table *table, struct iovageom_shortcuts *shortcuts)
{
    memset(shortcuts, 0, sizeof(*shortcuts));
    forget_shortcut(shortcuts, 0);
    table->shortcuts = shortcuts;
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

void *iovageom_table_at(const struct iovageom_table *table, uint64_t key)
{
    struct iovageom_itree_entry entry = iovageom_itree_find(&table->tree, key);

    return entry.range && entry.range->start == key ? (void *)(uintptr_t)*entry.values : NULL;
}

int iovageom_table_put(struct iovageom_table *table, uint64_t key, void *object)
{
    const uint64_t value = (uintptr_t)object;
    struct iovageom_itree_path path;
    struct iovageom_itree_entry entry = iovageom_itree_seek(&table->tree, key, &path);
    int status;

    if (entry.range && entry.range->start == key)
        return IOVAGEOM_ERR_OVERLAP;
    status = iovageom_itree_insert(&table->tree, &path, (struct iovageom_range){key, key}, &value);
    if (status == IOVAGEOM_OK && table->shortcuts)
        table->shortcuts->list[iovageom_shortcut_index(key)] =
            (struct iovageom_shortcut){key, object};
    return status;
}

void iovageom_table_drop(struct iovageom_table *table, uint64_t key)
{
    struct iovageom_itree_path path;
    const struct iovageom_itree_entry entry = iovageom_itree_seek(&table->tree, key, &path);

    if (entry.range && entry.range->start == key)
        iovageom_itree_cut(&table->tree, &path, 1);
    if (table->shortcuts && iovageom_shortcut_to(table->shortcuts, key))
        forget_shortcut(table->shortcuts, iovageom_shortcut_index(key));
}
