#include "proxy/credentials.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#define FILES_MAX 32
#define LOOK_MS   1000

struct credentials {
    gnutls_certificate_credentials_t tls;
    unsigned refs; /* atomic */
};

struct mark { /* what a file, or a folder, looked like when it was read */
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed, moved; /* its bytes; it, by a clock that nobody sets back */
};

struct credential_store {
    pthread_mutex_t lock;
    struct credential_files files;
    const char *name;
    struct proxy_log log;
    struct credentials *now;
    struct mark marks[FILES_MAX];
    int64_t look_ms;
    char said[512];
};

gnutls_certificate_credentials_t credentials_of(const struct credentials *c) { return c->tls; }

void credentials_drop(struct credentials *c)
{
    if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
        return;
    gnutls_certificate_free_credentials(c->tls);
    free(c);
}

/* ---- what there is to look at ---- */

static size_t list_files(const struct credential_store *s, const char *ret[FILES_MAX])
{
    const struct credential_files *f = &s->files;
    size_t n = 0;
    if (f->certfile)
        ret[n++] = f->certfile, ret[n++] = f->keyfile;
    for (size_t i = 0; f->trusted && f->trusted[i] && n < FILES_MAX - 3; i++)
        ret[n++] = f->trusted[i];
    const char *more = getenv("SSL_CERT_FILE"), *folder = getenv("SSL_CERT_DIR");
    if (f->trusts && !f->trusted) {
        ret[n++] = "/etc/ssl/certs/ca-certificates.crt";
        ret[n++] = more ? more : "";
        ret[n++] = folder ? folder : "";
    }
    return n;
}

static void mark_all(const struct credential_store *s, struct mark marks[FILES_MAX])
{
    const char *files[FILES_MAX] = { NULL };
    size_t n = list_files(s, files);
    memset(marks, 0, FILES_MAX * sizeof *marks);
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        if (stat(files[i], &st) == 0) {
            marks[i].device = st.st_dev;
            marks[i].inode = st.st_ino;
            marks[i].size = st.st_size;
            marks[i].changed = st.st_mtim;
            marks[i].moved = st.st_ctim;
        }
    }
}

/* ---- reading ---- */

static int load_pair(const struct credential_files *f, gnutls_certificate_credentials_t to, struct err *e)
{
    if (!f->certfile)
        return 0;
    if (access(f->certfile, R_OK) < 0)
        return err_errno(e, "open %s", f->certfile);
    if (access(f->keyfile, R_OK) < 0)
        return err_errno(e, "open %s", f->keyfile);
    int r = gnutls_certificate_set_x509_key_file(to, f->certfile, f->keyfile, GNUTLS_X509_FMT_PEM);
    if (r == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return err_set(e, ERR_USAGE, "%s: is not the key of the certificate in %s", f->keyfile, f->certfile);
    return r < 0 ? err_set(e, ERR_FORMAT, "%s, %s: %s", f->certfile, f->keyfile, gnutls_strerror(r)) : 0;
}

static int load_trust(const struct credential_files *f, gnutls_certificate_credentials_t to, struct err *e)
{
    const char *more = getenv("SSL_CERT_FILE"), *folder = getenv("SSL_CERT_DIR");
    for (size_t i = 0; f->trusted && f->trusted[i]; i++) {
        if (access(f->trusted[i], R_OK) < 0)
            return err_errno(e, "trusted_certificates: open %s", f->trusted[i]);
        if (gnutls_certificate_set_x509_trust_file(to, f->trusted[i], GNUTLS_X509_FMT_PEM) <= 0)
            return err_set(e, ERR_FORMAT, "trusted_certificates: %s: no certificate in it", f->trusted[i]);
    }
    if (!f->trusts || f->trusted)
        return 0;
    gnutls_certificate_set_x509_system_trust(to);
    if (more && *more)
        gnutls_certificate_set_x509_trust_file(to, more, GNUTLS_X509_FMT_PEM);
    if (folder && *folder)
        gnutls_certificate_set_x509_trust_dir(to, folder, GNUTLS_X509_FMT_PEM);
    return 0;
}

/* Replaces what is there, or leaves it. The marks are taken first: a file that changes meanwhile is read again. */
static int load(struct credential_store *s, struct err *e)
{
    struct credentials *c = calloc(1, sizeof *c);
    mark_all(s, s->marks);
    if (!c || gnutls_certificate_allocate_credentials(&c->tls) < 0) {
        free(c);
        return err_set(e, ERR_OOM, "out of memory");
    }
    c->refs = 1;
    if (load_pair(&s->files, c->tls, e) < 0 || load_trust(&s->files, c->tls, e) < 0) {
        credentials_drop(c);
        return -1;
    }
    credentials_drop(s->now);
    s->now = c;
    return 0;
}

static void tell(const struct credential_store *s, enum proxy_level level, const char *event,
                 const char *error)
{
    if (s->log.say)
        s->log.say(s->log.ctx, level, event, s->name, error);
}

static void look_again(struct credential_store *s)
{
    struct mark now[FILES_MAX];
    struct err e = { 0 };
    if (clock_ms() < s->look_ms)
        return;
    s->look_ms = clock_ms() + LOOK_MS;
    mark_all(s, now);
    if (!memcmp(now, s->marks, sizeof now))
        return;
    if (load(s, &e) == 0) {
        s->said[0] = '\0';
        tell(s, PROXY_INFO, "certificates were read again", NULL);
        return;
    }
    memset(s->marks, 0, sizeof s->marks); /* tried again */
    if (!strcmp(s->said, e.text))
        return;
    snprintf(s->said, sizeof s->said, "%s", e.text);
    tell(s, PROXY_WARNING, "certificates changed, but the old ones stay", e.text);
}

struct credential_store *credential_store_new(const struct credential_files *f, const char *name,
                                              const struct proxy_log *log, struct err *e)
{
    struct credential_store *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&s->lock, NULL);
    s->files = *f;
    s->name = name;
    s->log = *log;
    s->look_ms = clock_ms() + LOOK_MS;
    if (load(s, e) < 0)
        credential_store_freep(&s);
    return s;
}

struct credentials *credentials_hold(struct credential_store *s)
{
    pthread_mutex_lock(&s->lock);
    look_again(s);
    struct credentials *c = s->now;
    __atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&s->lock);
    return c;
}

void credential_store_freep(struct credential_store **sp)
{
    struct credential_store *s = *sp;
    if (!s)
        return;
    credentials_drop(s->now);
    pthread_mutex_destroy(&s->lock);
    free(s);
    *sp = NULL;
}
