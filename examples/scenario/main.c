/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "player.h"

static const struct {
    const char *word;
    void (*call)(struct player *);
} commands[] = {
    {"config", do_config},     {"host", do_host},
    {"region", do_region},     {"envelope", do_envelope},
    {"identity", do_identity}, {"layout", do_layout},
    {"declare", do_declare},   {"undeclare", do_undeclare},
    {"plug", do_plug},         {"dry-plug", do_dry_plug},
    {"prepare", do_prepare},   {"commit", do_commit},
    {"abort", do_abort},       {"update", do_update},
    {"unplug", do_unplug},     {"freeze", do_freeze},
    {"reset", do_reset},       {"save", do_save},
    {"load", do_load},         {"show", do_show},
    {"expect", do_expect},     {"features", do_features},
    {"bypass", do_bypass},     {"probe", do_probe},
    {"attach", do_attach},     {"detach", do_detach},
    {"map", do_map},           {"unmap", do_unmap},
    {"access", do_access},     {"raw", do_raw},
    {"linux", do_linux},       {"dma", do_dma},
};

/* The books of the present machine, made when the first command needs them. */
struct iovageom_viommu *books(struct player *p)
{
    struct machine *machine = p->machine;

    if (machine->viommu == NULL) {
        const int error = iovageom_viommu_new(NULL, &machine->config, &machine->viommu);

        if (error != IOVAGEOM_OK)
            fail_at(p, 1, "the configuration is not valid: %s", iovageom_status_string(error));
    }
    return machine->viommu;
}

struct host *need_host(struct player *p)
{
    const char *name = need_word(p, "a host");
    struct host *host = p->hosts;

    while (host != NULL && strcmp(host->name, name) != 0)
        host = host->next;
    if (host == NULL)
        fail_at(p, last_column(p), "no host is called %s", name);
    return host;
}

/* `machine NAME`: go on with that one, which is made if it is new. */
static void choose_machine(struct player *p, const char *name)
{
    struct machine *machine = p->machines;

    while (machine != NULL && strcmp(machine->name, name) != 0)
        machine = machine->next;
    if (machine == NULL) {
        machine = calloc(1, sizeof(*machine));
        if (machine == NULL)
            abort();
        memcpy(machine->name, name, strlen(name) + 1);
        iovageom_viommu_config_init(&machine->config);
        machine->next = p->machines;
        p->machines = machine;
    }
    p->machine = machine;
}

/* `=> RESULT [FINDING...]`: the first word of the result, and kinds of finding that must be
 * there. */
static void compare(struct player *p)
{
    const size_t length = strcspn(p->result, ", ");

    if (p->expected_count == 0)
        return;
    if (strlen(p->expected[0].text) != length ||
        strncmp(p->expected[0].text, p->result, length) != 0) {
        fprintf(stderr, "%s:%d:%d: expected %s, but it is: %s\n", p->file, p->line,
                p->expected[0].column, p->expected[0].text, p->result);
        p->failures++;
    }
    for (int i = 1; i < p->expected_count; i++) {
        bool found = false;

        if (!finding_word_known(p->expected[i].text))
            fail_at(p, p->expected[i].column, "no kind of finding is called %s",
                    p->expected[i].text);
        for (size_t k = 0; k < iovageom_report_count(&p->report); k++)
            found |= finding_has_word(iovageom_report_at(&p->report, k), p->expected[i].text);
        if (!found) {
            fprintf(stderr, "%s:%d:%d: expected a finding %s\n", p->file, p->line,
                    p->expected[i].column, p->expected[i].text);
            p->failures++;
        }
    }
}

static void play_command(struct player *p)
{
    const char *word = need_word(p, "a command");
    char name[NAME_SIZE];
    size_t i = 0;

    p->item_count = 0;
    p->result[0] = '\0';
    iovageom_report_clear(&p->report);
    if (strcmp(word, "machine") == 0) {
        need_name(p, "a machine's name", name);
        choose_machine(p, name);
    } else {
        while (i < sizeof(commands) / sizeof(commands[0]) && strcmp(word, commands[i].word) != 0)
            i++;
        if (i == sizeof(commands) / sizeof(commands[0]))
            fail_at(p, last_column(p), "no command is called %s", word);
        commands[i].call(p);
    }
    if (more(p))
        fail_at(p, p->words[p->at].column, "%s is one word too many", p->words[p->at].text);
    show_command(p);
    compare(p);
}

/*
 * A text that somebody sent may be any bytes: one that is 0 would hide what is expected behind it,
 * and others are obeyed by a terminal.
 */
