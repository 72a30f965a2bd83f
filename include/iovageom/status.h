/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_STATUS_H
#define IOVAGEOM_STATUS_H

#include <stdint.h>

#include <iovageom/api.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What a call answers. Success is 0, failures are negative. Values are stable: a number is never
 * given a second meaning.
 *
 * The sentence beside each value is what iovageom_status_string() returns.
 */
enum iovageom_status {
    IOVAGEOM_OK = 0,                    /**< "success" */
    IOVAGEOM_ERR_INVALID = -1,          /**< "an argument is not valid" */
    IOVAGEOM_ERR_NO_MEMORY = -2,        /**< "out of memory" */
    IOVAGEOM_ERR_INVERTED = -3,         /**< "the range ends before it starts" */
    IOVAGEOM_ERR_OVERFLOW = -4,         /**< "the range or number does not fit in 64 bits" */
    IOVAGEOM_ERR_OVERLAP = -5,          /**< "the range overlaps one that is there already" */
    IOVAGEOM_ERR_NOT_FOUND = -6,        /**< "there is nothing by that name or at that address" */
    IOVAGEOM_ERR_UNKNOWN = -7,          /**< "the host did not say" */
    IOVAGEOM_ERR_NOTHING_USABLE = -8,   /**< "no address is usable" */
    IOVAGEOM_ERR_BUFFER_TOO_SMALL = -9, /**< "the buffer is too small" */
    IOVAGEOM_ERR_TRUNCATED = -10,       /**< "the input ends in the middle of a structure" */
    IOVAGEOM_ERR_CYCLE = -11,           /**< "the chain of capabilities comes back to itself" */
    IOVAGEOM_ERR_MALFORMED = -12,       /**< "the input contradicts itself or its format" */
    IOVAGEOM_ERR_SYNTAX = -13,          /**< "the text does not follow its grammar" */
    IOVAGEOM_ERR_SPLIT = -14,           /**< "the range would split a mapping" */
    IOVAGEOM_ERR_ALIGNMENT = -15,       /**< "an address is not aligned to the granule" */
    IOVAGEOM_ERR_OUT_OF_APERTURE = -16, /**< "the range lies outside the aperture" */
    IOVAGEOM_ERR_RESERVED = -17,        /**< "the range touches a reserved region" */
    IOVAGEOM_ERR_CONFLICT = -18,        /**< "as it is, it conflicts with what holds already" */
    IOVAGEOM_ERR_FROZEN = -19,          /**< "it is frozen: the guest may have read it" */
    IOVAGEOM_ERR_LIMIT = -20,           /**< "a configured limit is reached" */
    IOVAGEOM_ERR_UNSUPPORTED = -21,     /**< "it is not supported" */
    IOVAGEOM_ERR_STATE = -22,           /**< "the object is not in a state that allows this" */
    IOVAGEOM_ERR_VERSION = -23,         /**< "the format version is not known" */
    IOVAGEOM_ERR_EXISTS = -24,          /**< "there is one by that name already" */
    IOVAGEOM_ERR_DISAGREEMENT = -25,    /**< "the sources contradict each other" */
    IOVAGEOM_ERR_FAULT = -26,           /**< "nothing is mapped there for such an access" */
    IOVAGEOM_ERR_HOST = -27             /**< "the host refused" */
};

/**
 * Status values of the virtio-iommu request tail (virtio specification 1.4, "IOMMU Device").
 */
enum iovageom_virtio_status {
    IOVAGEOM_VIRTIO_S_OK = 0,
    IOVAGEOM_VIRTIO_S_IOERR = 1,
    IOVAGEOM_VIRTIO_S_UNSUPP = 2,
    IOVAGEOM_VIRTIO_S_DEVERR = 3,
    IOVAGEOM_VIRTIO_S_INVAL = 4,
    IOVAGEOM_VIRTIO_S_RANGE = 5,
    IOVAGEOM_VIRTIO_S_NOENT = 6,
    IOVAGEOM_VIRTIO_S_FAULT = 7,
    IOVAGEOM_VIRTIO_S_NOMEM = 8
};

/**
 * One English sentence for a status, without a full stop. Static storage, never NULL: a number
 * that is no status gives "unknown status". O(1).
 */
IOVAGEOM_API const char *iovageom_status_string(int status);

/**
 * The errno value, positive, that says most nearly the same; 0 for IOVAGEOM_OK. The numbers are
 * those of Linux, whatever system the library is compiled on, because that is what VFIO and
 * iommufd callers compare with. O(1).
 */
IOVAGEOM_API int iovageom_status_errno(int status);

/**
 * The virtio-iommu request status that says most nearly the same, an enum iovageom_virtio_status.
 * Of what a call of viommu_serve.h returns it is the one that the specification asks for. O(1).
 */
IOVAGEOM_API uint8_t iovageom_status_virtio(int status);

/** Version of the library in use, "major.minor.patch". Static storage. */
IOVAGEOM_API const char *iovageom_version(void);

#ifdef __cplusplus
}
#endif
#endif
