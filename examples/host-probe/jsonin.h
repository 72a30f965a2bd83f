/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_JSONIN_H
#define HOST_PROBE_JSONIN_H

#include <stddef.h>

#include <iovageom/geometry.h>

/*
 * JSON that this program wrote (iovageom.schema.json), read again. Each call gives NULL, or what is
 * wrong. A member that is missing is not known; one of a wrong kind is refused.
 */

/** What a host's groups can do together. */
struct json_host {
    struct iovageom_geometry *geometry; /**< of all groups that count; NULL where there is none */
    size_t groups;
    size_t assignable; /**< those that count: that can be assigned, and of which all is known */
    bool unknown;      /**< others could be assigned, but are not known well enough */
    bool faulty;       /**< not all of its files could be read */
    const char *name;  /**< of the snapshot; NULL */
};

/** The output of `list --json`, on one line or on many. */
const char *json_read_host(const char *words, size_t length, struct json_host *host);

/** What a guest was told: the member "promise" of the output of `show` and `probe`. */
const char *json_read_promise(const char *words, size_t length, struct iovageom_geometry **promise);

#endif
