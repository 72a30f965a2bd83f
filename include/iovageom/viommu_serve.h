/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_VIOMMU_SERVE_H
#define IOVAGEOM_VIOMMU_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/api.h>
#include <iovageom/mapping.h>
#include <iovageom/rangeset.h>
#include <iovageom/viommu_setup.h>

/**
 * @file
 * Serving the guest: its requests, as calls or as bytes; where an access of an endpoint goes; and
 * what is mapped.
 *
 * Each request is answered with 0 or a negative enum iovageom_status, as every call is, from which
 * iovageom_status_virtio() makes the status for the tail. Below, requests list the statuses of
 * virtio, by their short names. The library's own statuses say more (two reasons to answer INVAL
 * may be two statuses here), and the report says why. 0 means done: the object has changed. A
 * `_check` call answers the same, memory aside, and changes nothing. MAP has none: unmap takes back
 * what was mapped. Whether MAP_UNMAP is offered is asked of requests as bytes only, which get
 * UNSUPP without it.
 */

#ifdef __cplusplus
extern "C" {
#endif

/* ---- requests as calls ----
 *
 * When the VMM's own work fails after a request was agreed to:
 *   ATTACH  check, map the domain's mappings on the host if it is new there, then attach
 *   MAP     map, then the host's map; when that fails, unmap the same range: it can't fail
 *   UNMAP   check, go through iovageom_viommu_run_next() to unmap on the host, then unmap
 * iovageom_report_host_refused() puts the host's refusal into the report.
 */

/**
 * ATTACH (N24-N31).
 *
 * @param flags IOVAGEOM_VIRTIO_ATTACH_F_*; unknown bits are INVAL (N25).
 * @return OK; NOENT: unknown endpoint, or no device in the slot (N26); RANGE: domain number outside
 *         the domain range; INVAL: bypass flag and domain don't go together (N28); UNSUPP: a live
 *         mapping stands in what the endpoint's host reserves, or a bypass that it can't map (N27,
 *         N30: FINDING_MAPPING, FINDING_RESERVED), or the domain has more mappings than its host
 *         allows beside what stays mapped there (FINDING_BUDGET); NOMEM: no memory, or max_domains
 *         reached. An endpoint that is attached elsewhere is moved (N29), and stays there when it
 *         is refused. Endpoints of one address space may be in several domains here, if only while
 *         a guest moves them one by one; a VMM whose host can't do that refuses for itself (N27).
 *         O(k log m) for all k that the guest group reserves, and, when it moves from a domain as
 *         the last, O(mappings of that). The check needs memory where the domain has mappings.
 */
IOVAGEOM_API int iovageom_viommu_attach(struct iovageom_viommu *viommu, uint32_t domain,
                                        uint32_t endpoint, uint32_t flags,
                                        struct iovageom_report *report);
IOVAGEOM_API int iovageom_viommu_attach_check(const struct iovageom_viommu *viommu, uint32_t domain,
                                              uint32_t endpoint, uint32_t flags,
                                              struct iovageom_report *report);

/**
 * DETACH (N32-N34). The last endpoint takes the domain and its mappings along.
 *
 * @return OK, with a note (OTHER) when the endpoint should bypass now, but faults, since its host
 *         can't map an identity range; NOENT: unknown endpoint (N33); INVAL: not attached to that
 *         domain, which may not exist.
 */
IOVAGEOM_API int iovageom_viommu_detach(struct iovageom_viommu *viommu, uint32_t domain,
                                        uint32_t endpoint, struct iovageom_report *report);
IOVAGEOM_API int iovageom_viommu_detach_check(const struct iovageom_viommu *viommu, uint32_t domain,
                                              uint32_t endpoint, struct iovageom_report *report);

/**
 * MAP (N37-N46, N76, I2, I7).
 *
 * @param range virt_start and virt_end as the guest wrote them.
 * @param phys phys_start.
 * @param flags IOVAGEOM_VIRTIO_MAP_F_*.
 * @return OK; INVAL: unknown flag (N43), an inverted range (N37), bypass domain (N45), a mapping is
 *         there already (N42), or the range touches what is reserved (N76); NOENT: unknown domain
 *         (N44); RANGE: not aligned to the granule (N41), outside the input range (I2), or the
 *         physical range wraps (I7); NOMEM: no memory, a limit of the configuration or the host's
 *         mapping budget is reached (FINDING_LIMIT, FINDING_BUDGET). They are looked for in this
 *         order: flags, domain, bypass, inverted, alignment, input range, physical, reserved,
 *         mapped, limits. O(log k + log m). The first MAP after an endpoint or a device of the
 *         domain has come or gone finds anew what is reserved there, in O(k log k) for all k. While
 *         an address space with a budget is in several domains, of which this is one, all such
 *         address spaces of this one, and their domains, are counted besides.
 */
IOVAGEOM_API int iovageom_viommu_map(struct iovageom_viommu *viommu, uint32_t domain,
                                     struct iovageom_range range, uint64_t phys, uint32_t flags,
                                     struct iovageom_report *report);

/**
 * UNMAP (N51-N55, I8).
 *
 * @param removed receives how many mappings went (may be NULL).
 * @return OK, also when nothing was mapped; NOENT: unknown domain (N52); INVAL: bypass domain (N53)
 *         or an inverted range; RANGE: a mapping would be split (N54), none is removed then. O(log
 *         m + mappings in the range).
 */
IOVAGEOM_API int iovageom_viommu_unmap(struct iovageom_viommu *viommu, uint32_t domain,
                                       struct iovageom_range range, size_t *removed,
                                       struct iovageom_report *report);
IOVAGEOM_API int iovageom_viommu_unmap_check(const struct iovageom_viommu *viommu, uint32_t domain,
                                             struct iovageom_range range,
                                             struct iovageom_report *report);

/**
 * PROBE: the property bytes, zero-filled to `size` (N69). What they say is now promised.
 *
 * @param properties room for `size` bytes, the frozen probe_size.
 * @param needed receives the bytes of properties on success, and the probe_size on
 *        IOVAGEOM_ERR_BUFFER_TOO_SMALL. May be NULL.
 * @return OK; NOENT for an unknown endpoint (N63); INVAL when `size` is smaller than probe_size
 *         (N68), nothing being written then; UNSUPP when PROBE is not offered (N64: don't answer);
 *         NOMEM. O(k log k) for all k ranges that the devices of its guest group reserve, of those
 *         that reserve the same in one address space once; with a report all devices are gone
 *         through.
 */
IOVAGEOM_API int iovageom_viommu_probe(struct iovageom_viommu *viommu, uint32_t endpoint,
                                       void *properties, size_t size, size_t *needed,
                                       struct iovageom_report *report);

/* ---- requests as bytes ---- */

/** A request between begin and end. By value; opaque but for what is said here. */
struct iovageom_viommu_transaction {
    struct iovageom_virtio_request request; /**< as decoded */
    int32_t status;        /**< 0, or the negative enum iovageom_status that it is answered with */
    bool answered;         /**< false: leave the buffer unwritten, used length 0 (I6, N18, N64) */
    uint64_t changes;      /**< opaque */
    uint64_t decision[32]; /**< opaque; not set while nothing was decided */
};

/**
 * Read a request and decide on it. Nothing changes, but that the first request freezes. Total: any
 * bytes, any lengths.
 *
 * When `transaction->status` is 0, the VMM does its own work on the host and then calls
 * iovageom_viommu_request_end(), always. The object may change in between, as by an unplug, a reset
 * or another request: end() then decides anew.
 */
IOVAGEOM_API void iovageom_viommu_request_begin(struct iovageom_viommu *viommu,
                                                const void *readable, size_t readable_size,
                                                size_t writable_size,
                                                struct iovageom_viommu_transaction *transaction,
                                                struct iovageom_report *report);

/**
 * Do what was decided, and write the answer: properties of a PROBE and the tail, reserved bytes 0.
 * Properties of a PROBE that is refused are 0.
 *
 * UNMAP and DETACH can't fail here. A MAP, an ATTACH and a PROBE may need memory: without it they
 * are answered NOMEM, with a finding (OTHER), nothing has changed, and the VMM takes its own work
 * back. So it does when the object has changed since begin and the request is refused now.
 *
 * @param veto 0, or the negative status to answer because the VMM's own work has failed
 *        (iovageom_report_host_refused()): then nothing is done. It only matters where the decision
 *        was 0.
 * @param transaction its `status` is what was answered.
 * @param writable `writable_size` bytes, as given to begin.
 * @param report is added to, and not cleared: it may have why the VMM's own work has failed. Clear
 *        it where other calls have used it since begin.
 * @return the used length of the buffer; 0 when it was left unwritten.
 */
IOVAGEOM_API size_t iovageom_viommu_request_end(struct iovageom_viommu *viommu,
                                                struct iovageom_viommu_transaction *transaction,
                                                int32_t veto, void *writable, size_t writable_size,
                                                struct iovageom_report *report);

/** Both in one, for a VMM that has no work in between. */
IOVAGEOM_API size_t iovageom_viommu_request(struct iovageom_viommu *viommu, const void *readable,
                                            size_t readable_size, void *writable,
                                            size_t writable_size, struct iovageom_report *report);

/* ---- where an access goes ----
 *
 * For threads that translate while another one serves the guest (an RwLock around the object): what
 * follows takes the object const, allocates nothing but where it says so, and keeps nothing for the
 * next call. So any number of these calls, and of the _check calls above with a report each, may
 * run at once. Each call that takes the object not const runs alone: request_begin() too, which may
 * freeze, and brings up to date what the object keeps of a domain.
 */

/** A piece of an access: the addresses of `range` go to physical addresses from `phys` on. */
struct iovageom_segment {
    struct iovageom_range range;
    uint64_t phys;
    uint32_t flags;    /**< IOVAGEOM_VIRTIO_MAP_F_* of the mapping */
    uint32_t reserved; /**< 0 */
};

/**
 * Translate an access of an endpoint (I3, N20, N34, N46, N77): all of `range` is mapped with the
 * access that it needs, or there is a fault. Segments ascend and are adjacent, as few as can be:
 * mappings that go on where one another ends, in both address spaces and with the same flags, are
 * one. While the endpoint bypasses there is one, to the same addresses. Allocates nothing.
 *
 * @param flags IOVAGEOM_VIRTIO_MAP_F_READ and/or F_WRITE: what the access needs. Reads need F_READ
 *        (N39), writes F_WRITE (N46).
 * @param segments room for `capacity`; may be NULL when capacity is 0.
 * @param needed receives how many there are, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL. May
 *        be NULL.
 * @param fault receives the lowest address that has no translation, on IOVAGEOM_ERR_FAULT only. May
 *        be NULL.
 * @return IOVAGEOM_ERR_NOT_FOUND: no such endpoint, or it is in no domain and does not bypass
 *         (fault reason DOMAIN); IOVAGEOM_ERR_FAULT: nothing is mapped at an address, or not for
 *         that access (fault reason MAPPING); IOVAGEOM_ERR_INVERTED; IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 *         O(log n + log m + mappings that the range meets); in no domain, where bypass is checked
 *         (iovageom_viommu_set_identity()), O(log n + k log count) for all k that its address space
 *         reserves.
 */
IOVAGEOM_API int iovageom_viommu_translate(const struct iovageom_viommu *viommu, uint32_t endpoint,
                                           struct iovageom_range range, uint32_t flags,
                                           struct iovageom_segment *segments, size_t capacity,
                                           size_t *needed, uint64_t *fault);

/**
 * The reverse: the mappings by which an endpoint reaches physical addresses, in the order of the
 * physical addresses where they begin, and of IOVAs where these are the same.
 *
 * @param whole what leads to all of `phys`; else all or some of it, as when memory is taken away
 *        from a guest.
 * @param after NULL for the first one, else the one before, which may be unmapped meanwhile.
 * @param out becomes the whole mapping: `phys` begins at out->range.start + (phys.start -
 *        out->phys). While the endpoint bypasses there is one, of the same addresses. May be
 *        `after`.
 * @return IOVAGEOM_ERR_NOT_FOUND as iovageom_viommu_translate(); IOVAGEOM_ERR_FAULT when there is
 *         none, or none after that; IOVAGEOM_ERR_INVERTED. O(log n + m). With
 *         IOVAGEOM_VIOMMU_INDEX_PHYS about O(log n + log m): no more than 128 steps in place of
 *         log m, whatever the guest has mapped.
 */
IOVAGEOM_API int iovageom_viommu_translate_back(const struct iovageom_viommu *viommu,
                                                uint32_t endpoint, struct iovageom_range phys,
                                                bool whole, const struct iovageom_mapping *after,
                                                struct iovageom_mapping *out);

/* ---- what there is ---- */

/** One domain. */
struct iovageom_viommu_domain {
    uint32_t domain;
    uint32_t bypass;    /**< 1: identity (ATTACH_F_BYPASS) */
    uint64_t endpoints; /**< attached, at least 1 */
    uint64_t mappings;
    /** The most mappings that it may have as things are: the least that its hosts allow, less what
        other domains have mapped there. UINT64_MAX when no host said. */
    uint64_t budget;
};

/** Look one up. IOVAGEOM_ERR_NOT_FOUND. */
IOVAGEOM_API int iovageom_viommu_domain(const struct iovageom_viommu *viommu, uint32_t domain,
                                        struct iovageom_viommu_domain *out);

/** The domain with the lowest number from `from` up. False when there is none. Go on from the
    number above it, if there is one: a guest may well make number 2^32-1. */
IOVAGEOM_API bool iovageom_viommu_domain_next(const struct iovageom_viommu *viommu, uint32_t from,
                                              struct iovageom_viommu_domain *out);

/**
 * The endpoint of a domain that was attached after `endpoint`, or the first one for
 * IOVAGEOM_ID_NONE. False when there is none, or `endpoint` isn't in that domain. O(log n).
 */
IOVAGEOM_API bool iovageom_viommu_domain_endpoint(const struct iovageom_viommu *viommu,
                                                  uint32_t domain, uint64_t endpoint,
                                                  uint32_t *out);

/** The lowest mapping of a domain that ends at `from` or above. False when there is none. Go on
    from the address above it, if there is one: one may end at 2^64-1. */
IOVAGEOM_API bool iovageom_viommu_mapping_next(const struct iovageom_viommu *viommu,
                                               uint32_t domain, uint64_t from,
                                               struct iovageom_mapping *out);

/* ---- what a host does in one call ----
 *
 * No host takes a part of a mapping away that was made as one: VFIO's type1 answers EINVAL, and an
 * IOAS ENOENT, after it has unmapped what comes before that part. But both take several in one
 * call. So what was mapped as one is unmapped as one, or with all of its neighbours:
 *
 *   alone   Each mapping was mapped on the host by itself: then an UNMAP, and the end of a domain
 *           there, is a call for each run.
 *   joined  Mappings that go on where one another ends were mapped in one call each, by joined
 *           runs, when a domain with mappings came to a host (a second endpoint's ATTACH, a plug
 *           into an attached group). That is fewer calls, and fewer entries in the host's tables.
 *           From then on that host must get each UNMAP so: unmap all of each joined run of the
 *           domain that has addresses of the range, then map again what these runs have below the
 *           range and above it. Meanwhile a device has no access to the rest of the run: so this is
 *           for guests that unmap what they mapped side by side at once, or for devices that stand
 *           still.
 *
 * A host that wants its mappings back one by one (vfio-user) gets those of
 * iovageom_viommu_mapping_next().
 */

/**
 * The lowest run that ends at `from` or above: mappings that lie in `range` as a whole and leave no
 * address between them. What `from` lies in is given from its beginning.
 *
 * No run goes across 2^63 but a mapping that does so by itself: so a call to a host never has 2^64
 * bytes, which it couldn't say, for what was mapped in several calls.
 *
 * @param joined each mapping of the run goes on where the one before ends in physical addresses,
 *        too, and has the same flags.
 * @param out becomes the run; joined, as if it were one mapping, else with address and flags of its
 *        lowest one. Go on from the address above it, if there is one.
 * @return false when there is none. O(log m + mappings of the run), and O(log m) for each of them
 *         that ends below `from`.
 */
IOVAGEOM_API bool iovageom_viommu_run_next(const struct iovageom_viommu *viommu, uint32_t domain,
                                           struct iovageom_range range, uint64_t from, bool joined,
                                           struct iovageom_mapping *out);

/**
 * The addresses that a guest may map in a domain: what all its endpoints can, within the input
 * range and aligned to the granule.
 *
 * @param out an initialised set; replaced on success.
 * @return IOVAGEOM_ERR_NOT_FOUND, IOVAGEOM_ERR_NO_MEMORY.
 */
IOVAGEOM_API int iovageom_viommu_domain_usable(const struct iovageom_viommu *viommu,
                                               uint32_t domain, struct iovageom_rangeset *out);

#ifdef __cplusplus
}
#endif
#endif
