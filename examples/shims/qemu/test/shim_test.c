/* SPDX-License-Identifier: BSD-3-Clause */
/* The QEMU shim in a QEMU of a few lines: what of it can be seen without a guest. */
#include "fake-qemu.h"
#include "hw/virtio/iovageom-shim.h"

#include <stdarg.h>

/* ---- the QEMU ---- */

static Notifier *machine_done;
static Error *blocker; /* what holds migration up */
static bool only_migratable;
static char reported[512];

static Error *new_error(const char *format, va_list arguments)
{
    Error *error = g_new0(Error, 1);

    error->text = g_strdup_vprintf(format, arguments);
    return error;
}

void error_setg(Error **errp, const char *format, ...)
{
    va_list arguments;

    g_assert(!errp || !*errp);
    va_start(arguments, format);
    if (errp) {
        *errp = new_error(format, arguments);
    }
    va_end(arguments);
}

void error_setg_errno(Error **errp, int number, const char *format, ...)
{
    (void)format;
    error_setg(errp, "%s", strerror(number));
}

void error_free(Error *error)
{
    if (error) {
        g_free(error->text);
        g_free(error);
    }
}

void error_report(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reported, sizeof(reported), format, arguments);
    va_end(arguments);
}

void qemu_log_mask(int mask, const char *format, ...)
{
    (void)mask, (void)format;
}

#ifdef FAKE_QEMU_7_2
int migrate_add_blocker(Error *reason, Error **errp)
{
    g_assert(!blocker);
    if (only_migratable) {
        error_setg(errp, "only migratable: %s", reason->text);
        return -EACCES;
    }
    blocker = reason;
    return 0;
}

void migrate_del_blocker(Error *reason)
{
    if (blocker == reason) {
        blocker = NULL;
    }
}
#else
int migrate_add_blocker(Error **reasonp, Error **errp)
{
    g_assert(!blocker);
    if (only_migratable) {
        error_setg(errp, "only migratable: %s", (*reasonp)->text);
        error_free(*reasonp);
        *reasonp = NULL;
        return -EACCES;
    }
    blocker = *reasonp;
    return 0;
}

void migrate_del_blocker(Error **reasonp)
{
    if (*reasonp) {
        g_assert(blocker == *reasonp);
        error_free(blocker);
        blocker = *reasonp = NULL;
    }
}
#endif

int qemu_strtou64(const char *text, const char **end, int base, uint64_t *out)
{
    char *stop;

    *out = strtoull(text, &stop, base);
    if (end) {
        *end = stop;
    }
    return stop == text || (!end && *stop) ? -EINVAL : 0;
}

int qemu_strtoui(const char *text, const char **end, int base, unsigned *out)
{
    uint64_t wide;
    int rc = qemu_strtou64(text, end, base, &wide);

    *out = (unsigned)wide;
    return rc;
}

void qemu_add_machine_init_done_notifier(Notifier *notifier)
{
    machine_done = notifier;
}

void qemu_remove_machine_init_done_notifier(Notifier *notifier)
{
    g_assert(machine_done == notifier);
    machine_done = NULL;
}

/* ---- the tests ---- */

#define K4  UINT64_C(0x1000)
#define K64 UINT64_C(0x10000)
#define M2  UINT64_C(0x200000)
#define G1  UINT64_C(0x40000000)

static PCIBus root = {.qbus = {"pcie.0"}};
static struct virtio_iommu_config config;

static IovageomShim *new_shim(uint64_t page_size_mask, bool granule_as_host, Error **errp)
{
    IovageomShimSetup setup = {.config = &config,
                               .root = &root,
                               .aw_bits = 48,
                               .granule_as_host = granule_as_host,
                               .boot_bypass = true};

    memset(&config, 0, sizeof(config));
    config.page_size_mask = page_size_mask;
    return iovageom_shim_new(&setup, errp);
}

