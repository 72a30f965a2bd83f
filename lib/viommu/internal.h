/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_VIOMMU_INTERNAL_H
#define IOVAGEOM_LIB_VIOMMU_INTERNAL_H

#include <iovageom/viommu.h>

#include "../base/hints.h"
#include "../geometry/resv.h"
#include "../set/mappings.h"
#include "../set/table.h"

/*
 * What lib/viommu is made of. Each file uses only files above it in this list:
 *
 *   parts.c      what they are made of: geometries of devices, lists of regions, views
 *   model.c      the objects, who belongs to whom, making and dropping them
 *   findings.c   findings of all kinds, and the owner that they name
 *   views.c      what is reserved for a guest group and in a domain; what is mapped in an address space
 *   wires.c      the list of regions that a guest group is told
 *   shown.c      the config space, and what a guest makes up where it is told nothing
 *   promises.c   what endpoints are told, and were told
 *   admission.c  may this device, envelope or slot come: questions that change nothing
 *   devices.c    declare, update, unplug; plugs in their address spaces
 *   plug.c       may it be plugged there, and plugging
 *   setup.c      new, free, configuration, freeze, features, bypass, reset
 *   listing.c    endpoints, domains, mappings
 *   domains.c    ATTACH and DETACH
 *   mapping.c    MAP, UNMAP, translate
 *   request.c    requests as bytes
 *   save.c, load.c
 *
 * Four kinds of object. A plugged device (plug) is in one *address space*, that is on one set of
 * host page tables, and at one or more *endpoints*: its own, and those of its aliases. An endpoint is
 * in one *guest group*, and while it is attached in one *domain*.
 *
 *     plug ---> address space             what a plug reserves is reserved for its address space,
 *       |           |     \               so for each guest group with an endpoint there,
 *       v           v      \              so for each domain with an endpoint of such a group
 *     endpoint -> group --> domain
 *
 * The arrows to the right are *links*. A link stands for at least one endpoint, and counts them, so
 * that it goes with the last. By following links, a change finds all that it concerns, and nothing
 * else, however many endpoints there are.
 */

/** The geometry of a device, or of the envelope, and what is asked of it all the time. */
struct iovageom_device {
    size_t references;
    size_t size; /**< of this allocation */
    struct iovageom_geometry *geometry;
    struct iovageom_resv_walk *walk; /**< finds one of many owners; NULL for few */
    uint64_t mask;                   /**< page sizes; all ones when unknown */
    uint64_t budget;                 /**< mappings of its address space; all ones when unknown */
    size_t all_count;
    size_t msi_count;
    struct iovageom_range ranges[]; /**< all that is not usable in normal form, then its MSI part */
};

/** A list of regions as a PROBE tells it. Never changed once made, so it may be shared. */
struct iovageom_wire_list {
    size_t references;
    size_t size; /**< of this allocation */
    size_t count;
    struct iovageom_region regions[];
};

/** One end of links: those to whom it passes on what is reserved, and those from whom it inherits. */
struct iovageom_node {
    void *self;     /**< the object that this is the node of */
    uint32_t index; /**< makes, with that of the other end, the key of a link */
    size_t down_count;
    struct iovageom_link *down;
    struct iovageom_link *up;
};

struct iovageom_link {
    struct iovageom_node *upper;
    struct iovageom_node *lower;
    size_t count; /**< endpoints that it stands for */
    struct iovageom_link *down_next, *down_previous;
    struct iovageom_link *up_next, *up_previous;
};

/** Addresses that can't be mapped, and the MSI part of them. */
struct iovageom_view {
    struct iovageom_rangeset all;
    struct iovageom_rangeset msi;
};

struct iovageom_endpoint;

/** Endpoints in the order in which they came. */
struct iovageom_members {
    struct iovageom_endpoint *first;
    struct iovageom_endpoint *last;
    size_t count;
};

/** The lists that an endpoint may be on. */
enum iovageom_list {
    IOVAGEOM_LIST_GROUP,
    IOVAGEOM_LIST_DOMAIN,
    IOVAGEOM_LIST_TOLD,
    IOVAGEOM_LISTS
};

/** One endpoint of a plug. */
struct iovageom_contact {
    struct iovageom_plug *plug;
    struct iovageom_endpoint *endpoint;
    struct iovageom_contact *next, *previous; /**< at the same endpoint, in the order of plugging */
};

