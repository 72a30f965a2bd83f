/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/range.h"
#include "support/test_sets.h"
#include "support/viommu_check.h"

#include <string.h>

#include "viommu/internal.h"

/* What must always hold, seen from outside of the calls that see to it. */
struct check {
    const struct iovageom_viommu *viommu;
    struct iovageom_report *report;
    bool stale;
    int status;
};

static void expect(struct check *check, bool holds, const char *detail)
{
    if (holds)
        return;
    (void)iovageom_refuse_saying(check->report, IOVAGEOM_ERR_DISAGREEMENT, detail, IOVAGEOM_ID_NONE,
                                 IOVAGEOM_ID_NONE);
    if (check->status == IOVAGEOM_OK)
        check->status = IOVAGEOM_ERR_DISAGREEMENT;
}

/* The length of a list of members; SIZE_MAX when its links or its end are wrong. */
static size_t members_length(const struct iovageom_members *members, enum iovageom_list which)
{
    const struct iovageom_endpoint *member = members->first;
    const struct iovageom_endpoint *before = NULL;
    size_t length = 0;

    for (; member != NULL && member->previous[which] == before && length <= members->count;
         member = member->next[which]) {
        before = member;
        length++;
    }
    return member == NULL && before == members->last ? length : SIZE_MAX;
}

/* The devices at an endpoint name it, and are in its address space; returns how many there are. */
static size_t check_contacts(struct check *check, const struct iovageom_endpoint *endpoint)
{
    const struct iovageom_contact *before = NULL;
    size_t count = 0;
    bool sound = true, pending = false;

    for (const struct iovageom_contact *contact = endpoint->first; contact != NULL;
         contact = contact->next) {
        const struct iovageom_plug *plug = contact->plug;

        sound &= contact->previous == before && contact->endpoint == endpoint &&
                 contact >= plug->contacts && contact < plug->contacts + plug->count;
        expect(check, plug->address_space == endpoint->address_space,
               "a device answers to an endpoint that is on other host page tables");
        expect(check, !pending, "a device was plugged where another one is prepared");
        pending = plug->prepared;
        before = contact;
        count++;
    }
    expect(check, sound && endpoint->last == before, "the devices of an endpoint are wrong");
    return count;
}

/* The devices of an address space; returns at how many endpoints they are. */
static size_t check_address_space(struct check *check, const struct iovageom_address_space *space)
{
    size_t contacts = 0;
    uint64_t budget = UINT64_MAX;
    bool sound = true;

    for (const struct iovageom_plug *lead = space->leads; lead != NULL; lead = lead->lead_next) {
        const struct iovageom_plug *before = NULL;

        for (const struct iovageom_plug *plug = lead; plug != NULL; plug = plug->next) {
            sound &= plug->previous == before && plug->address_space == space && plug->count > 0;
            expect(check, iovageom_lead_like(space, plug->device) == lead,
                   "a device has another lead than it should");
            contacts += plug->count;
            before = plug;
        }
        budget = iovageom_lower(budget, lead->device->budget);
    }
    expect(check, sound && contacts > 0, "the devices of an address space are wrong");
    expect(check, budget == space->budget, "the mapping budget of an address space is wrong");
    expect(check, check->stale || iovageom_address_space_live(space) <= space->budget,
           "an address space holds more mappings than it can");
    return contacts;
}

static size_t check_endpoint(struct check *check, const struct iovageom_endpoint *endpoint)
{
    const size_t contacts = check_contacts(check, endpoint);

    expect(check, (endpoint->first != NULL) == (endpoint->address_space != NULL),
           "an endpoint has a device and no address space, or the reverse");
    expect(check,
           endpoint->kind != IOVAGEOM_ENDPOINT_DEVICE || endpoint->first != NULL ||
               endpoint->expected,
           "an endpoint without declaration has no device");
    expect(check, endpoint->domain == NULL || iovageom_endpoint_visible(endpoint),
           "an endpoint that isn't there is attached");
    expect(check, (endpoint->promise != NULL) == (endpoint->generation != 0),
           "a promise has no generation, or the reverse");
    expect(check,
           endpoint->address_space == NULL ||
               iovageom_link_find(&endpoint->address_space->node, &endpoint->group->node) != NULL,
           "the address space of a device has no link to its guest group");
    expect(check,
           endpoint->domain == NULL ||
               iovageom_link_find(&endpoint->group->node, &endpoint->domain->node) != NULL,
           "a guest group has no link to the domain of its endpoint");
    return contacts;
}

