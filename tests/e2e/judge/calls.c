/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd's own calls on ranges: foretold by the library, compared with what the kernel answered,
 * and done where the kernel has done them.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <linux/iommufd.h>

#include <iovageom/host_iommufd.h>

#include "judge.h"

/* struct iommu_ioas_map_file, which the headers of 6.12 have not. */
enum { MAP_FILE = 0x3b8f, MAP_FILE_SIZE = 40 };
enum { MAP_RIGHTS = IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE };

#define FIELD(call, type, field)                                                                   \
    word((call)->before, (call)->before_size, offsetof(struct type, field))
#define WIDE(call, type, field)                                                                    \
    quad((call)->before, (call)->before_size, offsetof(struct type, field))
#define ANSWERED(call, type, field)                                                                \
    quad((call)->after, (call)->after_size, offsetof(struct type, field))

/* What the kernel looks at before it looks for ranges. */
static const struct shape {
    uint32_t request;
    uint32_t size;     /* the least */
    uint32_t known;    /* bits of the flags, the word behind the size; 0: it has none */
    uint32_t reserved; /* where a word must be 0; 0: nowhere */
} shapes[] = {
    {IOMMU_IOAS_ALLOC, sizeof(struct iommu_ioas_alloc), 0, 4},
    {IOMMU_IOAS_IOVA_RANGES, sizeof(struct iommu_ioas_iova_ranges), 0, 12},
    {IOMMU_IOAS_ALLOW_IOVAS, sizeof(struct iommu_ioas_allow_iovas), 0, 12},
    {IOMMU_IOAS_MAP, sizeof(struct iommu_ioas_map), MAP_RIGHTS | IOMMU_IOAS_MAP_FIXED_IOVA, 12},
    {MAP_FILE, MAP_FILE_SIZE, MAP_RIGHTS | IOMMU_IOAS_MAP_FIXED_IOVA, 0},
    {IOMMU_IOAS_COPY, sizeof(struct iommu_ioas_copy), MAP_RIGHTS | IOMMU_IOAS_MAP_FIXED_IOVA, 0},
    {IOMMU_IOAS_UNMAP, sizeof(struct iommu_ioas_unmap), 0, 0},
};

static bool wrong_size(const struct call *call, uint32_t least)
{
    uint32_t size = word(call->before, call->before_size, 0);

    return size < least || call->error == E2BIG || call->before_size == 0;
}

/* Or the kernel is too old for the call: ENOTTY. */
static bool wrong_words(const struct call *call)
{
    if (call->error == ENOTTY)
        return true;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        uint32_t flags = word(call->before, call->before_size, 4);

        if (shapes[i].request != call->request)
            continue;
        if (wrong_size(call, shapes[i].size))
            return true;
        if (shapes[i].reserved != 0 &&
            word(call->before, call->before_size, shapes[i].reserved) != 0)
            return true;
        return shapes[i].known != 0 &&
               ((flags & ~shapes[i].known) != 0 || (flags & MAP_RIGHTS) == 0);
    }
    return false;
}

/* ---- IOAS_ALLOC, IOVA_RANGES, ALLOW_IOVAS ---- */

static void alloc_ioas(struct context *context, const struct call *call)
{
    if (judge(call, IOMMUFD, IOVAGEOM_OK) && call->error == 0)
        (void)ioas_made(context, (uint32_t)ANSWERED(call, iommu_ioas_alloc, out_ioas_id));
}

static size_t ranges_in(const struct call *call, struct iovageom_range *ranges)
{
    const size_t count = call->array_size / IOVAGEOM_IOMMUFD_RANGE_SIZE;

    if (count > ALLOWED)
        must(NULL);
    for (size_t i = 0; i < count; i++) {
        ranges[i].start = quad(call->array, call->array_size, i * sizeof(ranges[0]));
        ranges[i].last = quad(call->array, call->array_size, i * sizeof(ranges[0]) + 8);
    }
    return count;
}

/*
 * An alignment of 1 says that no device is attached, and the library takes no ranges of nobody's.
 * Here the test itself may have reserved some.
 */
static int nobodys_ranges(const struct call *call, struct iovageom_geometry *answered)
{
    struct iovageom_range ranges[ALLOWED];
    const size_t count = ranges_in(call, ranges);

    if (count < (uint32_t)ANSWERED(call, iommu_ioas_iova_ranges, num_iovas))
        return IOVAGEOM_ERR_BUFFER_TOO_SMALL;
    return iovageom_geometry_add_usable(answered, ranges, count, IOVAGEOM_SOURCE_OTHER);
}