/**
 * A device as it was plugged. Of the plugs of an address space that reserve the same, the first one is
 * the *lead*: the others change nothing for anybody, so most questions go by leads alone.
 */
struct iovageom_plug {
    struct iovageom_device *device;
    struct iovageom_address_space *address_space;
    struct iovageom_plug *next, *previous; /**< in the address space, in the order of plugging */
    struct iovageom_plug *lead_next;
    bool leads;
    bool unfit;    /**< a lead that can't map the identity ranges */
    bool prepared; /**< and not committed yet: not there for the guest */
    uint64_t host_group;
    size_t capacity; /**< of `contacts` */
    size_t count;
    struct iovageom_contact contacts[]; /**< the endpoint where it was plugged, then its aliases */
};

/** One set of host page tables; there is one while a plug is in it. */
struct iovageom_address_space {
    struct iovageom_node node;   /**< to the guest groups with an endpoint in it */
    struct iovageom_node mapped; /**< to the domains with an endpoint in it */
    uint64_t key;
    struct iovageom_plug *first, *last;
    struct iovageom_plug *leads;
    size_t unfit; /**< leads that can't map the identity ranges */
};

/** A host group that a plug has named: all its devices are in one address space. */
struct iovageom_host_group {
    struct iovageom_address_space *address_space;
    uint64_t number;
    size_t claims;
};

/** That a host group is where an endpoint's devices are: one of them said so. */
struct iovageom_claim {
    struct iovageom_claim *next;
    struct iovageom_host_group *host_group;
};

struct iovageom_group {
    struct iovageom_node node; /**< from address spaces, to domains */
    uint64_t key;
    struct iovageom_members members;
    struct iovageom_members told; /**< those with a promise */
    size_t slots;                 /**< members that are slots: with one, the envelope counts */
    size_t visible;               /**< members that are there for the guest */
    struct iovageom_view view;
    bool view_clean; /**< else `view` is to be computed anew */
    bool wire_clean; /**< else the same of `wire` */
    bool loaded;     /**< while loading: the stream spoke of its members */
    bool unnumbered; /**< made by load: the first plug that names a number gives it one */
    struct iovageom_wire_list *wire;   /**< what a PROBE is answered, once frozen; or NULL */
    struct iovageom_rangeset promised; /**< usable addresses that any member was told, ever */
    struct iovageom_wire_list *promised_wire; /**< that `promised` is known to contain, or NULL */
};

struct iovageom_domain {
    struct iovageom_node node;   /**< from guest groups; its index is its number */
    struct iovageom_node mapped; /**< from address spaces; the same index */
    bool bypass;
    bool clean;  /**< `reserved`, `budget` and `shared` are those of its endpoints */
    bool shared; /**< another domain draws on the same budget, so it is to be counted each time */
    uint64_t budget;
    struct iovageom_members members;
    struct iovageom_rangeset reserved;
    struct iovageom_mappings mappings;
};

struct iovageom_endpoint {
    uint32_t id;
    uint32_t kind;
    size_t devices;   /**< of `contacts`, those whose plug is committed */
    bool expected;    /**< there for the guest, but its device is yet to come: see load.c */
    bool loaded_shut; /**< while loading: it did not bypass at the source either */
    struct iovageom_contact *first, *last;
    struct iovageom_claim *claims; /**< the newest first */
    struct iovageom_group *group;
    struct iovageom_address_space *address_space; /**< of all its devices; NULL without a device */
    struct iovageom_domain *domain;
    struct iovageom_endpoint *next[IOVAGEOM_LISTS];
    struct iovageom_endpoint *previous[IOVAGEOM_LISTS];
    struct iovageom_wire_list *told;
    uint64_t generation; /**< when it was told; 0 without a promise */
    uint64_t age;        /**< endpoints that were made before it */
};

