/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_VIRTIO_H
#define IOVAGEOM_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/allocator.h>
#include <iovageom/api.h>
#include <iovageom/geometry.h>
#include <iovageom/range.h>
#include <iovageom/region.h>

/**
 * @file
 * The wire of a virtio-iommu, from the device's side: it encodes the RESV_MEM properties of a PROBE
 * answer and the config space, and decodes the requests of the guest. viommu.h says what a request
 * is answered; guest.h has the guest's side of the wire. All numbers on the wire are little-endian,
 * at any alignment.
 *
 * N and I numbers are those of docs/numbers.md: the statements of the virtio specification 1.4,
 * chapter "IOMMU Device", which has not changed since 1.2.
 *
 * From a geometry to the bytes of a PROBE answer there are three steps: what the guest must not
 * map, disjoint and typed (iovageom_geometry_reserved()); the same as the guest is to be told, the
 * *wire list* (iovageom_virtio_wire_list()); and its bytes. iovageom_virtio_encode_geometry() does
 * all three, iovageom_plan_probe_encode() also where the probe buffer is too small.
 *
 * A *wire list* is an array of struct iovageom_region that a real guest can be given without harm:
 * in ascending order and disjoint (N75); types IOVAGEOM_RESV_RESERVED and IOVAGEOM_RESV_MSI only,
 * at most one of them MSI (N74); none inverted; none is [0, 2^64-1], whose size 64 bits can't say,
 * so that Linux refuses the device for it. `owner` has no meaning on the wire.
 */

