/* SPDX-License-Identifier: BSD-3-Clause */

/* The command `features`: what schedulers and monitoring are told of this host's IOMMUs. */

#include <stdio.h>
#include <string.h>

#include <iovageom/status.h>

#include "advice.h"
#include "jsonout.h"
#include "say.h"

#include "command.h"

struct node {
    const struct context *context;
    struct host host;
    struct verdict *verdicts;
    struct advice *advices;
    size_t count;

    /* Over all groups that can be assigned and of which all is known. */
    size_t assignable;
    size_t direct;
    size_t unread;
    bool has_bits;
    unsigned bits;
    bool has_granule;
    uint64_t granule;
    bool has_budget;
    uint64_t budget;
    bool has_ram;
    struct iovageom_size ram;
    uint64_t bar;
};

static const struct option long_options[] = {
    COMMON_LONG, {"openmetrics", no_argument, NULL, 'O'}, {NULL, 0, NULL, 0}};

static _Noreturn void usage(void)
{
    printf("Usage: %s features [options] [DEVICE|GROUP]...\n"
           "\n"
           "Write what a fleet is to know of this host's IOMMUs: lines for the local source\n"
           "of node-feature-discovery (a file in features.d), which become labels of a node\n"
           "of Kubernetes; or OpenMetrics for the textfile collector of node_exporter (a\n"
           "file *.prom). A label is what all groups have that can be assigned and of which\n"
           "all is known; of those that are named, if any are.\n"
           "\n"
           "     --openmetrics     write OpenMetrics, a line for each group\n"
           "%s",
           program_name, context_help);
    finish(EXIT_GOOD);
}

/* ---- figures ---- */

static bool counts(const struct verdict *verdict, const struct advice *advice)
{
    return verdict->judged && !verdict->no_iommu && verdict->unknown_count == 0 &&
           outcome_assignable(advice->outcome) == 1;
}

static void count_group(struct node *node, const struct verdict *verdict,
                        const struct advice *advice)
{
    uint64_t granule, budget;

    node->unread += !verdict->judged;
    node->direct += !verdict->assignable;
    if (!counts(verdict, advice))
        return;
    if (verdict->knows_width && (!node->has_bits || verdict->bits < node->bits))
        node->bits = verdict->bits;
    node->has_bits = node->has_bits || verdict->knows_width;
    if (iovageom_geometry_granule(verdict->geometry, &granule) == IOVAGEOM_OK) {
        if (!node->has_granule || granule > node->granule)
            node->granule = granule;
        node->has_granule = true;
    }
    if (iovageom_geometry_map_budget(verdict->geometry, &budget) == IOVAGEOM_OK) {
        if (!node->has_budget || budget < node->budget)
            node->budget = budget;
        node->has_budget = true;
    }
    if (advice->knows_ram && (!node->has_ram || iovageom_size_compare(advice->ram, node->ram) < 0))
        node->ram = advice->ram;
    node->has_ram = node->has_ram || advice->knows_ram;
    if (node->assignable == 0 || advice->bar_most < node->bar)
        node->bar = advice->bar_most;
    node->assignable++;
}

static struct iovageom_size usable_bytes(const struct verdict *verdict)
{
    struct iovageom_size sum = {0, 0};

    for (size_t i = 0; i < verdict->usable_count; i++)
        sum = iovageom_size_add(sum, iovageom_range_size(verdict->usable[i]));
    return sum;
}

/* ---- node-feature-discovery ---- */

/* A value of a label has letters, digits, and "-_.": numbers are plain. */
static void print_labels(const struct node *node)
{
    printf("# IOMMUs, as %s sees them; for the local source of node-feature-discovery\n",
           program_name);
    printf("iommu-groups=%zu\n", node->count);
    printf("iommu-groups-assignable=%zu\n", node->assignable);
    printf("iommu-direct-regions=%s\n", node->direct != 0 ? "true" : "false");
    if (node->has_bits)
        printf("iommu-address-width=%u\n", node->bits);
    if (node->has_granule)
        printf("iommu-granule=%llu\n", (unsigned long long)node->granule);
    if (node->has_budget)
        printf("iommu-mappings=%llu\n", (unsigned long long)node->budget);
    if (node->has_ram)
        printf("iommu-guest-ram-gib=%llu\n",
               (unsigned long long)iovageom_size_saturate(node->ram) >> 30);
    if (node->bar != 0)
        printf("iommu-guest-bar-mib=%llu\n", (unsigned long long)node->bar >> 20);
}

/* ---- OpenMetrics ---- */

/* node_exporter reads Prometheus' older text: so only gauges, and no units. */
static void family(const char *name, const char *help)
{
    printf("# HELP iovageom_%s %s\n# TYPE iovageom_%s gauge\n", name, help, name);
}

