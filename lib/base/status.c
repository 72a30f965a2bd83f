/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/status.h>

/* Linux's numbers (include/uapi/asm-generic/errno*.h). Those of <errno.h> differ on other systems,
 * and a freestanding build has no such header. */
enum {
    LINUX_ENOENT = 2,
    LINUX_EIO = 5,
    LINUX_ENOMEM = 12,
    LINUX_EFAULT = 14,
    LINUX_EBUSY = 16,
    LINUX_EEXIST = 17,
    LINUX_EINVAL = 22,
    LINUX_ENOSPC = 28,
    LINUX_ERANGE = 34,
    LINUX_ELOOP = 40,
    LINUX_ENODATA = 61,
    LINUX_EPROTO = 71,
    LINUX_EBADMSG = 74,
    LINUX_EOVERFLOW = 75,
    LINUX_EMSGSIZE = 90,
    LINUX_EOPNOTSUPP = 95,
    LINUX_EADDRINUSE = 98,
    LINUX_EADDRNOTAVAIL = 99
};

struct status_words {
    const char *sentence;
    uint8_t linux_errno;
    uint8_t virtio;
};

/*
 * Indexed by -status, and without a gap: each status of the enum has its row. Where virtio-iommu
 * has a rule for what went wrong, the row has the status of that rule: too small a probe buffer
 * INVAL (N68), overlap INVAL (N42), split RANGE (N54), alignment RANGE (N41), properties that do
 * not fit together UNSUPP (N30).
 */