static void ask_ranges(struct context *context, const struct call *call)
{
    struct ioas *ioas = ioas_of(context, FIELD(call, iommu_ioas_iova_ranges, ioas_id));
    struct iovageom_geometry *answered;
    size_t needed = 0;
    int status;

    /* Of another error than for the room there is no answer to decode. */
    if (ioas == NULL || (call->error != 0 && call->error != EMSGSIZE)) {
        judge(call, IOMMUFD, ioas == NULL ? IOVAGEOM_ERR_NOT_FOUND : IOVAGEOM_OK);
        return;
    }
    must_do(iovageom_geometry_new(NULL, "answer", &answered), "geometry");
    status = iovageom_host_iommufd_ranges(call->after, call->after_size, call->array,
                                          call->array_size, &needed, answered);
    if (status == IOVAGEOM_ERR_UNKNOWN && ioas->granule == 1)
        status = nobodys_ranges(call, answered);
    if (judge(call, IOMMUFD, status) && call->error == 0) {
        uint64_t alignment = ANSWERED(call, iommu_ioas_iova_ranges, out_iova_alignment);

        if (!ioas_same_ranges(ioas, answered))
            differ(call, "the ranges", call->array_size / 16, 0);
        if (alignment != ioas->granule)
            differ(call, "the alignment", alignment, ioas->granule);
    }
    iovageom_geometry_free(answered);
}

/* A list as the kernel takes it: no range of one byte, and no two that overlap. */
static int check_list(const struct iovageom_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].start >= ranges[i].last)
            return IOVAGEOM_ERR_INVALID;
        for (size_t j = 0; j < i; j++)
            if (iovageom_range_overlaps(ranges[i], ranges[j]))
                return IOVAGEOM_ERR_INVALID;
    }
    return IOVAGEOM_OK;
}

static void allow_ranges(struct context *context, const struct call *call)
{
    struct ioas *ioas = ioas_of(context, FIELD(call, iommu_ioas_allow_iovas, ioas_id));
    struct iovageom_range ranges[ALLOWED];
    const size_t count = ranges_in(call, ranges);
    int status = IOVAGEOM_ERR_NOT_FOUND;

    if (ioas != NULL)
        status = check_list(ranges, count);
    if (status == IOVAGEOM_OK && call->error != ENOMEM)
        status = ioas_allow(ioas, ranges, count);
    judge(call, IOMMUFD, status);
}

/* ---- MAP, MAP_FILE, COPY ---- */

/* Left out, unless the library refuses what memory or a file is blamed for. */
static bool left_to_memory(const struct call *call, int status)
{
    bool file = call->request == MAP_FILE && (call->error == EINVAL || call->error == ENODEV);

    if (status != IOVAGEOM_OK || (call->error != EFAULT && call->error != ENOMEM && !file))
        return false;
    leave_out(call, file ? RULE_FILE : RULE_MEMORY);
    return true;
}

void judge_map(const struct call *call, enum dialect dialect, struct ioas *ioas,
               struct iovageom_range range, uint64_t phys)
{
    int status = ioas_map_check(ioas, range, phys);

    if (left_to_memory(call, status))
        return;
    if (judge(call, dialect, status) && call->error == 0)
        must_do(ioas_map(ioas, range, phys), "map");
}

/* The kernel chooses where: as foretold, and the library maps it there. */
static bool judge_place(const struct call *call, const struct ioas *ioas, uint64_t length,
                        uint64_t phys, uint64_t chosen, struct iovageom_range *range)
{
    bool exact;
    int status = ioas_place(ioas, length, phys, range, &exact);

    if (status == IOVAGEOM_OK)
        status = ioas_map_check(ioas, *range, phys);
    if (left_to_memory(call, status) || !judge(call, IOMMUFD, status) || call->error != 0)
        return false;
    if (exact && chosen != range->start)
        differ(call, "the address chosen", chosen, range->start);
    must_do(iovageom_range_from_length(chosen, length, range), "the kernel's range");
    status = ioas_map_check(ioas, *range, phys);
    if (status != IOVAGEOM_OK)
        differ(call, "a refusal of the address chosen", chosen, (uint64_t)-status);
    return status == IOVAGEOM_OK;
}

static void map(struct context *context, const struct call *call)
{
    const bool file = call->request == MAP_FILE;
    const size_t at = file ? 16 : offsetof(struct iommu_ioas_map, user_va);
    struct ioas *ioas = ioas_of(context, FIELD(call, iommu_ioas_map, ioas_id));
    const uint64_t phys = quad(call->before, call->before_size, at);
    const uint64_t length = quad(call->before, call->before_size, at + 8);
    const uint64_t iova = quad(call->before, call->before_size, at + 16);
    struct iovageom_range range;
    int status;

    if (ioas == NULL) {
        judge(call, IOMMUFD, IOVAGEOM_ERR_NOT_FOUND);
    } else if (length == 1) {
        leave_out(call, RULE_BYTE);
    } else if ((FIELD(call, iommu_ioas_map, flags) & IOMMU_IOAS_MAP_FIXED_IOVA) != 0) {
        status = iovageom_range_from_length(iova, length, &range);
        if (status == IOVAGEOM_OK)
            judge_map(call, IOMMUFD, ioas, range, phys);
        else
            judge(call, IOMMUFD, status);
    } else if (judge_place(call, ioas, length, phys, quad(call->after, call->after_size, at + 16),
                           &range)) {
        must_do(ioas_map(ioas, range, phys), "map");
    }
}

