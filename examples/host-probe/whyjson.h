/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_WHYJSON_H
#define HOST_PROBE_WHYJSON_H

#include "answer.h"
#include "jsonout.h"

/** A question, and all that is known of it. */
json_t *question_json(const struct asked *asked, const struct question *question);

#endif
