/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_VIOMMU_INTERNAL_H
#define IOVAGEOM_LIB_VIOMMU_INTERNAL_H

#include "model.h"

/*
 * The files of lib/viommu. Each one uses only files above it in this list:
 *
 *   back.c       which mappings lead to an address, by an index
 *   parts.c      what the objects are built from: geometries of devices, lists of regions
 *   model.c      the objects, who belongs to whom, making and dropping them
 *   findings.c   findings of all kinds, and the owner that they name
 *   views.c      what is reserved for a guest group and in a domain; mappings of an address space
 *   wires.c      the list of reserved regions that a PROBE answers for a guest group
 *   shown.c      the config space, and the MSI window that a Linux guest assumes by itself
 *   promises.c   PROBE: the answer now, and the answers given before (promises)
 *   admission.c  may this device, envelope or slot come: questions that change nothing
 *   devices.c    declare, update, unplug; the list of plugs in an address space
 *   plug.c       may a device be plugged at these endpoints; plugging it
 *   setup.c      new, free, configuration, freeze, features, bypass, reset
 *   listing.c    endpoints, domains, mappings
 *   domains.c    ATTACH and DETACH
 *   mapping.c    MAP, UNMAP, translate
 *   request.c    requests as bytes
 *   save.c, load.c
 */

/* ---- findings.c ---- */

/* So many groups, or members of a group, are asked whom a finding is to name, and no more: a stream
 * may have many of them and many findings. */
enum { IOVAGEOM_ASKED_FOR_A_NAME = 64 };

#define IOVAGEOM_NOWHERE ((struct iovageom_range){0, 0})

struct iovageom_finding iovageom_finding_of(enum iovageom_finding_kind kind, int status,
                                            uint64_t domain, uint64_t endpoint,
                                            struct iovageom_range range,
                                            struct iovageom_range against);
void iovageom_name_device(struct iovageom_finding *finding, const struct iovageom_device *device,
                          struct iovageom_range range, struct iovageom_range reserved);
void iovageom_name_number(struct iovageom_finding *finding, const struct iovageom_device *device);
void iovageom_name_group(struct iovageom_finding *finding, const struct iovageom_viommu *viommu,
                         const struct iovageom_group *group, struct iovageom_range range);
int iovageom_refuse(struct iovageom_report *report, const struct iovageom_finding *finding);
int iovageom_refuse_reserved(struct iovageom_report *report, struct iovageom_finding *finding,
                             const struct iovageom_rangeset *reserved,
                             const struct iovageom_viommu *viommu,
                             const struct iovageom_group *group,
                             const struct iovageom_domain *domain);
int iovageom_refuse_saying(struct iovageom_report *report, int error, const char *detail,
                           uint64_t domain, uint64_t endpoint);
int iovageom_refuse_unknown(struct iovageom_report *report, uint64_t domain, uint64_t endpoint);
int iovageom_refuse_number(struct iovageom_report *report, enum iovageom_finding_kind kind,
                           int error, uint64_t domain, uint64_t endpoint, uint64_t wanted,
                           uint64_t offered);
void iovageom_report_take(struct iovageom_report *report, struct iovageom_report *notes);
void iovageom_note_nothing(struct iovageom_report *report, const char *who);

/* ---- views.c ---- */

int iovageom_view_add(struct iovageom_rangeset *view, const struct iovageom_device *device,
                      bool msi);
int iovageom_view_add_group(struct iovageom_rangeset *view, const struct iovageom_viommu *viommu,
                            const struct iovageom_group *group, const struct iovageom_plug *lead,
                            bool msi);
int iovageom_group_view(const struct iovageom_viommu *viommu, const struct iovageom_group *group,
                        struct iovageom_rangeset *out);
int iovageom_domain_reserved(const struct iovageom_viommu *viommu,
                             const struct iovageom_domain *domain, struct iovageom_rangeset *out);
