/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_VIOMMU_INTERNAL_H
#define IOVAGEOM_LIB_VIOMMU_INTERNAL_H

#include <iovageom/viommu.h>

#include "../base/array.h"
#include "../geometry/internal.h"
#include "../set/mappings.h"
#include "../set/table.h"

/*
 * The files of lib/viommu. Each one uses only files above it in this list:
 *
 *   parts.c      what the objects are built from: geometries of devices, lists of regions, views
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
 *
 * Four kinds of object. A plugged device (plug) is in one *address space*, that is on one set of
 * host page tables, and at one or more *endpoints*: its own, and those of its aliases. An endpoint
 * is in one *guest group*, and while it is attached in one *domain*.
 *
 *     plug ---> address space             what a plug reserves is reserved for its address space,
 *       |           |     \               so for each guest group with an endpoint there,
 *       v           v      \              so for each domain with an endpoint of such a group
 *     endpoint -> group --> domain
 *
 * Three kinds of *link* stand for these relations: address space to group, address space to domain,
 * and group to domain. A link is counted, and is freed when its count falls to 0. By following
 * links, a change finds every object that it concerns and looks at no other, however many endpoints
 * there are.
 *
 * Some names of functions: `put` gives up one reference, and frees with the last; `decide` answers
 * a request and changes nothing, and `do` carries out what was decided; `refresh` brings a cached
 * value up to date. A call that has the object const can't do that: it computes the value anew.
 */

/**
 * The geometry of a device, or of the envelope, with the answers that are needed most often.
 *
 * Counted by `references`, and not changed once it is made. So a plug and a question can share it.
 */
struct iovageom_device {
    size_t references;
    size_t size; /**< of this allocation, in bytes: release() has to be told it */
    struct iovageom_geometry *geometry; /**< our own copy: the caller may free its geometry */
    struct iovageom_walk *walk;         /**< an index to find owners fast; NULL if there are few */
    uint64_t mask;                      /**< page-size mask; all ones when unknown */
    /** How many mappings its address space may hold in all, with those that were live when the host
        was asked; all ones when unknown. */
    uint64_t budget;
    size_t all_count;
    size_t msi_count;
    /** First all_count ranges: every address that is not usable, not yet aligned to a granule. Then
        msi_count ranges: the part of the first that has type MSI. Both ascend, and no two ranges of
        one part overlap or touch. */
    struct iovageom_range ranges[];
};

/**
 * The reserved regions that a PROBE answers, ascending and disjoint, aligned to the granule.
 *
 * Counted, and never changed once made: the group and all endpoints that were given this answer
 * share one object. So two equal pointers mean an equal answer, and most comparisons stop there.
 */
struct iovageom_wire_list {
    size_t references;
    size_t size; /**< of this allocation: there may be room for more than `count` regions */
    size_t count;
    struct iovageom_region regions[];
};

/**
 * One end of links. Reserved ranges are inherited from the upper end of a link by the lower end.
 *
 * An address space has two nodes, since it has two kinds of link: with one node, a walk to its
 * groups would meet its domains too.
 */
struct iovageom_node {
    void *self;                 /**< the object that has this node */
    struct iovageom_link *down; /**< links of which this is the upper end, the newest first */
    struct iovageom_link *up;   /**< links of which this is the lower end, the newest first */
};

/** There is one link at most for a pair of nodes. */
struct iovageom_link {
    struct iovageom_node *upper;
    struct iovageom_node *lower;
    size_t count; /**< endpoints that are at both ends; never 0 */
    struct iovageom_link *down_next, *down_previous;
    struct iovageom_link *up_next, *up_previous;
};

/** Addresses that can't be mapped, not aligned to a granule. `msi` is a subset of `all`. */
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

/** The lists that an endpoint may be on: each one uses its own element of next[] and previous[]. */
enum iovageom_list {
    IOVAGEOM_LIST_GROUP,    /**< all endpoints of a guest group */
    IOVAGEOM_LIST_DOMAIN,   /**< endpoints that are attached to a domain */
    IOVAGEOM_LIST_PROMISED, /**< endpoints of a guest group that have a promise */
    IOVAGEOM_LISTS
};

