/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_JUDGE_H
#define IOVAGEOM_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <iovageom/geometry.h>
#include <iovageom/range.h>
#include <iovageom/rangeset.h>
#include <iovageom/status.h>
#include <iovageom/viommu.h>

/*
 * Replay of a recorded run of Linux's selftests: what each I/O address space (IOAS) of the kernel
 * was asked becomes questions to the library, whose answers must be the kernel's.
 */

/* ---- an IOAS, on the library alone (ioas.c) ---- */

/* Who narrows an IOAS: a page table, an access by the CPU, an option, the test, a host. */
enum owner_kind { BY_DOMAIN = 1, BY_ACCESS, BY_OPTION, BY_TEST, BY_HOST };

struct owner {
    enum owner_kind kind;
    uint32_t id;
    uint32_t endpoint; /* in the books */
    struct iovageom_geometry *geometry;
};

enum { OWNERS = 64, ALLOWED = 64 };

struct ioas {
    struct ioas *next;
    uint32_t id;
    struct owner owners[OWNERS];
    size_t owner_count;
    uint32_t endpoints; /* given out so far */
    /* What all owners together leave, and books with its granule. */
    struct iovageom_geometry *meet;
    uint64_t granule;
    struct iovageom_viommu *books;
    /* IOMMU_IOAS_ALLOW_IOVAS: promises that what comes later must keep. */
    struct iovageom_range allowed[ALLOWED];
    size_t allowed_count;
    bool cuts; /* VFIO's type 1, version 1, which splits mappings */
};

/* Ends the program: without memory there is nothing to judge. */
void *must(void *memory);
void must_do(int status, const char *what);

struct ioas *ioas_new(uint32_t id);
void ioas_free(struct ioas *ioas);

/*
 * One more owner; the geometry becomes the IOAS's. IOVAGEOM_ERR_CONFLICT: it reserves what is
 * mapped or allowed, or maps no pages as small as those that are mapped; it is freed then.
 */
int ioas_add_owner(struct ioas *ioas, enum owner_kind kind, uint32_t id,
                   struct iovageom_geometry *geometry);
void ioas_remove_owner(struct ioas *ioas, enum owner_kind kind, uint32_t id);
bool ioas_has_owner(const struct ioas *ioas, enum owner_kind kind, uint32_t id);

int ioas_allow(struct ioas *ioas, const struct iovageom_range *ranges, size_t count);

/* Whether `answered`, decoded from the kernel's answer, has the same addresses and granule. */
bool ioas_same_ranges(const struct ioas *ioas, const struct iovageom_geometry *answered);

int ioas_map_check(const struct ioas *ioas, struct iovageom_range range, uint64_t phys);
int ioas_map(struct ioas *ioas, struct iovageom_range range, uint64_t phys);

/* *bytes becomes what goes. */
int ioas_unmap(struct ioas *ioas, struct iovageom_range range, uint64_t *bytes);

/* iommufd unmaps what lies below the mapping that it would split, and then refuses. */
void ioas_sweep(struct ioas *ioas, struct iovageom_range range);

/* VFIO's version 1: make the ends of the range the ends of mappings. */
void ioas_cut(struct ioas *ioas, struct iovageom_range range);

/* Whether every address is mapped; *phys is where the first one leads. */
int ioas_mapped(const struct ioas *ioas, struct iovageom_range range, uint64_t *phys);

/* Map at `to` what `from` maps in `range`. */
int ioas_copy(struct ioas *to, uint64_t start, const struct ioas *from,
              struct iovageom_range range);

/*
 * Where the kernel places a mapping that may be anywhere (iopt_alloc_iova() of 6.12 and 7.3): the
 * lowest hole from 4K up, aligned as its address in memory is. IOVAGEOM_ERR_NOTHING_USABLE:
 * nowhere.
 * *exact: it must be just there, or else anywhere that ioas_map_check() accepts.
 */
