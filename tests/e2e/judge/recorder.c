/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Linked into Linux's own selftests with -Wl,--wrap=open,--wrap=close,--wrap=ioctl: what they ask
 * of /dev/iommu and /dev/vfio, and the answer, become lines of the file that IOVAGEOM_RECORD names.
 *
 *   CONTEXT REQUEST RESULT ERRNO BEFORE AFTER ARRAY
 *
 * CONTEXT is an open file, as the process that opened it and a number; a device or a group counts
 * to the context that it was given to. REQUEST is the ioctl's number in hexadecimal, or "open" or
 * "close". BEFORE and AFTER are the bytes of the argument in hexadecimal, AFTER "=" when nothing
 * has changed. ARRAY is what the argument points to, where that is ranges. "-" stands for nothing.
 *
 * A line is one write() with O_APPEND, made before the ioctl returns: the tests fork, and lines of
 * a process that waits for another stand behind those that it waits for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

int __real_open(const char *path, int flags, ...);
int __real_close(int fd);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
int __wrap_ioctl(int fd, unsigned long request, ...);

enum kind { NOTHING, CONTEXT, GROUP, DEVICE, ACCESS };
enum {
    FILES = 4096,
    ARGUMENT = 4096, /* bytes kept of an argument */
    ARRAY = 4096,    /* and of an array */
    TEST_REQUEST = 0x3ba0,
    TEST_CREATE_ACCESS = 5
};

static struct file {
    enum kind kind;
    char context[32];
} files[FILES];

static struct file *file_at(int fd)
{
    return fd >= 0 && fd < FILES ? &files[fd] : NULL;
}

static void hex(char **out, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";

    if (size == 0)
        *(*out)++ = '-';
    for (size_t i = 0; i < size; i++) {
        *(*out)++ = digits[bytes[i] >> 4];
        *(*out)++ = digits[bytes[i] & 15];
    }
}