struct iovageom_viommu {
    struct iovageom_allocator allocator;
    struct iovageom_viommu_config config;
    struct iovageom_virtio_config shown; /**< what the guest reads, once frozen */
    bool frozen;
    bool stale; /**< something was plugged in spite of a promise or mapping */
    uint32_t accepted;
    uint32_t bypass;
    uint32_t next_index;
    uint64_t generation; /**< counts what may change a promise */
    uint64_t changes;    /**< counts all changes, so that request_end() knows of them */
    uint64_t births;     /**< endpoints that were made, ever */
    uint64_t mapping_count;
    struct iovageom_resv *platform;
    struct iovageom_view platform_view;
    struct iovageom_device *envelope;
    struct iovageom_rangeset identity;
    struct iovageom_table endpoints; /**< number -> struct iovageom_endpoint */
    struct iovageom_table groups;    /**< key -> struct iovageom_group */
    struct iovageom_table address_spaces;
    struct iovageom_table host_groups;
    struct iovageom_table domains;
    struct iovageom_table links; /**< indices of both nodes -> struct iovageom_link */
};

/* Keys: a number that the VMM gave, or one made from what stands for itself. */
#define IOVAGEOM_KEY_HOST_GROUP ((uint64_t)1 << 62)
#define IOVAGEOM_KEY_OWN        ((uint64_t)1 << 63)

/* Any list can be joined until it fits: what is below the MSI window, that, and what is above. */
#define IOVAGEOM_VIOMMU_LEAST_PROBE (3 * IOVAGEOM_VIRTIO_RESV_MEM_SIZE)

#define IOVAGEOM_EVERYTHING         ((struct iovageom_range){0, IOVAGEOM_ADDRESS_MAX})

/* ---- parts.c and model.c ---- */

void *iovageom_books_allocate(const struct iovageom_viommu *viommu, size_t size);
void iovageom_books_release(const struct iovageom_viommu *viommu, void *memory, size_t size);
int iovageom_device_make(const struct iovageom_viommu *viommu,
                         const struct iovageom_geometry *geometry, uint64_t live,
                         struct iovageom_device **out);
void iovageom_device_put(const struct iovageom_viommu *viommu, struct iovageom_device *device);
bool iovageom_device_reserves(const struct iovageom_device *device, struct iovageom_range range);
bool iovageom_device_same(const struct iovageom_device *a, const struct iovageom_device *b);
int iovageom_wire_new(const struct iovageom_viommu *viommu, size_t count,
                      struct iovageom_wire_list **out);
void iovageom_wire_put(const struct iovageom_viommu *viommu, struct iovageom_wire_list *wire);
int iovageom_view_init(struct iovageom_view *view, const struct iovageom_viommu *viommu);
void iovageom_view_deinit(struct iovageom_view *view);
void iovageom_members_add(struct iovageom_members *members, enum iovageom_list list,
                          struct iovageom_endpoint *endpoint);
size_t iovageom_link_count(const struct iovageom_viommu *viommu, const struct iovageom_node *upper,
                           const struct iovageom_node *lower);
int iovageom_link_get(struct iovageom_viommu *viommu, struct iovageom_node *upper,
                      struct iovageom_node *lower);
void iovageom_link_put(struct iovageom_viommu *viommu, struct iovageom_node *upper,
                       struct iovageom_node *lower);
struct iovageom_endpoint *iovageom_endpoint_at(const struct iovageom_viommu *viommu, uint64_t id);
struct iovageom_endpoint *iovageom_endpoint_after(const struct iovageom_viommu *viommu,
                                                  const struct iovageom_endpoint *endpoint);
struct iovageom_group *iovageom_group_after(const struct iovageom_viommu *viommu,
                                            const struct iovageom_group *group);
struct iovageom_plug *iovageom_plug_after(const struct iovageom_viommu *viommu,
                                          const struct iovageom_plug *plug);
struct iovageom_plug *iovageom_plug_at(const struct iovageom_endpoint *endpoint, bool prepared);
struct iovageom_plug *iovageom_lead_like(const struct iovageom_address_space *address_space,
                                         const struct iovageom_device *device);
bool iovageom_plug_pending(const struct iovageom_endpoint *endpoint);
bool iovageom_endpoint_visible(const struct iovageom_endpoint *endpoint);
uint64_t iovageom_next_own_group(const struct iovageom_viommu *viommu);
int iovageom_group_number(struct iovageom_viommu *viommu, struct iovageom_group *group,
                          uint64_t number);
int iovageom_endpoint_make(struct iovageom_viommu *viommu, uint32_t id, uint64_t group_key,
                           enum iovageom_endpoint_kind kind, struct iovageom_endpoint **out);
