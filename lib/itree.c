/* SPDX-License-Identifier: BSD-3-Clause */
#include "itree.h"

#include <string.h>

#include <iovageom/status.h>

static struct iovageom_itree_entry entry_at(const struct iovageom_itree *tree, size_t index)
{
    if (index >= tree->count)
        return (struct iovageom_itree_entry){NULL, NULL};
    return (struct iovageom_itree_entry){&tree->ranges[index], tree->values + index * tree->width};
}

/* The tree points into itself while it is small: set right again after it has been moved. */
static void settle(const struct iovageom_itree *constant)
{
    struct iovageom_itree *tree = (struct iovageom_itree *)(uintptr_t)constant;

    if (tree->capacity == IOVAGEOM_ITREE_INLINE) {
        tree->ranges = tree->inline_ranges;
        tree->values = (uint64_t *)(tree + 1);
    }
}

int iovageom_itree_init(struct iovageom_itree *tree, unsigned width,
                        const struct iovageom_allocator *allocator)
{
    if (!allocator)
        allocator = iovageom_allocator_default();
    if (!allocator || !allocator->allocate || !allocator->release)
        return IOVAGEOM_ERR_INVALID;
    memset(tree, 0, sizeof(*tree));
    tree->allocator = *allocator;
    tree->width = width;
    tree->capacity = IOVAGEOM_ITREE_INLINE;
    settle(tree);
    return IOVAGEOM_OK;
}

static size_t bytes(const struct iovageom_itree *tree, size_t capacity)
{
    return capacity * (sizeof(struct iovageom_range) + tree->width * sizeof(uint64_t));
}

static void release(struct iovageom_itree *tree, struct iovageom_range *ranges, size_t capacity)
{
    if (capacity > IOVAGEOM_ITREE_INLINE)
        tree->allocator.release(tree->allocator.context, ranges, bytes(tree, capacity));
}

static int grow(struct iovageom_itree *tree, size_t capacity)
{
    struct iovageom_range *ranges;

    settle(tree);
    if (capacity <= tree->capacity)
        return IOVAGEOM_OK;
    if (capacity < 2 * tree->capacity)
        capacity = 2 * tree->capacity;
    ranges = tree->allocator.allocate(tree->allocator.context, bytes(tree, capacity));
    if (!ranges)
        return IOVAGEOM_ERR_NO_MEMORY;
    memcpy(ranges, tree->ranges, tree->count * sizeof(*ranges));
    memcpy(ranges + capacity, tree->values, tree->count * tree->width * sizeof(uint64_t));
    release(tree, tree->ranges, tree->capacity);
    tree->ranges = ranges;
    tree->values = (uint64_t *)(ranges + capacity);
    tree->capacity = capacity;
    return IOVAGEOM_OK;
}

void iovageom_itree_clear(struct iovageom_itree *tree)
{
    release(tree, tree->ranges, tree->capacity);
    tree->capacity = IOVAGEOM_ITREE_INLINE;
    tree->count = 0;
    tree->changes++;
    settle(tree);
}

void iovageom_itree_swap(struct iovageom_itree *a, struct iovageom_itree *b)
{
    unsigned char *x = (unsigned char *)a;
    unsigned char *y = (unsigned char *)b;
    size_t size = sizeof(*a) + IOVAGEOM_ITREE_INLINE * a->width * sizeof(uint64_t);

    for (size_t i = 0; i < size; i++) {
        unsigned char byte = x[i];

        x[i] = y[i];
        y[i] = byte;
    }
    settle(a);
    settle(b);
}

int iovageom_itree_copy(struct iovageom_itree *tree, const struct iovageom_itree *from)
{
    settle(from);
    if (tree == from)
        return IOVAGEOM_OK;
    if (grow(tree, from->count))
        return IOVAGEOM_ERR_NO_MEMORY;
    memcpy(tree->ranges, from->ranges, from->count * sizeof(*from->ranges));
    memcpy(tree->values, from->values, from->count * from->width * sizeof(uint64_t));
    tree->count = from->count;
    tree->changes++;
    return IOVAGEOM_OK;
}

bool iovageom_itree_equal(const struct iovageom_itree *a, const struct iovageom_itree *b)
{
    settle(a);
    settle(b);
    return a->count == b->count &&
           memcmp(a->ranges, b->ranges, a->count * sizeof(*a->ranges)) == 0 &&
           memcmp(a->values, b->values, a->count * a->width * sizeof(uint64_t)) == 0;
}

size_t iovageom_itree_memory(const struct iovageom_itree *tree)
{
    return tree->capacity > IOVAGEOM_ITREE_INLINE ? bytes(tree, tree->capacity) : 0;
}

struct iovageom_size iovageom_itree_size(const struct iovageom_itree *tree)
{
    struct iovageom_size size = {0, 0};

