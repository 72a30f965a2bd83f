/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_ITREE_CHECK_H
#define IOVAGEOM_TEST_ITREE_CHECK_H

#include "set/itree_internal.h"

/*
 * Checks every invariant of an interval tree, node by node. What it finds wrong is the return
 * value; NULL when all is well.
 */
struct itree_check {
    const struct iovageom_itree *tree;
    size_t count;
    bool any;
    uint64_t last; /* of the highest entry so far */
    uint64_t gap;  /* longest in front of an entry of the last subtree */
};

static inline const char *itree_check_ranges(struct itree_check *check,
                                             const struct iovageom_range *ranges, uint32_t count,
                                             uint32_t slots)
{
    check->gap = 0;
    for (uint32_t i = 0; i < slots; i++) {
        uint64_t gap;

        if (i >= count) {
            if (ranges[i].start != UINT64_MAX || ranges[i].last != UINT64_MAX)
                return "an unused slot would be found";
            continue;
        }
        if (ranges[i].start > ranges[i].last)
            return "inverted range";
        if (check->any && ranges[i].start <= check->last)
            return "ranges overlap or descend";
        gap = check->any ? ranges[i].start - check->last - 1 : ranges[i].start;
        check->gap = gap > check->gap ? gap : check->gap;
        check->last = ranges[i].last;
        check->any = true;
        check->count++;
    }
    return NULL;
}

static inline const char *itree_check_node(struct itree_check *check, const void *node,
                                           uint32_t level, uint32_t count)
{
    const struct iovageom_itree_inner *inner = node;
    uint64_t gap = 0;

    if (level == 0)
        return itree_check_ranges(check, node, count, LEAF_SLOTS);
    if (count > INNER_SLOTS || count < 2)
        return "inner node too full or too empty";
    for (uint32_t i = 0; i < INNER_SLOTS; i++) {
        const char *wrong;

        if (i >= count) {
            if (inner->last[i] != UINT64_MAX)
                return "an unused child would be found";
            continue;
        }
        if (inner->child[i].count == 0 ||
            inner->child[i].count > (level == 1 ? LEAF_SLOTS : INNER_SLOTS))
            return "child too full or empty";
        wrong = itree_check_node(check, inner->child[i].node, level - 1, inner->child[i].count);
        if (wrong)
            return wrong;
        if (inner->last[i] != check->last)
            return "wrong last of child";
        /* No gaps are kept in a tree with values. */
        if (inner->child[i].gap != (check->tree->width == 0 ? check->gap : 0))
            return "wrong gap of child";
        gap = check->gap > gap ? check->gap : gap;
    }
    check->gap = gap;
    return NULL;
}

static inline const char *itree_check(const struct iovageom_itree *tree)
{
    struct itree_check check = {tree, 0, false, 0, 0};
    const char *wrong;

    if (!tree->root.node) {
        if (tree->count > IOVAGEOM_ITREE_INLINE || tree->height != 0)
            return "small, but has nodes";
        wrong = itree_check_ranges(&check, tree->inline_ranges, (uint32_t)tree->count,
                                   IOVAGEOM_ITREE_INLINE);
        if (tree->root.count != tree->count)
            return "wrong count in the object";
    } else {
        if (tree->count <= IOVAGEOM_ITREE_INLINE)
            return "small, but not in the object";
        wrong = itree_check_node(&check, tree->root.node, tree->height, tree->root.count);
        if (!wrong && tree->height == 0 && tree->root.gap != (tree->width == 0 ? check.gap : 0))
            return "wrong gap of the root";
    }
    if (wrong)
        return wrong;
    if (check.count != tree->count)
        return "wrong count";
    if (tree->highest != (check.any ? check.last : 0))
        return "wrong highest";
    return NULL;
}

#endif
