/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_REPORT_H
#define IOVAGEOM_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/api.h>
#include <iovageom/range.h>
#include <iovageom/region.h>

/**
 * @file
 * Why something was refused, lost or doubted: as data, and as a sentence for a person.
 *
 * A report is a list of findings. Calls that take one clear it first and fill it whatever they
 * return: a refusal names every obstacle, a success may have notes (addresses that were lost at the
 * granule, a source that did not say). Only iovageom_report_add(), iovageom_report_host_refused()
 * and iovageom_viommu_request_end() add to what is there. NULL may be given for a report that a
 * call takes.
 */

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What a finding says. Numbers are stable. Beside each kind stands what the fields of the finding
 * mean; in each kind `endpoint` and `domain` may say whom it is about, or who asked.
 */
enum iovageom_finding_kind {
    /** `range` is not usable: `owner` reserves `against` with `type`. */
    IOVAGEOM_FINDING_RESERVED = 1,
    /** `range` lies outside the aperture or input range `against`, which `owner` sets. */
    IOVAGEOM_FINDING_OUT_OF_APERTURE = 2,
    /** `range` is not a multiple of the granule `wanted`, in bytes; with `detail`, what that names
        is not. */
    IOVAGEOM_FINDING_ALIGNMENT = 3,
    /** The granule is `wanted`; `owner` maps nothing smaller than `offered`. */
    IOVAGEOM_FINDING_GRANULE = 4,
    /** Live mapping `range` of `domain` stands where `owner` reserves `against` with `type`. */
    IOVAGEOM_FINDING_MAPPING = 5,
    /** The guest was promised, by a PROBE of `endpoint` (or IOVAGEOM_ID_NONE), `range`; `owner`
        can't map `against`, which it reserves with `type` if that is given. */
    IOVAGEOM_FINDING_PROMISE = 6,
    /** The input range `range` is wider than what `owner` maps of it. `against` is a part that it
        maps: where it reserves addresses in between, the part below them. `detail`, if given, is
        what the guest's driver must accept to be told of it; else the range must be narrower. */
    IOVAGEOM_FINDING_INPUT_RANGE = 7,
    /** `wanted` mappings are needed, `owner` offers `offered`. In a note with `detail` they are not
        needed: they could be made, as `detail` says. */
    IOVAGEOM_FINDING_BUDGET = 8,
    /** `range` was usable and is no longer offered, to save room or to keep the granule. */
    IOVAGEOM_FINDING_LOST = 9,
    /** `owner` and `other` contradict each other about `range`; or the one says `wanted`, the other
        `offered`, of what `detail` names. */
    IOVAGEOM_FINDING_DISAGREEMENT = 10,
    /** `owner` did not say: `detail` names what. */
    IOVAGEOM_FINDING_UNKNOWN = 11,
    /** What `owner` says may be incomplete. Of registers: it is the least of what they may mean,
        since kernels differ. */
    IOVAGEOM_FINDING_INCOMPLETE = 12,
    /** No address is usable for `owner`. */
    IOVAGEOM_FINDING_NOTHING_USABLE = 13,
    /** `endpoint` exists already, as `other`. */
    IOVAGEOM_FINDING_EXISTS = 14,
    /** There is no endpoint, domain or group of that number. */
    IOVAGEOM_FINDING_NOT_FOUND = 15,
    /** `range` overlaps `against`; or, if they have no address in common, they share a page of the
        host. In a layout they are the pieces number `wanted` and `offered`. */
    IOVAGEOM_FINDING_OVERLAP = 16,
    /** The probe buffer holds `offered` bytes, `wanted` are needed. */
    IOVAGEOM_FINDING_PROBE_SIZE = 17,
    /** A limit: `wanted` would be needed, `offered` is the most. */
    IOVAGEOM_FINDING_LIMIT = 18,
    /** A guest kernel is known to trip over this: `detail` says how; `range` where. */
    IOVAGEOM_FINDING_GUEST_QUIRK = 19,
    /** Anything else: `detail` says it. */
    IOVAGEOM_FINDING_OTHER = 20,
    /** Linux gives `owner` to nobody, since firmware demands that `range` is mapped one to one. It
        is the first of `wanted` regions of type DIRECT: see iovageom_geometry_assignable(). */
    IOVAGEOM_FINDING_DIRECT = 21,
    /** Piece number `wanted` of a layout, `range`, can't be mapped where it is, and finds no place
        within `against`. For a fixed piece `against` is `range` itself. */
    IOVAGEOM_FINDING_NO_PLACE = 22,
    /** `owner` calls `range` msi. It may be where the host's software places doorbells, and not
        where hardware has them: see iovageom_geometry_add_software_msi(). */
    IOVAGEOM_FINDING_MSI_WINDOW = 23,
    /** The host refused what the VMM asked of it, for `range` if that is given: `wanted` is its
        errno. */
    IOVAGEOM_FINDING_HOST = 24
};

