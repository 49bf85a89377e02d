#include "net/trust.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 1000u
#define FILE_MAX  ((size_t)4 << 20)
#define ALL_MAX   ((size_t)8 << 20)
#define DEPTH     2
#define SYSTEM    "/etc/ssl/certs/ca-certificates.crt"
#define BEGIN     "-----BEGIN CERTIFICATE-----"
#define END       "-----END CERTIFICATE-----"

struct trust {
    const char *const *folders;
    char *named;   /* of SSL_CERT_FILE as it was; NULL: none */
    int fd;        /* the file without a name */
    uint64_t seen; /* a sum over what the files looked like */
    size_t count;
};

struct looking {
    uint64_t sum;
    unsigned files;
    struct buf *out; /* NULL: only looked at */
    size_t count;
};

static const char *const usual[] = { "/certs", "/clair/certs", "/usr/local/share/ca-certificates",
                                     "/etc/pki/ca-trust/source/anchors", NULL };

/* Their certificates, and nothing else that stands there: a key above all. */
static void take_certificates(str text, struct looking *l)
{
    for (;;) {
        const char *from = text.len ? memmem(text.ptr, text.len, BEGIN, sizeof BEGIN - 1) : NULL;
        const char *to =
            from ? memmem(from, text.len - (size_t)(from - text.ptr), END, sizeof END - 1) : NULL;
        if (!to)
            return;
        to += sizeof END - 1;
        buf_add(l->out, from, (size_t)(to - from));
        buf_char(l->out, '\n');
        l->count++;
        text = str_skip(text, (size_t)(to - text.ptr));
    }
}

static void look_at_file(const char *path, const struct stat *st, struct looking *l)
{
    struct err e = { 0 };
    CLEANUP(buf_done) struct buf bytes = { .max = FILE_MAX };
    const uint64_t marks[] = { st->st_dev, st->st_ino, (uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec,
                               (uint64_t)st->st_mtim.tv_nsec };
    if (l->files++ >= FILES_MAX)
        return;
    l->sum = str_hash(str_of(marks, sizeof marks), l->sum);
    if (l->out && buf_read_file(&bytes, path, &e) == 0)
        take_certificates(buf_view(&bytes), l);
}

static void closedirp(DIR **d)
{
    if (*d)
        closedir(*d);
}

static void look_at(const char *path, unsigned depth, struct looking *l)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return;
    if (S_ISREG(st.st_mode))
        look_at_file(path, &st, l);
    if (!S_ISDIR(st.st_mode) || !depth)
        return;
    CLEANUP(closedirp) DIR *d = opendir(path);
    for (struct dirent *one; d && l->files < FILES_MAX && (one = readdir(d));) {
        char below[4096];
        int n = snprintf(below, sizeof below, "%s/%s", path, one->d_name);
        if (one->d_name[0] != '.' && n > 0 && (size_t)n < sizeof below)
            look_at(below, depth - 1, l);
    }
}

static void look_at_all(const struct trust *t, struct looking *l)
{
    if (t->named)
        look_at(t->named, 0, l);
    for (size_t i = 0; t->folders[i]; i++)
        look_at(t->folders[i], DEPTH, l);
}

static int new_file(void) { return memfd_create("authorities", MFD_CLOEXEC); }

/* A new file in place of what was there: who opens it meanwhile gets the one or the other, whole. */
static bool put(int fd, str bytes)
{
    CLEANUP(close_fdp) int fresh = new_file();
    while (fresh >= 0 && bytes.len) {
        ssize_t n = write(fresh, bytes.ptr, bytes.len);
        if (n <= 0)
            return false;
        bytes = str_skip(bytes, (size_t)n);
    }
    return fresh >= 0 && dup3(fresh, fd, O_CLOEXEC) >= 0;
}

bool trust_look(struct trust *t)
{
    struct looking seen = { 0 };
    look_at_all(t, &seen);
    if (seen.sum == t->seen)
        return false;
    CLEANUP(buf_done) struct buf bytes = { .max = ALL_MAX };
    struct looking read = { .out = &bytes };
    look_at_all(t, &read);
    size_t count = read.count;
    if (!count) /* never empty, which would be an error to who reads it */
        look_at(SYSTEM, 0, &read);
    if (bytes.failed || !put(t->fd, buf_view(&bytes)))
        return false;
    t->seen = seen.sum;
    t->count = count;
    return true;
}

struct trust *trust_new(const char *const *folders, struct err *e)
{
    char path[64];
    const char *named = getenv("SSL_CERT_FILE");
    struct trust *t = calloc(1, sizeof *t);
    if (!t) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    t->folders = folders ? folders : usual;
    t->named = named && *named ? strdup(named) : NULL;
    t->fd = new_file();
    if (t->fd < 0) {
        err_errno(e, "a file for authorities");
        trust_freep(&t);
        return NULL;
    }
    t->seen = 1; /* whatever is there is new */
    trust_look(t);
    snprintf(path, sizeof path, "/proc/self/fd/%d", t->fd);
    if (lseek(t->fd, 0, SEEK_END) > 0)
        setenv("SSL_CERT_FILE", path, 1);
    return t;
}

size_t trust_count(const struct trust *t) { return t->count; }

void trust_freep(struct trust **tp)
{
    struct trust *t = *tp;
    if (!t)
        return;
    close_fdp(&t->fd);
    free(t->named);
    free(t);
    *tp = NULL;
}
