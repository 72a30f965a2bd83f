/* SPDX-License-Identifier: BSD-3-Clause */

/* The command `report`: one page of HTML about a group, to attach to a bug report or a ticket. */

#include <stdio.h>
#include <string.h>

#include <iovageom/status.h>

#include "advice.h"
#include "causes.h"
#include "names.h"
#include "picture.h"
#include "say.h"

#define HEX_LINES_MAX 4096

static const struct option long_options[] = {
    COMMON_LONG, GUEST_LONG, {"html", no_argument, NULL, 'H'}, {NULL, 0, NULL, 0}};

static _Noreturn void usage(void)
{
    printf("Usage: %s report [options] [DEVICE|GROUP] >FILE\n"
           "\n"
           "Write one page of HTML about a group, that needs nothing from outside: the\n"
           "verdict, the address space as a picture, what every source says, what a guest is\n"
           "to be told, and what was asked and answered, byte for byte. It holds no host\n"
           "name, no serial number and no address of memory.\n"
           "\n"
           "     --html            as HTML, the only form so far\n"
           "%s%s",
           program_name, guest_help, context_help);
    finish(EXIT_GOOD);
}

/* ---- pieces of HTML ---- */

/* A cell, or another element, with text in it. */
static void element(const char *tag, const char *words)
{
    printf("<%s>", tag);
    xml_text(words);
    printf("</%.*s>", (int)strcspn(tag, " "), tag);
}

static void heading(const char *words)
{
    printf("\n");
    element("h2", words);
    printf("\n");
}

static void begin_table(const char *const *titles, size_t count)
{
    printf("<div class=\"wide\"><table><thead><tr>");
    for (size_t i = 0; i < count; i++)
        element("th", titles[i]);
    printf("</tr></thead><tbody>\n");
}

static void end_table(void)
{
    printf("</tbody></table></div>\n");
}

static void row(const char *const *cells, size_t count)
{
    printf("<tr>");
    for (size_t i = 0; i < count; i++)
        element("td", cells[i] != NULL ? cells[i] : "");
    printf("</tr>\n");
}

static void list(const char *const *words, size_t count)
{
    if (count == 0)
        return;
    printf("<ul>\n");
    for (size_t i = 0; i < count; i++) {
        element("li", words[i]);
        printf("\n");
    }
    printf("</ul>\n");
}

static void hexdump(const uint8_t *bytes, size_t length)
{
    printf("<pre>");
    for (size_t line = 0; line < length && line / 16 < HEX_LINES_MAX; line += 16) {
        printf("%08zx ", line);
        for (size_t i = line; i < line + 16 && i < length; i++)
            printf("%s%02x", i % 8 == 0 ? "  " : " ", bytes[i]);
        printf("\n");
    }
    printf("%s</pre>\n", length / 16 >= HEX_LINES_MAX ? "..." : "");
}

static void print_style(void)
{
    printf(
        "<style>\n"
        ":root{color-scheme:light dark;--ink:#1b1f24;--page:#fff;--faint:#59636e;--line:#d0d7de;"
        "--soft:#f6f8fa;--good:#0b7a5c;--bad:#b3261e}\n"
        "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--page:#0d1117;--faint:#9198a1;"
        "--line:#3d444d;--soft:#151b23;--good:#4fd1a5;--bad:#ff6b5e}}\n"
        "@media print{:root{--ink:#000;--page:#fff;--faint:#444;--line:#bbb;--soft:#fff;"
        "--good:#0b7a5c;--bad:#b3261e}body{max-width:none;padding:0}h2{break-after:avoid}"
        "tr,svg,li{break-inside:avoid}.wide{overflow:visible}}\n"
        "body{font:15px/1.5 system-ui,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;color:var(--ink);"
        "background:var(--page);max-width:1180px;margin:0 auto;padding:24px 16px 48px}\n"
        "h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:32px 0 8px;"
        "border-bottom:1px solid var(--line);padding-bottom:4px}\n"
        "p{margin:6px 0}.faint{color:var(--faint)}.verdict{font-size:18px;font-weight:600;"
        "border-left:5px solid var(--good);background:var(--soft);padding:10px 14px;margin:14px 0}"
        ".verdict.bad{border-color:var(--bad)}\n"
        "table{border-collapse:collapse;width:100%%;font-size:14px}th,td{text-align:left;"
        "padding:5px 10px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}"
        "th{font-weight:600;color:var(--faint)}td:first-child{white-space:nowrap}\n"
        "pre,code{font:13px ui-monospace,'DejaVu Sans Mono',monospace}pre{background:var(--soft);"
        "padding:10px;overflow:auto;margin:6px 0}.wide{overflow-x:auto}\n"
        "details{margin:8px 0}summary{cursor:pointer}svg{max-width:100%%;height:auto}\n"
        "</style>\n");
}

