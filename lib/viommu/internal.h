/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_VIOMMU_INTERNAL_H
#define IOVAGEOM_VIOMMU_INTERNAL_H

#include <iovageom/plan_probe.h>
#include <iovageom/ranges.h>
#include <iovageom/viommu.h>

#include "../base/hints.h"
#include "../geometry/resv.h"
#include "../set/table.h"

/*
 * The rooms of the books, and who walks through which:
 *
 *   viommu.c          configuration, what a driver accepts, listings
 *   viommu_space.c    the config space, and freezing it
 *   viommu_groups.c   endpoints in guest groups, devices in units; what they reserve together
 *   viommu_promises.c what a group is told, and was told
 *   viommu_admission.c whom a device would cost what
 *   viommu_units.c    devices as they were plugged, on their host page tables
 *   viommu_plug.c     declaring, plugging, unplugging
 *   viommu_domains.c  domains, ATTACH and DETACH
 *   viommu_mapping.c  MAP, UNMAP and where an access goes
 *   viommu_request.c  the oracle behind bytes
 *   viommu_save.c     to and from a migration stream
 *   viommu_check.c    what must always hold
 *
 * Three kinds of node: a *unit* is one set of host page tables and the devices on it; a guest group
 * holds endpoints; a domain holds attached endpoints. What a device reserves counts for its unit,
 * hence for each guest group with an endpoint in that unit, hence for each domain with an endpoint
 * of such a group. Links join unit to group and group to domain, each counted by the endpoints that
 * it stands for, so that a change finds whom it concerns without looking at anybody else. A third
 * kind joins a unit to the domains of its own endpoints: what these map is mapped in it, and counts
 * against its budget.
 */

/** A device, or the envelope: its geometry, and what the books ask of it all the time. */
struct iovageom_device {
    size_t references;
    size_t size; /**< of this allocation */
    struct iovageom_geometry *geometry;
    uint64_t mask;   /**< page sizes; all ones when unknown */
    uint64_t budget; /**< mappings that its host page tables hold; all ones when unknown */
    struct iovageom_resv_walk *walk; /**< over what many owners reserve; NULL for few */
    size_t all_count;
    size_t msi_count;
    struct iovageom_range ranges[]; /**< all that is not usable in normal form, then its MSI part */
};

/** A wire list that was or may be told. */
struct iovageom_wire {
    size_t references;
    size_t size;
    size_t count;
    struct iovageom_region regions[];
};

struct iovageom_link;

/** What units, groups and domains have in common. */
struct iovageom_node {
    uint32_t index;
    size_t down_count;
    struct iovageom_link *down; /**< links to nodes that inherit from this one */
    struct iovageom_link *up;   /**< links to nodes that this one inherits from */
};

struct iovageom_link {
    struct iovageom_node *upper;
    struct iovageom_node *lower;
    size_t count;
    struct iovageom_link *down_next, *down_previous;
    struct iovageom_link *up_next, *up_previous;
};

/** Addresses that can't be mapped, and the MSI part of them. */
struct iovageom_view {
    struct iovageom_rangeset all;
    struct iovageom_rangeset msi;
};

struct iovageom_endpoint;
struct iovageom_admission;

/** A list of endpoints in the order in which they came. */
struct iovageom_roll {
    struct iovageom_endpoint *first;
    struct iovageom_endpoint *last;
    size_t count;
};

/** Which of an endpoint's two places a roll goes by. */
enum { IOVAGEOM_ROLL_GROUP, IOVAGEOM_ROLL_DOMAIN, IOVAGEOM_ROLLS };

/** What some devices of a unit reserve alike; said once, however many they are. */
struct iovageom_shape {
    struct iovageom_shape *next;
    const struct iovageom_device *device; /**< one of them */
    size_t count;
    bool unfit; /**< it can't map the identity ranges */
};

/** One endpoint that a plugged device answers to. */
struct iovageom_contact {
    struct iovageom_plug *plug;
    struct iovageom_endpoint *endpoint;
    struct iovageom_contact *next, *previous; /**< of the endpoint's, in the order of plugging */
};