/**
 * A device at one endpoint. Several devices may answer to one endpoint (behind a PCIe-to-PCI
 * bridge), and one device to several endpoints (its aliases): a contact is one such pair.
 */
struct iovageom_contact {
    struct iovageom_plug *plug;
    struct iovageom_endpoint *endpoint;
    struct iovageom_contact *next, *previous; /**< at the same endpoint, in the order of plugging */
};

/**
 * A device as it was plugged, at one endpoint or more.
 *
 * The devices of a host with one IOMMU often reserve the same (iovageom_device_same()). Such plugs
 * in one address space are on one list. The first of it is the *lead* and stands for all of them;
 * which one that is does not matter. Plugging or unplugging another of them changes nothing for any
 * guest group. So most questions walk the leads alone: one step for a hundred functions of one card.
 */
struct iovageom_plug {
    struct iovageom_device *device;
    struct iovageom_address_space *address_space;
    struct iovageom_plug *next, *previous; /**< that reserve the same; the lead has no previous */
    struct iovageom_plug *lead_next;       /**< for a lead: the next lead of the address space */
    /** Between prepare and commit: its reserved ranges count, but the guest can't see it yet. */
    bool prepared;
    struct iovageom_host_group *host_group; /**< NULL when the VMM named none */
    size_t capacity; /**< room in `contacts`, fixed when it is made: endpoints point into it */
    size_t count;
    struct iovageom_contact contacts[]; /**< the endpoint where it was plugged, then its aliases */
};

/** One set of host page tables. It is made with its first plug, and freed with its last. */
struct iovageom_address_space {
    struct iovageom_node node;   /**< links to the guest groups with an endpoint in it */
    struct iovageom_node mapped; /**< links to the domains with an endpoint in it */
    uint64_t key;
    struct iovageom_plug *leads; /**< never NULL for long: it goes with its last plug */
    bool unfit; /**< a lead can't map the identity ranges: so bypass is impossible */
};

/** A host group that a plug has named. A host keeps all its devices in one address space. */
struct iovageom_host_group {
    struct iovageom_address_space *address_space;
    uint64_t number;
    size_t plugs; /**< that name it, departed ones too (devices.c); freed with the last */
};

/**
 * A guest group: made with its first endpoint, freed with its last.
 *
 * `view` and `wire` are caches that are filled in only when somebody asks. While a domain is clean,
 * the views of all its groups are: who makes a view unclean makes those domains unclean too
 * (iovageom_group_stale()).
 */
struct iovageom_group {
    struct iovageom_node node; /**< links from address spaces, and to domains */
    uint64_t key;              /**< see IOVAGEOM_KEY_OWN */
    struct iovageom_members members;
    struct iovageom_members promised_to; /**< those with a promise */
    size_t slots;              /**< members that are slots: with one, the envelope counts */
    size_t relied_on;          /**< members that are visible to the guest, or have a promise */
    struct iovageom_view view; /**< reserved for the group: machine, envelope, devices */
    bool view_clean;           /**< `view` is up to date; else compute it anew */
    bool wire_clean;           /**< if view_clean as well: `wire` is up to date */
    bool wire_noteless;        /**< if wire_clean as well: making it had nothing to note */
    bool loaded;               /**< while loading: the stream has named its members */
    bool unnumbered;           /**< made by load: the first plug that names a number gives it one */
    struct iovageom_wire_list *wire; /**< the answer to a PROBE, once frozen; or NULL */
    /** The union of all addresses that any member was promised, members that left included. In
        whole granules. It ends when the guest has no endpoint of the group left, or at a reset. */
    struct iovageom_rangeset promised;
    /** The list that was added to `promised` last; or NULL. A PROBE with the same list, as from the
        next endpoint of the group, has nothing to add. */
    struct iovageom_wire_list *promised_wire;
};

/** A domain: made by the first ATTACH, freed when its last endpoint leaves (N34). */
struct iovageom_domain {
    struct iovageom_node node;   /**< links from guest groups */
    struct iovageom_node mapped; /**< links from address spaces */
    uint32_t id;
    bool bypass;
    bool clean; /**< `reserved`, `budget` and `shared` are up to date */
    /** An address space with a budget serves another domain too. Mappings there use up the same
        budget, and do not touch this domain: so `budget` is not to be used, but computed. */
    bool shared;
    uint64_t budget; /**< how many mappings this domain may hold; all ones for no limit */
    struct iovageom_members members;
    struct iovageom_rangeset reserved; /**< the union of the views of its groups */
    struct iovageom_mappings mappings;
};

