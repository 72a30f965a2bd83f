/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SCENARIO_PLAYER_H
#define SCENARIO_PLAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/guest.h>
#include <iovageom/iovageom.h>

/*
 * iovageom-scenario plays a text of commands on the books of a virtual IOMMU. See docs/scenario.md.
 *
 *   words.c   a line, its words, numbers and ranges; errors with file, line and column
 *   show.c    the transcript: text, or JSON
 *   vmm.c     commands of the VMM
 *   layout.c  the command `layout`
 *   guest.c   commands of the guest
 *   main.c    options, files, machines, the table of commands
 */

enum { MAX_WORDS = 256, NAME_SIZE = 48 };

/** One word of a line. */
struct word {
    const char *text;
    int column; /**< from 1 */
};

/** Something that a command has to say beside its result. */
struct item {
    const char *label; /**< static, or a type's word */
    enum { ITEM_RANGE, ITEM_NUMBER, ITEM_ADDRESS, ITEM_TEXT } kind;
    struct iovageom_range range;
    uint64_t number;
    char text[160];
};

struct host {
    struct host *next;
    char name[NAME_SIZE];
    struct iovageom_geometry *geometry;
    char **facts; /**< the words that made it, for `like` */
    int fact_count;
};

/** A guest kernel's DMA allocator for the guest group whose first endpoint is `first`. */
struct allocator {
    struct allocator *next;
    uint32_t first;
    struct iovageom_guestview_dma dma;
};

struct machine {
    struct machine *next;
    char name[NAME_SIZE];
    struct iovageom_viommu_config config;
    struct iovageom_viommu *viommu; /**< NULL until the first command that is not `config` */
    struct allocator *allocators;
};

struct player {
    const char *file;
    int line;
    char *source; /**< the line as written */
    char *words_text;
    struct word words[MAX_WORDS + 1];
    int count;
    int at;                              /**< the next word */
    struct word expected[MAX_WORDS + 1]; /**< the words after => */
    int expected_count;
    int arrow_column;

    bool explain, json, quiet;
    bool first_object;
    int failures; /**< expectations that did not hold */

    struct host *hosts;
    struct machine *machines;
    struct machine *machine; /**< the present one */
    uint8_t *stream;         /**< what `save` wrote */
    size_t stream_size;

    struct iovageom_report report;
    char result[64];
    struct item *items;
    size_t item_count, item_capacity;
};

/* words.c */
_Noreturn void fail_at(const struct player *p, int column, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void split_line(struct player *p, char *line);
bool more(const struct player *p);
bool accept_word(struct player *p, const char *text);
const char *need_word(struct player *p, const char *what);
int last_column(const struct player *p);
uint64_t need_number(struct player *p, const char *what);
uint64_t need_power(struct player *p, const char *what);
uint32_t need_number32(struct player *p, const char *what);
struct iovageom_range need_range(struct player *p, const char *what);
bool next_is_range(const struct player *p);
bool next_is_number(const struct player *p);
bool need_switch(struct player *p);
uint64_t need_page_mask(struct player *p);
void need_name(struct player *p, const char *what, char out[NAME_SIZE]);

/* show.c */
void say(struct player *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_status(struct player *p, int error);
void say_virtio(struct player *p, uint8_t status);
void add_range(struct player *p, const char *label, struct iovageom_range range);
void add_number(struct player *p, const char *label, uint64_t number);
void add_address(struct player *p, const char *label, uint64_t number);
void add_text(struct player *p, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void add_set(struct player *p, const char *label, const struct iovageom_rangeset *set);
void show_begin(struct player *p);
void show_comment(struct player *p);
void show_command(struct player *p);
void show_end(struct player *p);
bool finding_has_word(const struct iovageom_finding *finding, const char *word);
const char *finding_word(const struct iovageom_finding *finding);
bool finding_word_known(const char *word);

/* main.c */
struct iovageom_viommu *books(struct player *p);
struct host *need_host(struct player *p);

/* vmm.c */
void host_free(struct host *host);
void do_config(struct player *p);
void do_host(struct player *p);
void do_region(struct player *p);
void do_envelope(struct player *p);
void do_identity(struct player *p);
void do_declare(struct player *p);
void do_undeclare(struct player *p);
void do_plug(struct player *p);
void do_dry_plug(struct player *p);
void do_prepare(struct player *p);
void do_commit(struct player *p);
void do_abort(struct player *p);
void do_update(struct player *p);
void do_unplug(struct player *p);
void do_freeze(struct player *p);
void do_reset(struct player *p);
void do_save(struct player *p);
void do_load(struct player *p);
void do_show(struct player *p);
void do_expect(struct player *p);

/* layout.c */
void do_layout(struct player *p);

/* guest.c */
void do_features(struct player *p);
void do_bypass(struct player *p);
void do_probe(struct player *p);
void do_attach(struct player *p);
void do_detach(struct player *p);
void do_map(struct player *p);
void do_unmap(struct player *p);
void do_access(struct player *p);
void do_raw(struct player *p);
void do_linux(struct player *p);
void do_dma(struct player *p);

/* As JSON (json.c), where the program was built with libjansson. */
bool json_is_there(void);
void json_begin(struct player *p);
void json_command(struct player *p);
void json_end(void);

#endif
