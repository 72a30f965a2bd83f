/* SPDX-License-Identifier: BSD-3-Clause */
#include "plan.h"

#include <stdio.h>

#include "advice.h"
#include "answer.h"
#include "causes.h"
#include "jsonout.h"
#include "say.h"

/* ---- as text ---- */

static const char *members(const struct plan *plan)
{
    const char *words = "";

    for (size_t i = 0; i < plan->count; i++) {
        const struct group *group = plan->verdicts[i]->group;

        words = text("%s%sgroup %s%s", words, i != 0 ? ", " : "", group->name,
                     group->device_count != 0 ? " (" : "");
        for (size_t k = 0; k < group->device_count; k++)
            words = text("%s%s%s", words, k != 0 ? " " : "", group->devices[k]->address);
        words = text("%s%s", words, group->device_count != 0 ? ")" : "");
    }
    return words;
}

static void say_guest(const struct plan *plan)
{
    const struct guest *guest = &plan->guest;

    say(plan->width, 0, "Guest (machine %s) with %s of RAM, and %s", guest_machine_name(guest),
        size_text(plan->layout.pinned), members(plan));
    for (size_t i = 0; i < guest->count; i++) {
        bool ram = guest->pieces[i].kind == IOVAGEOM_PIECE_RAM;

        printf("  %-9s %s%s%s%s\n", guest->names[i], range_text(guest->pieces[i].range),
               ram ? " " : "", ram ? range_size_text(guest->pieces[i].range) : "",
               guest->pieces[i].flags == 0 ? " fixed" : "");
    }
}

static void say_moves(const struct plan *plan)
{
    size_t moves = plan->layout.placements;

    for (size_t i = 0; i < moves && i < MOST_SAID_OF_A_RANGE; i++) {
        const struct iovageom_placement *move = &plan->moves[i];

        printf("  %-9s %s moves to %s%s%s\n", plan->guest.names[move->piece],
               range_text(move->from), range_text(move->to),
               plan->guest.pieces[move->piece].kind == IOVAGEOM_PIECE_RAM ? " " : "",
               plan->guest.pieces[move->piece].kind == IOVAGEOM_PIECE_RAM
                   ? range_size_text(move->to)
                   : "");
    }
    if (moves > MOST_SAID_OF_A_RANGE)
        printf("  and %zu moves more\n", moves - MOST_SAID_OF_A_RANGE);
    for (size_t i = 0; i < plan->guest.count; i++) {
        if (plan->stuck[i])
            printf("  %-9s %s has no place\n", plan->guest.names[i],
                   range_text(plan->guest.pieces[i].range));
    }
}

static const char *budget_words(const struct plan *plan)
{
    if (plan->layout.budget == UINT64_MAX)
        return "the host does not say how many are allowed";
    return text("%s allowed", grouped(plan->layout.budget));
}

/* How much RAM has its usual place, where that is asked and less than the guest has. */
static void say_most(const struct plan *plan)
{
    const struct advice *least = NULL;

    if (plan->guest.ram.size == 0 || !plan->usual_machine)
        return;
    for (size_t i = 0; i < plan->count; i++) {
        struct advice *advice = keep(sizeof(*advice));

        *advice = advise(&plan->host, plan->verdicts[i]);
        if (advice->knows_ram &&
            (least == NULL || iovageom_size_compare(advice->ram, least->ram) < 0))
            least = advice;
    }
    if (least != NULL && iovageom_size_compare(least->ram, plan->layout.pinned) < 0)
        say(plan->width, 2, "at most %s of RAM has its usual place: %s", size_text(least->ram),
            least->ram_place);
}