/** An endpoint: declared by the VMM, made for a plug, or made by load. */
struct iovageom_endpoint {
    uint32_t id;
    uint32_t kind;  /**< an enum iovageom_endpoint_kind */
    size_t devices; /**< contacts with a committed plug; an EMULATED endpoint is one itself */
    bool expected;  /**< visible to the guest, but its device is yet to come: see load.c */
    bool faulted;   /**< while loading: it could not bypass at the source either */
    struct iovageom_contact *first, *last;
    struct iovageom_plug *departed; /**< their host groups stay: see devices.c */
    struct iovageom_group *group;   /**< never NULL, and never another one */
    /** Of all its devices, prepared ones included; NULL while it has none. */
    struct iovageom_address_space *address_space;
    struct iovageom_domain *domain; /**< NULL while it is not attached */
    struct iovageom_endpoint *next[IOVAGEOM_LISTS];
    struct iovageom_endpoint *previous[IOVAGEOM_LISTS];
    struct iovageom_wire_list *promise; /**< the last answer to a PROBE; NULL: none */
    uint64_t generation;                /**< viommu->generation at that PROBE; else 0 */
    uint64_t age; /**< endpoints_made when it was made: a smaller number is older */
};

/** The state of a virtual IOMMU. All pointers below are its own, in memory of `allocator`. */
struct iovageom_viommu {
    struct iovageom_allocator allocator;
    struct iovageom_viommu_config config;
    struct iovageom_virtio_config shown; /**< config space; valid once frozen, but not `bypass` */
    bool frozen;
    uint32_t accepted; /**< features of the driver; all that are offered until it says */
    uint32_t bypass;   /**< the config field `bypass` at present */
    /** Counts changes after which a PROBE may get another answer. From 1 on: 0 is no promise. */
    uint64_t generation;
    /** Counts all changes: request_end() compares it with the value that request_begin() saw. */
    uint64_t changes;
    uint64_t endpoints_made;            /**< ever, so never the same again: keys come from it */
    uint64_t mapping_count;             /**< in all domains together */
    struct iovageom_geometry *platform; /**< regions of iovageom_viommu_add_region(), with owners */
    struct iovageom_view platform_view; /**< the same as sets */
    struct iovageom_device *envelope;   /**< or NULL */
    struct iovageom_rangeset identity;  /**< guest-physical ranges that bypass must map */
    struct iovageom_table endpoints;    /**< endpoint number -> struct iovageom_endpoint */
    struct iovageom_table groups;       /**< key -> struct iovageom_group */
    struct iovageom_table address_spaces; /**< key -> struct iovageom_address_space */
    struct iovageom_table host_groups;    /**< number -> struct iovageom_host_group */
    struct iovageom_table domains;        /**< domain number -> struct iovageom_domain */
};

/*
 * Keys of groups and address spaces. A number from the VMM is at most IOVAGEOM_VIOMMU_GROUP_MAX, so
 * the two highest bits are free to keep other keys apart from it:
 *
 *   KEY_HOST_GROUP | host group   the address space of a host group for which the VMM named none
 *   KEY_OWN | endpoint            the address space of one device alone
 *   KEY_OWN | endpoints_made      the guest group of one endpoint alone
 */
#define IOVAGEOM_KEY_HOST_GROUP ((uint64_t)1 << 62)
#define IOVAGEOM_KEY_OWN        ((uint64_t)1 << 63)

/*
 * The smallest probe_size into which any list can be joined. Only one region is MSI (N74), so three
 * are enough: everything below the MSI region, the MSI region, and everything above it.
 */
#define IOVAGEOM_VIOMMU_LEAST_PROBE (3 * IOVAGEOM_VIRTIO_RESV_MEM_SIZE)

/* ---- parts.c and model.c ---- */

int iovageom_device_make(const struct iovageom_viommu *viommu,
                         const struct iovageom_geometry *geometry, uint64_t live,
                         struct iovageom_device **out);
