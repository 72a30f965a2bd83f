/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOST_PROBE_PASTE_H
#define HOST_PROBE_PASTE_H

#include "amounts.h"
#include "host.h"

/* What the readers of a pasted text have in common: a line, its words, and the host that comes of
 * it. */

#define ADDRESS_LENGTH (PCI_ADDRESS_SIZE - 1)
#define MOST_RMRRS     8 /* that are named */
#define MOST_IVMDS     256
#define MOST_SAID      4096

/** A region that firmware wants mapped one to one. */
struct rmrr {
    uint64_t start, last;
};

/** The region of a DMAR table whose lines are read. */
struct table_region {
    bool open;         /* in its part of the table */
    bool based, whole; /* its start is there, and its end too */
    bool named;        /* a device too */
    bool others;       /* devices that can't be told */
    struct rmrr range;
    uint64_t segment, bus, scope, length;
};

/** Who says that firmware wants a region mapped one to one. */
enum demand_kind {
    DEMAND_TABLE,  /**< a table: the device may not be in the machine */
    DEMAND_LOG,    /**< the kernel, of a device that it has */
    DEMAND_REFUSAL /**< the kernel, which gave the device to nobody for that; it names no region */
};

/** What is said of a device. It is kept to the end: the line with its group may come later. */
struct demand {
    enum demand_kind kind;
    const char *device;
    struct rmrr range;
};

/** An IVMD, or an RMR: a region of all devices from the first to the last. */
struct ivmd {
    struct rmrr range;
    bool rmr;
    bool relaxable; /* who assigns a device may give it up */
    char first[ADDRESS_LENGTH + 1], last[ADDRESS_LENGTH + 1];
};

/** The block of an IVRS table whose lines are read. */
struct ivrs_block {
    bool memory, hardware; /* what it is; neither outside of a block */
    bool flagged, started; /* its flags are there, and its start too */
    bool imaged;           /* the register's image is there, and not kept yet */
    uint64_t type, flags;  /* of memory: 20 for all devices, 21 for one, 22 for some */
    uint64_t device, auxiliary, segment;
    uint64_t start, image;
};

#define MOST_IVHDS 32

/** A mapping of an IORT's node: `count` + 1 numbers from `input` on become those from `output`
 * on. */
struct iort_map {
    size_t node;
    uint64_t type, segment; /* of the node */
    uint64_t input, count, output;
    uint64_t reference; /* the place of the node that they are numbers of */
};

/** A region of an RMR. */
struct iort_region {
    size_t node;
    struct rmrr range;
    bool relaxable;
};

/** What is read of an IORT. */
struct iort {
    bool open;    /* a node's lines are read, of an IORT or of another table with types */
    bool flagged; /* its flags are there */
    bool based;   /* the start of a region is there, and its length not yet */
    bool left;    /* there was too much */
    bool unread;  /* the program that wrote the text could not read RMRs */
    size_t node;  /* how many began */
    size_t joins; /* how many mappings were held against mappings */
    uint64_t type, segment, flags, base;
    struct iort_map map;
    struct iort_map *maps;
    size_t map_count;
    struct iort_region *regions;
    size_t region_count;
};

/** Which program prints the fields of a device that are read (paste_record.c). */
enum record_kind { RECORD_NONE, RECORD_LSPCI, RECORD_VIRSH, RECORD_PVESH };

struct record {
    enum record_kind kind;
    bool members; /* the other devices of its group come */
    unsigned class_code, vendor, number;
    char address[ADDRESS_LENGTH + 1];
    char driver[64], group[64];
};

/** Who says that the IOMMU is off. */
enum off_words { OFF_KERNEL, OFF_ANY, OFF_INTEL, OFF_AMD, OFF_WORDS };

/** What is said of the machine as a whole, and of its last boot. */
struct machine {
    unsigned width;  /* "Host address width" */
    unsigned smmu;   /* bits of the addresses that an SMMU takes; 0: not said */
    bool smmus;      /* it has one */
    unsigned virtio; /* bits of the addresses that a virtio-iommu takes, in a guest; 0: not said */
    uint64_t virtio_pages; /* a mask; 0: not said */
    bool intel, amd;       /* it has tables or IOMMUs of theirs */
    bool arm;              /* the kernel's version says so */
    bool v2;               /* AMD-Vi was told to use tables of the first stage */
    unsigned vasize;       /* bits of addresses, says an IVRS table; 0: it doesn't */
    unsigned off;          /* bits of enum off_words */
    unsigned boot;         /* how many began before */
};

/** How far the reading of a text has come. */
struct reader {
    struct host *host;
    const struct blob *text;
    const char *at; /* the line, and its end */
    const char *end;
    const char *line_end; /* in the text, from which it may have been joined */
    size_t number;
    char *group;           /* of whose file the next lines are (head -v, ls): its name, or NULL */
    bool regions_follow;   /* and they are its reserved_regions */
    bool devices_follow;   /* or what ls makes of its folder of devices */
    struct device *device; /* of the last lines of lspci */
    bool first_bar;        /* none of its BARs has been read */
    size_t understood;
    struct rmrr rmrrs[MOST_RMRRS]; /* those that no line gives a device, the first of them */
    size_t rmrr_count;
    struct table_region region;
    struct ivrs_block block;
    struct iort iort;
    uint64_t ivhds[MOST_IVHDS]; /* IOMMUs of an IVRS table: segment and device */
    size_t ivhd_count;
    struct demand *demands;
    size_t demand_count;
    struct lookup demanded; /* a text may say it twice */
    struct ivmd ivmds[MOST_IVMDS];
    size_t ivmd_count;
    bool ivmds_left; /* there were more */
    size_t said;     /* how often something was said of a device */
    struct machine machine;
    struct record record;
};