static void say_bypass(const struct plan *plan)
{
    size_t obstacles = plan->obstacles.obstacle_count;

    printf("\n");
    say(plan->width, 0, "Without a virtual IOMMU, or while it is bypassed: %s",
        plan_outcome_words(plan));
    say_moves(plan);
    for (size_t i = 0; i < obstacles && i < MOST_SAID_OF_A_RANGE; i++)
        say(plan->width, 2, "%s", obstacle_text(&plan->obstacles.obstacles[i], &plan->together));
    if (obstacles > MOST_SAID_OF_A_RANGE)
        say(plan->width, 2, "and %zu such ranges more", obstacles - MOST_SAID_OF_A_RANGE);
    for (size_t i = 0; i < plan->note_count; i++)
        say(plan->width, 2, "%s", plan->notes[i]);
    say_most(plan);
    if (plan->layout.outcome != IOVAGEOM_LAYOUT_STUCK)
        say(plan->width, 2, "%s needed, %s", count_text(plan->layout.mappings, "mapping"),
            budget_words(plan));
}

/* What could be set so that the guest fits. */
static void say_remedies(const struct plan *plan)
{
    const char **todo = NULL;
    size_t count = 0;

    for (size_t i = 0; i < plan->obstacles.obstacle_count; i++) {
        const char *found[4];
        size_t found_count =
            obstacle_remedies(&plan->obstacles.obstacles[i], &plan->together, found);

        for (size_t k = 0; k < found_count; k++)
            add_words_once(&todo, &count, found[k]);
    }
    if (count != 0)
        printf("\nWhat to do\n");
    for (size_t i = 0; i < count; i++)
        say(plan->width, 2, "- %s", todo[i]);
}

static void say_behind(const struct plan *plan)
{
    uint64_t chunks[3];
    size_t count = plan_chunk_sizes(plan, chunks);

    printf("\nBehind a virtual IOMMU, which tells the guest what the host maps\n");
    for (size_t i = 0; i < plan->count; i++) {
        const struct verdict *verdict = plan->verdicts[i];
        const char *obstacle = plan_behind_obstacle(plan, verdict);

        say(plan->width, 2, "group %s: %s", verdict->group->name,
            obstacle != NULL ? obstacle
            : verdict->knows_width
                ? text("fits, told of %u bits and of what is reserved", verdict->bits)
                : "fits, told of what is reserved");
    }
    say(plan->width, 2, "mappings, if the guest maps all of its RAM in steps of");
    for (size_t i = 0; i < count; i++) {
        uint64_t mappings = plan_chunk_mappings(plan, chunks[i]);

        printf("    %-4s %s%s\n", size_text((struct iovageom_size){0, chunks[i]}),
               grouped(mappings),
               mappings > plan->layout.budget ? text(", more than %s", budget_words(plan)) : "");
    }
}

static void say_memory(const struct plan *plan)
{
    const char *ram = size_text(plan->layout.pinned);

    printf("\nMemory that is pinned, and that the VMM must be allowed to lock\n");
    printf("  %-50s %s\n", "without a virtual IOMMU", ram);
    printf("  %-50s %s\n",
           text("bypassed (boot-bypass=on), %s, VFIO", count_text(plan->spaces, "address space")),
           size_text(plan_ram_times(plan, plan->spaces)));
    printf("  %-50s %s\n", "bypassed, iommufd, which counts once", ram);
    printf("  %-50s %s\n", "not bypassed",
           text("what the guest maps, at most %s%s", ram,
                plan->spaces > 1 ? " for each address space" : ""));
}

static void say_unassignable(const struct plan *plan)
{
    struct iovageom_report report;

    if (plan->together.assignable)
        return;
    iovageom_report_init(&report, &lasting);
    (void)iovageom_geometry_assignable(plan->together.geometry, &report);
    printf("\n");
    say(plan->width, 0,
        "But Linux 6.6 and later gives no device with direct regions to a guest%s%s",
        iovageom_report_count(&report) != 0 ? ": " : "", iovageom_report_text(&report));
}

void plan_say(const struct plan *plan)
{
    say_guest(plan);
    say_unassignable(plan);
    say_bypass(plan);
    say_behind(plan);
    say_memory(plan);
    say_remedies(plan);
}

/* ---- as JSON ---- */