void iovageom_device_put(const struct iovageom_viommu *viommu, struct iovageom_device *device);
bool iovageom_device_reserves(const struct iovageom_device *device, struct iovageom_range range);
bool iovageom_device_same(const struct iovageom_device *a, const struct iovageom_device *b);
int iovageom_wire_new(const struct iovageom_viommu *viommu, size_t count,
                      struct iovageom_wire_list **out);
void iovageom_wire_put(const struct iovageom_viommu *viommu, struct iovageom_wire_list *wire);
void iovageom_view_init(struct iovageom_view *view, const struct iovageom_viommu *viommu);
void iovageom_view_deinit(struct iovageom_view *view);
size_t iovageom_link_count(const struct iovageom_node *upper, const struct iovageom_node *lower);
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
void *iovageom_object_make(struct iovageom_viommu *viommu, struct iovageom_table *table,
                           uint64_t number, size_t size);
void iovageom_object_free(struct iovageom_viommu *viommu, struct iovageom_table *table,
                          uint64_t number, void *object, size_t size);
void iovageom_group_forgive(struct iovageom_viommu *viommu, struct iovageom_group *group);
void iovageom_group_stale(struct iovageom_group *group);
void iovageom_endpoint_set(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                           size_t devices, bool expected, struct iovageom_wire_list *promise);
struct iovageom_endpoint *iovageom_endpoint_make(struct iovageom_viommu *viommu, uint32_t id,
                                                 uint64_t group_key,
                                                 enum iovageom_endpoint_kind kind);
void iovageom_endpoint_drop(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint);
int iovageom_endpoint_move(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                           struct iovageom_address_space *address_space,
                           struct iovageom_domain *domain);
struct iovageom_domain *iovageom_domain_at(const struct iovageom_viommu *viommu, uint32_t id);
struct iovageom_domain *iovageom_domain_make(struct iovageom_viommu *viommu, uint32_t id,
                                             bool bypass);
void iovageom_domain_drop_if_empty(struct iovageom_viommu *viommu, struct iovageom_domain *domain);
void iovageom_domain_leave(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint);

/* ---- findings.c ---- */

#define IOVAGEOM_NOWHERE ((struct iovageom_range){0, 0})

struct iovageom_finding iovageom_finding_of(enum iovageom_finding_kind kind, int status,
                                            uint64_t domain, uint64_t endpoint,
                                            struct iovageom_range range,
                                            struct iovageom_range against);
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
void iovageom_report_take(struct iovageom_report *report, struct iovageom_report *notes);
void iovageom_note_all_lost(struct iovageom_report *report, const struct iovageom_rangeset *lost);
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
                         const struct iovageom_admission *a, struct iovageom_report *report,
                         struct iovageom_range *input, bool *whole);
int iovageom_shown(const struct iovageom_viommu *viommu, struct iovageom_virtio_config *out,
                   struct iovageom_report *report);
bool iovageom_doorbells_unknown(const struct iovageom_viommu *viommu,
                                const struct iovageom_device *device, uint64_t endpoint,
                                struct iovageom_report *report);

/** Which list is wanted. */
struct iovageom_wire_question {
    const struct iovageom_viommu *viommu;
    const struct iovageom_group *group;         /**< NULL: a new one */
    const struct iovageom_virtio_config *shown; /**< the config space that goes with it */
    size_t limit; /**< in bytes of properties; SIZE_MAX: it is never joined to fit */
    /** As if the group had come into this address space, and this device were there; or NULL. */
    const struct iovageom_address_space *joined;
    const struct iovageom_device *extra;
};

int iovageom_group_wire(const struct iovageom_wire_question *question,
                        struct iovageom_report *report, struct iovageom_wire_list **out);
uint64_t iovageom_promised_to(const struct iovageom_group *group, struct iovageom_range range);
int iovageom_promise_keep(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                          struct iovageom_wire_list *wire);
int iovageom_probe_decide(const struct iovageom_viommu *viommu, uint32_t endpoint, size_t size,
                          struct iovageom_report *report);
int iovageom_probe_do(struct iovageom_viommu *viommu, uint32_t endpoint, void *properties,
                      size_t size, size_t *needed, struct iovageom_report *report);

/* ---- admission.c ---- */

/**
 * A question whether a device, the envelope, a slot, or a driver may come. It lives on the stack of
 * the caller, and owns nothing. The first fields are the question, the last ones the answer so far.
 */