#ifdef __cplusplus
extern "C" {
#endif

/* ---- PROBE properties ---- */

/** Sizes on the wire, in bytes. */
enum iovageom_virtio_size {
    IOVAGEOM_VIRTIO_PROPERTY_HEAD_SIZE = 4, /**< type and length before each property */
    IOVAGEOM_VIRTIO_RESV_MEM_SIZE = 24,     /**< one RESV_MEM property, its head included */
    IOVAGEOM_VIRTIO_CONFIG_SIZE = 40,       /**< struct virtio_iommu_config */
    IOVAGEOM_VIRTIO_REQUEST_SIZE_MAX = 72,  /**< readable bytes of the longest request, PROBE */
    IOVAGEOM_VIRTIO_TAIL_SIZE = 4           /**< status and three reserved bytes */
};

/** Property types: 12 bits of the wire's 16 (I4). */
enum iovageom_virtio_property_type {
    IOVAGEOM_VIRTIO_PROPERTY_NONE = 0, /**< ends the list */
    IOVAGEOM_VIRTIO_PROPERTY_RESV_MEM = 1
};

/** Subtypes of RESV_MEM. A guest takes any other for RESERVED (N72). */
enum iovageom_virtio_resv_subtype {
    IOVAGEOM_VIRTIO_RESV_RESERVED = 0,
    IOVAGEOM_VIRTIO_RESV_MSI = 1
};

/**
 * The wire list of typed regions.
 *
 * Regions that touch and look the same on the wire are merged, which loses nothing. Everything but
 * MSI is sent as RESERVED; DIRECT_RELAXABLE is usable, and left out. What lies outside `window` is
 * left out.
 *
 * One MSI window at most is sent as MSI (N74): the one whose owner has the highest source, since
 * what the user or the machine model says outranks what the host says; among equals the lowest. A
 * window of several parts has the highest source of them. The other windows are sent as RESERVED,
 * so no address becomes usable.
 *
 * A list that reserves all of [0, 2^64-1] is legal, and means that the guest can't map anything. It
 * is sent in two halves, the first of which keeps the type. The same holds for [0, 2^32-1] and a
 * window that ends there, because 32-bit guests refuse that region. A VMM that wants to refuse such
 * a device does so when it is plugged.
 *
 * @param regions disjoint and ascending, as iovageom_geometry_reserved() and
 *        iovageom_geometry_regions() give them.
 * @param owners the collection that `region.owner` refers to, or NULL when owners don't matter:
 *        then the lowest MSI window wins.
 * @param window the addresses that the guest can name at all: [0, 2^64-1] when in doubt. The input
 *        range makes the list shorter, but only if the guest is known to honour it, which N1 leaves
 *        to the guest. For a guest with 32-bit physical addresses [0, 2^32-1], because Linux
 *        refuses a device with a region above; the input range must end there too. So it should for
 *        a 32-bit guest with PAE, which refuses a region of 4 GiB or more.
 * @param out room for `capacity` regions; may be `regions` itself. count + 1 always suffice.
 * @param out_count receives how many there are, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 * @return IOVAGEOM_ERR_INVERTED (a region or the window), IOVAGEOM_ERR_OVERLAP (not disjoint and
 *         ascending), IOVAGEOM_ERR_INVALID (a type that is none), IOVAGEOM_ERR_BUFFER_TOO_SMALL.
 *         Linear, allocates nothing.
 */
IOVAGEOM_API int iovageom_virtio_wire_list(const struct iovageom_region *regions, size_t count,
                                           const struct iovageom_geometry *owners,
                                           struct iovageom_range window,
                                           struct iovageom_region *out, size_t capacity,
                                           size_t *out_count);

/**
 * The property bytes that tell a guest of `geometry`: reserved regions at `granule`, as a wire list
 * for `window`, encoded.
 *
 * One RESV_MEM property for each region, in the order of the list, each with length 20 (N66, N67),
 * all reserved bits 0 (N65, N73). The rest of the buffer is zero-filled (N69).
 *
 * @param allocator for scratch memory; NULL for the default.
 * @param granule power of two in bytes: that of the config space's page_size_mask, 1 for none.
 * @param buffer the properties[] of the request, `size` bytes: the device's probe_size. May be NULL
 *        when size is 0. On an error nothing is written to it (N68: not one property).
 * @param needed receives the bytes of the properties, on success and on
 *        IOVAGEOM_ERR_BUFFER_TOO_SMALL. May be NULL.
 * @return IOVAGEOM_ERR_INVALID (granule, no allocator), IOVAGEOM_ERR_INVERTED (window),
 *         IOVAGEOM_ERR_BUFFER_TOO_SMALL, IOVAGEOM_ERR_NO_MEMORY. O(n log n).
 */
IOVAGEOM_API int iovageom_virtio_encode_geometry(const struct iovageom_allocator *allocator,
                                                 const struct iovageom_geometry *geometry,
                                                 uint64_t granule, struct iovageom_range window,
                                                 void *buffer, size_t size, size_t *needed);

/* ---- config space ---- */

/** Feature bits of a virtio-iommu, as masks. */
enum iovageom_virtio_feature {
    IOVAGEOM_VIRTIO_F_INPUT_RANGE = 1,
    IOVAGEOM_VIRTIO_F_DOMAIN_RANGE = 2,
    IOVAGEOM_VIRTIO_F_MAP_UNMAP = 4,
    IOVAGEOM_VIRTIO_F_BYPASS = 8, /**< legacy: see N3, N4 */
    IOVAGEOM_VIRTIO_F_PROBE = 16,
    IOVAGEOM_VIRTIO_F_MMIO = 32,
    IOVAGEOM_VIRTIO_F_BYPASS_CONFIG = 64
};

/** The config space as values. */
struct iovageom_virtio_config {
    uint64_t page_size_mask;           /**< lowest bit = granule, the others hints (I1); never 0 */
    struct iovageom_range input_range; /**< addresses that can be mapped (I2) */
    uint32_t domain_start;             /**< first domain number that a request may name */
    uint32_t domain_last;              /**< last one */
    uint32_t probe_size;               /**< bytes of properties in a PROBE request */
    uint32_t bypass;                   /**< 0 or 1 (N10) */
};

/**
 * The 40 bytes of the config space; reserved ones 0.
 *
 * @return IOVAGEOM_ERR_INVALID when the mask is 0 (N8) or bypass neither 0 nor 1 (N10);
 *         IOVAGEOM_ERR_INVERTED for an input or domain range that ends before it starts.
 */
IOVAGEOM_API int iovageom_virtio_encode_config(const struct iovageom_virtio_config *config,
                                               uint8_t out[IOVAGEOM_VIRTIO_CONFIG_SIZE]);

/* ---- requests ---- */

/** Request types. */
enum iovageom_virtio_request_type {
    IOVAGEOM_VIRTIO_T_ATTACH = 1,
    IOVAGEOM_VIRTIO_T_DETACH = 2,
    IOVAGEOM_VIRTIO_T_MAP = 3,
    IOVAGEOM_VIRTIO_T_UNMAP = 4,
    IOVAGEOM_VIRTIO_T_PROBE = 5
};

/** Flags of ATTACH and MAP, as masks. */
enum iovageom_virtio_flag {
    IOVAGEOM_VIRTIO_ATTACH_F_BYPASS = 1,
    IOVAGEOM_VIRTIO_MAP_F_READ = 1,
    IOVAGEOM_VIRTIO_MAP_F_WRITE = 2,
    IOVAGEOM_VIRTIO_MAP_F_MMIO = 4
};

/**
 * A request as the guest wrote it. Fields that its type lacks are 0; nothing is judged: the range
 * may be inverted, flags unknown.
 */
struct iovageom_virtio_request {
    uint32_t type;     /**< the byte on the wire; an enum iovageom_virtio_request_type or unknown */
    uint32_t domain;   /**< ATTACH, DETACH, MAP, UNMAP */
    uint32_t endpoint; /**< ATTACH, DETACH, PROBE */
    uint32_t flags;    /**< ATTACH, MAP */
    struct iovageom_range virt; /**< MAP, UNMAP: virt_start and virt_end; maybe inverted (N37) */
    uint64_t phys;              /**< MAP: phys_start */
    bool head_reserved;         /**< a reserved byte of the head is not 0: to be ignored (N19) */
    /** A reserved byte of the body is not 0: ATTACH (N24) and UNMAP (N51) are refused for it,
        DETACH (N32) and PROBE (N62) not. */
    bool body_reserved;
    bool has_tail;          /**< false: return the buffer unwritten, used length 0 (I6, N18) */
    size_t tail_offset;     /**< where the 4 bytes of the tail go in the device-writable part */
    size_t properties_size; /**< PROBE: bytes before the tail for properties, at offset 0 */
    size_t used_length;     /**< used length of an answer: tail_offset + 4, or 0 without a tail */
};

#ifdef __cplusplus
}
#endif
#endif