/* What the guest is told of page sizes with one host device that says this. */
static uint64_t told(uint64_t setup_mask, bool granule_as_host, uint64_t host_mask, bool iommufd)
{
    IovageomShimHost host = {"0000:3b:00.0", NULL, host_mask, iommufd};
    Error *error = NULL;
    IovageomShim *shim = new_shim(setup_mask, granule_as_host, &error);

    g_assert(shim && !error);
    g_assert(iovageom_shim_plug(shim, &root, 8, &root, 8, &host, &error) && !error);
    machine_done->notify(machine_done, NULL);
    iovageom_shim_free(shim);
    return config.page_size_mask;
}

static void an_alignment_of_iommufd_is_no_mask(void)
{
    /* VFIO's own container: a mask of page sizes. */
    g_assert_cmphex(told(-K4, true, G1 | M2 | K4, false), ==, G1 | M2 | K4);
    g_assert_cmphex(told(-K4, true, K4, false), ==, K4);
    /* iommufd: everything from the alignment up. */
    g_assert_cmphex(told(-K4, true, K4, true), ==, -K4);
    g_assert_cmphex(told(-K4, true, K64, true), ==, -K64);
    g_assert_cmphex(told(-K64, false, K4, true), ==, -K64);
    /* Nothing said, either way. */
    g_assert_cmphex(told(-K4, true, 0, false), ==, -K4);
    g_assert_cmphex(told(-K4, true, 0, true), ==, -K4);
}

static void a_host_that_says_no_alignment_is_refused(void)
{
    IovageomShimHost host = {"0000:3b:00.0", NULL, M2 | K4, true};
    Error *error = NULL;
    IovageomShim *shim = new_shim(-K4, true, &error);

    g_assert(!iovageom_shim_plug(shim, &root, 8, &root, 8, &host, &error) && error);
    error_free(error);
    error = NULL;
    host.page_size_mask = M2;
    g_assert(iovageom_shim_plug(shim, &root, 8, &root, 8, &host, &error) && !error);
    iovageom_shim_free(shim);
}

static void migration_is_blocked_as_long_as_the_shim_lives(void)
{
    Error *error = NULL;
    IovageomShim *shim = new_shim(-K4, true, &error);

    g_assert(shim && !error && blocker);
    g_assert(strstr(blocker->text, "migration"));
    iovageom_shim_free(shim);
    g_assert(!blocker);
    shim = new_shim(-K4, true, &error);
    g_assert(shim && blocker);
    iovageom_shim_free(shim);
    g_assert(!blocker && !machine_done);
}

static void what_must_be_migratable_is_refused(void)
{
    Error *error = NULL;

    only_migratable = true;
    g_assert(!new_shim(-K4, true, &error));
    only_migratable = false;
    g_assert(error && strstr(error->text, "only migratable"));
    g_assert(!blocker && !machine_done);
    error_free(error);
}

static void a_refused_setup_leaves_no_blocker(void)
{
    Error *error = NULL;

    g_assert(!new_shim(0, true, &error));
    g_assert(error && !blocker && !machine_done);
    error_free(error);
}

static void a_stream_is_refused(void)
{
    IovageomShim *shim = new_shim(-K4, true, NULL);

    reported[0] = '\0';
    g_assert_cmpint(iovageom_shim_post_load(shim), ==, -EINVAL);
    g_assert(strstr(reported, "migration"));
    iovageom_shim_free(shim);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/an_alignment_of_iommufd_is_no_mask", an_alignment_of_iommufd_is_no_mask);
    g_test_add_func("/a_host_that_says_no_alignment_is_refused",
                    a_host_that_says_no_alignment_is_refused);
    g_test_add_func("/migration_is_blocked_as_long_as_the_shim_lives",
                    migration_is_blocked_as_long_as_the_shim_lives);
    g_test_add_func("/what_must_be_migratable_is_refused", what_must_be_migratable_is_refused);
    g_test_add_func("/a_refused_setup_leaves_no_blocker", a_refused_setup_leaves_no_blocker);
    g_test_add_func("/a_stream_is_refused", a_stream_is_refused);
    return g_test_run();
}