static const struct status_words statuses[] = {
    [0] = {"success", 0, IOVAGEOM_VIRTIO_S_OK},
    [-IOVAGEOM_ERR_INVALID] = {"an argument is not valid", LINUX_EINVAL, IOVAGEOM_VIRTIO_S_INVAL},
    [-IOVAGEOM_ERR_NO_MEMORY] = {"out of memory", LINUX_ENOMEM, IOVAGEOM_VIRTIO_S_NOMEM},
    [-IOVAGEOM_ERR_INVERTED] = {"the range ends before it starts", LINUX_EINVAL,
                                IOVAGEOM_VIRTIO_S_INVAL},
    [-IOVAGEOM_ERR_OVERFLOW] = {"the range or number does not fit in 64 bits", LINUX_EOVERFLOW,
                                IOVAGEOM_VIRTIO_S_RANGE},
    [-IOVAGEOM_ERR_OVERLAP] = {"the range overlaps one that is there already", LINUX_EADDRINUSE,
                               IOVAGEOM_VIRTIO_S_INVAL},
    [-IOVAGEOM_ERR_NOT_FOUND] = {"there is nothing by that name or at that address", LINUX_ENOENT,
                                 IOVAGEOM_VIRTIO_S_NOENT},
    [-IOVAGEOM_ERR_UNKNOWN] = {"the host did not say", LINUX_ENODATA, IOVAGEOM_VIRTIO_S_DEVERR},
    [-IOVAGEOM_ERR_NOTHING_USABLE] = {"no address is usable", LINUX_ENOSPC,
                                      IOVAGEOM_VIRTIO_S_RANGE},
    [-IOVAGEOM_ERR_BUFFER_TOO_SMALL] = {"the buffer is too small", LINUX_EMSGSIZE,
                                        IOVAGEOM_VIRTIO_S_INVAL},
    [-IOVAGEOM_ERR_TRUNCATED] = {"the input ends in the middle of a structure", LINUX_EBADMSG,
                                 IOVAGEOM_VIRTIO_S_INVAL},
    [-IOVAGEOM_ERR_CYCLE] = {"the chain of capabilities comes back to itself", LINUX_ELOOP,
                             IOVAGEOM_VIRTIO_S_DEVERR},
    [-IOVAGEOM_ERR_MALFORMED] = {"the input contradicts itself or its format", LINUX_EBADMSG,
                                 IOVAGEOM_VIRTIO_S_INVAL},
    [-IOVAGEOM_ERR_SYNTAX] = {"the text does not follow its grammar", LINUX_EBADMSG,
                              IOVAGEOM_VIRTIO_S_INVAL},
    [-IOVAGEOM_ERR_SPLIT] = {"the range would split a mapping", LINUX_EINVAL,
                             IOVAGEOM_VIRTIO_S_RANGE},
    [-IOVAGEOM_ERR_ALIGNMENT] = {"an address is not aligned to the granule", LINUX_EINVAL,
                                 IOVAGEOM_VIRTIO_S_RANGE},
    [-IOVAGEOM_ERR_OUT_OF_APERTURE] = {"the range lies outside the aperture", LINUX_ERANGE,
                                       IOVAGEOM_VIRTIO_S_RANGE},
    [-IOVAGEOM_ERR_RESERVED] = {"the range touches a reserved region", LINUX_EADDRNOTAVAIL,
                                IOVAGEOM_VIRTIO_S_INVAL},
    [-IOVAGEOM_ERR_CONFLICT] = {"as it is, it conflicts with what holds already", LINUX_EBUSY,
                                IOVAGEOM_VIRTIO_S_UNSUPP},
    [-IOVAGEOM_ERR_FROZEN] = {"it is frozen: the guest may have read it", LINUX_EBUSY,
                              IOVAGEOM_VIRTIO_S_UNSUPP},
    [-IOVAGEOM_ERR_LIMIT] = {"a configured limit is reached", LINUX_ENOSPC,
                             IOVAGEOM_VIRTIO_S_NOMEM},
    [-IOVAGEOM_ERR_UNSUPPORTED] = {"it is not supported", LINUX_EOPNOTSUPP,
                                   IOVAGEOM_VIRTIO_S_UNSUPP},
    [-IOVAGEOM_ERR_STATE] = {"the object is not in a state that allows this", LINUX_EBUSY,
                             IOVAGEOM_VIRTIO_S_INVAL},
    [-IOVAGEOM_ERR_VERSION] = {"the format version is not known", LINUX_EPROTO,
                               IOVAGEOM_VIRTIO_S_UNSUPP},
    [-IOVAGEOM_ERR_EXISTS] = {"there is one by that name already", LINUX_EEXIST,
                              IOVAGEOM_VIRTIO_S_INVAL},
    [-IOVAGEOM_ERR_DISAGREEMENT] = {"the sources contradict each other", LINUX_EPROTO,
                                    IOVAGEOM_VIRTIO_S_DEVERR},
    [-IOVAGEOM_ERR_FAULT] = {"nothing is mapped there for such an access", LINUX_EFAULT,
                             IOVAGEOM_VIRTIO_S_FAULT},
    [-IOVAGEOM_ERR_HOST] = {"the host refused", LINUX_EIO, IOVAGEOM_VIRTIO_S_DEVERR},
};

/* For numbers that are no status, for example one of a newer version of the library. */
static const struct status_words unknown = {"unknown status", LINUX_EINVAL,
                                            IOVAGEOM_VIRTIO_S_DEVERR};

static const struct status_words *words_of(int status)
{
    const int lowest = 1 - (int)(sizeof(statuses) / sizeof(statuses[0]));

    return status > 0 || status < lowest ? &unknown : &statuses[-status];
}

const char *iovageom_status_string(int status)
{
    return words_of(status)->sentence;
}

int iovageom_status_errno(int status)
{
    return words_of(status)->linux_errno;
}

uint8_t iovageom_status_virtio(int status)
{
    return words_of(status)->virtio;
}

#define DIGITS(number)              #number
#define DOTTED(major, minor, patch) DIGITS(major) "." DIGITS(minor) "." DIGITS(patch)

const char *iovageom_version(void)
{
    return DOTTED(IOVAGEOM_VERSION_MAJOR, IOVAGEOM_VERSION_MINOR, IOVAGEOM_VERSION_PATCH);
}