int ioas_place(const struct ioas *ioas, uint64_t length, uint64_t address,
               struct iovageom_range *out, bool *exact);

/* ---- a recorded call (replay.c) ---- */

enum { BYTES = 4096 };

struct call {
    unsigned long line;
    char context[40];
    char what[16]; /* the request as it was written */
    uint32_t request;
    int result;
    int error;
    uint8_t before[BYTES];
    size_t before_size;
    uint8_t after[BYTES];
    size_t after_size;
    uint8_t array[BYTES];
    size_t array_size;
};

/* Little-endian words of the argument, 0 beyond its end. */
uint32_t word(const uint8_t *bytes, size_t size, size_t at);
uint64_t quad(const uint8_t *bytes, size_t size, size_t at);

/* Why a call is not judged: the rules of README.md. */
enum rule {
    RULE_WORDS,    /* size, flags or reserved fields of the call itself are wrong */
    RULE_MEMORY,   /* what was to be mapped is not there, or too much: EFAULT, ENOMEM */
    RULE_FILE,     /* what was to be mapped is no such file, or ends before */
    RULE_HELD,     /* an object that isn't modelled holds the mapping: EBUSY */
    RULE_BYTE,     /* a mapping of one byte, which virtio-iommu has not (N37) */
    RULE_DEVICE,   /* about a device or page table, not about ranges */
    RULE_INJECTED, /* a failure that the test injected */
    RULES
};

void leave_out(const struct call *call, enum rule rule);

/* Whose numbers a refusal has: iommufd's or those of VFIO's type 1. */
enum dialect { IOMMUFD, TYPE1 };

/*
 * The library would answer `status`: does the kernel's answer agree? In a run with injected
 * failures a refusal of what the library accepts is left out.
 */
bool judge(const struct call *call, enum dialect dialect, int status);

/* Say that something else than the status differs. */
void differ(const struct call *call, const char *what, uint64_t kernel, uint64_t library);

/*
 * The kernel was asked to narrow an IOAS. Refusals for other reasons than what is mapped or allowed
 * are about devices. Frees the geometry, or gives it to the IOAS.
 */
void judge_owner(const struct call *call, struct ioas *ioas, enum owner_kind kind, uint32_t id,
                 struct iovageom_geometry *geometry);

/* ---- the calls (calls.c, test_calls.c, vfio_calls.c) ---- */

struct hwpt {
    struct hwpt *next;
    uint32_t id;
    uint32_t ioas;  /* IOAS whose page table it is; 0 for a nested one */
    bool automatic; /* goes with its last device */
};

struct device {
    struct device *next;
    uint32_t id;
    uint32_t hwpt;
};

struct access {
    struct access *next;
    int file;
    uint32_t ioas;
    bool pins;
};

struct context {
    struct context *next;
    char name[40];
    enum dialect dialect;
    uint32_t compatible; /* the IOAS that stands in for a VFIO container; 0: none */
    struct ioas *ioas;
    struct hwpt *hwpts;
    struct device *devices;
    struct access *accesses;
};

/* How many bits the host's IOMMU has, for devices that are no mocks. */
extern unsigned host_bits;

struct ioas *ioas_of(const struct context *context, uint32_t id);
struct ioas *ioas_made(struct context *context, uint32_t id);

/* A page table of the kernel's mock, or of the host. */
struct iovageom_geometry *mock_geometry(bool huge);
struct iovageom_geometry *host_geometry(void);
struct iovageom_geometry *alignment_geometry(const char *name, uint64_t alignment);

void iommufd_call(struct context *context, const struct call *call);
void test_call(struct context *context, const struct call *call);
void vfio_call(struct context *context, const struct call *call);
void access_closed(struct context *context, int file);
void hwpt_call(struct context *context, const struct call *call);
void object_destroyed(struct context *context, uint32_t id);
void judge_map(const struct call *call, enum dialect dialect, struct ioas *ioas,
               struct iovageom_range range, uint64_t phys);

#endif
