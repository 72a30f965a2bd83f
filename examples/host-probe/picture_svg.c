/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The picture of an address space as SVG. Each class has a colour and, but for those that are fine,
 * a pattern, so that it is told apart without colours. Styles are plain CSS classes, with others
 * for a dark page: a viewer that knows no media queries shows the light ones. Titles are tooltips.
 */

#include <stdio.h>
#include <string.h>

#include "picture.h"
#include "say.h"

#define LEFT       185
#define PLOT       900
#define RIGHT      130
#define TOP        150 /* title, and addresses that stand aslant */
#define LANE       26
#define GAP        10
#define ARROWS     26 /* below a lane from which something moves */
#define LEGEND_ROW 24

static const struct {
    const char *name; /* the class in CSS, and the pattern's name */
    const char *light[2];
    const char *dark[2]; /* the fill, and what is drawn on it */
    const char *pattern; /* in a square of 8 by 8; NULL for none */
} looks[PICTURE_CLASSES] = {
    [PICTURE_USABLE] = {"usable", {"#bfe6d8", "#0b7a5c"}, {"#0f4a3a", "#4fd1a5"}, NULL},
    [PICTURE_RESERVED] = {"reserved",
                          {"#f7c3a6", "#a84300"},
                          {"#5c2a0c", "#ff9a5c"},
                          "M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4"},
    [PICTURE_MSI] = {"msi",
                     {"#f0cbe0", "#8f3868"},
                     {"#4d2440", "#ee9ccb"},
                     "M2,2 h2 v2 h-2 z M6,6 h2 v2 h-2 z"},
    [PICTURE_SOFTWARE_MSI] = {"software-msi",
                              {"#f0cbe0", "#8f3868"},
                              {"#4d2440", "#ee9ccb"},
                              "M0,3 h8 M0,7 h8"},
    [PICTURE_DIRECT] = {"direct",
                        {"#eb9c8b", "#7a1800"},
                        {"#6b1a0c", "#ff8a70"},
                        "M0,0 l8,8 M8,0 l-8,8"},
    [PICTURE_RELAXABLE] = {"relaxable", {"#dcefe8", "#0b7a5c"}, {"#183a30", "#4fd1a5"}, "M2,0 v8"},
    [PICTURE_BEYOND] = {"beyond", {"#eceef1", "#9aa3ad"}, {"#22272e", "#59626d"}, "M0,0 l8,8"},
    [PICTURE_UNKNOWN] = {"unknown",
                         {"#fbf3a6", "#7d7000"},
                         {"#4a4400", "#f0e442"},
                         "M4,1 v3 M4,6 v1"},
    [PICTURE_RAM] = {"ram", {"#a9cce8", "#00558a"}, {"#123d5e", "#6cb8f0"}, NULL},
    [PICTURE_BAR] = {"bar", {"#fbd99a", "#8a5b00"}, {"#5a3d00", "#f0b84a"}, NULL},
    [PICTURE_MISFIT] = {"misfit",
                        {"#ffffff", "#b3261e"},
                        {"#2b0b08", "#ff6b5e"},
                        "M-1,3 l4,-4 M-1,11 l12,-12 M5,13 l8,-8"},
    [PICTURE_MOVED] = {"moved", {"#ffffff", "#0b7a5c"}, {"#0d1117", "#4fd1a5"}, NULL},
};

void xml_text(const char *words)
{
    for (const char *at = words; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;

        switch (byte) {
        case '&':
            fputs("&amp;", stdout);
            break;
        case '<':
            fputs("&lt;", stdout);
            break;
        case '>':
            fputs("&gt;", stdout);
            break;
        case '"':
            fputs("&quot;", stdout);
            break;
        default:
            /* What is not ASCII comes from files, and need not be UTF-8. */
            putchar((byte >= 0x20 && byte < 0x7f) || byte == '\n' ? byte : '?');
        }
    }
}

static void print_colors(bool dark)
{
    for (unsigned i = 0; i < PICTURE_CLASSES; i++) {
        const char *const *colors = dark ? looks[i].dark : looks[i].light;

        printf(".iova .%s{fill:%s;stroke:%s}.iova .p-%s{stroke:%s}\n", looks[i].name, colors[0],
               colors[1], looks[i].name, colors[1]);
    }
    printf(".iova text{fill:%s}.iova .tick{stroke:%s}.iova .faint{fill:%s}.iova .arrow{stroke:%s}"
           ".iova .back{fill:%s}.iova .inside{stroke:%s}\n",
           dark ? "#e6edf3" : "#1b1f24", dark ? "#3d444d" : "#d0d7de", dark ? "#9198a1" : "#59636e",
           dark ? "#4fd1a5" : "#0b7a5c", dark ? "#0d1117" : "#ffffff",
           dark ? "#0d1117" : "#ffffff");
}