void iovageom_endpoint_drop(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint);
void iovageom_endpoint_forget(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint);
void iovageom_endpoint_expect(struct iovageom_endpoint *endpoint);
void iovageom_endpoint_unexpect(struct iovageom_endpoint *endpoint);
void iovageom_group_forgive(struct iovageom_viommu *viommu, struct iovageom_group *group);
void iovageom_group_stale(struct iovageom_group *group);
struct iovageom_domain *iovageom_domain_at(const struct iovageom_viommu *viommu, uint32_t id);
int iovageom_domain_make(struct iovageom_viommu *viommu, uint32_t id, bool bypass,
                         struct iovageom_domain **out);
void iovageom_domain_free(struct iovageom_viommu *viommu, struct iovageom_domain *domain);
int iovageom_domain_join(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                         struct iovageom_domain *domain);
void iovageom_domain_leave(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint);

int iovageom_endpoint_enter(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                            struct iovageom_address_space *address_space);
void iovageom_endpoint_exit(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint);

/* ---- findings.c ---- */

struct iovageom_owner iovageom_owner_named(enum iovageom_source source, const char *name);
void iovageom_name_device(struct iovageom_finding *finding, const struct iovageom_device *device,
                          struct iovageom_range range);
void iovageom_name_group(struct iovageom_finding *finding, const struct iovageom_viommu *viommu,
                         const struct iovageom_group *group, struct iovageom_range range);
void iovageom_name_domain(struct iovageom_finding *finding, const struct iovageom_viommu *viommu,
                          const struct iovageom_domain *domain, struct iovageom_range range);
int iovageom_refuse(struct iovageom_report *report, const struct iovageom_finding *finding);
int iovageom_refuse_saying(struct iovageom_report *report, int error, const char *detail,
                           uint64_t domain, uint64_t endpoint);
int iovageom_refuse_unknown(struct iovageom_report *report, uint64_t domain, uint64_t endpoint);
int iovageom_refuse_number(struct iovageom_report *report, enum iovageom_finding_kind kind,
                           int error, uint64_t domain, uint64_t endpoint, uint64_t wanted,
                           uint64_t offered);
void iovageom_note_lost(struct iovageom_report *report, struct iovageom_range range);
void iovageom_note_nothing(struct iovageom_report *report, const char *who);

/* ---- views.c ---- */

int iovageom_view_add(struct iovageom_view *view, const struct iovageom_device *device);
int iovageom_group_view(const struct iovageom_viommu *viommu, const struct iovageom_group *group,
                        struct iovageom_view *out);
void iovageom_group_add(struct iovageom_group *group, const struct iovageom_device *device);
int iovageom_group_refresh(const struct iovageom_viommu *viommu, struct iovageom_group *group);
int iovageom_domain_reserved(const struct iovageom_viommu *viommu,
                             const struct iovageom_domain *domain, struct iovageom_rangeset *out);
int iovageom_domain_refresh(const struct iovageom_viommu *viommu, struct iovageom_domain *domain);
uint64_t iovageom_domain_budget(const struct iovageom_domain *domain, bool *shared);
uint64_t iovageom_address_space_budget(const struct iovageom_address_space *address_space);
uint64_t iovageom_address_space_live(const struct iovageom_address_space *address_space);
bool iovageom_identity_fits(const struct iovageom_rangeset *identity,
                            const struct iovageom_device *device, uint64_t endpoint,
                            uint64_t domain, struct iovageom_report *report);
bool iovageom_bypass_fits(const struct iovageom_viommu *viommu,
                          const struct iovageom_endpoint *endpoint,
                          const struct iovageom_rangeset *identity, struct iovageom_report *report);
bool iovageom_bypass_unattached(const struct iovageom_viommu *viommu);

/* ---- shown.c and promises.c ---- */

struct iovageom_admission;

uint64_t iovageom_shown_mask(const struct iovageom_viommu *viommu);
uint64_t iovageom_shown_granule(const struct iovageom_viommu *viommu);
int iovageom_shown_input(const struct iovageom_viommu *viommu, uint64_t granule,
                         const struct iovageom_admission *a, struct iovageom_range *input,
                         bool *whole);
int iovageom_shown(const struct iovageom_viommu *viommu, struct iovageom_virtio_config *out,
                   struct iovageom_report *report);