/** That a host group is on a unit, as a device said that was plugged there. */
struct iovageom_claim {
    struct iovageom_claim *next;
    uint64_t host_group;
};

/** A device as it was plugged: one object, however many endpoints it answers to. */
struct iovageom_plug {
    struct iovageom_device *device;
    struct iovageom_unit *unit;
    struct iovageom_plug *next, *previous; /**< of the unit's, in the order of plugging */
    uint64_t host_group;
    struct iovageom_claim *claims; /**< host groups that are known to be on the unit by it */
    bool prepared;                 /**< and not committed yet: not there for the guest */
    size_t capacity;               /**< of `contacts` */
    size_t count;
    struct iovageom_contact contacts[]; /**< the endpoint where it was plugged, then its aliases */
};

struct iovageom_unit {
    struct iovageom_node node;
    struct iovageom_node host; /**< joined with that of each domain that is mapped in it */
    uint64_t key;
    struct iovageom_plug *first, *last;
    struct iovageom_shape *shapes;
    size_t unfit; /**< shapes that can't map the identity ranges */
};

/** A host group that was named: all its devices are in one unit. */
struct iovageom_host_group {
    struct iovageom_unit *unit;
    size_t count;
};

struct iovageom_group {
    struct iovageom_node node;
    uint64_t key;
    struct iovageom_roll members;
    size_t slots;   /**< members that are slots: with one, the envelope counts */
    size_t visible; /**< members that are there for the guest */
    size_t told;    /**< members with a promise */
    struct iovageom_view view;
    bool view_clean; /**< else `view` is to be computed anew */
    bool wire_clean; /**< else the same of `wire` */
    bool loaded;     /**< while loading: the stream spoke of its members */
    bool
        unnumbered; /**< made for expected endpoints: the first plug that names a number gives it */
    struct iovageom_wire *wire;          /**< what a PROBE is answered, once frozen; or NULL */
    struct iovageom_rangeset promised;   /**< usable addresses that any member was told, ever */
    struct iovageom_wire *promised_wire; /**< that `promised` is known to contain, or NULL */
};

struct iovageom_domain {
    struct iovageom_node node; /**< its index is its number */
    struct iovageom_node host; /**< joined with that of each unit that it is mapped in */
    bool bypass;
    bool clean; /**< `reserved` and the budget of the mappings are those of the endpoints */
    bool
        crowded; /**< when clean: another domain draws on the same budget, which has to be counted */
    struct iovageom_roll members;
    struct iovageom_rangeset reserved;
    struct iovageom_mappings mappings;
};

struct iovageom_endpoint {
    uint32_t id;
    uint32_t kind;
    size_t devices;   /**< of `contacts`, those whose plug is committed */
    bool loaded_shut; /**< while loading: it did not bypass at the source either */
    bool expected;    /**< there for the guest, but its device is yet to come: see load */
    struct iovageom_contact *first, *last;
    struct iovageom_group *group;
    struct iovageom_unit *unit; /**< that all its devices are on; NULL without a device */
    struct iovageom_domain *domain;
    struct iovageom_endpoint *next[IOVAGEOM_ROLLS];
    struct iovageom_endpoint *previous[IOVAGEOM_ROLLS];
    struct iovageom_wire *told;
    uint64_t generation;
};

struct iovageom_viommu {
    struct iovageom_allocator allocator;
    struct iovageom_viommu_config config;
    struct iovageom_virtio_config space; /**< what the guest reads, once frozen */
    bool frozen;
    bool stale; /**< something was plugged in spite of a promise or mapping */
    uint32_t accepted;
    uint32_t bypass;
    uint32_t next_index;
    uint64_t generation;
    uint64_t mapping_count;
    struct iovageom_resv *platform;
    struct iovageom_view platform_view;
    struct iovageom_device *envelope;
    struct iovageom_rangeset identity;
    struct iovageom_table endpoints; /**< number -> struct iovageom_endpoint */
    struct iovageom_table groups;    /**< key -> struct iovageom_group */
    struct iovageom_table units;     /**< key -> struct iovageom_unit */
    struct iovageom_table host_groups;
    struct iovageom_table domains;
    struct iovageom_table sides; /**< unit index, group index -> link */
    struct iovageom_table ties;  /**< group index, domain number -> link */
    struct iovageom_table loads; /**< unit index, domain number -> link of their `host` */
};

