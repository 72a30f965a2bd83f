/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_LIB_VIOMMU_MODEL_H
#define IOVAGEOM_LIB_VIOMMU_MODEL_H

#include <iovageom/viommu.h>

#include "../base/array.h"
#include "../geometry/internal.h"
#include "../set/mappings.h"
#include "../set/table.h"

/*
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
 * and group to domain. By following links, a change finds every object that it concerns and looks
 * at no other, however many endpoints there are.
 *
 * Some names of functions: `put` gives up one reference, and frees with the last; `decide` answers
 * a request and changes nothing, and `do` carries out what was decided.
 */

/** The geometry of a device, or of the envelope, with the answers that are needed most often. It is
 * not changed once it is made, so a plug and a question can share it. */
struct iovageom_device {
    size_t references;
    /** Our own copy, behind `ranges` in the same allocation, which may begin with a plug. */
    struct iovageom_geometry *geometry;
    struct iovageom_walk *walk; /**< an index to find owners fast; NULL if there are few */
    uint64_t mask;              /**< page-size mask; all ones when unknown */
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

/** The reserved regions that a PROBE answers, ascending and disjoint, aligned to the granule. They
 * never change: the group and all endpoints that were given this answer share one object. */
struct iovageom_wire_list {
    size_t references;
    size_t size; /**< of this allocation: there may be room for more than `count` regions */
    size_t count;
    /** What a guest may map that got this answer: whole granules of the input range. */
    struct iovageom_rangeset usable;
    struct iovageom_region regions[];
};

/** One end of links of one kind. What the upper end of a link reserves, the lower end has. */
struct iovageom_node {
    void *self;                 /**< the object that has this node */
    struct iovageom_link *down; /**< links of which this is the upper end, the newest first */
    struct iovageom_link *up;   /**< links of which this is the lower end, the newest first */
    struct iovageom_link *own;  /**< in the object, for one of those downwards; or NULL */
};

/** There is one link at most for a pair of nodes. */
struct iovageom_link {
    size_t count; /**< endpoints that are at both ends; 0 only while a node's `own` is no link */
    struct iovageom_node *upper, *lower;
    struct iovageom_link *down_next, *up_next;
    struct iovageom_link **down_at, **up_at; /**< what points to this link in the two lists */
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
 * in one address space are on one list. The first of it is the *lead* and stands for all of them,
 * so most questions walk the leads alone: one step for a hundred functions of one card.
 */
struct iovageom_plug {
    struct iovageom_device *device;
    struct iovageom_address_space *address_space;
    struct iovageom_plug *next, *previous; /**< that reserve the same; the lead has no previous */
    struct iovageom_plug *lead_next;       /**< for a lead: the next lead of the address space */
    /** Between prepare and commit: its reserved ranges count, but the guest can't see it yet. */
    bool prepared;
    struct iovageom_host_group *host_group; /**< NULL when the VMM named none */
    /** The device that it was plugged with, in whose memory it is, though an update came. */
    struct iovageom_device *home;
    size_t count;
    /** The endpoint where it was plugged, then its aliases. Endpoints point into it. */
    struct iovageom_contact contacts[];
};

/** Walks the leads from `lead` on, then those of the address spaces of a group from `link` on. */
struct iovageom_leads {
    const struct iovageom_link *link; /**< group->node.up, or NULL */
    const struct iovageom_plug *lead; /**< or NULL */
};

/** One set of host page tables. It is made with its first plug, and freed with its last. */
struct iovageom_address_space {
    struct iovageom_node node;   /**< links to the guest groups with an endpoint in it */
    struct iovageom_node mapped; /**< links to the domains with an endpoint in it */
    uint64_t key;
    struct iovageom_plug *leads; /**< never NULL for long: it goes with its last plug */
    uint64_t
        budget; /**< how many mappings it can hold: the least of its leads; all ones for no limit */
    struct iovageom_link own; /**< of `node` */
};

/** A host group that a plug has named. A host keeps all its devices in one address space. */
struct iovageom_host_group {
    struct iovageom_address_space *address_space;
    uint64_t number;
    size_t plugs; /**< that name it, departed ones too (devices.c); freed with the last */
};

/** A guest group: made with its first endpoint, freed with its last. */
struct iovageom_group {
    struct iovageom_node node; /**< links from address spaces, and to domains */
    size_t slots;              /**< members that are slots: with one, the envelope counts */
    bool loaded;               /**< while loading: the stream has named its members */
    bool unnumbered;           /**< made by load: the first plug that names a number gives it one */
    /** All addresses that any member was promised, members that left included:
     * iovageom_group_settle() */
    struct iovageom_rangeset promised;
    struct iovageom_wire_list *wire; /**< that was added to `promised` last; or NULL */
    uint64_t key;                    /**< see IOVAGEOM_KEY_OWN */
    struct iovageom_members members;
    struct iovageom_members promised_to; /**< those with a promise */
    struct iovageom_link own;            /**< of `node` */
};

/** A domain: made by the first ATTACH, freed when its last endpoint leaves (N34). */
struct iovageom_domain {
    struct iovageom_node node;   /**< links from guest groups */
    struct iovageom_node mapped; /**< links from address spaces */
    uint32_t id;
    bool bypass;
    bool clean;      /**< `reserved`, `budget` and `shares` are: iovageom_domain_refresh() */
    bool shares;     /**< other domains draw on a budget of it: ask iovageom_domain_budget() */
    bool indexed;    /**< keep `back` (IOVAGEOM_VIOMMU_INDEX_PHYS) */
    uint64_t budget; /**< else: the least of its address spaces; all ones for no limit */
    struct iovageom_mappings mappings;
    struct iovageom_back *back; /**< their index by address, while there is something in it */
    struct iovageom_members members;
    struct iovageom_rangeset reserved; /**< for all its groups, not aligned to a granule */
};

/** An endpoint: declared by the VMM, made for a plug, or made by load. */
struct iovageom_endpoint {
    uint32_t id;
    uint32_t kind; /**< an enum iovageom_endpoint_kind */
    bool expected; /**< visible to the guest, but its device is yet to come: see load.c */
    bool faulted;  /**< while loading: it could not bypass at the source either */
    /** Its devices. One that is prepared is the last: iovageom_plug_pending(). */
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
    bool loading;      /**< a stream is: its config space is fixed, and what it maps is live */
    uint32_t accepted; /**< features of the driver; all that are offered until it says */
    uint32_t bypass;   /**< the config field `bypass` at present */
    /** Counts changes after which a PROBE may get another answer. From 1 on: 0 is no promise. */
    uint64_t generation;
    /** Counts all changes: request_end() compares it with the value that request_begin() saw. */
    uint64_t changes;
    size_t prepared;                    /**< devices that are: see struct iovageom_plug */
    size_t slots;                       /**< endpoints that are */
    uint64_t endpoints_made;            /**< ever, so never the same again: keys come from it */
    uint64_t mapping_count;             /**< in all domains together */
    struct iovageom_geometry *platform; /**< regions of iovageom_viommu_add_region(), with owners */
    struct iovageom_rangeset platform_all;    /**< what they reserve */
    struct iovageom_rangeset platform_msi;    /**< the part of it that is of type MSI */
    struct iovageom_device *envelope;         /**< or NULL */
    struct iovageom_rangeset identity;        /**< guest-physical ranges that bypass must map */
    struct iovageom_table endpoints;          /**< endpoint number -> struct iovageom_endpoint */
    struct iovageom_table groups;             /**< key -> struct iovageom_group */
    struct iovageom_table address_spaces;     /**< key -> struct iovageom_address_space */
    struct iovageom_table host_groups;        /**< number -> struct iovageom_host_group */
    struct iovageom_table domains;            /**< domain number -> struct iovageom_domain */
    struct iovageom_shortcuts near_endpoints; /**< of `endpoints` */
    struct iovageom_shortcuts near_domains;   /**< of `domains` */
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
 * The smallest probe_size into which any list can be joined. Only one region is MSI (N74), so four
 * are enough: everything below the MSI region, in two where that is [0, 2^32-1] (plan_probe.h), the
 * MSI region, and everything above it.
 */
#define IOVAGEOM_VIOMMU_LEAST_PROBE (4 * IOVAGEOM_VIRTIO_RESV_MEM_SIZE)

/* ---- back.c ----
 *
 * The index of a domain follows its ledger: a mapping that came (IOVAGEOM_ERR_NO_MEMORY: it is
 * taken out of the ledger again), and those of a range that are about to go.
 */
int iovageom_back_add(struct iovageom_viommu *viommu, struct iovageom_domain *domain,
                      const struct iovageom_mapping *mapping);
void iovageom_back_remove(struct iovageom_domain *domain, struct iovageom_range range);
/* What iovageom_viommu_translate_back() gives, with the index and without. */
bool iovageom_back_find(const struct iovageom_domain *domain, struct iovageom_range phys,
                        bool whole, const struct iovageom_mapping *after,
                        struct iovageom_mapping *out);

/* ---- parts.c and model.c ---- */

int iovageom_device_make(const struct iovageom_viommu *viommu,
                         const struct iovageom_geometry *geometry, size_t before, uint64_t live,
                         struct iovageom_device **out);
void iovageom_device_put(const struct iovageom_viommu *viommu, struct iovageom_device *device);
bool iovageom_device_same(const struct iovageom_device *a, const struct iovageom_device *b);
int iovageom_wire_new(const struct iovageom_viommu *viommu, size_t count,
                      struct iovageom_wire_list **out);
void iovageom_wire_put(const struct iovageom_viommu *viommu, struct iovageom_wire_list *wire);
struct iovageom_link *iovageom_link_find(const struct iovageom_node *upper,
                                         const struct iovageom_node *lower);
struct iovageom_endpoint *iovageom_endpoint_at(const struct iovageom_viommu *viommu, uint64_t id);
struct iovageom_endpoint *iovageom_endpoint_after(const struct iovageom_viommu *viommu,
                                                  const struct iovageom_endpoint *endpoint);
struct iovageom_group *iovageom_group_after(const struct iovageom_viommu *viommu,
                                            const struct iovageom_group *group);
struct iovageom_plug *iovageom_plug_after(const struct iovageom_viommu *viommu,
                                          const struct iovageom_plug *plug);
struct iovageom_plug *iovageom_lead_like(const struct iovageom_address_space *address_space,
                                         const struct iovageom_device *device);
const struct iovageom_plug *iovageom_lead_next(struct iovageom_leads *leads);
bool iovageom_is_shared(const struct iovageom_address_space *address_space);
bool iovageom_plug_pending(const struct iovageom_endpoint *endpoint);
bool iovageom_endpoint_visible(const struct iovageom_endpoint *endpoint);
bool iovageom_group_promised(const struct iovageom_group *group);
bool iovageom_group_forlorn(const struct iovageom_group *group);
uint64_t iovageom_next_own_group(const struct iovageom_viommu *viommu);
void *iovageom_object_make(struct iovageom_viommu *viommu, struct iovageom_table *table,
                           uint64_t number, size_t size);
void iovageom_object_free(struct iovageom_viommu *viommu, struct iovageom_table *table,
                          uint64_t number, void *object, size_t size);
void iovageom_group_forgive(struct iovageom_viommu *viommu, struct iovageom_group *group);
void iovageom_group_stale(struct iovageom_group *group);
void iovageom_group_settle(struct iovageom_viommu *viommu, struct iovageom_group *group);
void iovageom_promise_set(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                          struct iovageom_wire_list *wire, uint64_t generation);
struct iovageom_endpoint *iovageom_endpoint_make(struct iovageom_viommu *viommu, uint32_t id,
                                                 uint64_t group_key,
                                                 enum iovageom_endpoint_kind kind);
void iovageom_endpoint_drop(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint);
int iovageom_endpoint_move(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                           struct iovageom_address_space *address_space,
                           struct iovageom_domain *domain);
struct iovageom_domain *iovageom_domain_at(const struct iovageom_viommu *viommu, uint32_t id);
void iovageom_domain_leave(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint);
int iovageom_changed(struct iovageom_viommu *viommu);

#endif
