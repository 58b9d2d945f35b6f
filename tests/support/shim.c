/* Makes the disk of one folder fail or wait, the clock stand elsewhere and connects not return, in a program that is
 * started with it as LD_PRELOAD.
 *
 * SHIM_FOLDER names the folder; SHIM_RULES a file of 24 bytes that the test writes while the program runs: the errno of
 * every write, sync and creation below the folder (0: none; -1: writes wait, -2: syncs wait), how many of them go well
 * before one fails, or before the first that waits, the seconds by which the clock is wrong, what waits (told by us), and the port to which no connect
 * returns (0: none). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

struct rules {
    int32_t error;
    int32_t well;
    int64_t clock_s;
    int32_t waits;
    int32_t port;
};

enum held { HELD_WRITE = -1, HELD_SYNC = -2 };

static volatile struct rules *rules;
static const char *folder;
static atomic_int count, passed;

#define NEXT(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SHIM_RULES");
    folder = getenv("SHIM_FOLDER");
    int file = path && folder ? NEXT(open)(path, O_RDWR) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof(struct rules), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    rules = page == MAP_FAILED ? NULL : page;
}

static int fails(const char *path) {
    if (!rules || rules->error <= 0 || strncmp(path, folder, strlen(folder)) != 0) return 0;
    if (atomic_fetch_add(&count, 1) % (rules->well + 1) != rules->well) return 0;
    errno = rules->error;
    return 1;
}

static int fails_on(int file, enum held step) {
    char link[64], path[4096];
    if (!rules || !rules->error) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    int is_held = rules->error == (int32_t)step && strncmp(path, folder, strlen(folder)) == 0;
    if (is_held && atomic_fetch_add(&passed, 1) < rules->well) return 0;
    while (rules->error == (int32_t)step && strncmp(path, folder, strlen(folder)) == 0) {
        rules->waits = step;
        usleep(1000);
    }
    return fails(path);
}

ssize_t write(int file, const void *bytes, size_t size) {
    return fails_on(file, HELD_WRITE) ? -1 : NEXT(write)(file, bytes, size);
}
ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) {
    return fails_on(file, HELD_WRITE) ? -1 : NEXT(pwrite64)(file, bytes, size, at);
}
int fsync(int file) { return fails_on(file, HELD_SYNC) ? -1 : NEXT(fsync)(file); }
int fdatasync(int file) { return fails_on(file, HELD_SYNC) ? -1 : NEXT(fdatasync)(file); }
int ftruncate64(int file, off64_t size) { return fails_on(file, HELD_WRITE) ? -1 : NEXT(ftruncate64)(file, size); }
int sync_file_range(int file, off64_t at, off64_t size, unsigned flags) {
    return fails_on(file, HELD_SYNC) ? -1 : NEXT(sync_file_range)(file, at, size, flags);
}
int rename(const char *from, const char *to) { return fails(to) ? -1 : NEXT(rename)(from, to); }
int mkdir(const char *path, mode_t mode) { return fails(path) ? -1 : NEXT(mkdir)(path, mode); }

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    if ((flags & O_CREAT) && fails(path)) return -1;
    return NEXT(open64)(path, flags, mode);
}

int connect(int file, const struct sockaddr *address, socklen_t length) {
    while (rules && rules->port && address->sa_family == AF_INET &&
           ntohs(((const struct sockaddr_in *)address)->sin_port) == rules->port)
        usleep(1000);
    return NEXT(connect)(file, address, length);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = NEXT(clock_gettime)(clock, time);
    if (result == 0 && rules && clock == CLOCK_REALTIME) time->tv_sec += rules->clock_s;
    return result;
}