static void begin_page(const char *title)
{
    printf("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" "
           "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n");
    element("title", title);
    printf("\n");
    print_style();
    printf("</head>\n<body>\n");
    picture_svg_begin();
}

/* ---- the sections ---- */

/* "Linux (none) 6.12.95 #1 ..." without the host's name, which is the second word. */
static const char *kernel_words(const struct host *host)
{
    const char *first = host->kernel != NULL ? host->kernel : "";
    const char *name = strchr(first, ' ');
    const char *rest = name != NULL ? strchr(name + 1, ' ') : NULL;

    if (rest == NULL)
        return *first != '\0' ? first : "kernel not known";
    return text("%.*s%s", (int)(name - first), first, rest);
}

static const char *device_words(const struct device *device)
{
    const char *vendor = device->pci ? pci_vendor_name(device) : NULL;
    const char *model = device->pci ? pci_device_name(device) : NULL;

    if (!device->pci)
        return "";
    if (device->vendor == 0)
        return text("(%s)", pci_class_name(device->class_code));
    return text("%04x:%04x %s%s%s%s(%s)", device->vendor, device->device,
                vendor != NULL ? vendor : "", vendor != NULL ? " " : "", model != NULL ? model : "",
                model != NULL ? " " : "", pci_class_name(device->class_code));
}

static void print_verdict(const struct host *host, const struct verdict *verdict,
                          const struct advice *advice)
{
    const struct group *group = verdict->group;
    bool good = outcome_assignable(advice->outcome) == 1;

    element("h1", text("IOMMU group %s", group->name));
    printf("\n");
    element("p class=\"faint\"", text("%s, by iovageom-probe of libiovageom %s", kernel_words(host),
                                      iovageom_version()));
    printf("\n");
    element(good ? "p class=\"verdict\"" : "p class=\"verdict bad\"",
            outcome_sentence(advice->outcome));
    printf("\n");
    if (advice->because != NULL)
        element("p", advice->because);
    if (advice->knows_ram)
        element("p", text("Guest RAM that fits at its usual place: %s (%s). Largest BAR that has a "
                          "place: %s.",
                          size_text(advice->ram), advice->ram_place,
                          size_text((struct iovageom_size){0, advice->bar_most})));
    list(advice->remedies, advice->remedy_count);
    list(verdict->faults.words, verdict->faults.count);
    list(verdict->notes, verdict->note_count);
}

static void print_settings(const struct advice *advice)
{
    static const char *const titles[] = {"VMM", "what to set", "since", "for"};

    if (advice->setting_count + advice->plain_count == 0)
        return;
    heading("What to tell the VMM");
    begin_table(titles, 4);
    for (size_t i = 0; i < advice->setting_count; i++)
        row((const char *[]){advice->settings[i].vmm, advice->settings[i].words,
                             advice->settings[i].since, "a virtual IOMMU"},
            4);
    for (size_t i = 0; i < advice->plain_count; i++)
        row((const char *[]){advice->plain[i].vmm, advice->plain[i].words, advice->plain[i].since,
                             "no virtual IOMMU"},
            4);
    end_table();
}

/* "16M 16G"; NULL where they are not known. */
static const char *bar_sizes(const struct bars *bars)
{
    const char *words = NULL;

    for (size_t i = 0; i < bars->count; i++) {
        const char *size = size_text((struct iovageom_size){0, bars->list[i].size});

        words = words != NULL ? text("%s %s", words, size) : size;
    }
    return words;
}

static void print_devices(const struct group *group)
{
    static const char *const titles[] = {"device", "what it is", "driver", "BARs", "IOMMU"};

    heading("Devices of the group");
    begin_table(titles, 5);
    for (size_t i = 0; i < group->device_count; i++) {
        const struct device *device = group->devices[i];

        row((const char *[]){device->address, device_words(device),
                             device->driver == NULL    ? "not known"
                             : *device->driver == '\0' ? "none"
                                                       : device->driver,
                             bar_sizes(&device->bars), device->unit},
            5);
    }
    end_table();
}

