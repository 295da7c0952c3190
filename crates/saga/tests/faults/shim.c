/* Preloaded by a test: the writes and syncs of one file fail, from the call of a number on, as many as are asked for.
 *   SHIM_FILE   part of the paths that are meant
 *   SHIM_AT     the first call that fails, from 1; 0: none
 *   SHIM_FOR    how many fail
 *   SHIM_ERRNO  with which number
 *   SHIM_COUNT  a file that is told how many calls there were */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long calls;

static long number(const char *name) {
    const char *value = getenv(name);
    return value ? atol(value) : 0;
}

static int strikes(int fd) {
    char link[64], path[4096];
    const char *part = getenv("SHIM_FILE");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!part || length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, part)) return 0;
    long call = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST), at = number("SHIM_AT");
    if (at == 0 || call < at || call >= at + number("SHIM_FOR")) return 0;
    errno = (int)number("SHIM_ERRNO");
    return 1;
}

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("SHIM_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file) {
        fprintf(file, "%ld", calls);
        fclose(file);
    }
}

#define WRAP(type, name, parameters, arguments)                        \
    type name parameters {                                             \
        static type(*real) parameters;                                 \
        if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
        if (strikes(fd)) return -1;                                    \
        return real arguments;                                         \
    }

WRAP(ssize_t, write, (int fd, const void *bytes, size_t count), (fd, bytes, count))
WRAP(ssize_t, pwrite, (int fd, const void *bytes, size_t count, off_t at), (fd, bytes, count, at))
WRAP(ssize_t, pwrite64, (int fd, const void *bytes, size_t count, off64_t at), (fd, bytes, count, at))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, fdatasync, (int fd), (fd))
WRAP(int, ftruncate, (int fd, off_t length), (fd, length))
WRAP(int, ftruncate64, (int fd, off64_t length), (fd, length))