static void print_style(void)
{
    printf(
        "<style>\n"
        ".iova text{font:12px system-ui,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n"
        ".iova .address{font:11px ui-monospace,'DejaVu Sans Mono',monospace}\n"
        ".iova .title{font-size:16px;font-weight:600}.iova .lane{text-anchor:end}\n"
        ".iova .inside{text-anchor:middle;pointer-events:none;paint-order:stroke;stroke-width:4px;"
        "stroke-linejoin:round}\n.iova .main{font-weight:600}\n"
        ".iova .pattern{stroke:none;pointer-events:none}\n"
        ".iova pattern path{fill:none;stroke-width:1.2}\n"
        ".iova rect.moved{stroke-width:2;stroke-dasharray:5 3}.iova rect.misfit{stroke-width:2}\n"
        ".iova .tick{stroke-width:1}.iova .arrow{fill:none;stroke-width:1.8}\n");
    print_colors(false);
    printf("@media (prefers-color-scheme:dark){\n");
    print_colors(true);
    printf("}\n@media print{\n");
    print_colors(false);
    printf("}\n</style>\n");
}

static void print_patterns(void)
{
    printf("<defs>\n"
           "<marker id=\"iova-head\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" "
           "markerHeight=\"7\" orient=\"auto\"><path class=\"arrow\" d=\"M1,1 L7,4 L1,7\"/>"
           "</marker>\n");
    for (unsigned i = 0; i < PICTURE_CLASSES; i++) {
        if (looks[i].pattern != NULL)
            printf("<pattern id=\"iova-%s\" width=\"8\" height=\"8\" "
                   "patternUnits=\"userSpaceOnUse\"><path class=\"p-%s\" d=\"%s\"/></pattern>\n",
                   looks[i].name, looks[i].name, looks[i].pattern);
    }
    printf("</defs>\n");
}

void picture_svg_begin(void)
{
    print_style();
    printf("<svg class=\"iova\" width=\"0\" height=\"0\" style=\"position:absolute\" "
           "aria-hidden=\"true\">\n");
    print_patterns();
    printf("</svg>\n");
}

static double across(double part)
{
    return LEFT + PLOT * part;
}

static void print_box(enum picture_class class, double x, double y, double width, double height,
                      const char *title)
{
    if (title != NULL) {
        printf("<g><title>");
        xml_text(title);
        printf("</title>");
    }
    printf("<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
           looks[class].name, x, y, width, height);
    if (looks[class].pattern != NULL)
        printf("<rect class=\"pattern\" fill=\"url(#iova-%s)\" x=\"%.1f\" y=\"%.1f\" "
               "width=\"%.1f\" height=\"%.1f\"/>",
               looks[class].name, x, y, width, height);
    printf("%s\n", title != NULL ? "</g>" : "");
}

/* The size, where there is room and nothing is drawn over it. */
static void print_inside(const struct picture *picture, const struct picture_lane *lane,
                         size_t index, double y)
{
    const struct picture_item *item = &lane->items[index];
    double start = across(picture_start(picture, item->range.start));
    double end = across(picture_end(picture, item->range.last));
    const char *size = range_size_text(item->range);

    if (end - start < 8 * (double)strlen(size) + 10 || item->class == PICTURE_BEYOND)
        return;
    for (size_t i = index + 1; i < lane->count; i++) {
        if (iovageom_range_overlaps(lane->items[i].range, item->range))
            return;
    }
    printf("<text class=\"inside\" x=\"%.1f\" y=\"%.1f\">", (start + end) / 2, y + LANE - 8);
    xml_text(size);
    printf("</text>\n");
}

static void print_lane(const struct picture *picture, const struct picture_lane *lane, double y)
{
    printf("<text class=\"lane%s\" x=\"%d\" y=\"%.1f\">",
           strcmp(lane->label, "result") == 0 ? " main" : "", LEFT - 10, y + LANE - 8);
    xml_text(lane->label);
    printf("</text>\n");
    for (size_t i = 0; i < lane->count; i++) {
        const struct picture_item *item = &lane->items[i];
        double start = across(picture_start(picture, item->range.start));
        double end = across(picture_end(picture, item->range.last));
        double width = end - start < 3 ? 3 : end - start;

        print_box(item->class, start, y, width, LANE, item->title);
    }
    for (size_t i = 0; i < lane->count; i++)
        print_inside(picture, lane, i, y);
}