int iovageom_domain_refresh(const struct iovageom_viommu *viommu, struct iovageom_domain *domain);
uint64_t iovageom_domain_budget(const struct iovageom_domain *domain);
uint32_t iovageom_groups_meet(const struct iovageom_link *link,
                              const struct iovageom_device *device);
uint64_t iovageom_address_space_live(const struct iovageom_address_space *address_space);
bool iovageom_identity_fits(const struct iovageom_rangeset *identity,
                            const struct iovageom_device *device, uint64_t endpoint,
                            uint64_t domain, struct iovageom_report *report);
bool iovageom_bypass_fits(const struct iovageom_address_space *address_space, uint64_t endpoint,
                          const struct iovageom_rangeset *identity, struct iovageom_report *report);
bool iovageom_bypasses(const struct iovageom_viommu *viommu,
                       const struct iovageom_endpoint *endpoint);
bool iovageom_bypass_fits_all(const struct iovageom_viommu *viommu, bool unattached,
                              const struct iovageom_rangeset *identity,
                              struct iovageom_report *report);
bool iovageom_bypass_unattached(const struct iovageom_viommu *viommu);

/* ---- shown.c and promises.c ---- */

uint64_t iovageom_shown_mask(const struct iovageom_viommu *viommu);
uint64_t iovageom_shown_granule(const struct iovageom_viommu *viommu);
int iovageom_shown_input(const struct iovageom_viommu *viommu, uint64_t granule,
                         const struct iovageom_device *device, uint64_t endpoint,
                         struct iovageom_report *report, struct iovageom_range *input, bool *whole);
int iovageom_shown(const struct iovageom_viommu *viommu, struct iovageom_virtio_config *out,
                   struct iovageom_report *report);
struct iovageom_range iovageom_guest_input(const struct iovageom_viommu *viommu);
bool iovageom_doorbells_unknown(const struct iovageom_viommu *viommu,
                                const struct iovageom_device *device, uint64_t endpoint,
                                struct iovageom_report *report);

/** Which list is wanted. */
struct iovageom_wire_question {
    const struct iovageom_viommu *viommu;
    const struct iovageom_group *group; /**< NULL: a new one */
    /** The config space that goes with it. With a probe_size of 0 the list need not fit. */
    const struct iovageom_virtio_config *shown;
    /** As if the group were where this is the first lead, and had this device; or NULL. */
    const struct iovageom_plug *lead;
    const struct iovageom_device *extra;
};

int iovageom_group_wire(const struct iovageom_wire_question *question,
                        struct iovageom_report *report, struct iovageom_wire_list **out);
uint64_t iovageom_promised_to(const struct iovageom_group *group, struct iovageom_range range);
int iovageom_promise_keep(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                          struct iovageom_wire_list *wire, uint64_t generation);
int iovageom_probe_decide(const struct iovageom_viommu *viommu, uint32_t endpoint, size_t size,
                          struct iovageom_report *report);
int iovageom_probe_do(struct iovageom_viommu *viommu, uint32_t endpoint, void *properties,
                      size_t size, size_t *needed, struct iovageom_report *report);

/* ---- admission.c ---- */

/** A question whether a device, the envelope, a slot, or a driver may come. */
struct iovageom_admission {
    const struct iovageom_viommu *viommu;
    const struct iovageom_device *device;
    struct iovageom_report *report;
    struct iovageom_address_space *address_space; /**< where the device will be; or NULL */
    uint64_t live;                                /**< mappings in it */
    const struct iovageom_plug_options *options;  /**< of a plug; else NULL */
    uint64_t key;                                 /**< of a plug: of its address space */
    struct iovageom_endpoint *known; /**< of a plug: the endpoint, where there is one */
    uint64_t endpoint;               /**< IOVAGEOM_ID_NONE for the envelope */
    uint32_t flags;                  /**< IOVAGEOM_PLUG_* */
    int status;                      /**< of the first objection; IOVAGEOM_OK while there is none */
};