static json_t *pieces_json(const struct plan *plan)
{
    json_t *array = out_array();

    for (size_t i = 0; i < plan->guest.count; i++) {
        const struct iovageom_piece *piece = &plan->guest.pieces[i];
        json_t *object = out_object();

        out_set(object, "kind", out_string(piece->kind == IOVAGEOM_PIECE_RAM ? "ram" : "bar"));
        out_set(object, "range", out_range(piece->range));
        out_set(object, "fixed", out_bool(piece->flags == 0));
        out_set(object, "no_place", out_bool(plan->stuck[i]));
        out_add(array, object);
    }
    return array;
}

static json_t *moves_json(const struct plan *plan)
{
    json_t *array = out_array();

    for (size_t i = 0; i < plan->layout.placements; i++) {
        json_t *object = out_object();

        out_set(object, "piece", out_number(plan->moves[i].piece));
        out_set(object, "from", out_range(plan->moves[i].from));
        out_set(object, "to", out_range(plan->moves[i].to));
        out_add(array, object);
    }
    return array;
}

static json_t *bypass_json(const struct plan *plan)
{
    static const char *const outcomes[] = {"", "fits", "moves", "no-place", "over-budget"};
    json_t *object = out_object();
    json_t *why = out_array();

    for (size_t i = 0; i < plan->obstacles.obstacle_count; i++)
        out_add(why, out_string(obstacle_text(&plan->obstacles.obstacles[i], &plan->together)));
    out_set(object, "outcome",
            out_string(plan->together.no_iommu ? "fits" : outcomes[plan->layout.outcome]));
    out_set(object, "known", out_bool(!plan_fits_unknown(plan)));
    out_set(object, "moves", moves_json(plan));
    out_set(object, "why", why);
    out_set(object, "notes", out_strings(plan->notes, plan->note_count));
    out_set(object, "mappings", out_number(plan->layout.mappings));
    return object;
}

static json_t *behind_json(const struct plan *plan)
{
    json_t *array = out_array();

    for (size_t i = 0; i < plan->count; i++) {
        const struct verdict *verdict = plan->verdicts[i];
        const char *obstacle = plan_behind_obstacle(plan, verdict);
        json_t *object = out_object();

        out_set(object, "group", out_string(verdict->group->name));
        out_set(object, "fits", out_bool(obstacle == NULL));
        out_set(object, "why", out_string(obstacle));
        out_set(object, "bits", verdict->knows_width ? out_number(verdict->bits) : NULL);
        out_add(array, object);
    }
    return array;
}

void plan_json(const struct plan *plan)
{
    json_t *root = out_begin();
    json_t *memory = out_object();
    json_t *steps = out_array();
    uint64_t chunks[3];
    size_t count = plan_chunk_sizes(plan, chunks);

    for (size_t i = 0; i < count; i++) {
        json_t *object = out_object();

        out_set(object, "step", out_number(chunks[i]));
        out_set(object, "mappings", out_number(plan_chunk_mappings(plan, chunks[i])));
        out_add(steps, object);
    }
    out_set(root, "machine", out_string(guest_machine_name(&plan->guest)));
    out_set(root, "pieces", pieces_json(plan));
    out_set(root, "assignable", out_bool(plan->together.assignable));
    out_set(root, "bypass", bypass_json(plan));
    out_set(root, "behind", behind_json(plan));
    out_set(root, "mappings_allowed",
            plan->layout.budget != UINT64_MAX ? out_number(plan->layout.budget) : NULL);
    out_set(root, "mappings_by_step", steps);
    out_set(memory, "ram", out_size(plan->layout.pinned));
    out_set(memory, "bypassed_vfio", out_size(plan_ram_times(plan, plan->spaces)));
    out_set(memory, "bypassed_iommufd", out_size(plan->layout.pinned));
    out_set(memory, "address_spaces", out_number(plan->spaces));
    out_set(root, "memory", memory);
    out_print(root);
}