static void check_bytes(const struct player *p, const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        const unsigned char byte = (unsigned char)line[i];

        if ((byte < ' ' && byte != '\t') || byte == 0x7f)
            fail_at(p, (int)i + 1, "a control character, 0x%02x, in the text", byte);
    }
}

static void play(struct player *p, FILE *in)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;

    while ((length = getline(&line, &capacity, in)) >= 0) {
        p->line++;
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            line[--length] = '\0';
        /* The mark of UTF-8, which editors of Windows put in front. */
        if (p->line == 1 && length >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
            length -= 3;
            memmove(line, line + 3, (size_t)length + 1);
        }
        check_bytes(p, line, (size_t)length);
        free(p->source);
        free(p->words_text);
        p->source = strdup(line);
        p->words_text = strdup(line);
        if (p->source == NULL || p->words_text == NULL)
            abort();
        split_line(p, p->words_text);
        if (p->count > 0)
            play_command(p);
        else if (p->expected_count > 0)
            fail_at(p, p->arrow_column, "there is no command before =>");
        else
            show_comment(p);
    }
    free(line);
}

static void give_back(struct player *p)
{
    while (p->machines != NULL) {
        struct machine *machine = p->machines;

        p->machines = machine->next;
        while (machine->allocators != NULL) {
            struct allocator *allocator = machine->allocators;

            machine->allocators = allocator->next;
            iovageom_guestview_dma_deinit(&allocator->dma);
            free(allocator);
        }
        iovageom_viommu_free(machine->viommu);
        free(machine);
    }
    while (p->hosts != NULL) {
        struct host *host = p->hosts;

        p->hosts = host->next;
        host_free(host);
    }
    iovageom_report_deinit(&p->report);
    free(p->stream);
    free(p->items);
    free(p->source);
    free(p->words_text);
}

static int play_file(const char *file, bool explain, bool json, bool quiet)
{
    struct player p = {.file = file, .explain = explain, .json = json, .quiet = quiet};
    FILE *in = strcmp(file, "-") == 0 ? stdin : fopen(file, "r");
    int failures, status = 0;

    if (in == NULL) {
        fprintf(stderr, "%s: %s\n", file, strerror(errno));
        return 2;
    }
    iovageom_report_init(&p.report, NULL);
    choose_machine(&p, "");
    show_begin(&p);
    play(&p, in);
    show_end(&p);
    failures = p.failures;
    give_back(&p);
    if (ferror(in) != 0) {
        fprintf(stderr, "%s: %s\n", file, strerror(errno));
        status = 2;
    }
    if (in != stdin)
        fclose(in);
    return status != 0 ? status : failures > 0 ? 1 : 0;
}

static void usage(FILE *out)
{
    fputs("Usage: iovageom-scenario [--explain] [--json] [--quiet] FILE...\n"
          "Plays scenarios on the books of a virtual IOMMU. FILE - is the standard input.\n"
          "\n"
          "  --explain  every finding of every command, notes too\n"
          "  --json     one array of objects for each file\n"
          "  --quiet    only expectations that do not hold\n"
          "  --help, --version\n"
          "\n"
          "Exit status: 0 all expectations hold, 1 some don't, 2 a scenario can't be read, or the\n"
          "output can't be written.\n",
          out);
}

/* The status to end with: what was to be printed and got lost is no success. */
static int finish(int status)
{
    const bool failed = ferror(stdout) != 0;

    if (fclose(stdout) == 0 && !failed)
        return status;
    fputs("iovageom-scenario: the output can't be written\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    bool explain = false, json = false, quiet = false;
    int status = 0, files = 0;

    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];

        if (strcmp(word, "--explain") == 0) {
            explain = true;
        } else if (strcmp(word, "--json") == 0) {
            if (!json_is_there()) {
                fputs("iovageom-scenario: --json: built without libjansson\n", stderr);
                return 2;
            }
            json = true;
        } else if (strcmp(word, "--quiet") == 0) {
            quiet = true;
        } else if (strcmp(word, "--help") == 0) {
            usage(stdout);
            return finish(0);
        } else if (strcmp(word, "--version") == 0) {
            printf("iovageom-scenario %s\n", iovageom_version());
            return finish(0);
        } else if (word[0] == '-' && word[1] != '\0') {
            fprintf(stderr, "iovageom-scenario: there is no option %s\n", word);
            usage(stderr);
            return 2;
        } else {
            const int one = play_file(word, explain, json, quiet);

            files++;
            status = one > status ? one : status;
        }
    }
    if (files == 0) {
        usage(stderr);
        return 2;
    }
    return finish(status);
}