static void print_statements(const struct verdict *verdict)
{
    static const char *const titles[] = {"source",    "width",    "page sizes",
                                         "alignment", "mappings", ""};

    if (verdict->statement_count == 0)
        return;
    heading("What each source says");
    begin_table(titles, 6);
    for (size_t i = 0; i < verdict->statement_count; i++) {
        const struct statement *statement = &verdict->statements[i];

        row((const char *[]){statement->source,
                             statement->has_aperture ? text("%u bits", statement->bits) : NULL,
                             statement->has_page_sizes ? page_sizes_text(statement->page_sizes)
                                                       : NULL,
                             statement->has_alignment
                                 ? size_text((struct iovageom_size){0, statement->alignment})
                                 : NULL,
                             statement->has_budget ? grouped(statement->budget) : NULL,
                             statement->counts ? "counts" : "only checked against"},
            6);
    }
    end_table();
}

static void range_row(const char *what, struct iovageom_range range, const char *who)
{
    row((const char *[]){range_text(range), range_size_text(range), what, who}, 4);
}

static void print_ranges(const struct verdict *verdict)
{
    static const char *const titles[] = {"range", "size", "what it is", "who says so"};

    heading("Addresses");
    begin_table(titles, 4);
    for (size_t i = 0; i < verdict->usable_count; i++)
        range_row("usable", verdict->usable[i], NULL);
    for (size_t i = 0; i < verdict->unknown_count; i++)
        range_row("not known", verdict->unknown[i], NULL);
    for (size_t i = 0; i < verdict->reserved_count; i++)
        range_row(iovageom_resv_type_string(verdict->reserved[i].type), verdict->reserved[i].range,
                  verdict->reserved[i].source);
    end_table();
}

static void print_promise(const struct promise *promise)
{
    static const char *const titles[] = {"range", "size", "RESV_MEM subtype", ""};

    heading("What a virtual IOMMU should tell a guest");
    if (promise->refused != NULL) {
        element("p", text("Nothing: %s.", promise->refused));
        return;
    }
    element("p", text("page_size_mask 0x%llx (%s), input_range %s",
                      (unsigned long long)promise->page_size_mask,
                      page_sizes_text(promise->page_size_mask), range_text(promise->input_range)));
    begin_table(titles, 4);
    for (size_t i = 0; i < promise->decoded_count; i++)
        range_row(promise->decoded[i].type == IOVAGEOM_RESV_MSI ? "MSI" : "RESERVED",
                  promise->decoded[i].range, NULL);
    end_table();
    list(promise->notes, promise->note_count);
    printf("<details><summary>");
    xml_text(text("PROBE properties, %zu bytes", promise->length));
    printf("</summary>\n");
    hexdump(promise->bytes, promise->length);
    printf("</details>\n");
}

static void print_plan(const struct plan *plan)
{
    heading("The guest");
    element("p", text("%s of RAM in machine %s. Without a virtual IOMMU, or while it is bypassed: "
                      "%s.",
                      size_text(plan->layout.pinned), guest_machine_name(&plan->guest),
                      plan_outcome_words(plan)));
    printf("<ul>\n");
    for (size_t i = 0; i < plan->guest.count; i++)
        element("li", text("%s %s%s", plan->guest.names[i], range_text(plan->guest.pieces[i].range),
                           plan->stuck[i] ? ": no place" : ""));
    for (size_t i = 0; i < plan->layout.placements; i++)
        element("li", text("%s %s could go to %s", plan->guest.names[plan->moves[i].piece],
                           range_text(plan->moves[i].from), range_text(plan->moves[i].to)));
    for (size_t i = 0; i < plan->obstacles.obstacle_count; i++)
        element("li", obstacle_text(&plan->obstacles.obstacles[i], &plan->together));
    printf("</ul>\n");
}

/* A file as it was read; only its name, not where it stands. */
static void print_blob(const char *question, const struct blob *blob, bool words)
{
    const char *name = blob->path != NULL ? strrchr(blob->path, '/') : NULL;

    if (!blob->there)
        return;
    printf("<details><summary>");
    xml_text(text("%s: %s, %zu bytes", question, name != NULL ? name + 1 : "answer", blob->length));
    printf("</summary>\n");
    if (words) {
        printf("<pre>");
        xml_text((const char *)blob->bytes);
        printf("</pre>\n");
    } else {
        hexdump(blob->bytes, blob->length);
    }
    printf("</details>\n");
}

static bool serves_group(const struct unit *unit, const struct group *group)
{
    bool known = unit->devices != NULL;

    for (size_t i = 0; i < group->device_count; i++) {
        known = known || group->devices[i]->unit != NULL;
        if (group->devices[i]->unit != NULL && strcmp(group->devices[i]->unit, unit->name) == 0)
            return true;
    }
    return !known;
}