/* Links know nodes; who follows one knows what it leads to. */
_Static_assert(offsetof(struct iovageom_unit, node) == 0 &&
                   offsetof(struct iovageom_group, node) == 0 &&
                   offsetof(struct iovageom_domain, node) == 0,
               "a node is the first member of what it is part of");

/* Keys of units and groups: a number that the VMM gave, or one made from what stands for itself. */
#define IOVAGEOM_KEY_HOST_GROUP ((uint64_t)1 << 62)
#define IOVAGEOM_KEY_OWN        ((uint64_t)1 << 63)

/* Any list can be joined until it fits: what is below the MSI window, that, and what is above. */
#define IOVAGEOM_VIOMMU_LEAST_PROBE (3 * IOVAGEOM_VIRTIO_RESV_MEM_SIZE)

#define IOVAGEOM_EVERYTHING         ((struct iovageom_range){0, IOVAGEOM_ADDRESS_MAX})

/* viommu_space.c */
IOVAGEOM_COLD int iovageom_books_space(const struct iovageom_viommu *viommu,
                                       struct iovageom_virtio_config *out,
                                       struct iovageom_report *report);
IOVAGEOM_COLD uint64_t iovageom_books_granule(const struct iovageom_viommu *viommu);
IOVAGEOM_COLD uint64_t iovageom_books_mask(const struct iovageom_viommu *viommu);
IOVAGEOM_COLD int iovageom_books_input(const struct iovageom_viommu *viommu, uint64_t granule,
                                       const struct iovageom_admission *a,
                                       struct iovageom_range *input, bool *whole);

/* viommu.c */
IOVAGEOM_COLD struct iovageom_owner iovageom_owner_named(enum iovageom_source source,
                                                         const char *name);
IOVAGEOM_COLD void iovageom_report_take(struct iovageom_report *report,
                                        struct iovageom_report *notes);
IOVAGEOM_COLD void iovageom_name_owner(struct iovageom_finding *finding,
                                       const struct iovageom_device *device,
                                       struct iovageom_range range);
IOVAGEOM_COLD void iovageom_name_resv(struct iovageom_finding *finding,
                                      const struct iovageom_resv *resv,
                                      struct iovageom_range range);
IOVAGEOM_COLD void iovageom_name_group(struct iovageom_finding *finding,
                                       const struct iovageom_viommu *viommu,
                                       const struct iovageom_group *group,
                                       struct iovageom_range range);
IOVAGEOM_COLD void iovageom_note_nothing(struct iovageom_report *report, const char *who);
IOVAGEOM_COLD int iovageom_refuse(struct iovageom_report *report,
                                  const struct iovageom_finding *finding);
IOVAGEOM_COLD int iovageom_refuse_saying(struct iovageom_report *report, int error,
                                         const char *detail, uint64_t domain, uint64_t endpoint);
IOVAGEOM_COLD int iovageom_refuse_unknown(struct iovageom_report *report, uint64_t domain,
                                          uint64_t endpoint);
IOVAGEOM_COLD int iovageom_refuse_number(struct iovageom_report *report,
                                         enum iovageom_finding_kind kind, int error,
                                         uint64_t domain, uint64_t endpoint, uint64_t wanted,
                                         uint64_t offered);

/* viommu_groups.c */
void *iovageom_books_allocate(const struct iovageom_viommu *viommu, size_t size);
void iovageom_books_release(const struct iovageom_viommu *viommu, void *memory, size_t size);
IOVAGEOM_COLD int iovageom_device_make(const struct iovageom_viommu *viommu,
                                       const struct iovageom_geometry *geometry, uint64_t live,
                                       struct iovageom_device **out);
