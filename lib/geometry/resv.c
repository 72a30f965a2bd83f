/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/region.h>

#include <string.h>

#include <iovageom/pgsize.h>
#include <iovageom/status.h>

#include "../set/rangeset_internal.h"
#include "../base/range.h"
#include "../base/array.h"
#include "../base/sort.h"
#include "../base/text.h"
#include "resv.h"

/*
 * All ranges that one owner reserves with one type; never an empty set. It may be moved with
 * memcpy, as a rangeset may: arrays of statements are grown and shifted so.
 */
struct statement {
    uint32_t type; /* an enum iovageom_resv_type */
    struct iovageom_owner owner;
    struct iovageom_rangeset ranges;
};

/*
 * Invariant: statements ascend by type, then owner, and no two have both equal. Of two that
 * overlap, the later one takes precedence (resv.h). The array and the sets are owned, and come from
 * `allocator`, which is a copy.
 */
struct iovageom_resv {
    struct iovageom_allocator allocator;
    struct statement *statements;
    size_t count;
    size_t capacity;
};

bool iovageom_resv_type_forbids(enum iovageom_resv_type type)
{
    return type != IOVAGEOM_RESV_DIRECT_RELAXABLE;
}

const char *iovageom_resv_type_string(enum iovageom_resv_type type)
{
    static const char *const words[] = {"direct-relaxable", "reserved", "software-msi", "direct",
                                        "msi"};

    if (type < IOVAGEOM_RESV_DIRECT_RELAXABLE || type > IOVAGEOM_RESV_MSI)
        return "unknown type";
    return words[type - IOVAGEOM_RESV_DIRECT_RELAXABLE];
}

const char *iovageom_source_string(enum iovageom_source source)
{
    static const char *const words[] = {
        "the VMM",          "VT-d registers", "AMD-Vi registers",  "SMMUv3 registers",
        "RISC-V registers", "VFIO",           "iommufd",           "sysfs",
        "the device",       "the envelope",   "the machine model", "a user option"};

    if ((unsigned)source >= sizeof(words) / sizeof(words[0]))
        return "an unknown source";
    return words[source];
}

int iovageom_owner_init(struct iovageom_owner *owner, enum iovageom_source source, const char *name)
{
    size_t length = iovageom_text_length(name, IOVAGEOM_NAME_SIZE);

    if ((unsigned)source > IOVAGEOM_SOURCE_USER || length == IOVAGEOM_NAME_SIZE)
        return IOVAGEOM_ERR_INVALID;
    memset(owner, 0, sizeof(*owner));
    owner->source = (uint32_t)source;
    memcpy(owner->name, name, length);
    return IOVAGEOM_OK;
}

int iovageom_owner_compare(const struct iovageom_owner *a, const struct iovageom_owner *b)
{
    int difference;

    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    difference = memcmp(a->name, b->name, sizeof(a->name));
    return (difference > 0) - (difference < 0);
}

