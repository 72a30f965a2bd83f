/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SCENARIO_CAPTURED_HOST_H
#define SCENARIO_CAPTURED_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include <iovageom/geometry.h>

/* Hosts as iovageom-probe reads them: snapshots, archives, texts. Apart, for both have a struct
 * host. */

/**
 * Narrows `geometry` by what a captured host says of a group, by its number or a device's address.
 *
 * @param wrong receives why that can't be, when it is false; `size` bytes.
 */
bool captured_host(const char *path, const char *group, struct iovageom_geometry *geometry,
                   char *wrong, size_t size);

#endif
