/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_BYTES_H
#define HOST_PROBE_BYTES_H

#include "basics.h"

/* Bytes as people hand them on. */

/**
 * Replaces text by the bytes that it writes in hexadecimal: digits in pairs with or without blanks,
 * "0x01, 0x00," as in C, lines of hexdump -C, of xxd or of this program. False, and nothing is
 * changed, when it is no such text.
 */
bool bytes_from_text(struct blob *blob);

/** The same for what may be raw bytes as well: those stay as they are. */
bool bytes_of(struct blob *blob);

#endif
