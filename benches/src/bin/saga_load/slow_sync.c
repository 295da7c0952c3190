/* Makes every sync of a process take longer, by SYNC_MICROS (4,000 without), as the disks of many machines do:
 *
 *     cc -O2 -shared -fPIC -o /tmp/slow_sync.so benches/src/bin/saga_load/slow_sync.c -ldl
 *     SYNC_MICROS=4000 LD_PRELOAD=/tmp/slow_sync.so target/release/saga_load --store embedded --in-flight 1024
 *
 * Both the store's syncs and the ceiling's go through it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

typedef int (*sync_call)(int);

static int slowly(const char *name, int file) {
    const char *set = getenv("SYNC_MICROS");
    long micros = set ? atol(set) : 4000;
    struct timespec pause = {micros / 1000000, micros % 1000000 * 1000};
    sync_call next = (sync_call)dlsym(RTLD_NEXT, name);
    int answer = next(file);
    nanosleep(&pause, NULL);
    return answer;
}

int fsync(int file) { return slowly("fsync", file); }

int fdatasync(int file) { return slowly("fdatasync", file); }
