/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_CH_H
#define IOVAGEOM_CH_H

/**
 * @file
 * The books of a virtual IOMMU in the shape of cloud-hypervisor's virtio-iommu: a request goes in
 * as the bytes of its descriptor chain, what is to be done on the external mappings comes out, and
 * the answer is written when that is done. The books stand where msi_iova_space, input_range and
 * IommuMapping stand today.
 *
 * Ranges are closed, in bytes. Functions return 0 or a negative enum iovageom_status, unless said
 * otherwise. Whatever is refused is told in iovageom_ch_why().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iovageom_ch;

/** What the container behind an external mapping can map. */
struct iovageom_ch_host {
    const char *name;         /**< the device's id, for messages; NUL-terminated */
    const uint8_t *vfio_info; /**< the bytes of VFIO_IOMMU_GET_INFO; NULL when there are none */
    size_t vfio_info_size;
    uint32_t address_width; /**< of the host, 1 to 64 bits; 0 when not known */
    uint32_t reserved;      /**< 0 */
};

/** What is to be done on the host before the guest is answered. */
enum iovageom_ch_work {
    IOVAGEOM_CH_NOTHING = 0, /**< call finish() at once */
    IOVAGEOM_CH_MAP = 1,     /**< map `start` to `last`, at `gpa`, for each endpoint of `domain` */
    IOVAGEOM_CH_UNMAP = 2,   /**< unmap what next_mapping() gives up to `last`, for each endpoint */
    IOVAGEOM_CH_ATTACH = 3,  /**< leave `from_domain` if any, map all that is mapped in `domain` */
    IOVAGEOM_CH_DETACH = 4   /**< unmap all that is mapped in `domain`, for `endpoint` */
};

struct iovageom_ch_step {
    uint32_t work; /**< an enum iovageom_ch_work */
    uint32_t domain;
    uint32_t endpoint;
    uint32_t attached; /**< 1 when `endpoint` is attached now, to `from_domain` */
    uint32_t from_domain;
    uint32_t bypass; /**< ATTACH to a bypass domain: the VMM maps guest memory one to one */
    uint64_t start;
    uint64_t last;
    uint64_t gpa;
};

struct iovageom_ch_mapping {
    uint64_t start;
    uint64_t last;
    uint64_t gpa;
};

/**
 * Iommu::new(). The limits of cloud-hypervisor hold: 2^20 mappings in a domain, 2^16 domains; what
 * is beyond is answered NOMEM.
 *
 * @param address_width_bits the user's iommu_address_width, 64 when not given. It only narrows:
 * what the hosts can map is known without it.
 */
int iovageom_ch_new(uint64_t msi_start, uint64_t msi_last, uint32_t address_width_bits,
                    struct iovageom_ch **out);
void iovageom_ch_free(struct iovageom_ch *iommu);

/** Iommu::add_external_mapping(), before or after boot: the point of admission. */
int iovageom_ch_add(struct iovageom_ch *iommu, uint32_t device_id,
                    const struct iovageom_ch_host *host);
/** The device is ejected. What it had mapped on the host goes with it. */
int iovageom_ch_remove(struct iovageom_ch *iommu, uint32_t device_id);
/** A device that has no external mapping (virtio, with iommu=on): made by the VMM itself. */
int iovageom_ch_add_emulated(struct iovageom_ch *iommu, uint32_t device_id);
/** A place of iommu_segments: a device may be plugged there later. */
int iovageom_ch_declare(struct iovageom_ch *iommu, uint32_t device_id);
/** What any device to come can map. */
int iovageom_ch_set_floor(struct iovageom_ch *iommu, const struct iovageom_ch_host *host);

/** VirtioDevice::read_config(): 40 bytes. */
int iovageom_ch_config(const struct iovageom_ch *iommu, uint8_t out[40]);
/** Feature bits of the device type to offer. */
uint64_t iovageom_ch_features(void);

/**
 * VirtioDevice::activate(): all that the driver has accepted (acked_features), before its first
 * request. Until told, what is offered counts as accepted.
 *
 * @return IOVAGEOM_ERR_CONFLICT when such a driver can't be told what a device can't map: refuse to
 * activate.
 */
int iovageom_ch_driver_features(struct iovageom_ch *iommu, uint64_t accepted);
/**
 * VirtioDevice::write_config() of the field `bypass`: 0 ends the access of endpoints that are not
 * attached.
 *
 * @return IOVAGEOM_ERR_UNSUPPORTED when the driver has not accepted BYPASS_CONFIG.
 */
int iovageom_ch_set_bypass(struct iovageom_ch *iommu, uint8_t value);

/** Request::parse(), first half. Takes any bytes. Always to be followed by finish(). */
void iovageom_ch_parse(struct iovageom_ch *iommu, const uint8_t *readable, size_t readable_size,
                       size_t writable_size, struct iovageom_ch_step *step);
/**
 * Request::parse(), second half.
 *
 * @param worked false when the work on the host has failed: nothing is booked then.
 * @return the used length.
 */
size_t iovageom_ch_finish(struct iovageom_ch *iommu, bool worked, uint8_t *writable,
                          size_t writable_size);

/** The lowest mapping of `domain` that ends at `from` or above and starts at `last` or below. */
bool iovageom_ch_next_mapping(const struct iovageom_ch *iommu, uint32_t domain, uint64_t from,
                              uint64_t last, struct iovageom_ch_mapping *out);
/** The endpoint attached to `domain` after `previous`; UINT64_MAX asks for the first. */
bool iovageom_ch_next_endpoint(const struct iovageom_ch *iommu, uint32_t domain, uint64_t previous,
                               uint32_t *out);
/** The domain that `device_id` is attached to. False when it is not. */
bool iovageom_ch_domain_of(const struct iovageom_ch *iommu, uint32_t device_id, uint32_t *domain);

/**
 * DmaRemapping::translate_gva(): `size` bytes from `address`, which may lie in several mappings when
 * what they map follows on in guest memory. False when any of it is not mapped for that access, or
 * lies elsewhere in guest memory, and for a size of 0.
 */
bool iovageom_ch_translate(const struct iovageom_ch *iommu, uint32_t device_id, uint64_t address,
                           uint64_t size, bool write, uint64_t *gpa);

/** Snapshottable: state() and set_state(). `needed` is written when the buffer is too small, too.
 */
int iovageom_ch_save(const struct iovageom_ch *iommu, uint8_t *out, size_t size, size_t *needed);
int iovageom_ch_load(struct iovageom_ch *iommu, const uint8_t *bytes, size_t size);

/** One sentence on what the last call refused; "" when it refused nothing. */
const char *iovageom_ch_why(const struct iovageom_ch *iommu);

#ifdef __cplusplus
}
#endif
#endif