static void append(const char *text, size_t size)
{
    static int record = -1;

    if (record < 0)
        record =
            __real_open(getenv("IOVAGEOM_RECORD"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (record < 0 || write(record, text, size) != (ssize_t)size) {
        perror("IOVAGEOM_RECORD");
        _exit(99);
    }
}

struct bytes {
    uint8_t at[ARGUMENT];
    size_t size;
};

static void note(const char *context, const char *request, int result, int error,
                 const struct bytes *before, const struct bytes *after, const struct bytes *array)
{
    static char line[6 * ARGUMENT + 200];
    char *end = line;

    end += sprintf(end, "%s %s %d %d ", context, request, result, error);
    hex(&end, before->at, before->size);
    *end++ = ' ';
    if (before->size == after->size && memcmp(before->at, after->at, after->size) == 0)
        *end++ = '=';
    else
        hex(&end, after->at, after->size);
    *end++ = ' ';
    hex(&end, array->at, array->size);
    *end++ = '\n';
    append(line, (size_t)(end - line));
}

static void note_file(const char *context, const char *what, int fd)
{
    struct bytes number = {.size = sizeof(fd)}, none = {.size = 0};

    memcpy(number.at, &fd, sizeof(fd));
    note(context, what, 0, 0, &number, &number, &none);
}

static void take(struct bytes *out, const void *from, size_t size)
{
    out->size = size < ARGUMENT ? size : ARGUMENT;
    memcpy(out->at, from, out->size);
}

/* No pointer, or one that is bad on purpose. */
static bool unreadable(const void *pointer)
{
    return (uintptr_t)pointer < 4096;
}

static bool is_number(unsigned long request)
{
    return request == VFIO_GET_API_VERSION || request == VFIO_CHECK_EXTENSION ||
           request == VFIO_SET_IOMMU;
}

/* An argument that begins with its size, or is a number. */
static void take_argument(struct bytes *out, unsigned long request, const void *argument)
{
    uint32_t size;

    out->size = 0;
    if (is_number(request)) {
        take(out, &argument, sizeof(argument));
    } else if (request == VFIO_GROUP_SET_CONTAINER) {
        take(out, argument, sizeof(int));
    } else if (request != VFIO_GROUP_GET_DEVICE_FD && !unreadable(argument)) {
        memcpy(&size, argument, sizeof(size));
        take(out, argument, size < sizeof(size) ? sizeof(size) : size);
    }
}

static void take_ranges(struct bytes *out, uint64_t pointer, uint64_t count)
{
    const void *from = (const void *)(uintptr_t)pointer;
    uint64_t size = count * sizeof(struct iommu_iova_range);

    if (!unreadable(from))
        take(out, from, size < ARRAY ? size : ARRAY);
}

/* What the argument points to, after the call. */
static void take_array(struct bytes *out, unsigned long request, int error,
                       const struct bytes *before, const struct bytes *after)
{
    struct iommu_ioas_iova_ranges asked, answered;
    struct iommu_ioas_allow_iovas allow;
    struct iommu_hwpt_alloc hwpt;

    out->size = 0;
    if (request == IOMMU_IOAS_IOVA_RANGES && after->size >= sizeof(answered) &&
        (error == 0 || error == EMSGSIZE)) {
        memcpy(&asked, before->at, sizeof(asked));
        memcpy(&answered, after->at, sizeof(answered));
        take_ranges(out, asked.allowed_iovas,
                    asked.num_iovas < answered.num_iovas ? asked.num_iovas : answered.num_iovas);
    } else if (request == IOMMU_IOAS_ALLOW_IOVAS && before->size >= sizeof(allow)) {
        memcpy(&allow, before->at, sizeof(allow));
        take_ranges(out, allow.allowed_iovas, allow.num_iovas);
    } else if (request == IOMMU_HWPT_ALLOC && error == 0 && before->size >= sizeof(hwpt) - 8) {
        memcpy(&hwpt, before->at, sizeof(hwpt) - 8);
        if (!unreadable((const void *)(uintptr_t)hwpt.data_uptr))
            take(out, (const void *)(uintptr_t)hwpt.data_uptr, hwpt.data_len);
    }
}

/* Whose call it is; NULL when nobody asks for it. The kernel has used the argument already. */
static const char *context_of(int fd, unsigned long request, const void *argument)
{
    struct file *file = file_at(fd), *to = NULL;

    if (request == VFIO_GROUP_SET_CONTAINER && file != NULL && !unreadable(argument))
        to = file_at(*(const int *)argument);
    if (request == VFIO_DEVICE_BIND_IOMMUFD && file != NULL && !unreadable(argument))
        to = file_at(((const struct vfio_device_bind_iommufd *)argument)->iommufd);
    if (to != NULL && to->kind == CONTEXT) {
        *file = *to;
        file->kind = request == VFIO_GROUP_SET_CONTAINER ? GROUP : DEVICE;
    }
    if (file == NULL || file->kind == NOTHING)
        return NULL;
    if (file->kind == GROUP && request != VFIO_GROUP_SET_CONTAINER &&
        request != VFIO_GROUP_GET_DEVICE_FD)
        return NULL;
    if (file->kind == DEVICE && request != VFIO_DEVICE_ATTACH_IOMMUFD_PT &&
        request != VFIO_DEVICE_DETACH_IOMMUFD_PT)
        return NULL;
    return file->context;
}

/* An access of iommufd's test is a file of its own: its end widens what maps. */
static void keep_access(const char *context, const struct bytes *after)
{
    uint32_t words[5];
    struct file *access;

    if (after->size < sizeof(words))
        return;
    memcpy(words, after->at, sizeof(words));
    access = words[1] == TEST_CREATE_ACCESS ? file_at((int)words[4]) : NULL;
    if (access != NULL) {
        access->kind = ACCESS;
        memmove(access->context, context, sizeof(access->context));
    }
}

int __wrap_open(const char *path, int flags, ...)
{
    static unsigned opened;
    va_list more;
    mode_t mode;
    int fd;

    va_start(more, flags);
    mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    fd = __real_open(path, flags, mode);
    if (file_at(fd) != NULL)
        file_at(fd)->kind = NOTHING;
    if (file_at(fd) != NULL && (!strcmp(path, "/dev/iommu") || !strcmp(path, "/dev/vfio/vfio"))) {
        file_at(fd)->kind = CONTEXT;
        snprintf(file_at(fd)->context, sizeof(file_at(fd)->context), "%s.%d.%u",
                 !strcmp(path, "/dev/iommu") ? "iommufd" : "type1", (int)getpid(), ++opened);
        note_file(file_at(fd)->context, "open", fd);
    }
    return fd;
}

int __wrap_close(int fd)
{
    struct file *file = file_at(fd);

    if (file != NULL && (file->kind == ACCESS || file->kind == CONTEXT))
        note_file(file->context, "close", fd);
    if (file != NULL)
        file->kind = NOTHING;
    return __real_close(fd);
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    static struct bytes before, after, array;
    const char *context;
    char number[24];
    void *argument;
    va_list more;
    int result, error;

    va_start(more, request);
    argument = va_arg(more, void *);
    va_end(more);
    if (file_at(fd) == NULL || (request >> 8 & 0xff) != VFIO_TYPE)
        return __real_ioctl(fd, request, argument);
    if (file_at(fd)->kind != NOTHING || request == VFIO_GROUP_SET_CONTAINER ||
        request == VFIO_DEVICE_BIND_IOMMUFD)
        take_argument(&before, request, argument);
    result = __real_ioctl(fd, request, argument);
    error = result < 0 ? errno : 0;
    context = context_of(fd, request, argument);
    if (context != NULL) {
        after = before;
        if (before.size > 0 && !is_number(request))
            take(&after, argument, before.size);
        take_array(&array, request, error, &before, &after);
        if (request == TEST_REQUEST && error == 0)
            keep_access(context, &after);
        snprintf(number, sizeof(number), "%lx", request);
        note(context, number, result, error, &before, &after, &array);
    }
    if (result < 0)
        errno = error;
    return result;
}
