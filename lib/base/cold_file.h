/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_COLD_FILE_H
#define IOVAGEOM_LIB_COLD_FILE_H

/*
 * The first header of a file none of whose calls are made often: it decodes, plans, saves or
 * explains. All public functions are cold for it then, its own as well, hence what only they call.
 */
#include "hints.h"

#if defined(__GNUC__)
#undef IOVAGEOM_API
#define IOVAGEOM_API __attribute__((visibility("default"), cold))
#endif

#endif