static int check_group(struct check *check, const struct iovageom_group *group)
{
    struct iovageom_viommu_promise promise;
    const struct iovageom_viommu *viommu = check->viommu;
    size_t slots = 0, promised = 0;
    bool relied_on = false;
    struct iovageom_rangeset usable;
    struct iovageom_rangeset view;
    int error = IOVAGEOM_OK;

    (void)iovageom_rangeset_init(&view, &viommu->allocator);
    (void)iovageom_rangeset_init(&usable, &viommu->allocator);
    for (const struct iovageom_endpoint *member = group->members.first;
         error == IOVAGEOM_OK && member != NULL; member = member->next[IOVAGEOM_LIST_GROUP]) {
        slots += member->kind == IOVAGEOM_ENDPOINT_SLOT;
        promised += member->promise != NULL;
        relied_on |= iovageom_endpoint_visible(member) || member->promise != NULL;
        expect(check, member->group == group, "an endpoint is a member of another guest group");
        if (member->promise == NULL)
            continue;
        error = iovageom_viommu_promise(viommu, member->id, &promise, &usable, NULL, NULL, NULL);
        expect(check, error != IOVAGEOM_OK || test_subset(&usable, &group->promised),
               "an endpoint was promised more than its guest group");
    }
    expect(check,
           members_length(&group->members, IOVAGEOM_LIST_GROUP) == group->members.count &&
               group->members.count > 0,
           "the list of members of a guest group is wrong");
    expect(check,
           slots == group->slots &&
               promised == members_length(&group->promised_to, IOVAGEOM_LIST_PROMISED) &&
               promised == group->promised_to.count,
           "the counts of a guest group are wrong");
    expect(check, relied_on || !iovageom_group_promised(group),
           "a guest group has a promise on which nobody can rely");
    if (error == IOVAGEOM_OK)
        error = iovageom_group_view(viommu, group, &view);
    if (error == IOVAGEOM_OK) {
        error = iovageom_rangeset_intersection(&view, &view, &group->promised);
        expect(check, error != IOVAGEOM_OK || check->stale || iovageom_rangeset_count(&view) == 0,
               "a promise is broken");
    }
    iovageom_rangeset_deinit(&usable);
    iovageom_rangeset_deinit(&view);
    return error;
}

static void check_mapping(struct check *check, const struct iovageom_mapping *mapping,
                          const struct iovageom_rangeset *reserved)
{
    const struct iovageom_virtio_config *shown = &check->viommu->shown;

    expect(
        check,
        iovageom_range_is_aligned(mapping->range, iovageom_pgsize_granule(shown->page_size_mask)),
        "a mapping is not aligned to the granule");
    expect(check, iovageom_range_contains(shown->input_range, mapping->range),
           "a mapping is outside the input range");
    expect(check, check->stale || !iovageom_rangeset_overlaps(reserved, mapping->range),
           "a mapping stands where a host of its domain reserves");
}

/* The index has every mapping once, as the ledger has it, and no other. */
static void check_index(struct check *check, const struct iovageom_domain *domain)
{
    const struct iovageom_mappings *mappings = &domain->mappings;
    struct iovageom_mapping mapping, same;
    size_t count = 0;

    while (iovageom_back_find(domain, IOVAGEOM_EVERYTHING, false, count > 0 ? &mapping : NULL,
                              &mapping)) {
        expect(check,
               iovageom_mappings_first_overlap(mappings, mapping.range, &same) &&
                   iovageom_range_equal(mapping.range, same.range) && mapping.phys == same.phys &&
                   mapping.flags == same.flags,
               "the index by address has what the ledger has not");
        count++;
    }
    expect(check, count == iovageom_mappings_count(mappings),
           "the index by address has not all that the ledger has");
}

/* Whether another domain has mappings, or may have some, where this one has a budget. */
static bool shares_a_budget(const struct iovageom_domain *domain)
{
    bool shares = false;

    for (const struct iovageom_link *link = domain->mapped.up; link != NULL; link = link->up_next) {
        const struct iovageom_address_space *address_space = link->upper->self;

        for (const struct iovageom_link *other = address_space->mapped.down; other != NULL;
             other = other->down_next)
            shares |= address_space->budget != UINT64_MAX && other->lower->self != domain;
    }
    return shares;
}