bool iovageom_doorbells_unknown(const struct iovageom_viommu *viommu,
                                const struct iovageom_device *device, uint64_t endpoint,
                                struct iovageom_report *report);
int iovageom_group_wire(const struct iovageom_viommu *viommu, const struct iovageom_group *group,
                        const struct iovageom_virtio_config *shown, size_t limit,
                        const struct iovageom_device *extra, struct iovageom_report *report,
                        struct iovageom_wire_list **out);
uint64_t iovageom_promised_to(const struct iovageom_group *group, struct iovageom_range range);
int iovageom_promise_keep(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                          struct iovageom_wire_list *wire);
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
    const struct iovageom_address_space *address_space; /**< where the device will be; or NULL */
    const struct iovageom_endpoint *renewed; /**< its devices are replaced by this one; or NULL */
    uint64_t endpoint;                       /**< IOVAGEOM_ID_NONE for the envelope */
    uint32_t features;                       /**< that the guest can be told by */
    bool renews_envelope;
    bool loading; /**< the guest has read what others froze: what serves nobody is no obstacle */
    bool allow_stale;
    bool refuse_direct; /**< else it is noted */
    bool direct_asked;
    bool common_asked; /**< what all have in common: once is enough for all that are there */
    bool went_stale;   /**< something was found that only allow_stale lets pass */
    size_t objections;
    int status;
};

void iovageom_object(struct iovageom_admission *a, struct iovageom_finding *finding);
bool iovageom_refuses_direct(const struct iovageom_viommu *viommu, uint32_t flags);
struct iovageom_range iovageom_guest_input(const struct iovageom_viommu *viommu, uint32_t features);
int iovageom_ask_all(struct iovageom_admission *a, bool granules);
int iovageom_ask_envelope(const struct iovageom_viommu *viommu,
                          const struct iovageom_device *envelope, struct iovageom_report *report);
int iovageom_ask_slot(struct iovageom_admission *a, const struct iovageom_group *group);
void iovageom_ask_device(struct iovageom_admission *a);
int iovageom_ask_joining(struct iovageom_admission *a, const struct iovageom_group *group);
int iovageom_ask_neighbours(struct iovageom_admission *a);

/* ---- devices.c, setup.c, domains.c, mapping.c ---- */

int iovageom_plug_make(struct iovageom_viommu *viommu, uint64_t key, uint64_t host_group,
                       size_t capacity, struct iovageom_device *device, struct iovageom_plug **out);
int iovageom_plug_join(struct iovageom_viommu *viommu, struct iovageom_plug *plug,
                       struct iovageom_endpoint *endpoint);
void iovageom_plug_remove(struct iovageom_viommu *viommu, struct iovageom_plug *plug);
void iovageom_judge_identity(struct iovageom_viommu *viommu);

/** What an ATTACH comes to: who goes where. */
struct iovageom_attach {
    struct iovageom_endpoint *endpoint;
    struct iovageom_domain *domain; /**< NULL: to be made */
    uint32_t id;
    bool bypass;
};

int iovageom_attach_decide(const struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           uint32_t flags, struct iovageom_report *report,
                           struct iovageom_attach *out);
int iovageom_attach_do(struct iovageom_viommu *viommu, const struct iovageom_attach *attach);
int iovageom_detach_decide(const struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           struct iovageom_report *report, struct iovageom_endpoint **out);
/** Where a MAP goes. */
struct iovageom_map {
    struct iovageom_domain *domain;
    struct iovageom_mappings_place place;
};

int iovageom_map_decide(const struct iovageom_viommu *viommu, uint32_t domain,
                        struct iovageom_domain *target, const struct iovageom_mapping *mapping,
                        struct iovageom_report *report, struct iovageom_map *out);
int iovageom_map_do(struct iovageom_viommu *viommu, struct iovageom_map *map,
                    const struct iovageom_mapping *mapping);
int iovageom_unmap_decide(const struct iovageom_viommu *viommu, uint32_t domain,
                          struct iovageom_range range, struct iovageom_report *report,
                          struct iovageom_domain **out);
size_t iovageom_unmap_do(struct iovageom_viommu *viommu, struct iovageom_domain *domain,
                         struct iovageom_range range);

#endif