/* ---- lines (paste_lines.c) ---- */

/** A text without what terminals obey, with ends of lines as here, and not in quoted-printable. */
struct blob text_plain(const struct blob *blob);

/** Behind the marks of a quotation, "> > ". */
const char *line_unmarked(const char *at, const char *end);

/** Whether the line from `at` on was broken at a blank, and goes on with the line from `next`
 * on. */
bool lines_are_one(const char *at, const char *end, const char *next, const char *next_end);

/** Both as one, with one blank between. */
char *lines_joined(const char *at, const char *end, const char *next, const char *next_end);

/* ---- words of the line ---- */

/** Behind the first `word` of the line from `from` on; NULL when it is not there. */
const char *line_after(const struct reader *reader, const char *from, const char *word);

/** A number in hexadecimal, with 0x or without; its end, or NULL. */
const char *line_hex(const struct reader *reader, const char *at, uint64_t *value);

/** Behind the blanks at `at`. */
const char *line_blanks(const struct reader *reader, const char *at);

/** Whether hexadecimal digits, as many as `form` has x, and its other characters stand there. */
bool line_has_form(const struct reader *reader, const char *at, const char *form);

/** The address of a PCI device at `at` (pci_address()); its end, or NULL. */
const char *line_address(const struct reader *reader, const char *at,
                         char address[ADDRESS_LENGTH + 1]);

/** The same, or the name of a device that is not PCI, "arm-smmu-v3.1.auto". */
const char *line_device(const struct reader *reader, const char *at, char name[64]);

/** The first address in a part of the line, where no other character of one stands before it. */
const char *line_find_address(const struct reader *reader, const char *from,
                              char address[ADDRESS_LENGTH + 1]);

/** A word of the characters that names have, at most 63 of them; NULL when there is none. */
const char *line_name(const struct reader *reader, const char *at, char name[64]);

/** What is left of the line, without blanks at its end. */
const char *line_rest(const struct reader *reader, const char *at);

/* ---- what is put together ---- */

/** The group of that name, made if it is new; NULL when there are too many. */
struct group *paste_group(struct reader *reader, const char *name);

/**
 * Puts a device into a group. Of several boots, or where it went and came again, the last line
 * counts: groups have their devices in the end.
 */
void paste_device(struct reader *reader, const char *name, const char *address);

/** A register file of an IOMMU. */
void paste_attribute(struct reader *reader, const char *name, const char *file, const char *value);

/* ---- what firmware wants (paste_demand.c) ---- */

/** Notes what is said of a device. */
void paste_demand(struct reader *reader, enum demand_kind kind, const char *device,
                  struct rmrr range);

/** Notes a region of no device that can be told. */
void paste_rmrr(struct reader *reader, struct rmrr range);

/** Notes an IVMD or an RMR, if it has a range. */
void paste_ivmd(struct reader *reader, const struct ivmd *ivmd);

/** Says it all of the groups, when all of them are there. */
void paste_finish_demands(struct reader *reader);

/* ---- the kernel's log (paste_log.c) ---- */

/** Whether the line is one of the kernel's log that says something. */
bool paste_read_log(struct reader *reader);

/** What the log says of all groups, or of none that it names. */
void paste_finish_log(struct reader *reader);

/* ---- the machine as a whole (paste_machine.c) ---- */

/** Whether the line is one on the machine: its kernel, its IOMMUs, whether they are on. */
bool paste_read_machine(struct reader *reader);

/** Says it of all groups. */
void paste_finish_machine(struct reader *reader);

/* ---- lists of devices (paste_lspci.c) ---- */

/** Whether the line is one of lspci, of a script that calls it, or of Proxmox VE's or DPDK's own
 * list. */
bool paste_read_lspci(struct reader *reader);

/** Whether the line is a field of a device, of a form for other programs, that says something. */
bool paste_read_record(struct reader *reader);

/** The last field has come; whether there was a device. */
bool paste_finish_record(struct reader *reader);

/* ---- tables that iasl made readable (paste_table.c, paste_ivrs.c, paste_iort.c) ---- */

/** Whether the line is a field of a DMAR, IVRS or IORT table that says something. */
bool paste_read_table(struct reader *reader);

/** The last region of a table has ended. */
void paste_finish_table(struct reader *reader);

/** A field's value, in hexadecimal; false where it is none, or above `most`. */
bool paste_field(const struct reader *reader, const char *at, uint64_t most, uint64_t *value);

/** Whether `name` begins a block of an IVRS table ("[Memory Definition Block (IVMD)]"), or ends
 * one. */
bool paste_begin_ivrs(struct reader *reader, const char *at);

/** Whether the field is one of the block of an IVRS table that says something. */
bool paste_read_ivrs(struct reader *reader, const char *name, const char *at);

/** A node of an IORT begins, whose type stands at `at`; or something of another table. */
bool paste_begin_iort(struct reader *reader, const char *at);

/** Whether the field is one of the node that says something. */
bool paste_read_iort(struct reader *reader, const char *name, const char *at);

/** Whether the line says that the program that wrote the text could not read what is an RMR. */
bool paste_read_iort_unread(struct reader *reader);

/** Finds the devices of RMRs, when all nodes are there. */
void paste_finish_iort(struct reader *reader);

#endif
