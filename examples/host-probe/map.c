/* SPDX-License-Identifier: BSD-3-Clause */

/* The command `map`: the address space of a group as a picture. */

#include <langinfo.h>
#include <stdio.h>
#include <string.h>

#include "advice.h"
#include "jsonout.h"
#include "picture.h"

static const struct option long_options[] = {
    COMMON_LONG, GUEST_LONG, {"svg", no_argument, NULL, 'S'}, {NULL, 0, NULL, 0}};

static _Noreturn void usage(void)
{
    printf("Usage: %s map [options] [DEVICE|GROUP]\n"
           "\n"
           "Draw the address space of a group: what each source says, what comes of it,\n"
           "what a guest should be told, and a guest's RAM and BARs, with those that do not\n"
           "fit and where they would go.\n"
           "\n"
           "     --svg             write SVG\n"
           "%s%s",
           program_name, guest_help, context_help);
    finish(EXIT_GOOD);
}

static void print_json(const struct picture *picture)
{
    json_t *root = out_begin();
    json_t *lanes = out_array();

    for (size_t i = 0; i < picture->lane_count; i++) {
        json_t *lane = out_object();
        json_t *items = out_array();

        for (size_t k = 0; k < picture->lanes[i].count; k++) {
            const struct picture_item *item = &picture->lanes[i].items[k];
            json_t *object = out_range(item->range);

            out_set(object, "class", out_string(picture_class_name(item->class)));
            out_set(object, "title", out_string(item->title));
            out_add(items, object);
        }
        out_set(lane, "name", out_string(picture->lanes[i].label));
        out_set(lane, "items", items);
        out_add(lanes, lane);
    }
    out_set(root, "title", out_string(picture->title));
    out_set(root, "lanes", lanes);
    out_print(root);
}

static void draw(const struct context *context, const struct verdict *verdict,
                 const struct promise *promise, const struct plan *plan, bool svg)
{
    unsigned width = context_width(context);
    struct picture picture;

    width = width != 0 ? width : 80;
    picture = picture_make(verdict, promise, plan, svg || context->json ? 0.022 : 1.9 / width);
    if (context->json)
        print_json(&picture);
    else if (svg)
        picture_svg_alone(&picture);
    else
        picture_print(&picture, width, strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
                      context_colors(context));
}

int command_map(struct context *context, int argc, char **argv)
{
    struct plan plan = {.context = context};
    struct promise promise = {.refused = "its files could not be read"};
    const struct verdict *verdict;
    struct context aside;
    bool svg = false;
    bool guest;
    int option;

    while ((option = getopt_long(argc, argv, COMMON_SHORT, long_options, NULL)) != -1) {
        if (option == 'h')
            usage();
        if (option == 'S')
            svg = true;
        else if (!guest_option(&plan.guest, option, optarg))
            context_option(context, option);
    }
    context_check(context);
    if (argc - optind > 1)
        die(EXIT_USAGE, "%s: one group or device is enough", argv[optind + 1]);
    guest = plan.guest.ram.size != 0 || plan.guest.ram.count != 0 || plan.guest.bar_count != 0;
    /* Beside SVG, too, what is said goes to standard error. */
    aside = *context;
    aside.json = aside.json || svg;
    context_read(&aside, &plan.host);
    plan_choose(&plan, argc - optind, argv + optind);
    verdict = plan.verdicts[0];
    if (verdict->judged && !verdict->no_iommu)
        promise = promise_for(verdict, 0, 0);
    if (guest)
        plan_solve(&plan);
    draw(context, verdict, &promise, guest ? &plan : NULL, svg);
    return plan_told(&plan, argc == optind);
}