int iovageom_resv_new(const struct iovageom_allocator *allocator, struct iovageom_resv **out)
{
    struct iovageom_resv *resv;

    allocator = iovageom_allocator_chosen(allocator);
    if (allocator == NULL)
        return IOVAGEOM_ERR_INVALID;
    resv = allocator->allocate(allocator->context, sizeof(*resv));
    if (resv == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    *resv = (struct iovageom_resv){.allocator = *allocator};
    *out = resv;
    return IOVAGEOM_OK;
}

void iovageom_resv_free(struct iovageom_resv *resv)
{
    if (resv == NULL)
        return;
    struct iovageom_allocator allocator = resv->allocator;
    for (size_t i = 0; i < resv->count; i++)
        iovageom_rangeset_deinit(&resv->statements[i].ranges);
    iovageom_array_free(&allocator, resv->statements, resv->capacity, sizeof(*resv->statements));
    allocator.release(allocator.context, resv, sizeof(*resv));
}

/* Room for `capacity` statements. */
static int reserve(struct iovageom_resv *resv, size_t capacity)
{
    struct statement *statements;

    if (capacity <= resv->capacity)
        return IOVAGEOM_OK;
    statements = iovageom_array_moved(&resv->allocator, resv->statements, resv->count,
                                      resv->capacity, capacity, sizeof(*statements));
    if (statements == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    resv->statements = statements;
    resv->capacity = capacity;
    return IOVAGEOM_OK;
}

static int compare_statement(const struct statement *statement, uint32_t type,
                             const struct iovageom_owner *owner)
{
    if (statement->type != type)
        return statement->type < type ? -1 : 1;
    return iovageom_owner_compare(&statement->owner, owner);
}

/* Whether there is such a statement; *index receives its index, or where it would be inserted. */
static bool find_statement(const struct iovageom_resv *resv, uint32_t type,
                           const struct iovageom_owner *owner, size_t *index)
{
    size_t low = 0;
    size_t high = resv->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_statement(&resv->statements[middle], type, owner) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *index = low;
    return low < resv->count && compare_statement(&resv->statements[low], type, owner) == 0;
}

/*
 * Inserts a statement without ranges at `index`, which must be its place in the order. An empty
 * statement breaks the invariant: the caller fills it, or removes it with shut(). The last line
 * can't fail, as initialising a set allocates nothing and the allocator was checked when `resv` was
 * made.
 */
static int open_at(struct iovageom_resv *resv, size_t index, uint32_t type,
                   const struct iovageom_owner *owner)
{
    struct statement *place;
    int status = IOVAGEOM_OK;

    if (resv->count == resv->capacity)
        status = reserve(resv, resv->capacity < 4 ? 4 : resv->capacity * 2);
    if (status < 0)
        return status;
    place = resv->statements + index;
    memmove(place + 1, place, (resv->count - index) * sizeof(*place));
    resv->count++;
    place->type = type;
    place->owner = *owner;
    return iovageom_rangeset_init(&place->ranges, &resv->allocator);
}

/* Removes the statement at `index`. Needs no memory, so it can undo open_at(). */
static void shut(struct iovageom_resv *resv, size_t index)
{
    struct statement *place = resv->statements + index;

    iovageom_rangeset_deinit(&place->ranges);
    resv->count--;
    memmove(place, place + 1, (resv->count - index) * sizeof(*place));
}

int iovageom_resv_add_set(struct iovageom_resv *resv, const struct iovageom_rangeset *ranges,
                          enum iovageom_resv_type type, const struct iovageom_owner *owner)
{
    struct iovageom_owner key = *owner;
    size_t length = iovageom_text_length(owner->name, sizeof(owner->name));
    size_t index;
    int status = IOVAGEOM_OK;

    if (type < IOVAGEOM_RESV_DIRECT_RELAXABLE || type > IOVAGEOM_RESV_MSI ||
        length == sizeof(owner->name))
        return IOVAGEOM_ERR_INVALID;
    /* Owners are compared by all bytes of the name, so those behind the 0 must be 0. */
    memset(key.name + length, 0, sizeof(key.name) - length);
    if (iovageom_rangeset_count(ranges) == 0)
        return IOVAGEOM_OK;

    bool found = find_statement(resv, type, &key, &index);
    if (!found)
        status = open_at(resv, index, type, &key);
    if (status < 0)
        return status;
    struct iovageom_rangeset *set = &resv->statements[index].ranges;
    if (found)
        status = iovageom_rangeset_union(set, set, ranges);
    else
        status = iovageom_rangeset_assign(set, ranges);
    if (status < 0 && !found)
        shut(resv, index);
    return status;
}

int iovageom_resv_add(struct iovageom_resv *resv, struct iovageom_range range,
                      enum iovageom_resv_type type, const struct iovageom_owner *owner)
{
    struct iovageom_rangeset one;
    int status = iovageom_rangeset_init(&one, &resv->allocator);

    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_insert(&one, range);
    if (status == IOVAGEOM_OK)
        status = iovageom_resv_add_set(resv, &one, type, owner);
    iovageom_rangeset_deinit(&one);
    return status;
}

int iovageom_resv_append(struct iovageom_resv *resv, struct iovageom_rangeset *ranges,
                         enum iovageom_resv_type type, const struct iovageom_owner *owner)
{
    int status = IOVAGEOM_OK;

    if (iovageom_rangeset_count(ranges) > 0)
        status = open_at(resv, resv->count, (uint32_t)type, owner);
    if (status == IOVAGEOM_OK && iovageom_rangeset_count(ranges) > 0)
        iovageom_rangeset_swap(&resv->statements[resv->count - 1].ranges, ranges);
    return status;
}

static int compare_statements(const void *a, const void *b)
{
    const struct statement *statement = b;

    return compare_statement(a, statement->type, &statement->owner);
}

int iovageom_resv_settle(struct iovageom_resv *resv)
{
    int status = IOVAGEOM_OK;
    size_t kept = 0;

    iovageom_sort(resv->statements, resv->count, sizeof(*resv->statements), compare_statements);
    for (size_t i = 0; i < resv->count; i++) {
        struct statement *last = kept > 0 ? &resv->statements[kept - 1] : NULL;
        struct statement *next = &resv->statements[i];

        if (last != NULL && compare_statements(last, next) == 0) {
            if (status == IOVAGEOM_OK)
                status = iovageom_rangeset_union(&last->ranges, &last->ranges, &next->ranges);
            iovageom_rangeset_deinit(&next->ranges);
        } else {
            resv->statements[kept++] = *next;
        }
    }
    resv->count = kept;
    return status;
}

const struct iovageom_rangeset *iovageom_resv_said(const struct iovageom_resv *resv,
                                                   enum iovageom_resv_type type,
                                                   const struct iovageom_owner *owner)
{
    size_t index;

    return find_statement(resv, (uint32_t)type, owner, &index) ? &resv->statements[index].ranges
                                                               : NULL;
}

const struct iovageom_allocator *iovageom_resv_allocator(const struct iovageom_resv *resv)
{
    return &resv->allocator;
}

size_t iovageom_resv_statement_count(const struct iovageom_resv *resv)
{
    return resv->count;
}

int iovageom_resv_statement(const struct iovageom_resv *resv, size_t index,
                            enum iovageom_resv_type *type, const struct iovageom_owner **owner,
                            const struct iovageom_rangeset **ranges)
{
    if (index >= resv->count)
        return IOVAGEOM_ERR_NOT_FOUND;
    *type = (enum iovageom_resv_type)resv->statements[index].type;
    *owner = &resv->statements[index].owner;
    *ranges = &resv->statements[index].ranges;
    return IOVAGEOM_OK;
}

const struct iovageom_owner *iovageom_resv_owner(const struct iovageom_resv *resv, size_t index)
{
    return index < resv->count ? &resv->statements[index].owner : NULL;
}

uint32_t iovageom_resv_type_at(const struct iovageom_resv *resv, size_t index)
{
    return index < resv->count ? resv->statements[index].type : 0;
}

/*
 * Appends an entry to `count` others and returns the new count. An entry that touches or overlaps
 * the last one and has its value is joined with it: ranges of one statement can overlap once they
 * are widened to a granule. Entries of different values must not overlap; overlay() cuts them
 * first.
 */
static size_t append_entry(struct iovageom_resv_piece *out, size_t count,
                           struct iovageom_range range, uint64_t value)
{
    if (count > 0 && out[count - 1].value == value &&
        iovageom_range_touches(out[count - 1].range, range)) {
        out[count - 1].range = iovageom_range_hull(out[count - 1].range, range);
        return count;
    }
    out[count] = (struct iovageom_resv_piece){range, value};
    return count + 1;
}

/*
 * Merges two resolved views, both ascending and disjoint: where they overlap, `high` takes
 * precedence and `low` is cut. Each step of the loops passes an entry of one of them, so it is
 * linear. `rest` is what is not yet written of the current entry of `low`. An entry of `high` that
 * reaches the end of `rest` is not written there and then, because it may cover the next entries of
 * `low` as well; it is written when it is passed, or by the last loop.
 */
static size_t overlay(const struct iovageom_resv_piece *low, size_t low_count,
                      const struct iovageom_resv_piece *high, size_t high_count,
                      struct iovageom_resv_piece *out)
{
    size_t count = 0;
    size_t j = 0;

    for (size_t i = 0; i < low_count; i++) {
        struct iovageom_range rest = low[i].range;
        bool more = true;

        while (more && j < high_count && high[j].range.start <= rest.last) {
            struct iovageom_range over = high[j].range;
            struct iovageom_range below;

            if (over.start > rest.start && iovageom_range_below(over, &below)) {
                below.start = rest.start;
                count = append_entry(out, count, below, low[i].value);
            }
            more = over.last < rest.last;
            if (!more) /* nothing is left of this entry of `low` */
                break;
            count = append_entry(out, count, over, high[j++].value);
            if (over.last >= rest.start && iovageom_range_above(over, &over))
                rest.start = over.start;
        }
        if (more)
            count = append_entry(out, count, rest, low[i].value);
    }
    for (; j < high_count; j++)
        count = append_entry(out, count, high[j].range, high[j].value);
    return count;
}

/*
 * Resolves statements `first` to `end` - 1 into `out` and returns the number of entries: a merge
 * sort, whose merge is overlay(). Ranges are widened to the granule first, so that precedence is
 * decided for whole granules.
 *
 * Each entry starts where one of their n ranges starts, or just above where one ends. So there are
 * 2 n entries at most, and `out` and `scratch` have room for 2 n each. The two swap roles at each
 * level: both halves are resolved into `scratch`, one behind the other, while `out` holds nothing
 * yet and serves as their scratch. The recursion is log2(statements) deep.
 */
static size_t resolve(const struct iovageom_resv *resv, uint64_t granule, size_t first, size_t end,
                      struct iovageom_resv_piece *out, struct iovageom_resv_piece *scratch)
{
    size_t middle = first + (end - first) / 2;
    size_t count = 0;

    if (end - first == 1) {
        struct iovageom_rangeset_cursor cursor;
        struct iovageom_range range;

        iovageom_rangeset_seek(&resv->statements[first].ranges, 0, &cursor);
        while (iovageom_rangeset_next(&cursor, &range))
            count = append_entry(out, count, iovageom_range_align_outward(range, granule), first);
        return count;
    }
    size_t low = resolve(resv, granule, first, middle, scratch, out);
    size_t high = resolve(resv, granule, middle, end, scratch + low, out);
    return overlay(scratch, low, scratch + low, high, out);
}

int iovageom_resv_view(const struct iovageom_resv *resv, uint64_t granule,
                       struct iovageom_resv_view *view)
{
    size_t ranges = 0;
    size_t half = sizeof(view->few) / sizeof(view->few[0]) / 2; /* the other half is scratch */

    if (!iovageom_pgsize_is_power(granule))
        return IOVAGEOM_ERR_INVALID;
    for (size_t i = 0; i < resv->count; i++)
        ranges += iovageom_rangeset_count(&resv->statements[i].ranges);
    view->entries = view->few;
    view->count = 0;
    view->allocator = &resv->allocator;
    view->memory = NULL;
    if (2 * ranges > half) {
        /* 4: two halves of 2 entries for each range. */
        if (ranges > SIZE_MAX / 4 / sizeof(*view->memory))
            return IOVAGEOM_ERR_NO_MEMORY;
        half = 2 * ranges;
        view->size = 2 * half * sizeof(*view->memory);
        view->memory = resv->allocator.allocate(resv->allocator.context, view->size);
        if (view->memory == NULL)
            return IOVAGEOM_ERR_NO_MEMORY;
        view->entries = view->memory;
    }
    if (resv->count > 0)
        view->count = resolve(resv, granule, 0, resv->count, view->entries, view->entries + half);
    return IOVAGEOM_OK;
}

void iovageom_resv_view_close(struct iovageom_resv_view *view)
{
    if (view->memory != NULL)
        view->allocator->release(view->allocator->context, view->memory, view->size);
}

int iovageom_resv_resolve(const struct iovageom_resv *resv, uint64_t granule,
                          struct iovageom_region *out, size_t capacity, size_t *count)
{
    struct iovageom_resv_view view;
    int status = iovageom_resv_view(resv, granule, &view);

    if (status < 0)
        return status;
    *count = view.count;
    if (view.count > capacity)
        status = IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    for (size_t i = 0; status == IOVAGEOM_OK && i < view.count; i++) {
        size_t index = (size_t)view.entries[i].value;
        out[i] = (struct iovageom_region){view.entries[i].range, resv->statements[index].type,
                                          (uint32_t)index};
    }
    iovageom_resv_view_close(&view);
    return status;
}

int iovageom_resv_forbidden(const struct iovageom_resv *resv, struct iovageom_rangeset *out)
{
    struct iovageom_rangeset all;
    int status = iovageom_rangeset_init(&all, &resv->allocator);

    for (size_t i = 0; status == IOVAGEOM_OK && i < resv->count; i++)
        if (iovageom_resv_type_forbids((enum iovageom_resv_type)resv->statements[i].type))
            status = iovageom_rangeset_union(&all, &all, &resv->statements[i].ranges);
    if (status == IOVAGEOM_OK)
        status = iovageom_rangeset_assign(out, &all);
    iovageom_rangeset_deinit(&all);
    return status;
}

bool iovageom_resv_forbids(const struct iovageom_resv *resv, struct iovageom_range range)
{
    for (size_t i = 0; i < resv->count; i++)
        if (iovageom_resv_type_forbids((enum iovageom_resv_type)resv->statements[i].type) &&
            iovageom_rangeset_overlaps(&resv->statements[i].ranges, range))
            return true;
    return false;
}

/* Appends a copy of a statement. merge() has reserved the room, and appends in order. */
static int append(struct iovageom_resv *resv, const struct statement *from)
{
    int status = open_at(resv, resv->count, from->type, &from->owner);

    if (status < 0)
        return status;
    return iovageom_rangeset_assign(&resv->statements[resv->count - 1].ranges, &from->ranges);
}

/*
 * Fills `all`, which is empty, with the statements of both. Both are sorted alike, so one pass
 * does. After an error `all` holds a part of them, and the caller frees it.
 */
static int merge(struct iovageom_resv *all, const struct iovageom_resv *a,
                 const struct iovageom_resv *b)
{
    size_t i = 0;
    size_t j = 0;
    int status = reserve(all, a->count + b->count);

    while (status == IOVAGEOM_OK && (i < a->count || j < b->count)) {
        const struct statement *x = i < a->count ? &a->statements[i] : NULL;
        const struct statement *y = j < b->count ? &b->statements[j] : NULL;
        int order = x == NULL ? 1 : y == NULL ? -1 : compare_statement(x, y->type, &y->owner);

        status = append(all, order <= 0 ? x : y);
        if (status == IOVAGEOM_OK && order == 0) {
            struct iovageom_rangeset *set = &all->statements[all->count - 1].ranges;
            status = iovageom_rangeset_union(set, set, &y->ranges);
        }
        i += order <= 0;
        j += order >= 0;
    }
    return status;
}

int iovageom_resv_union(const struct iovageom_resv *a, const struct iovageom_resv *b,
                        struct iovageom_resv **out)
{
    struct iovageom_resv *all;
    int status = iovageom_resv_new(&a->allocator, &all);

    if (status < 0)
        return status;
    status = merge(all, a, b);
    if (status < 0) {
        iovageom_resv_free(all);
        return status;
    }
    *out = all;
    return IOVAGEOM_OK;
}

int iovageom_resv_copy(const struct iovageom_resv *resv, struct iovageom_resv **out)
{
    return iovageom_resv_union(resv, &(struct iovageom_resv){.allocator = resv->allocator}, out);
}