struct iovageom_admission {
    const struct iovageom_viommu *viommu;
    const struct iovageom_device *device;
    struct iovageom_report *report;
    struct iovageom_address_space *address_space; /**< where the device will be; or NULL */
    uint64_t live;                                /**< mappings in it */
    const struct iovageom_plug_options *options;  /**< of a plug; else NULL */
    uint64_t key;                                 /**< of a plug: of its address space */
    const struct iovageom_endpoint *renewed; /**< its devices are replaced by this one; or NULL */
    uint64_t endpoint;                       /**< IOVAGEOM_ID_NONE for the envelope */
    /** Features of the driver: PROBE tells it of holes, INPUT_RANGE of both ends. */
    uint32_t features;
    bool renews_envelope; /**< the device is the new envelope, in place of the old one */
    /** A stream is loaded: its config space is fixed, so a device without a usable granule in it is
        noted, not refused. */
    bool loading;
    uint32_t flags; /**< IOVAGEOM_PLUG_* */
    int status;     /**< of the first objection; IOVAGEOM_OK while there is none */
};

void iovageom_object(struct iovageom_admission *a, struct iovageom_finding *finding);
struct iovageom_range iovageom_guest_input(const struct iovageom_viommu *viommu, uint32_t features);
int iovageom_ask_all(struct iovageom_admission *a, bool granules);
int iovageom_ask_envelope(const struct iovageom_viommu *viommu,
                          const struct iovageom_device *envelope, struct iovageom_report *report);
int iovageom_ask_slot(struct iovageom_admission *a, const struct iovageom_group *group);
int iovageom_ask_begin(struct iovageom_admission *a, const struct iovageom_geometry *geometry,
                       struct iovageom_device **device);
void iovageom_ask_device(struct iovageom_admission *a);
int iovageom_ask_joining(struct iovageom_admission *a, const struct iovageom_group *group);
int iovageom_ask_neighbours(struct iovageom_admission *a);

/* ---- devices.c, setup.c, domains.c, mapping.c ---- */

struct iovageom_plug *iovageom_plug_make(struct iovageom_viommu *viommu, uint64_t key,
                                         uint64_t host_group, size_t capacity,
                                         struct iovageom_device *device);
int iovageom_plug_join(struct iovageom_viommu *viommu, struct iovageom_plug *plug,
                       struct iovageom_endpoint *endpoint);
void iovageom_plug_remove(struct iovageom_viommu *viommu, struct iovageom_plug *plug);
void iovageom_judge_identity(struct iovageom_viommu *viommu);

/**
 * What iovageom_attach_decide() found. Like struct iovageom_change below, it points into the model and
 * is void after any change: `do` follows `decide` at once.
 */
struct IOVAGEOM_ITREE_ALIAS iovageom_attach {
    struct iovageom_endpoint *endpoint;
    struct iovageom_domain *domain; /**< NULL: it is to be made, with number `id` */
    uint32_t id;
    bool bypass;
};

int iovageom_attach_decide(const struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           uint32_t flags, struct iovageom_report *report,
                           struct iovageom_attach *out);
int iovageom_attach_do(struct iovageom_viommu *viommu, const struct iovageom_attach *attach);
int iovageom_detach_decide(const struct iovageom_viommu *viommu, uint32_t domain, uint32_t endpoint,
                           struct iovageom_report *report, struct iovageom_endpoint **out);
/** A MAP or an UNMAP: what is asked, and what iovageom_map_decide() or iovageom_unmap_decide() found. */
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
    const int error =
        iovageom_mappings_insert(&change->domain->mappings, &change->place, &change->mapping);

    viommu->mapping_count += error == IOVAGEOM_OK;
    viommu->changes += error == IOVAGEOM_OK;
    return error;
}

/** The same after iovageom_unmap_decide(). Returns how many mappings were removed. */
static inline size_t iovageom_unmap_do(struct iovageom_viommu *viommu,
                                       struct iovageom_change *change)
{
    const size_t count =
        iovageom_mappings_remove(&change->domain->mappings, &change->place, change->mapping.range);

    viommu->mapping_count -= count;
    viommu->changes++;
    return count;
}

#endif
