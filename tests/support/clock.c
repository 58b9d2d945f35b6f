/* Preloaded into the daemon: its wall clock is off by the seconds that a file holds, from one call to the next. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long long off_by(void) {
    char text[32] = {0};
    const char *path = getenv("CLOCK_OFF_BY");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    return length > 0 ? atoll(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*original)(clockid_t, struct timespec *);
    if (!original) original = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = original(clock, time);
    if (!failed && clock == CLOCK_REALTIME) time->tv_sec += off_by();
    return failed;
}