static bool has_moves(const struct picture *picture, size_t lane)
{
    for (size_t i = 0; i < picture->move_count; i++) {
        if (picture->moves[i].lane == lane)
            return true;
    }
    return false;
}

static double middle(const struct picture *picture, struct iovageom_range range)
{
    return across((picture_start(picture, range.start) + picture_end(picture, range.last)) / 2);
}

static void print_arrows(const struct picture *picture, size_t lane, double y)
{
    enum { MOST = 64 };

    for (size_t i = 0; i < picture->move_count && i < MOST; i++) {
        double from = middle(picture, picture->moves[i].from);
        double to = middle(picture, picture->moves[i].to);

        if (picture->moves[i].lane == lane)
            printf("<path class=\"arrow\" marker-end=\"url(#iova-head)\" d=\"M%.1f,%.1f "
                   "C%.1f,%.1f %.1f,%.1f %.1f,%.1f\"/>\n",
                   from, y + 2, from, y + ARROWS, to, y + ARROWS, to, y + 3);
    }
}

static void print_ticks(const struct picture *picture, double bottom)
{
    for (size_t i = 0; i <= picture->anchor_count; i++) {
        bool end = i == picture->anchor_count;
        uint64_t address = end ? 0 : picture->anchors[i];
        double x = end ? across(1) : across(picture_start(picture, address));

        printf("<line class=\"tick\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%.1f\"/>"
               "<text class=\"address\" transform=\"translate(%.1f,%d) rotate(-40)\">",
               x, TOP - 8, x, bottom, x + 3, TOP - 12);
        if (end)
            printf("2^64");
        else if (address == 0)
            printf("0");
        else
            printf("0x%llx", (unsigned long long)address);
        if (!end && address != 0 && (address & ((1ULL << 30) - 1)) == 0)
            xml_text(text(" %s", size_text((struct iovageom_size){0, address})));
        printf("</text>\n");
    }
}

static size_t legend_rows(const struct picture *picture)
{
    size_t used = 0;

    for (unsigned i = 0; i < PICTURE_CLASSES; i++)
        used += picture->used[i];
    return (used + 5) / 6;
}

static void print_legend(const struct picture *picture, double y)
{
    unsigned shown = 0;

    for (unsigned i = 0; i < PICTURE_CLASSES; i++) {
        double x = LEFT + shown % 6 * (PLOT / 6.0);
        double top = y + shown / 6 * LEGEND_ROW;

        if (!picture->used[i])
            continue;
        print_box((enum picture_class)i, x, top, 22, 14, NULL);
        printf("<text x=\"%.1f\" y=\"%.1f\">", x + 28, top + 11);
        xml_text(picture_class_name((enum picture_class)i));
        printf("</text>\n");
        shown++;
    }
}

static double lanes_bottom(const struct picture *picture)
{
    double y = TOP;

    for (size_t i = 0; i < picture->lane_count; i++)
        y += LANE + (has_moves(picture, i) ? ARROWS : GAP);
    return y;
}

static void print_svg(const struct picture *picture, bool alone)
{
    double bottom = lanes_bottom(picture);
    double height = bottom + 16 + LEGEND_ROW * (double)legend_rows(picture) + 26;
    double y = TOP;

    printf("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"iova\" viewBox=\"0 0 %d %.0f\" "
           "width=\"%d\" height=\"%.0f\" role=\"img\"%s>\n<title>",
           LEFT + PLOT + RIGHT, height, LEFT + PLOT + RIGHT, height,
           alone ? "" : " style=\"max-width:100%;height:auto\"");
    xml_text(text("What %s can be mapped to", picture->title));
    printf("</title>\n");
    if (alone) {
        print_style();
        print_patterns();
    }
    printf("<rect class=\"back\" width=\"100%%\" height=\"100%%\"/>\n"
           "<text class=\"title\" x=\"16\" y=\"28\">");
    xml_text(text("%s: %s", picture->title, picture->subtitle));
    printf("</text>\n");
    print_ticks(picture, bottom);
    for (size_t i = 0; i < picture->lane_count; i++) {
        print_lane(picture, &picture->lanes[i], y);
        y += LANE;
        if (has_moves(picture, i)) {
            print_arrows(picture, i, y);
            y += ARROWS;
        } else {
            y += GAP;
        }
    }
    print_legend(picture, bottom + 16);
    printf("<text class=\"faint\" x=\"%d\" y=\"%.1f\">Not to scale: what is twice as large takes "
           "a little more room.</text>\n</svg>\n",
           LEFT, height - 12);
}

void picture_svg(const struct picture *picture)
{
    print_svg(picture, false);
}

void picture_svg_alone(const struct picture *picture)
{
    printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    print_svg(picture, true);
}
