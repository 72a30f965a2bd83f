/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_PICTURE_H
#define HOST_PROBE_PICTURE_H

#include "judge.h"
#include "plan.h"

/*
 * The address space as lanes of coloured pieces: what each source says, what comes of it, what a
 * guest is told, and where a guest's RAM and BARs are. It is drawn on an axis that is folded: a
 * stretch between two addresses where something changes takes room by the logarithm of its size, so
 * that a window of 1M is seen beside 2^64.
 */

enum picture_class {
    PICTURE_USABLE,
    PICTURE_RESERVED,
    PICTURE_MSI,
    PICTURE_SOFTWARE_MSI,
    PICTURE_DIRECT,
    PICTURE_RELAXABLE, /**< direct-relaxable: usable */
    PICTURE_BEYOND,    /**< above the width */
    PICTURE_UNKNOWN,
    PICTURE_RAM,
    PICTURE_BAR,
    PICTURE_MISFIT, /**< of RAM or a BAR */
    PICTURE_MOVED,  /**< where it would go */
    PICTURE_CLASSES
};

struct picture_item {
    struct iovageom_range range;
    enum picture_class class;
    const char *title; /**< "[0xfee00000,0xfeefffff] 1M: msi, says sysfs" */
};

struct picture_lane {
    const char *label;
    struct picture_item *items; /**< those that come later are drawn over others */
    size_t count;
};

/** A piece that would move, in the lane of that number. */
struct picture_move {
    size_t lane;
    struct iovageom_range from;
    struct iovageom_range to;
};

struct picture {
    const char *title;
    const char *subtitle;
    struct picture_lane *lanes;
    size_t lane_count;
    struct picture_move *moves;
    size_t move_count;
    uint64_t *anchors; /**< addresses where something changes, ascending; the first is 0 */
    size_t anchor_count;
    double least; /**< the part of the axis that each stretch between two anchors has at least */
    bool used[PICTURE_CLASSES];
};

/** "usable", "msi" */
const char *picture_class_name(enum picture_class class);

/**
 * @param promise what a guest is told; may be NULL.
 * @param plan a guest's RAM and BARs; may be NULL.
 * @param least the part of the axis that each stretch gets at least, from 0 to 0.05. Where there
 *        are too many of them, those that are smallest become one.
 */
struct picture picture_make(const struct verdict *verdict, const struct promise *promise,
                            const struct plan *plan, double least);

/** Where an address begins on an axis from 0 to 1, and where it ends. */
double picture_start(const struct picture *picture, uint64_t address);
double picture_end(const struct picture *picture, uint64_t address);

/** Draws it with letters, or with blocks; `width` 0 is 80. */
void picture_print(const struct picture *picture, unsigned width, bool blocks, bool colors);

/** What all pictures on a page share, once before the first: styles and patterns. */
void picture_svg_begin(void);

/** Draws it as SVG, as a part of a page that has begun. */
void picture_svg(const struct picture *picture);

/** Draws it as SVG, as a document of its own. */
void picture_svg_alone(const struct picture *picture);

/** Prints text for XML: what has a meaning there is replaced, and what can't be there is left
 * out. */
void xml_text(const char *words);

#endif
