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

#define ROW(status, error, virtio, sentence)                                                       \
    [-IOVAGEOM_ERR_##status] = {sentence, LINUX_##error, IOVAGEOM_VIRTIO_S_##virtio}

/*
 * Indexed by -status, and without a gap: each status of the enum has its row. Where virtio-iommu
 * has a rule for what went wrong, the row has the status of that rule: too small a probe buffer
 * INVAL (N68), overlap INVAL (N42), split RANGE (N54), alignment RANGE (N41), properties that do
 * not fit together UNSUPP (N30).
 */
static const struct status_words statuses[] = {
    [0] = {"success", 0, IOVAGEOM_VIRTIO_S_OK},
    ROW(INVALID, EINVAL, INVAL, "an argument is not valid"),
    ROW(NO_MEMORY, ENOMEM, NOMEM, "out of memory"),
    ROW(INVERTED, EINVAL, INVAL, "the range ends before it starts"),
    ROW(OVERFLOW, EOVERFLOW, RANGE, "the range or number does not fit in 64 bits"),
    ROW(OVERLAP, EADDRINUSE, INVAL, "the range overlaps one that is there already"),
    ROW(NOT_FOUND, ENOENT, NOENT, "there is nothing by that name or at that address"),
    ROW(UNKNOWN, ENODATA, DEVERR, "the host did not say"),
    ROW(NOTHING_USABLE, ENOSPC, RANGE, "no address is usable"),
    ROW(BUFFER_TOO_SMALL, EMSGSIZE, INVAL, "the buffer is too small"),
    ROW(TRUNCATED, EBADMSG, INVAL, "the input ends in the middle of a structure"),
    ROW(CYCLE, ELOOP, DEVERR, "the chain of capabilities comes back to itself"),
    ROW(MALFORMED, EBADMSG, INVAL, "the input contradicts itself or its format"),
    ROW(SYNTAX, EBADMSG, INVAL, "the text does not follow its grammar"),
    ROW(SPLIT, EINVAL, RANGE, "the range would split a mapping"),
    ROW(ALIGNMENT, EINVAL, RANGE, "an address is not aligned to the granule"),
    ROW(OUT_OF_APERTURE, ERANGE, RANGE, "the range lies outside the aperture"),
    ROW(RESERVED, EADDRNOTAVAIL, INVAL, "the range touches a reserved region"),
    ROW(CONFLICT, EBUSY, UNSUPP, "as it is, it conflicts with what holds already"),
    ROW(FROZEN, EBUSY, UNSUPP, "it is frozen: the guest may have read it"),
    ROW(LIMIT, ENOSPC, NOMEM, "a configured limit is reached"),
    ROW(UNSUPPORTED, EOPNOTSUPP, UNSUPP, "it is not supported"),
    ROW(STATE, EBUSY, INVAL, "the object is not in a state that allows this"),
    ROW(VERSION, EPROTO, UNSUPP, "the format version is not known"),
    ROW(EXISTS, EEXIST, INVAL, "there is one by that name already"),
    ROW(DISAGREEMENT, EPROTO, DEVERR, "the sources contradict each other"),
    ROW(FAULT, EFAULT, FAULT, "nothing is mapped there for such an access"),
    ROW(HOST, EIO, DEVERR, "the host refused"),
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
