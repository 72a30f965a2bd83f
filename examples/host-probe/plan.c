/* SPDX-License-Identifier: BSD-3-Clause */

/* The command `plan`: whether a guest fits the host, what moves where, and what it costs. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iovageom/status.h>

#include "advice.h"
#include "plan.h"
#include "say.h"

static const struct option long_options[] = {
    COMMON_LONG, GUEST_LONG, {"spaces", required_argument, NULL, 'N'}, {NULL, 0, NULL, 0}};

static _Noreturn void usage(void)
{
    printf("Usage: %s plan [options] --ram SIZE|RANGE,... [DEVICE|GROUP...]\n"
           "\n"
           "Say whether a guest fits the host, with those devices assigned: without a\n"
           "virtual IOMMU or while it is bypassed, and behind one; what has to move, and\n"
           "where to; how much memory is pinned; how many mappings are needed. Ends with 6\n"
           "when the guest does not fit as it is.\n"
           "\n"
           "%s"
           "     --spaces N        the guest has N address spaces behind its virtual IOMMU;\n"
           "                       else one for each group\n"
           "%s",
           program_name, guest_help, context_help);
    finish(EXIT_GOOD);
}

/* ---- the answers ---- */

static void take_findings(struct plan *plan, const struct iovageom_report *report)
{
    for (size_t i = 0; i < iovageom_report_count(report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(report, i);
        char sentence[512];

        if (finding->kind == IOVAGEOM_FINDING_NO_PLACE && finding->wanted < plan->guest.count)
            plan->stuck[finding->wanted] = true;
        /* The others are told in words of their own. */
        if (finding->kind != IOVAGEOM_FINDING_OVERLAP &&
            finding->kind != IOVAGEOM_FINDING_MSI_WINDOW &&
            (finding->kind != IOVAGEOM_FINDING_ALIGNMENT || finding->fatal != 0))
            continue;
        (void)iovageom_finding_text(finding, sentence, sizeof(sentence));
        add_words(&plan->notes, &plan->note_count, text("%s", sentence));
    }
}

static void lay_out(struct plan *plan)
{
    const struct guest *guest = &plan->guest;
    size_t room = 4 * guest->count + 2 * plan->together.reserved_count + 16;
    struct iovageom_report report;
    int status;

    iovageom_report_init(&report, &lasting);
    plan->stuck = keep((guest->count + 1) * sizeof(*plan->stuck));
    plan->granule = 4096;
    (void)iovageom_geometry_granule(plan->together.geometry, &plan->granule);
    for (;; room = plan->layout.placements) {
        plan->moves = keep((room + 1) * sizeof(*plan->moves));
        status = iovageom_plan_layout(&lasting, plan->together.geometry, 0, guest->pieces,
                                      guest->count, plan->moves, room, &plan->layout, &report);
        if (status == IOVAGEOM_ERR_OVERLAP)
            die(EXIT_USAGE, "two BARs that are fixed overlap: %s", iovageom_report_text(&report));
        if (status == IOVAGEOM_ERR_NOTHING_USABLE)
            die(EXIT_BAD_INPUT, "the host maps pages of no size");
        if (status != IOVAGEOM_ERR_CONFLICT && status != IOVAGEOM_ERR_LIMIT)
            must(status);
        if (plan->layout.placements <= room)
            break;
    }
    plan->obstacles.verdict = &plan->together;
    place_obstacles(&plan->obstacles, &report, plan->count > 1);
    take_findings(plan, &report);
}

struct iovageom_size plan_ram_times(const struct plan *plan, uint64_t times)
{
    struct iovageom_size sum = {0, 0};

    for (uint64_t i = 0; i < times; i++)
        sum = iovageom_size_add(sum, plan->layout.pinned);
    return sum;
}

bool plan_fits_unknown(const struct plan *plan)
{
    struct iovageom_range part;
    bool unknown = false;

    for (size_t i = 0, from = 0; i < plan->guest.count && !unknown; i++, from = 0)
        unknown = place_unknown(&plan->together, plan->guest.pieces[i].range, &from, &part);
    for (size_t i = 0, from = 0; i < plan->layout.placements && !unknown; i++, from = 0)
        unknown = place_unknown(&plan->together, plan->moves[i].to, &from, &part);
    return unknown;
}

const char *plan_outcome_words(const struct plan *plan)
{
    if (plan->together.no_iommu)
        return "fits: no IOMMU translates, so nothing is limited, and nothing protected";
    switch (plan->layout.outcome) {
    case IOVAGEOM_LAYOUT_FITS:
        return plan_fits_unknown(plan)
                   ? "fits, as far as is known: the IOMMU's width or the reserved "
                     "regions are not known (see the command show)"
                   : "fits as it is";
    case IOVAGEOM_LAYOUT_SOLVED:
        return plan_fits_unknown(plan)
                   ? "does not fit as it is, but would, once moved, as far as is known: the "
                     "IOMMU's "
                     "width or the reserved regions are not known (see the command show)"
                   : "does not fit as it is, but would, once moved";
    case IOVAGEOM_LAYOUT_OVER_BUDGET:
        return "takes more mappings than the host allows";
    default:
        return text("does not fit: no place for %s", count_text(plan->layout.stuck, "piece"));
    }
}

size_t plan_chunk_sizes(const struct plan *plan, uint64_t out[3])
{
    size_t count = 0;

    out[count++] = plan->granule;
    if (plan->granule < 2ULL << 20)
        out[count++] = 2ULL << 20;
    if (plan->granule < 1ULL << 30)
        out[count++] = 1ULL << 30;
    return count;
}

uint64_t plan_chunk_mappings(const struct plan *plan, uint64_t chunk)
{
    uint64_t mappings = 0;

    must(iovageom_plan_layout_chunks(plan->guest.pieces, plan->guest.count, chunk, &mappings));
    return mappings;
}

static struct iovageom_size usable_bytes(const struct verdict *verdict)
{
    struct iovageom_size sum = {0, 0};

    for (size_t i = 0; i < verdict->usable_count; i++)
        sum = iovageom_size_add(sum, iovageom_range_size(verdict->usable[i]));
    return sum;
}

const char *plan_behind_obstacle(const struct plan *plan, const struct verdict *verdict)
{
    uint64_t granule;

    if (verdict->no_iommu)
        return "no IOMMU translates for it, so a virtual one has nothing to keep to";
    if (!verdict->judged)
        return "its files could not be read";
    if (verdict->unknown_count != 0)
        return "not known: its IOMMU's width, or what is reserved, is not known (see the command "
               "show)";
    if (verdict->usable_count == 0)
        return "no address is usable";
    if (iovageom_geometry_granule(verdict->geometry, &granule) == IOVAGEOM_OK && granule > 4096)
        return text("only for a guest whose pages are %s or larger: its smallest page is that",
                    size_text((struct iovageom_size){0, granule}));
    if (iovageom_size_compare(usable_bytes(verdict), plan->layout.pinned) < 0)
        return "the guest can't map all of its RAM at the same time";
    return NULL;
}

/* ---- the command ---- */

static unsigned read_spaces(const char *words)
{
    char *end;
    unsigned long spaces = strtoul(words, &end, 10);

    if (*words < '0' || *words > '9' || *end != '\0' || spaces == 0 || spaces > 65536)
        die(EXIT_USAGE, "--spaces: %s: not a number from 1 to 65536", quoted(words, strlen(words)));
    return (unsigned)spaces;
}

static void add_verdict(struct plan *plan, const struct verdict *verdict)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->verdicts[i]->group == verdict->group)
            return;
    }
    plan->verdicts = keep_grown(plan->verdicts, plan->count, sizeof(*plan->verdicts));
    plan->verdicts[plan->count++] = verdict;
}