IOVAGEOM_COLD void iovageom_device_put(const struct iovageom_viommu *viommu,
                                       struct iovageom_device *device);
IOVAGEOM_COLD bool iovageom_device_reserves(const struct iovageom_device *device,
                                            struct iovageom_range range);
IOVAGEOM_COLD bool iovageom_device_same(const struct iovageom_device *a,
                                        const struct iovageom_device *b);
void iovageom_roll_add(struct iovageom_roll *roll, int which, struct iovageom_endpoint *endpoint);
void iovageom_roll_remove(struct iovageom_roll *roll, int which,
                          struct iovageom_endpoint *endpoint);
int iovageom_link_get(struct iovageom_viommu *viommu, struct iovageom_table *table,
                      struct iovageom_node *upper, struct iovageom_node *lower, bool *fresh);
void iovageom_link_put(struct iovageom_viommu *viommu, struct iovageom_table *table,
                       struct iovageom_node *upper, struct iovageom_node *lower);
size_t iovageom_link_count(const struct iovageom_table *table, const struct iovageom_node *upper,
                           const struct iovageom_node *lower);
IOVAGEOM_COLD struct iovageom_group *iovageom_group_after(const struct iovageom_viommu *viommu,
                                                          const struct iovageom_group *group);
IOVAGEOM_COLD struct iovageom_endpoint *iovageom_endpoint_after(
    const struct iovageom_viommu *viommu, const struct iovageom_endpoint *endpoint);
int iovageom_endpoint_make(struct iovageom_viommu *viommu, uint32_t id, uint64_t group_key,
                           enum iovageom_endpoint_kind kind, struct iovageom_endpoint **out);
IOVAGEOM_COLD void iovageom_endpoint_drop(struct iovageom_viommu *viommu,
                                          struct iovageom_endpoint *endpoint);
IOVAGEOM_COLD void iovageom_group_forgive(struct iovageom_viommu *viommu,
                                          struct iovageom_group *group);
void iovageom_endpoint_forget(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint);
void iovageom_endpoint_expect(struct iovageom_endpoint *endpoint);
bool iovageom_endpoint_unexpect(struct iovageom_endpoint *endpoint);
int iovageom_endpoint_make_expected(struct iovageom_viommu *viommu, uint32_t id,
                                    const struct iovageom_group *group,
                                    struct iovageom_endpoint **out);
int iovageom_group_number(struct iovageom_viommu *viommu, struct iovageom_group *group,
                          uint64_t number);
uint64_t iovageom_next_own_group(const struct iovageom_viommu *viommu);
bool iovageom_endpoint_visible(const struct iovageom_endpoint *endpoint);
IOVAGEOM_COLD struct iovageom_shape *iovageom_shape_of(const struct iovageom_unit *unit,
                                                       const struct iovageom_device *device);
int iovageom_view_init(struct iovageom_view *view, const struct iovageom_viommu *viommu);
IOVAGEOM_COLD int iovageom_view_add(struct iovageom_view *view,
                                    const struct iovageom_device *device);
void iovageom_view_deinit(struct iovageom_view *view);
IOVAGEOM_COLD int iovageom_view_build(const struct iovageom_viommu *viommu,
                                      const struct iovageom_group *group,
                                      struct iovageom_view *out);
IOVAGEOM_COLD int iovageom_group_view(const struct iovageom_viommu *viommu,
                                      const struct iovageom_group *group,
                                      struct iovageom_view *out);
IOVAGEOM_COLD void iovageom_group_add(struct iovageom_group *group,
                                      const struct iovageom_device *device);
IOVAGEOM_COLD void iovageom_group_stale(struct iovageom_group *group);
IOVAGEOM_COLD int iovageom_group_refresh(struct iovageom_viommu *viommu,
                                         struct iovageom_group *group);

/* viommu_promises.c */
IOVAGEOM_COLD int iovageom_wire_new(const struct iovageom_viommu *viommu, size_t count,
                                    struct iovageom_wire **out);