/** Value of an endpoint or domain number in a finding that speaks of none. */
#define IOVAGEOM_ID_NONE UINT64_MAX

/**
 * One finding. Fields that its kind does not name are 0, ranges [0,0], ids IOVAGEOM_ID_NONE, and
 * owners { OTHER, "" }: a caller may go by the fields alone.
 */
struct iovageom_finding {
    uint32_t kind;  /**< an enum iovageom_finding_kind */
    int32_t status; /**< an enum iovageom_status, or 0 for a mere note */
    uint32_t type;  /**< an enum iovageom_resv_type, or 0 */
    uint32_t fatal; /**< 1 when it is a reason to refuse, 0 for a note */
    struct iovageom_range range;
    struct iovageom_range against;
    uint64_t wanted;
    uint64_t offered;
    uint64_t endpoint;
    uint64_t domain;
    struct iovageom_owner owner;
    struct iovageom_owner other;
    const char *detail; /**< static text, or NULL */
};

/**
 * A report. By value, so that one on the stack costs nothing: the first few findings live inside,
 * further ones are allocated. When that fails they are counted, not kept: a report never fails.
 * It may be moved with memcpy (the old place is then dead), but not duplicated so.
 */
struct iovageom_report {
    uint64_t opaque[256];
};

/** Make an empty report. `allocator` may be NULL for the default. */
IOVAGEOM_API void iovageom_report_init(struct iovageom_report *report,
                                       const struct iovageom_allocator *allocator);

/** Release what it holds: it is empty then, and may be initialised again. NULL is allowed. */
IOVAGEOM_API void iovageom_report_deinit(struct iovageom_report *report);

/** Forget all findings. NULL is allowed. */
IOVAGEOM_API void iovageom_report_clear(struct iovageom_report *report);

/** How many findings are kept. */
IOVAGEOM_API size_t iovageom_report_count(const struct iovageom_report *report);

/** How many findings were made for which there was no memory. */
IOVAGEOM_API size_t iovageom_report_dropped(const struct iovageom_report *report);

/**
 * Finding number `index`, from 0: calls make the most important ones first. NULL beyond the last.
 * Valid until the report changes.
 */
IOVAGEOM_API const struct iovageom_finding *iovageom_report_at(const struct iovageom_report *report,
                                                               size_t index);

/**
 * The report in one sentence: the first fatal finding (else the first note), and how many more
 * there are. "" when there is none. Valid until the report changes; never NULL.
 */
IOVAGEOM_API const char *iovageom_report_text(const struct iovageom_report *report);

/**
 * One finding as a sentence that names the range, the device, and what to do about it.
 *
 * @param out room for `size` bytes; always NUL-terminated when size > 0, cut when too long.
 * @return the length of the whole sentence without the NUL, as if there had been room. 512 bytes
 *         are always enough.
 */
IOVAGEOM_API size_t iovageom_finding_text(const struct iovageom_finding *finding, char *out,
                                          size_t size);

/**
 * A finding of `kind` in which nothing else is said yet: zeros, ids IOVAGEOM_ID_NONE. It is fatal
 * when `status` is an error, and a note when it is IOVAGEOM_OK.
 */
IOVAGEOM_API struct iovageom_finding iovageom_finding_blank(enum iovageom_finding_kind kind,
                                                            int status);

/**
 * Add a finding, for a VMM's own checks. The finding is copied, also if it is one of this report;
 * `detail` is kept as a pointer. O(1). NULL for the report is allowed, and does nothing.
 */
IOVAGEOM_API void iovageom_report_add(struct iovageom_report *report,
                                      const struct iovageom_finding *finding);

/**
 * Add that the host refused the VMM's own call (VFIO_IOMMU_MAP_DMA and the like), and get the
 * status that goes with it: to return, or to give to iovageom_viommu_request_end() as its veto.
 *
 * @param report may be NULL: then only the status is returned.
 * @param host_errno positive, as the host's call left it, in Linux's numbers.
 * @param domain for which it was, or IOVAGEOM_ID_NONE.
 * @param endpoint for which it was, or IOVAGEOM_ID_NONE.
 * @param range what was to be mapped or unmapped; [0,0] when that was no range.
 * @return IOVAGEOM_ERR_NO_MEMORY for ENOMEM and ENOSPC, else IOVAGEOM_ERR_HOST.
 */
IOVAGEOM_API int iovageom_report_host_refused(struct iovageom_report *report, int host_errno,
                                              uint64_t domain, uint64_t endpoint,
                                              struct iovageom_range range);

#ifdef __cplusplus
}
#endif
#endif