void plan_choose(struct plan *plan, int count, char **names)
{
    const struct host *host = &plan->host;
    struct verdict *verdicts = keep(host->group_count * sizeof(*verdicts));

    for (size_t i = 0; i < host->group_count; i++)
        verdicts[i] = judge(host, &host->groups[i], &plan->context->mode);
    for (int i = 0; i < count; i++)
        add_verdict(plan, &verdicts[context_find(host, names[i])]);
    if (plan->count == 0)
        add_verdict(plan, &verdicts[likeliest_group(verdicts, host->group_count)]);
    plan->together = judge_together(plan->verdicts, plan->count);
    if (plan->spaces == 0)
        plan->spaces = (unsigned)plan->count;
}

/* The BARs that the devices have, as far as that is known. */
static void add_bars(struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct group *group = plan->verdicts[i]->group;

        for (size_t k = 0; k < group->device_count; k++) {
            if (!device_is_bridge(group->devices[k]))
                guest_add_bars(&plan->guest, &group->devices[k]->bars);
        }
    }
}

void plan_solve(struct plan *plan)
{
    const bool arm = host_is_arm(&plan->host);

    if (plan->guest.bar_count == 0)
        add_bars(plan);
    guest_lay_out(&plan->guest, arm);
    plan->usual_machine = plan->guest.machine == guest_machine(arm ? "virt" : "q35");
    lay_out(plan);
}

int plan_told(const struct plan *plan, bool all)
{
    struct told told = {.host = false};
    bool judged = true;

    if (all)
        told_add_host(&told, &plan->host);
    for (size_t i = 0; i < plan->count; i++) {
        judged = judged && plan->verdicts[i]->judged;
        told_add_group(&told, &plan->host, plan->verdicts[i]);
    }
    return told_end(&told, true, judged);
}

int command_plan(struct context *context, int argc, char **argv)
{
    struct plan plan = {.context = context};
    int option, told;

    while ((option = getopt_long(argc, argv, COMMON_SHORT, long_options, NULL)) != -1) {
        if (option == 'h')
            usage();
        if (option == 'N')
            plan.spaces = read_spaces(optarg);
        else if (!guest_option(&plan.guest, option, optarg))
            context_option(context, option);
    }
    context_check(context);
    if (plan.guest.ram.size == 0 && plan.guest.ram.count == 0)
        die(EXIT_USAGE, "plan: --ram is missing: how much the guest has");
    plan.width = context_width(context);
    context_read(context, &plan.host);
    plan_choose(&plan, argc - optind, argv + optind);
    told = plan_told(&plan, argc == optind);
    /* Nothing can be planned with what could not be read. */
    for (size_t i = 0; i < plan.count; i++) {
        if (!plan.verdicts[i]->judged)
            die(EXIT_BAD_INPUT, "group %s: its files could not be read: nothing can be planned",
                plan.verdicts[i]->group->name);
    }
    plan_solve(&plan);
    if (context->json)
        plan_json(&plan);
    else
        plan_say(&plan);
    return plan.layout.outcome == IOVAGEOM_LAYOUT_FITS || plan.together.no_iommu ? told
                                                                                 : EXIT_REFUSED;
}
