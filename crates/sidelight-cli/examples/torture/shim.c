/* Put before the C library (LD_PRELOAD) by `torture`: at one of the calls that touch a file the process is killed, or the
 * call fails; or all of them are short; or the clock jumps. What is done and where is said by the environment:
 *
 *   TORTURE=count:FILE   writes to FILE how many calls there were
 *   TORTURE=kill:N       SIGKILL at the Nth call; a write has then written half of its bytes
 *   TORTURE=error:N      the Nth call fails with EIO
 *   TORTURE=full:N       from the Nth call on nothing can be created or written (ENOSPC)
 *   TORTURE=short:SEED   reads and writes do a part of what was asked, or are interrupted (EINTR)
 *   TORTURE=time:SEED    each look at the calendar's clock finds it within sixty years of the truth
 *
 * Calls are made by number, not by looking up the next library's function, so that nothing is needed before `begin`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static char what; /* the first letter of the word */
static long number;
static const char *file = "";
static atomic_long calls;
static atomic_ulong looks;

enum turn { GO, DIE, FAIL };

__attribute__((constructor)) static void begin(void) {
    const char *word = getenv("TORTURE");
    const char *colon = word ? strchr(word, ':') : NULL;
    if (colon) {
        file = colon + 1;
        number = atol(file);
        what = *word;
    }
}

__attribute__((destructor)) static void end(void) {
    char text[32];
    if (what == 'c') {
        int n = snprintf(text, sizeof text, "%ld", atomic_load(&calls));
        int fd = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        syscall(SYS_write, fd, text, (size_t)n);
    }
}

/* SplitMix64. */
static uint64_t draw(void) {
    uint64_t z = ((uint64_t)number << 32) + (atomic_fetch_add(&looks, 1) + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int is_file(int fd) {
    struct stat facts;
    int before = errno, found = fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
    errno = before;
    return found;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Counts a call; `grows`: whether it takes room on the disk; `waits`: whether a signal can interrupt it. */
static enum turn turn(int grows, int waits) {
    long n = atomic_fetch_add(&calls, 1) + 1;
    if (what == 'k' && n == number)
        return DIE;
    if (what == 'e' && n == number)
        return errno = EIO, FAIL;
    if (what == 'f' && n >= number && grows)
        return errno = ENOSPC, FAIL;
    if (what == 's' && waits && draw() % 8 == 0)
        return errno = EINTR, FAIL;
    return GO;
}

/* How much of so much. */
static size_t part(size_t n) { return what == 's' && n > 1 ? 1 + draw() % n : n; }

#define READ_OR_WRITE(grows, call)                                                                                    \
    do {                                                                                                               \
        if (is_file(fd))                                                                                               \
            switch (turn(grows, 1)) {                                                                                  \
            case FAIL:                                                                                                 \
                return -1;                                                                                             \
            case DIE:                                                                                                  \
                n /= 2;                                                                                                \
                (void)(call);                                                                                          \
                die();                                                                                                 \
            case GO:                                                                                                   \
                n = part(n);                                                                                           \
            }                                                                                                          \
        return call;                                                                                                   \
    } while (0)

ssize_t write(int fd, const void *bytes, size_t n) { READ_OR_WRITE(1, syscall(SYS_write, fd, bytes, n)); }
ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t at) {
    READ_OR_WRITE(1, syscall(SYS_pwrite64, fd, bytes, n, at));
}
ssize_t read(int fd, void *bytes, size_t n) { READ_OR_WRITE(0, syscall(SYS_read, fd, bytes, n)); }
ssize_t pread64(int fd, void *bytes, size_t n, off_t at) {
    READ_OR_WRITE(0, syscall(SYS_pread64, fd, bytes, n, at));
}
ssize_t writev(int fd, const struct iovec *parts, int n) { READ_OR_WRITE(1, syscall(SYS_writev, fd, parts, n)); }
ssize_t readv(int fd, const struct iovec *parts, int n) { READ_OR_WRITE(0, syscall(SYS_readv, fd, parts, n)); }

#define ALL_OR_NOTHING(grows, waits, call)                                                                            \
    do {                                                                                                               \
        switch (turn(grows, waits)) {                                                                                  \
        case FAIL:                                                                                                     \
            return -1;                                                                                                 \
        case DIE:                                                                                                      \
            die();                                                                                                     \
        case GO:                                                                                                       \
            break;                                                                                                     \
        }                                                                                                              \
        return call;                                                                                                   \
    } while (0)

int fsync(int fd) { ALL_OR_NOTHING(0, 1, syscall(SYS_fsync, fd)); }
int fdatasync(int fd) { ALL_OR_NOTHING(0, 1, syscall(SYS_fdatasync, fd)); }
int ftruncate64(int fd, off_t n) { ALL_OR_NOTHING(1, 0, syscall(SYS_ftruncate, fd, n)); }
int rename(const char *from, const char *to) {
    ALL_OR_NOTHING(0, 0, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int renameat2(int in, const char *from, int into, const char *to, unsigned flags) {
    ALL_OR_NOTHING(0, 0, syscall(SYS_renameat2, in, from, into, to, flags));
}
int linkat(int in, const char *from, int into, const char *to, int flags) {
    ALL_OR_NOTHING(1, 0, syscall(SYS_linkat, in, from, into, to, flags));
}
int mkdir(const char *path, mode_t mode) { ALL_OR_NOTHING(1, 0, syscall(SYS_mkdirat, AT_FDCWD, path, mode)); }
int unlink(const char *path) { ALL_OR_NOTHING(0, 0, syscall(SYS_unlinkat, AT_FDCWD, path, 0)); }
int unlinkat(int in, const char *path, int flags) { ALL_OR_NOTHING(0, 0, syscall(SYS_unlinkat, in, path, flags)); }

static int opened(int in, const char *path, int flags, mode_t mode) {
    if (flags & O_CREAT)
        ALL_OR_NOTHING(1, 0, syscall(SYS_openat, in, path, flags, mode));
    return syscall(SYS_openat, in, path, flags, mode);
}

#define MODE(flags)                                                                                                    \
    mode_t mode = 0;                                                                                                   \
    if (flags & O_CREAT) {                                                                                             \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

int open(const char *path, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, path, flags, mode);
}
int openat64(int in, const char *path, int flags, ...) {
    MODE(flags)
    return opened(in, path, flags, mode);
}

int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, id, now);
    const long year = 366 * 86400;
    if (!failed && what == 't' && id == CLOCK_REALTIME)
        now->tv_sec += (long)(draw() % (120 * year)) - 60 * year;
    return failed;
}