void iovageom_wire_put(const struct iovageom_viommu *viommu, struct iovageom_wire *wire);
bool iovageom_wire_leaves(const struct iovageom_wire *wire, struct iovageom_range range);
/**
 * Whom the promises of a guest group were given to. The first question looks through all members, so
 * that a thousand questions don't. The group stays as it is meanwhile.
 */
struct iovageom_promisees {
    const struct iovageom_viommu *viommu;
    const struct iovageom_group *group;
    bool looked;
    bool known;                /**< else there was no memory, and each question looks */
    struct iovageom_table who; /**< addresses to the first member that was told them */
};
IOVAGEOM_COLD void iovageom_promisees_init(struct iovageom_promisees *promisees,
                                           const struct iovageom_viommu *viommu,
                                           const struct iovageom_group *group);
IOVAGEOM_COLD void iovageom_promisees_deinit(struct iovageom_promisees *promisees);
IOVAGEOM_COLD uint64_t iovageom_promised_to(struct iovageom_promisees *promisees,
                                            struct iovageom_range range);
IOVAGEOM_COLD int iovageom_wire_usable(const struct iovageom_viommu *viommu,
                                       const struct iovageom_wire *wire,
                                       struct iovageom_rangeset *out);
IOVAGEOM_COLD int iovageom_group_wire(const struct iovageom_viommu *viommu,
                                      const struct iovageom_group *group,
                                      const struct iovageom_virtio_config *space, size_t limit,
                                      const struct iovageom_device *extra,
                                      struct iovageom_report *report, struct iovageom_wire **out);
int iovageom_promise_keep(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                          struct iovageom_wire *wire);
int iovageom_probe_decide(const struct iovageom_viommu *viommu, uint32_t endpoint, size_t size,
                          struct iovageom_report *report);
int iovageom_probe_do(struct iovageom_viommu *viommu, uint32_t endpoint, void *properties,
                      size_t size, size_t *needed, struct iovageom_report *report);

/* viommu_admission.c */
/* A plug, update or declaration on its way through the questions. */
struct iovageom_admission {
    const struct iovageom_viommu *viommu;
    const struct iovageom_device *device;
    const struct iovageom_unit *unit; /**< where it goes; NULL when that is yet to be made */
    struct iovageom_report *report;
    uint64_t endpoint;                       /**< IOVAGEOM_ID_NONE for the envelope */
    uint32_t features;                       /**< that the guest can be told by */
    const struct iovageom_endpoint *renewed; /**< whose devices `device` replaces, or NULL */
    bool renews_envelope;
    bool loading; /**< books that others have frozen: what serves nobody is no obstacle */
    bool allow_stale;
    bool refuse_direct; /**< else it is noted */
    bool direct_asked;
    bool went_stale; /**< something was found that only allow_stale lets pass */
    size_t objections;
    bool common_asked; /**< what all have in common: once is enough for all that are there */
    int status;
};

IOVAGEOM_COLD void iovageom_ask_direct(struct iovageom_admission *a, bool refusing);
IOVAGEOM_COLD bool iovageom_refuses_direct(const struct iovageom_viommu *viommu, uint32_t flags);
IOVAGEOM_COLD void iovageom_object(struct iovageom_admission *a, struct iovageom_finding *finding);
IOVAGEOM_COLD void iovageom_ask_group(struct iovageom_admission *a,
                                      const struct iovageom_device *device,
                                      const struct iovageom_group *group);
IOVAGEOM_COLD int iovageom_ask_probe(struct iovageom_admission *a,
                                     const struct iovageom_group *group);
IOVAGEOM_COLD int iovageom_ask_everyone(struct iovageom_admission *a,
                                        const struct iovageom_unit *unit,
                                        const struct iovageom_group *group);
IOVAGEOM_COLD IOVAGEOM_COLD bool iovageom_identity_fits(const struct iovageom_rangeset *identity,
                                                        const struct iovageom_device *device,
                                                        uint64_t endpoint, uint64_t domain,
                                                        struct iovageom_report *report);