static int check_domain(struct check *check, const struct iovageom_domain *domain)
{
    const struct iovageom_viommu *viommu = check->viommu;
    struct iovageom_rangeset reserved;
    struct iovageom_itree_cursor cursor;
    struct iovageom_mapping mapping;
    int error = iovageom_rangeset_init(&reserved, &viommu->allocator);

    if (error == IOVAGEOM_OK)
        error = iovageom_domain_reserved(viommu, domain, &reserved);
    expect(check, viommu->frozen, "there is a domain before the guest could make one");
    expect(check,
           members_length(&domain->members, IOVAGEOM_LIST_DOMAIN) == domain->members.count &&
               domain->members.count > 0,
           "the list of members of a domain is wrong");
    if (error == IOVAGEOM_OK && domain->clean) {
        expect(check, iovageom_rangeset_equal(&reserved, &domain->reserved),
               "what is reserved in a domain is not what its endpoints reserve");
        expect(check, domain->shares == shares_a_budget(domain),
               "a domain does not know whether others draw on its budgets");
        expect(check, domain->shares || domain->budget == iovageom_domain_budget(domain),
               "a domain does not know how many mappings its hosts allow");
    }
    expect(check, !domain->bypass || iovageom_mappings_count(&domain->mappings) == 0,
           "a bypass domain has mappings");
    iovageom_itree_cursor_init(&cursor, &domain->mappings.tree, 0);
    while (error == IOVAGEOM_OK && iovageom_mappings_next(&cursor, &mapping))
        check_mapping(check, &mapping, &reserved);
    if (domain->indexed)
        check_index(check, domain);
    iovageom_rangeset_deinit(&reserved);
    return error;
}

/* Links are counted by endpoints: as many as there are, in all. */
static size_t links_below(const struct iovageom_node *node)
{
    size_t sum = 0;

    for (const struct iovageom_link *link = node->down; link != NULL; link = link->down_next)
        sum += link->count;
    return sum;
}

bool test_viommu_went_stale(const struct iovageom_report *report)
{
    for (size_t i = 0; i < iovageom_report_count(report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(report, i);

        if (!finding->fatal &&
            (finding->kind == IOVAGEOM_FINDING_PROMISE ||
             finding->kind == IOVAGEOM_FINDING_MAPPING || finding->kind == IOVAGEOM_FINDING_BUDGET))
            return true;
    }
    return false;
}

int test_viommu_check(const struct iovageom_viommu *viommu, bool stale,
                      struct iovageom_report *report)
{
    struct check check = {viommu, report, stale, IOVAGEOM_OK};
    struct iovageom_itree_cursor cursor;
    struct iovageom_itree_entry entry;
    size_t contacts = 0, located = 0, answered = 0, attached = 0, loaded = 0, mappings = 0;
    size_t space_group = 0, group_domain = 0, space_domain = 0;
    int error = IOVAGEOM_OK;

    iovageom_report_clear(report);
    iovageom_itree_cursor_init(&cursor, &viommu->endpoints.tree, 0);
    while ((entry = iovageom_itree_next(&cursor)).range) {
        const struct iovageom_endpoint *endpoint = (void *)(uintptr_t)*entry.values;

        expect(&check, endpoint->id == entry.range->start, "an endpoint stands at another number");
        attached += endpoint->domain != NULL;
        loaded += endpoint->domain != NULL && endpoint->address_space != NULL;
        located += endpoint->address_space != NULL;
        contacts += check_endpoint(&check, endpoint);
        /* A device's own address space is in no table, and at the endpoint of its key. */
        if (endpoint->address_space != NULL &&
            endpoint->address_space->key == (IOVAGEOM_KEY_OWN | endpoint->id)) {
            space_group += links_below(&endpoint->address_space->node);
            space_domain += links_below(&endpoint->address_space->mapped);
            answered += check_address_space(&check, endpoint->address_space);
        }
    }
    iovageom_itree_cursor_init(&cursor, &viommu->groups.tree, 0);
    while (error == IOVAGEOM_OK && (entry = iovageom_itree_next(&cursor)).range) {
        const struct iovageom_group *group = (void *)(uintptr_t)*entry.values;

        group_domain += links_below(&group->node);
        error = check_group(&check, group);
    }
    iovageom_itree_cursor_init(&cursor, &viommu->address_spaces.tree, 0);
    while ((entry = iovageom_itree_next(&cursor)).range) {
        const struct iovageom_address_space *space = (void *)(uintptr_t)*entry.values;

        space_group += links_below(&space->node);
        space_domain += links_below(&space->mapped);
        answered += check_address_space(&check, space);
    }
    iovageom_itree_cursor_init(&cursor, &viommu->domains.tree, 0);
    while (error == IOVAGEOM_OK && (entry = iovageom_itree_next(&cursor)).range) {
        const struct iovageom_domain *domain = (void *)(uintptr_t)*entry.values;

        mappings += iovageom_mappings_count(&domain->mappings);
        error = check_domain(&check, domain);
    }
    expect(&check, mappings == viommu->mapping_count, "the count of all mappings is wrong");
    expect(&check, answered == contacts, "a device answers to an endpoint that doesn't know of it");
    expect(&check, space_group == located, "the links of address spaces and groups are wrong");
    expect(&check, group_domain == attached, "the links of groups and domains are wrong");
    expect(&check, space_domain == loaded, "the links of address spaces and domains are wrong");
    return error != IOVAGEOM_OK ? error : check.status;
}
