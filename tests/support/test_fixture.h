/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_TEST_FIXTURE_H
#define IOVAGEOM_TEST_FIXTURE_H

#include <stddef.h>

/**
 * The bytes of a file below tests/fixtures, in a block of exactly that size, so that sanitizers see
 * a read past it. Stops the program with a message when it can't be read. The caller frees it; the
 * block of an empty file is not NULL.
 */
void *test_fixture_read(const char *folder, const char *file, size_t *length);

/**
 * The same for the answer of a kernel, which was captured on a little-endian machine: its numbers
 * are turned into the byte order of this one. `file` is one of vfio_iommu_get_info,
 * ioas_iova_ranges and hw_info (of VT-d).
 */
void *test_fixture_read_answer(const char *folder, const char *file, size_t *length);

/** The names of all folders of tests/fixtures, for an array. */
#define TEST_FIXTURE_FOLDERS                                                                       \
    "amd", "arm64-smmuv3", "guest-20-regions", "guest-21-regions", "guest-nomsi",                  \
        "guest-raw-good", "guest-raw-inverted", "guest-raw-unknown", "guest-resv", "intel-39bit",  \
        "intel-48bit", "virtio-iommu"

#endif
