/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Takes 32-bit programs away from whatever is started with this library in LD_PRELOAD: it is
 * answered as a kernel without IA32 emulation answers. For a test of the tests.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int execve(const char *path, char *const argv[], char *const envp[])
{
    int (*next)(const char *, char *const[], char *const[]);
    unsigned char head[5] = {0};
    int file = open(path, O_RDONLY | O_CLOEXEC);

    if (file >= 0) {
        ssize_t got = read(file, head, sizeof(head));

        close(file);
        if (got == (ssize_t)sizeof(head) && memcmp(head, "\177ELF\1", 5) == 0) {
            errno = ENOEXEC;
            return -1;
        }
    }
    *(void **)&next = dlsym(RTLD_NEXT, "execve");
    return next(path, argv, envp);
}
