/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_CROSVM_H
#define IOVAGEOM_CROSVM_H

/**
 * @file
 * The books of a virtual IOMMU in the shape of crosvm's virtio-iommu device: one call for each of
 * its process_*_request functions, with the fields as those read them from the descriptor, and one
 * for each place where an endpoint comes or goes.
 *
 * Ranges are closed, in bytes. Functions return 0 or a negative enum iovageom_status, those that
 * answer the guest a virtio status. Whatever is refused is told in iovageom_crosvm_why().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iovageom_crosvm;

/** One more than the highest container_type. */
#define IOVAGEOM_CROSVM_TYPES (UINT32_C(1) << 30)

/**
 * What a container (crosvm: a MemoryMapper) can map.
 *
 * Which container it is say type and id together: an id is unique among the mappers of one type
 * only. That of a VfioWrapper is the number of its host group, that of a BasicMemoryMapper a count
 * from 0, so the two meet in every machine that has both.
 */
struct iovageom_crosvm_host {
    const char *name;   /**< PCI address on the host, for messages; NUL-terminated */
    uint64_t page_mask; /**< MemoryMapper::get_mask() */
    const uint64_t
        *ranges; /**< start and last in turn: what VFIO lists; NULL when it says nothing */
    size_t range_count;
    uint32_t container_type;  /**< a number for MemoryMapper::type_id(), below CROSVM_TYPES */
    uint32_t container_id;    /**< MemoryMapper::id() */
    uint32_t container_known; /**< 0: page tables of its own, whatever type and id are */
    uint32_t page_mask_known; /**< 0 when get_mask() failed: not the same as an empty mask */
};

/** What the config space says. */
struct iovageom_crosvm_config {
    uint64_t page_size_mask;
    uint64_t input_start;
    uint64_t input_last;
    uint64_t features; /**< VIRTIO_IOMMU_F_* as a mask of bit numbers */
    uint32_t probe_size;
    uint32_t reserved;
};

/** A mapping for MemoryMapper::add_map() or remove_map(). */
struct iovageom_crosvm_mapping {
    uint64_t iova;
    uint64_t gpa;
    uint64_t last; /**< last IOVA, closed: a size of 2^64 can't be said in 64 bits */
    uint32_t write;
    uint32_t read;
};

/**
 * Iommu::new(), first half.
 *
 * @param page_size of the VMM's own process: the smallest granule to offer.
 * @param msi_start, msi_last the machine's MSI window; start > last when it has none (aarch64).
 */
int iovageom_crosvm_new(uint64_t page_size, uint64_t msi_start, uint64_t msi_last,
                        struct iovageom_crosvm **out);
void iovageom_crosvm_free(struct iovageom_crosvm *books);

/**
 * An endpoint of `endpoints`, before or after boot: Iommu::new(), handle_add_vfio_device().
 *
 * @return also IOVAGEOM_ERR_INVALID for a container_type that is too high.
 */
int iovageom_crosvm_add_endpoint(struct iovageom_crosvm *books, uint32_t endpoint,
                                 const struct iovageom_crosvm_host *host);
/** handle_del_vfio_device(). */
int iovageom_crosvm_remove_endpoint(struct iovageom_crosvm *books, uint32_t endpoint);
/**
 * An entry of hp_endpoints_ranges: endpoints `first` to `last` may get a device later on.
 * All of them are declared, or none.
 *
 * @param floor what any of those devices will be able to map; NULL when that isn't known.
 */
int iovageom_crosvm_declare(struct iovageom_crosvm *books, uint32_t first, uint32_t last,
                            const struct iovageom_crosvm_host *floor);

/** Iommu::new(), second half: what `config` and `avail_features` become. */
int iovageom_crosvm_config(const struct iovageom_crosvm *books, struct iovageom_crosvm_config *out);
/** The guest may have read it: call it from activate(). */
int iovageom_crosvm_activate(struct iovageom_crosvm *books);

/**
 * process_attach_request(), with `reserved` as it stands in the request.
 *
 * @return also UNSUPP while another endpoint of its container is in another domain: one mapper can't
 * hold two domains, each would see the mappings of the other.
 */
uint8_t iovageom_crosvm_attach(struct iovageom_crosvm *books, uint32_t domain, uint32_t endpoint,
                               const uint8_t reserved[8]);
/**
 * process_detach_request().
 *
 * @return also UNSUPP while another endpoint of its container stays in the domain: through their
 * common mapper, `endpoint` would go on reaching what is mapped there.
 */
uint8_t iovageom_crosvm_detach(struct iovageom_crosvm *books, uint32_t domain, uint32_t endpoint);
/** process_dma_map_request(): when it answers 0, *todo is for add_map(). */
uint8_t iovageom_crosvm_map(struct iovageom_crosvm *books, uint32_t domain, uint64_t virt_start,
                            uint64_t virt_end, uint64_t phys_start, uint32_t flags,
                            struct iovageom_crosvm_mapping *todo);
/** add_map() failed: take the mapping back. */
void iovageom_crosvm_map_undo(struct iovageom_crosvm *books, uint32_t domain, uint64_t virt_start,
                              uint64_t virt_end);
/** process_dma_unmap_request(), first step: may it be done? Changes nothing. */
uint8_t iovageom_crosvm_unmap_check(struct iovageom_crosvm *books, uint32_t domain,
                                    uint64_t virt_start, uint64_t virt_end);
/** Second step: the lowest mappings from `from` up to `virt_end`, as many as remove_map() can remove in
 *  one call. Only addresses are filled in. */
bool iovageom_crosvm_unmap_next(const struct iovageom_crosvm *books, uint32_t domain, uint64_t from,
                                uint64_t virt_end, struct iovageom_crosvm_mapping *todo);
/** Third step: they are gone from the host. */
uint8_t iovageom_crosvm_unmap(struct iovageom_crosvm *books, uint32_t domain, uint64_t virt_start,
                              uint64_t virt_end);
/** process_probe_request(): fills `size` bytes, unless it answers other than 0. */
uint8_t iovageom_crosvm_probe(struct iovageom_crosvm *books, uint32_t endpoint, uint8_t *properties,
                              size_t size);

/** One sentence on what the last call on these books refused; "" when it refused nothing. */
const char *iovageom_crosvm_why(const struct iovageom_crosvm *books);

#ifdef __cplusplus
}
#endif
#endif
