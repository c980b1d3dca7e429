/* A disk and a clock that fail when told, loaded before the C library (LD_PRELOAD).
 *
 * LINLI_FAULT_FOLDER   only files below it are concerned
 * LINLI_FAULT_CONTROL  a file of one struct control, shared with whoever makes the faults
 * LINLI_FAULT_UNDO     gets what each write overwrote, and each sync: enough to take back, after a SIGKILL, what a power
 *                      cut would have taken: whatever had not been synced. The files themselves are not synced at all.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    int32_t error;  /* errno of every write; 0: none */
    int32_t pause;  /* microseconds before every write and sync */
    int64_t offset; /* microseconds added to the wall clock */
};

enum { WRITE = 1, SYNC = 2 };

struct record {
    int32_t type;
    int32_t path_length;
    uint64_t inode;
    int64_t offset;
    int64_t length; /* of the bytes that follow the path */
    int64_t size;   /* of the file before */
};

enum { FDS = 4096, UNKNOWN = 0, INSIDE = 1, OUTSIDE = 2 };

static volatile struct control *control;
static char folder[PATH_MAX];
static size_t folder_length;
static int undo = -1;
static unsigned char places[FDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_close)(int);
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    if (real_write) return; /* some library's own constructor was quicker */
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_close = dlsym(RTLD_NEXT, "close");
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    const char *name = getenv("LINLI_FAULT_CONTROL");
    if (name) {
        int fd = open(name, O_RDWR | O_CLOEXEC);
        if (fd >= 0) {
            void *map = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (map != MAP_FAILED) control = map;
            real_close(fd);
        }
    }
    name = getenv("LINLI_FAULT_FOLDER");
    if (name && realpath(name, folder)) folder_length = strlen(folder);
    name = getenv("LINLI_FAULT_UNDO");
    if (name && folder_length) undo = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return (int)length;
}

static int inside(int fd) {
    if (!folder_length || fd < 0 || fd >= FDS || fd == undo) return 0;
    if (places[fd] == UNKNOWN) {
        char path[PATH_MAX];
        struct stat about;
        int ours = fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && path_of(fd, path)
                   && !strncmp(path, folder, folder_length) && path[folder_length] == '/';
        places[fd] = ours ? INSIDE : OUTSIDE;
    }
    return places[fd] == INSIDE;
}

/* Keep what is about to be overwritten: `length` bytes from `offset`, as far as the file reaches. */
static void keep(int fd, int type, off_t offset, size_t length) {
    if (undo < 0) return;
    struct stat about;
    char path[PATH_MAX];
    int path_length;
    if (fstat(fd, &about) || !(path_length = path_of(fd, path))) return;
    struct record record = {type, path_length, about.st_ino, offset, 0, about.st_size};
    char *old = NULL;
    if (type == WRITE && offset < about.st_size) {
        size_t there = (size_t)(about.st_size - offset);
        if (there > length) there = length;
        old = malloc(there);
        if (old) {
            /* A log opened for writing only cannot be read through this descriptor. */
            ssize_t got = pread(fd, old, there, offset);
            if (got < 0) {
                int again = open(path, O_RDONLY | O_CLOEXEC);
                if (again >= 0) {
                    got = pread(again, old, there, offset);
                    real_close(again);
                }
            }
            record.length = got > 0 ? got : 0;
        }
    }
    struct iovec parts[3] = {{&record, sizeof record}, {path, (size_t)path_length}, {old, (size_t)record.length}};
    pthread_mutex_lock(&lock);
    if (real_writev(undo, parts, old ? 3 : 2) < 0) {}
    pthread_mutex_unlock(&lock);
    free(old);
}

static int fails(void) {
    if (!control) return 0;
    if (control->pause) {
        struct timespec wait = {control->pause / 1000000, (control->pause % 1000000) * 1000L};
        nanosleep(&wait, NULL);
    }
    if (!control->error) return 0;
    errno = control->error;
    return 1;
}

ssize_t write(int fd, const void *data, size_t length) {
    begin();
    if (inside(fd)) {
        if (fails()) return -1;
        off_t at = lseek(fd, 0, (fcntl(fd, F_GETFL) & O_APPEND) ? SEEK_END : SEEK_CUR);
        keep(fd, WRITE, at, length);
    }
    return real_write(fd, data, length);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) {
    begin();
    if (inside(fd)) {
        if (fails()) return -1;
        keep(fd, WRITE, offset, length);
    }
    return real_pwrite(fd, data, length, offset);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

int ftruncate64(int fd, off_t size) {
    begin();
    if (inside(fd)) {
        if (fails()) return -1;
        keep(fd, WRITE, size, SIZE_MAX / 2);
    }
    return real_ftruncate(fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int synced(int fd) {
    if (fails()) return -1;
    keep(fd, SYNC, 0, 0);
    return 0;
}

int fsync(int fd) {
    begin();
    return inside(fd) ? synced(fd) : real_fsync(fd);
}

int fdatasync(int fd) {
    begin();
    return inside(fd) ? synced(fd) : real_fdatasync(fd);
}

int close(int fd) {
    begin();
    if (fd >= 0 && fd < FDS) places[fd] = UNKNOWN;
    return real_close(fd);
}

static int opens(const char *path, int flags) {
    /* What cannot be written cannot be opened for writing either where a file system has become read-only. */
    if (!control || control->error != EROFS || !folder_length || (flags & O_ACCMODE) == O_RDONLY) return 0;
    if (strncmp(path, folder, folder_length) || path[folder_length] != '/') return 0;
    errno = EROFS;
    return 1;
}

int open(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    if (!real) real = dlsym(RTLD_NEXT, "open");
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (opens(path, flags)) return -1;
    return real(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    if (!real) real = dlsym(RTLD_NEXT, "open64");
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (opens(path, flags)) return -1;
    return real(path, flags, mode);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    begin();
    int done = real_clock_gettime(clock, now);
    if (!done && control && control->offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t moved = (int64_t)now->tv_nsec + (control->offset % 1000000) * 1000;
        now->tv_sec += control->offset / 1000000;
        if (moved < 0) {
            moved += 1000000000;
            now->tv_sec -= 1;
        } else if (moved >= 1000000000) {
            moved -= 1000000000;
            now->tv_sec += 1;
        }
        now->tv_nsec = moved;
    }
    return done;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (result) *result = exact.tv_sec;
    return exact.tv_sec;
}