    settle(tree);
    for (size_t i = 0; i < tree->count; i++)
        size = iovageom_size_add(size, iovageom_range_size(tree->ranges[i]));
    return size;
}

static size_t rank(const struct iovageom_itree *tree, uint64_t address)
{
    size_t low = 0;
    size_t high = tree->count;

    settle(tree);
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (tree->ranges[middle].last < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct iovageom_itree_entry iovageom_itree_find(const struct iovageom_itree *tree, uint64_t address)
{
    return entry_at(tree, rank(tree, address));
}

struct iovageom_itree_entry iovageom_itree_find_below(const struct iovageom_itree *tree,
                                                      uint64_t address, bool end)
{
    return entry_at(tree, (end ? tree->count : rank(tree, address)) - 1);
}

struct iovageom_itree_entry iovageom_itree_find_above(const struct iovageom_itree *tree,
                                                      uint64_t address)
{
    size_t index = rank(tree, address);

    return entry_at(tree, index + (index < tree->count && tree->ranges[index].start <= address));
}

bool iovageom_itree_hull(const struct iovageom_itree *tree, struct iovageom_range *out)
{
    if (tree->count == 0)
        return false;
    settle(tree);
    *out = iovageom_range_hull(tree->ranges[0], tree->ranges[tree->count - 1]);
    return true;
}

void iovageom_itree_lookup_batch(const struct iovageom_itree *tree, const uint64_t *addresses,
                                 size_t count, bool *found, struct iovageom_range *ranges,
                                 uint64_t *values)
{
    for (size_t i = 0; i < count; i++) {
        struct iovageom_itree_entry entry = iovageom_itree_find(tree, addresses[i]);

        found[i] = entry.range && entry.range->start <= addresses[i];
        if (found[i] && ranges)
            ranges[i] = *entry.range;
        if (found[i] && values)
            memcpy(values + i * tree->width, entry.values, tree->width * sizeof(uint64_t));
    }
}

struct iovageom_itree_entry iovageom_itree_seek(const struct iovageom_itree *tree, uint64_t address,
                                                struct iovageom_itree_path *path)
{
    path->index = rank(tree, address);
    return entry_at(tree, path->index);
}

int iovageom_itree_reserve(struct iovageom_itree *tree, unsigned inserts)
{
    return grow(tree, tree->count + inserts);
}

int iovageom_itree_insert(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                          struct iovageom_range range, const uint64_t *values)
{
    size_t behind = tree->count - path->index;
    uint64_t *value;

    if (grow(tree, tree->count + 1))
        return IOVAGEOM_ERR_NO_MEMORY;
    value = tree->values + path->index * tree->width;
    memmove(&tree->ranges[path->index + 1], &tree->ranges[path->index], behind * sizeof(range));
    memmove(value + tree->width, value, behind * tree->width * sizeof(*value));
    tree->ranges[path->index] = range;
    if (tree->width)
        memcpy(value, values, tree->width * sizeof(*value));
    tree->count++;
    tree->changes++;
    return IOVAGEOM_OK;
}

void iovageom_itree_resize(struct iovageom_itree *tree, const struct iovageom_itree_path *path,
                           struct iovageom_range range)
{
    settle(tree);
    tree->ranges[path->index] = range;
    tree->changes++;
}

size_t iovageom_itree_erase(struct iovageom_itree *tree, struct iovageom_range range)
{
    size_t first = rank(tree, range.start);
    size_t end = first;

    while (end < tree->count && tree->ranges[end].start <= range.last)
        end++;
    memmove(&tree->ranges[first], &tree->ranges[end], (tree->count - end) * sizeof(range));
    memmove(tree->values + first * tree->width, tree->values + end * tree->width,
            (tree->count - end) * tree->width * sizeof(uint64_t));
    tree->count -= end - first;
    tree->changes++;
    if (tree->count == 0)
        iovageom_itree_clear(tree);
    return end - first;
}

void iovageom_itree_cursor_init(struct iovageom_itree_cursor *cursor,
                                const struct iovageom_itree *tree, uint64_t address, bool end)
{
    *cursor = (struct iovageom_itree_cursor){tree, 0, address, 0, end, true};
}

struct iovageom_itree_entry iovageom_itree_next(struct iovageom_itree_cursor *cursor)
{
    struct iovageom_itree_entry entry = {NULL, NULL};

    if (!cursor->end)
        entry = iovageom_itree_find(cursor->tree, cursor->address);
    if (entry.range) {
        cursor->end = entry.range->last == IOVAGEOM_ADDRESS_MAX;
        cursor->address = entry.range->last + !cursor->end;
    }
    return entry;
}

struct iovageom_itree_entry iovageom_itree_previous(struct iovageom_itree_cursor *cursor)
{
    size_t index = cursor->end ? cursor->tree->count : rank(cursor->tree, cursor->address);
    struct iovageom_itree_entry entry;

    if (index < cursor->tree->count && cursor->tree->ranges[index].start < cursor->address)
        index++;
    entry = entry_at(cursor->tree, index - 1);
    if (entry.range) {
        cursor->end = false;
        cursor->address = entry.range->start;
    }
    return entry;
}

size_t iovageom_itree_span(struct iovageom_itree_cursor *cursor, struct iovageom_itree_entry *first)
{
    struct iovageom_itree_entry entry = iovageom_itree_next(cursor);

    if (entry.range)
        *first = entry;
    return entry.range ? 1 : 0;
}

void iovageom_itree_build(struct iovageom_itree_builder *builder, struct iovageom_itree *tree)
{
    memset(builder, 0, sizeof(*builder));
    builder->tree = tree;
}

void iovageom_itree_append(struct iovageom_itree_builder *builder, struct iovageom_range range,
                           const uint64_t *values)
{
    const struct iovageom_itree *tree = builder->tree;

    if (builder->count == builder->capacity) {
        size_t capacity = builder->capacity ? 2 * builder->capacity : 2 * IOVAGEOM_ITREE_INLINE;
        struct iovageom_range *ranges =
            tree->allocator.allocate(tree->allocator.context, bytes(tree, capacity));

        builder->failed = builder->failed || !ranges;
        if (!ranges)
            return;
        if (builder->count) {
            memcpy(ranges, builder->ranges, builder->count * sizeof(range));
            memcpy(ranges + capacity, builder->values, builder->count * tree->width * 8u);
            release(builder->tree, builder->ranges, builder->capacity);
        }
        builder->ranges = ranges;
        builder->values = (uint64_t *)(ranges + capacity);
        builder->capacity = capacity;
    }
    builder->ranges[builder->count] = range;
    if (tree->width)
        memcpy(builder->values + builder->count * tree->width, values, tree->width * 8u);
    builder->count++;
}

int iovageom_itree_finish(struct iovageom_itree_builder *builder)
{
    struct iovageom_itree *tree = builder->tree;

    if (builder->failed) {
        release(tree, builder->ranges, builder->capacity);
        return IOVAGEOM_ERR_NO_MEMORY;
    }
    iovageom_itree_clear(tree);
    if (builder->count <= IOVAGEOM_ITREE_INLINE) {
        if (builder->count) {
            memcpy(tree->ranges, builder->ranges, builder->count * sizeof(*tree->ranges));
            memcpy(tree->values, builder->values, builder->count * tree->width * 8u);
        }
        release(tree, builder->ranges, builder->capacity);
    } else {
        tree->ranges = builder->ranges;
        tree->values = builder->values;
        tree->capacity = builder->capacity;
    }
    tree->count = builder->count;
    return IOVAGEOM_OK;
}

bool iovageom_itree_gap_above(const struct iovageom_itree *tree, uint64_t address, uint64_t size,
                              struct iovageom_range *gap)
{
    size_t index = rank(tree, address);

    for (; index <= tree->count; index++) {
        uint64_t start = 0;
        uint64_t last = IOVAGEOM_ADDRESS_MAX;

        if (index > 0) {
            if (tree->ranges[index - 1].last == IOVAGEOM_ADDRESS_MAX)
                return false;
            start = tree->ranges[index - 1].last + 1;
        }
        if (index < tree->count) {
            if (tree->ranges[index].start == start)
                continue;
            last = tree->ranges[index].start - 1;
        }
        if (last >= address && last - start >= size - 1) {
            *gap = (struct iovageom_range){start, last};
            return true;
        }
    }
    return false;
}

bool iovageom_itree_gap_below(const struct iovageom_itree *tree, uint64_t address, uint64_t size,
                              struct iovageom_range *gap)
{
    size_t index = rank(tree, address);

    for (;; index--) {
        uint64_t start = 0;
        uint64_t last = IOVAGEOM_ADDRESS_MAX;

        if (index < tree->count)
            last = tree->ranges[index].start - 1;
        if (index > 0)
            start = tree->ranges[index - 1].last + 1;
        if (!(index < tree->count && tree->ranges[index].start == start) &&
            !(index > 0 && tree->ranges[index - 1].last == IOVAGEOM_ADDRESS_MAX) &&
            start <= address && last - start >= size - 1) {
            *gap = (struct iovageom_range){start, last};
            return true;
        }
        if (index == 0)
            return false;
    }
}

bool iovageom_itree_valid(const struct iovageom_itree *tree)
{
    settle(tree);
    for (size_t i = 0; i < tree->count; i++)
        if (tree->ranges[i].start > tree->ranges[i].last ||
            (i > 0 && tree->ranges[i - 1].last >= tree->ranges[i].start))
            return false;
    return true;
}