void iovageom_object(struct iovageom_admission *a, struct iovageom_finding *finding);
int iovageom_ask_all(const struct iovageom_viommu *viommu, struct iovageom_report *report);
int iovageom_ask_envelope(const struct iovageom_viommu *viommu,
                          const struct iovageom_device *envelope, struct iovageom_report *report);
int iovageom_ask_slot(const struct iovageom_viommu *viommu, uint32_t endpoint,
                      const struct iovageom_group *group, struct iovageom_report *report);
int iovageom_ask_begin(struct iovageom_admission *a, const struct iovageom_geometry *geometry,
                       struct iovageom_device **device);
void iovageom_ask_device(struct iovageom_admission *a);
int iovageom_ask_joining(struct iovageom_admission *a, const struct iovageom_group *group);
int iovageom_ask_neighbours(struct iovageom_admission *a);

/* ---- devices.c, setup.c, domains.c, mapping.c ---- */

struct iovageom_plug *iovageom_plug_make(struct iovageom_viommu *viommu,
                                         struct iovageom_address_space *address_space, uint64_t key,
                                         uint64_t host_group, struct iovageom_device *device);
int iovageom_plug_join(struct iovageom_viommu *viommu, struct iovageom_plug *plug,
                       struct iovageom_endpoint *endpoint, uint32_t id, uint64_t group_key);
void iovageom_plug_remove(struct iovageom_viommu *viommu, struct iovageom_plug *plug);

/**
 * What was decided for an ATTACH or a DETACH. Like struct iovageom_change below, it points into the
 * model and is void after any change: `do` follows `decide` at once.
 */
struct IOVAGEOM_ITREE_ALIAS iovageom_move {
    struct iovageom_endpoint *endpoint;
    struct iovageom_domain
        *domain; /**< where it goes; NULL: nowhere, or to a domain that is made */
    uint32_t id;
    bool bypass;
    bool make;
};

int iovageom_attach_decide(const struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           uint32_t flags, struct iovageom_report *report,
                           struct iovageom_move *out);
int iovageom_detach_decide(const struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           struct iovageom_report *report, struct iovageom_move *out);
int iovageom_move_do(struct iovageom_viommu *viommu, const struct iovageom_move *move);
/** A MAP or an UNMAP: what is asked, and what _map_decide() or _unmap_decide() found. */
struct IOVAGEOM_ITREE_ALIAS iovageom_change {
    struct iovageom_mapping mapping; /**< the question; of an UNMAP only the range */
    struct iovageom_domain *domain;
    struct iovageom_mappings_place place; /**< in the tree, so that doing it searches nothing */
};

int iovageom_map_decide(struct iovageom_viommu *viommu, uint32_t domain,
                        struct iovageom_report *report, struct iovageom_change *change);
int iovageom_unmap_decide(const struct iovageom_viommu *viommu, uint32_t domain,
                          struct iovageom_report *report, struct iovageom_change *change);

/**
 * To be called once iovageom_map_decide() has agreed, with no change in between: `change->place`
 * points into the tree. IOVAGEOM_ERR_NO_MEMORY; nothing has changed then.
 */
static inline int iovageom_map_do(struct iovageom_viommu *viommu, struct iovageom_change *change)
{
    int error =
        iovageom_mappings_insert(&change->domain->mappings, &change->place, &change->mapping);

    if (error == IOVAGEOM_OK && change->domain->indexed)
        error = iovageom_back_add(viommu, change->domain, &change->mapping);
    if (error != IOVAGEOM_OK)
        return error;
    viommu->mapping_count++;
    viommu->changes++;
    return IOVAGEOM_OK;
}

/** The same after iovageom_unmap_decide(). Returns how many mappings were removed. */
static inline size_t iovageom_unmap_do(struct iovageom_viommu *viommu,
                                       struct iovageom_change *change)
{
    size_t count;

    if (change->domain->indexed)
        iovageom_back_remove(change->domain, change->mapping.range);
    count =
        iovageom_mappings_remove(&change->domain->mappings, &change->place, change->mapping.range);
    viommu->mapping_count -= count;
    viommu->changes++;
    return count;
}

#endif
