/* SPDX-License-Identifier: BSD-3-Clause */
#include <iovageom/region.h>

#include <string.h>

#include <iovageom/status.h>

#include "../base/text.h"
#include "internal.h"

const char *iovageom_resv_type_string(enum iovageom_resv_type type)
{
    static const char *const words[] = {"direct-relaxable", "reserved", "software-msi", "direct",
                                        "msi"};

    if (type < IOVAGEOM_RESV_DIRECT_RELAXABLE || type > IOVAGEOM_RESV_MSI)
        return "unknown type";
    return words[type - IOVAGEOM_RESV_DIRECT_RELAXABLE];
}

const char *iovageom_source_string(enum iovageom_source source)
{
    static const char *const words[] = {
        "the VMM",          "VT-d registers", "AMD-Vi registers",  "SMMUv3 registers",
        "RISC-V registers", "VFIO",           "iommufd",           "sysfs",
        "the device",       "the envelope",   "the machine model", "a user option"};

    if ((unsigned)source >= sizeof(words) / sizeof(words[0]))
        return "an unknown source";
    return words[source];
}

int iovageom_owner_init(struct iovageom_owner *owner, enum iovageom_source source, const char *name)
{
    size_t length = iovageom_text_length(name, IOVAGEOM_NAME_SIZE);

    if ((unsigned)source > IOVAGEOM_SOURCE_USER || length == IOVAGEOM_NAME_SIZE)
        return IOVAGEOM_ERR_INVALID;
    memset(owner, 0, sizeof(*owner));
    owner->source = (uint32_t)source;
    memcpy(owner->name, name, length);
    return IOVAGEOM_OK;
}

int iovageom_owner_compare(const struct iovageom_owner *a, const struct iovageom_owner *b)
{
    int difference;

    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    difference = memcmp(a->name, b->name, sizeof(a->name));
    return (difference > 0) - (difference < 0);
}