static void copy(struct context *context, const struct call *call)
{
    struct ioas *to = ioas_of(context, FIELD(call, iommu_ioas_copy, dst_ioas_id));
    struct ioas *from = ioas_of(context, FIELD(call, iommu_ioas_copy, src_ioas_id));
    const uint64_t length = WIDE(call, iommu_ioas_copy, length);
    const bool fixed = (FIELD(call, iommu_ioas_copy, flags) & IOMMU_IOAS_MAP_FIXED_IOVA) != 0;
    struct iovageom_range source, target;
    uint64_t phys = 0;
    int status = from == NULL ? IOVAGEOM_ERR_NOT_FOUND
                              : iovageom_range_from_length(WIDE(call, iommu_ioas_copy, src_iova),
                                                           length, &source);

    if (status == IOVAGEOM_OK)
        status = ioas_mapped(from, source, &phys);
    if (status == IOVAGEOM_OK && to == NULL)
        status = IOVAGEOM_ERR_NOT_FOUND;
    if (status == IOVAGEOM_OK && fixed)
        status = iovageom_range_from_length(WIDE(call, iommu_ioas_copy, dst_iova), length, &target);
    if (status == IOVAGEOM_OK && fixed)
        status = ioas_map_check(to, target, phys);
    if (status == IOVAGEOM_OK && !fixed) {
        if (judge_place(call, to, length, phys, ANSWERED(call, iommu_ioas_copy, dst_iova), &target))
            must_do(ioas_copy(to, target.start, from, source), "copy");
    } else if (!left_to_memory(call, status) && judge(call, IOMMUFD, status) && call->error == 0) {
        must_do(ioas_copy(to, target.start, from, source), "copy");
    }
}

/* ---- UNMAP ---- */

static void unmap(struct context *context, const struct call *call)
{
    struct ioas *ioas = ioas_of(context, FIELD(call, iommu_ioas_unmap, ioas_id));
    const uint64_t length = WIDE(call, iommu_ioas_unmap, length);
    const uint64_t iova = WIDE(call, iommu_ioas_unmap, iova);
    struct iovageom_range range = {0, IOVAGEOM_ADDRESS_MAX};
    const bool all = iova == 0 && length == UINT64_MAX;
    uint64_t bytes = 0;
    int status = IOVAGEOM_OK;

    if (call->error == EBUSY || length == 1) {
        leave_out(call, call->error == EBUSY ? RULE_HELD : RULE_BYTE);
        return;
    }
    if (!all)
        status = iovageom_range_from_length(iova, length, &range);
    if (ioas == NULL)
        status = IOVAGEOM_ERR_NOT_FOUND;
    if (status == IOVAGEOM_OK)
        status = ioas_unmap(ioas, range, &bytes);
    if (status == IOVAGEOM_ERR_SPLIT)
        ioas_sweep(ioas, range);
    /* To the library, and to VFIO, nothing to unmap is no error. */
    if (status == IOVAGEOM_OK && bytes == 0 && !all)
        status = IOVAGEOM_ERR_NOT_FOUND;
    if (judge(call, IOMMUFD, status) && call->error == 0 &&
        ANSWERED(call, iommu_ioas_unmap, length) != bytes)
        differ(call, "bytes unmapped", ANSWERED(call, iommu_ioas_unmap, length), bytes);
}

/* ---- options ---- */

static void option(struct context *context, const struct call *call)
{
    struct ioas *ioas = ioas_of(context, FIELD(call, iommu_option, object_id));

    if (ioas == NULL || FIELD(call, iommu_option, option_id) != IOMMU_OPTION_HUGE_PAGES ||
        (FIELD(call, iommu_option, op) & 0xffff) != IOMMU_OPTION_OP_SET)
        return;
    if (WIDE(call, iommu_option, val64) == 1) {
        if (judge(call, IOMMUFD, IOVAGEOM_OK))
            ioas_remove_owner(ioas, BY_OPTION, 0);
    } else if (WIDE(call, iommu_option, val64) == 0 && !ioas_has_owner(ioas, BY_OPTION, 0)) {
        /* EINVAL: pages are mapped, perhaps as large ones; no question of alignment. */
        judge_owner(call, ioas, BY_OPTION, 0, alignment_geometry("small pages", 4096));
    }
}

void iommufd_call(struct context *context, const struct call *call)
{
    if (wrong_words(call)) {
        leave_out(call, RULE_WORDS);
        return;
    }
    switch (call->request) {
    case IOMMU_IOAS_ALLOC:
        alloc_ioas(context, call);
        break;
    case IOMMU_IOAS_IOVA_RANGES:
        ask_ranges(context, call);
        break;
    case IOMMU_IOAS_ALLOW_IOVAS:
        allow_ranges(context, call);
        break;
    case IOMMU_IOAS_MAP:
    case MAP_FILE:
        map(context, call);
        break;
    case IOMMU_IOAS_COPY:
        copy(context, call);
        break;
    case IOMMU_IOAS_UNMAP:
        unmap(context, call);
        break;
    case IOMMU_OPTION:
        option(context, call);
        break;
    case IOMMU_HWPT_ALLOC:
        hwpt_call(context, call);
        break;
    case IOMMU_DESTROY:
        if (call->error == 0)
            object_destroyed(context, FIELD(call, iommu_destroy, id));
        break;
    default: /* not about ranges */
        break;
    }
}