bool iovageom_bypass_fits(const struct iovageom_viommu *viommu,
                          const struct iovageom_endpoint *endpoint,
                          const struct iovageom_rangeset *identity, struct iovageom_report *report);
IOVAGEOM_COLD bool iovageom_doorbells_unknown(const struct iovageom_viommu *viommu,
                                              const struct iovageom_device *device,
                                              uint64_t endpoint, struct iovageom_report *report);
bool iovageom_bypass_unattached(const struct iovageom_viommu *viommu);
IOVAGEOM_COLD struct iovageom_range iovageom_guest_input(const struct iovageom_viommu *viommu,
                                                         uint32_t features);
IOVAGEOM_COLD int iovageom_envelope_suits(const struct iovageom_viommu *viommu,
                                          const struct iovageom_device *envelope,
                                          struct iovageom_report *report);
IOVAGEOM_COLD int iovageom_slot_suits(struct iovageom_admission *a);
IOVAGEOM_COLD int iovageom_load_suits(const struct iovageom_viommu *viommu,
                                      struct iovageom_report *report);

/* viommu_units.c */
IOVAGEOM_COLD void iovageom_units_judge(struct iovageom_viommu *viommu);
IOVAGEOM_COLD struct iovageom_plug *iovageom_plug_after(const struct iovageom_viommu *viommu,
                                                        const struct iovageom_plug *plug);
IOVAGEOM_COLD struct iovageom_plug *iovageom_plug_at(const struct iovageom_endpoint *endpoint,
                                                     bool prepared);
IOVAGEOM_COLD bool iovageom_plug_pending(const struct iovageom_endpoint *endpoint);
IOVAGEOM_COLD bool iovageom_contact_own(const struct iovageom_contact *contact);
IOVAGEOM_COLD int iovageom_plug_make(struct iovageom_viommu *viommu, uint64_t unit_key,
                                     uint64_t host_group, size_t capacity,
                                     struct iovageom_device *device, struct iovageom_plug **out);
IOVAGEOM_COLD int iovageom_plug_join(struct iovageom_viommu *viommu, struct iovageom_plug *plug,
                                     struct iovageom_endpoint *endpoint);
IOVAGEOM_COLD void iovageom_plug_commit(struct iovageom_plug *plug);
IOVAGEOM_COLD int iovageom_plug_renew(struct iovageom_viommu *viommu, struct iovageom_plug *plug,
                                      struct iovageom_device *device);
IOVAGEOM_COLD void iovageom_plug_remove(struct iovageom_viommu *viommu, struct iovageom_plug *plug);

/* viommu_domains.c */
struct iovageom_domain *iovageom_domain_at(const struct iovageom_viommu *viommu, uint32_t domain);
void iovageom_endpoint_detach(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint);
int iovageom_attach_decide(const struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           uint32_t flags, struct iovageom_report *report);
int iovageom_attach_do(struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                       uint32_t flags);
IOVAGEOM_COLD int iovageom_domain_reserved(const struct iovageom_viommu *viommu,
                                           const struct iovageom_domain *domain,
                                           struct iovageom_rangeset *out);
IOVAGEOM_COLD int iovageom_domain_refresh(struct iovageom_viommu *viommu,
                                          struct iovageom_domain *domain);
IOVAGEOM_COLD uint64_t iovageom_domain_budget(const struct iovageom_domain *domain, bool *crowded);
IOVAGEOM_COLD uint64_t iovageom_unit_budget(const struct iovageom_unit *unit);
IOVAGEOM_COLD uint64_t iovageom_unit_live(const struct iovageom_unit *unit);

/* viommu_mapping.c */
int iovageom_map_decide(const struct iovageom_viommu *viommu, uint32_t domain,
                        const struct iovageom_mapping *mapping, struct iovageom_report *report);
int iovageom_map_do(struct iovageom_viommu *viommu, uint32_t domain,
                    const struct iovageom_mapping *mapping, struct iovageom_report *report);

#endif