static void print_answers(const struct host *host, const struct group *group)
{
    const struct answers *answers = &group->answers;

    heading("What was asked, and what was answered");
    print_blob("sysfs, reserved regions", &group->reserved_regions, true);
    print_blob("VFIO_IOMMU_GET_INFO, with too little room", &answers->vfio_first, false);
    print_blob("VFIO_IOMMU_GET_INFO", &answers->vfio, false);
    print_blob("IOMMU_IOAS_IOVA_RANGES, before the attach", &answers->empty_header, false);
    print_blob("its ranges", &answers->empty_ranges, false);
    print_blob("IOMMU_IOAS_IOVA_RANGES, after the attach", &answers->attached_header, false);
    print_blob("its ranges", &answers->attached_ranges, false);
    print_blob("IOMMU_GET_HW_INFO", &answers->hw_header, false);
    print_blob("its data", &answers->hw_data, false);
    for (size_t i = 0; i < host->unit_count; i++) {
        const struct unit *unit = &host->units[i];

        for (size_t k = 0; k < unit->attribute_count && serves_group(unit, group); k++)
            print_blob(text("registers of %s", unit->name), &unit->attributes[k].blob, true);
    }
    if (group->not_asked != NULL)
        element("p", text("VFIO and iommufd were not asked: %s", group->not_asked));
}

static void print_others(const struct plan *plan, const struct verdict *chosen)
{
    static const char *const titles[] = {"group", "devices", "verdict", "width"};

    if (plan->host.group_count < 2)
        return;
    heading("The other groups of this host");
    begin_table(titles, 4);
    for (size_t i = 0; i < plan->host.group_count; i++) {
        const struct group *group = &plan->host.groups[i];
        const char *devices = "";
        struct verdict verdict;

        if (group == chosen->group)
            continue;
        verdict = judge(&plan->host, group, &plan->context->mode);
        for (size_t k = 0; k < group->device_count && k < 8; k++)
            devices = text("%s%s%s", devices, k != 0 ? " " : "", group->devices[k]->address);
        row((const char *[]){group->name,
                             group->device_count > 8 ? text("%s ...", devices) : devices,
                             outcome_sentence(advise(&plan->host, &verdict).outcome),
                             verdict.knows_width ? text("%u bits", verdict.bits) : NULL},
            4);
    }
    end_table();
}

/* ---- the command ---- */

static void print_report(const struct plan *plan, const struct promise *promise, bool guest)
{
    const struct verdict *verdict = plan->verdicts[0];
    struct advice advice = advise(&plan->host, verdict);
    struct picture picture = picture_make(verdict, promise, guest ? plan : NULL, 0.022);

    begin_page(text("IOMMU group %s", verdict->group->name));
    print_verdict(&plan->host, verdict, &advice);
    heading("The address space");
    printf("<div class=\"wide\">\n");
    picture_svg(&picture);
    printf("</div>\n");
    if (guest)
        print_plan(plan);
    print_settings(&advice);
    print_devices(verdict->group);
    print_statements(verdict);
    print_ranges(verdict);
    print_promise(promise);
    print_answers(&plan->host, verdict->group);
    print_others(plan, verdict);
    printf("</body>\n</html>\n");
}

int command_report(struct context *context, int argc, char **argv)
{
    struct plan plan = {.context = context};
    struct promise promise = {.refused = "its files could not be read"};
    const struct verdict *verdict;
    struct context aside;
    bool guest;
    int option;

    while ((option = getopt_long(argc, argv, COMMON_SHORT, long_options, NULL)) != -1) {
        if (option == 'h')
            usage();
        if (option != 'H' && !guest_option(&plan.guest, option, optarg))
            context_option(context, option);
    }
    context_check(context);
    if (context->json)
        die(EXIT_USAGE, "report: it is HTML; JSON is written by the command show");
    if (argc - optind > 1)
        die(EXIT_USAGE, "%s: one group or device is enough", argv[optind + 1]);
    guest = plan.guest.ram.size != 0 || plan.guest.ram.count != 0 || plan.guest.bar_count != 0;
    /* What is said besides goes to standard error, as beside JSON. */
    aside = *context;
    aside.json = true;
    context_read(&aside, &plan.host);
    plan_choose(&plan, argc - optind, argv + optind);
    verdict = plan.verdicts[0];
    if (verdict->no_iommu)
        promise.refused = "nothing translates for it";
    else if (verdict->judged)
        promise = promise_for(verdict, 0, 0);
    if (guest)
        plan_solve(&plan);
    print_report(&plan, &promise, guest);
    return plan_told(&plan, argc == optind);
}