static void print_value(const char *words)
{
    for (const char *at = words; *at != '\0'; at++) {
        if (*at == '\\' || *at == '"')
            printf("\\%c", *at);
        else
            putchar((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e ? '?' : *at);
    }
}

static void sample(const char *name, const struct verdict *verdict, uint64_t value)
{
    const struct group *group = verdict->group;

    printf("iovageom_%s{group=\"", name);
    print_value(group->name);
    printf("\",device=\"");
    if (group->device_count != 0)
        print_value(group->devices[0]->address);
    printf("\"} %llu\n", (unsigned long long)value);
}

static size_t count_type(const struct verdict *verdict, enum iovageom_resv_type type)
{
    size_t count = 0;

    for (size_t i = 0; i < verdict->reserved_count; i++)
        count += verdict->reserved[i].type == type;
    return count;
}

/* What there is to say of a group; false where that is not known. */
static bool value_of(const struct node *node, size_t group, unsigned which, uint64_t *value)
{
    const struct verdict *verdict = &node->verdicts[group];

    *value = 0;
    if (which == 0) {
        *value = verdict->judged;
        return true;
    }
    if (!verdict->judged || verdict->no_iommu)
        return false;
    switch (which) {
    case 1:
        *value = outcome_assignable(node->advices[group].outcome) == 1;
        return true;
    case 2:
        *value = verdict->bits;
        return verdict->knows_width;
    case 3:
        return iovageom_geometry_granule(verdict->geometry, value) == IOVAGEOM_OK;
    case 4:
        return iovageom_geometry_map_budget(verdict->geometry, value) == IOVAGEOM_OK;
    case 5:
        *value = iovageom_size_saturate(usable_bytes(verdict));
        return true;
    case 6:
        *value = count_type(verdict, IOVAGEOM_RESV_DIRECT);
        return true;
    default:
        *value = verdict->unknown_count != 0;
        return true;
    }
}

static void print_metrics(const struct node *node)
{
    static const struct {
        const char *name;
        const char *help;
    } families[] = {
        {"group_readable", "Whether all files of an IOMMU group could be read and understood."},
        {"group_assignable", "Whether the devices of a group can be assigned to a guest."},
        {"group_address_bits", "Width of the addresses that a group's IOMMU translates."},
        {"group_granule_bytes", "Smallest page that can be mapped."},
        {"group_mappings_max", "Mappings that VFIO allows in a container."},
        {"group_usable_bytes", "Addresses that are known to be usable."},
        {"group_direct_regions", "Regions that firmware demands one to one."},
        {"group_partly_known", "Whether of some addresses nobody said if they can be mapped."},
    };

    for (unsigned i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        family(families[i].name, families[i].help);
        for (size_t k = 0; k < node->count; k++) {
            uint64_t value;

            if (value_of(node, k, i, &value))
                sample(families[i].name, &node->verdicts[k], value);
        }
    }
    family("groups", "IOMMU groups.");
    printf("iovageom_groups %zu\n# EOF\n", node->count);
}

/* ---- JSON ---- */

static void print_json(const struct node *node)
{
    json_t *root = out_begin();
    json_t *object = out_object();

    out_set(object, "groups", out_number(node->count));
    out_set(object, "assignable", out_number(node->assignable));
    out_set(object, "direct", out_number(node->direct));
    out_set(object, "unreadable", out_number(node->unread));
    out_set(object, "bits", node->has_bits ? out_number(node->bits) : NULL);
    out_set(object, "granule", node->has_granule ? out_number(node->granule) : NULL);
    out_set(object, "mappings", node->has_budget ? out_number(node->budget) : NULL);
    out_set(object, "guest_ram", node->has_ram ? out_size(node->ram) : NULL);
    out_set(object, "guest_bar", node->bar != 0 ? out_number(node->bar) : NULL);
    out_set(root, "features", object);
    out_print(root);
}

/* ---- the command ---- */

static int outcome(const struct node *node)
{
    struct told told = {.host = false};

    if (node->count == node->host.group_count)
        told_add_host(&told, &node->host);
    for (size_t i = 0; i < node->count; i++)
        told_add_group(&told, &node->host, &node->verdicts[i]);
    return told_end(&told, true, node->unread < node->count);
}

/* Those that are named, in the order of the host; without names all. */
static void judge_groups(struct node *node, int count, char **names)
{
    bool *chosen = keep(node->host.group_count + 1);

    for (int i = 0; i < count; i++)
        chosen[context_find(&node->host, names[i])] = true;
    node->verdicts = keep(node->host.group_count * sizeof(*node->verdicts));
    node->advices = keep(node->host.group_count * sizeof(*node->advices));
    for (size_t i = 0; i < node->host.group_count; i++) {
        struct verdict *verdict = &node->verdicts[node->count];

        if (count != 0 && !chosen[i])
            continue;
        *verdict = judge(&node->host, &node->host.groups[i], &node->context->mode);
        node->advices[node->count] = advise(&node->host, verdict);
        count_group(node, verdict, &node->advices[node->count]);
        node->count++;
    }
}

int command_features(struct context *context, int argc, char **argv)
{
    struct node node = {.context = context};
    struct context aside;
    bool metrics = false;
    int option;

    while ((option = getopt_long(argc, argv, COMMON_SHORT, long_options, NULL)) != -1) {
        if (option == 'h')
            usage();
        if (option == 'O')
            metrics = true;
        else
            context_option(context, option);
    }
    context_check(context);
    /* What is said besides goes to standard error, as beside JSON. */
    aside = *context;
    aside.json = true;
    context_read(&aside, &node.host);
    judge_groups(&node, argc - optind, argv + optind);
    if (context->json)
        print_json(&node);
    else if (metrics)
        print_metrics(&node);
    else
        print_labels(&node);
    return outcome(&node);
}
