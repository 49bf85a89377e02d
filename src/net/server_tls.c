/* TLS by GnuTLS: the certificate and its changes, handshakes, records. All but tls_new() and tls_freep() on the loop's thread. */
#include "net/server_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#define FILE_MAX  ((size_t)4 << 20) /* a bundle of many CAs is half a MiB */
#define LOOK_MS   1000
#define WARNINGS  8 /* alerts that end nothing, at once */
#define CLIENT_CA "could not initialize client cert authentication"
/* Only with ephemeral keys: Go's and any client's of the last ten years. The server's order: AEAD first. */
#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:%SERVER_PRECEDENCE"

struct tls_keys { /* what connections were begun with; theirs until they end */
    gnutls_certificate_credentials_t credentials;
    unsigned refs;
};

struct file_mark { /* what a file looked like when it was read */
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

enum { CERT, KEY, CA, FILES };

struct tls {
    const char *files[FILES];
    struct file_mark marks[FILES];
    struct tls_keys *keys;
    gnutls_priority_t priority;
    gnutls_datum_t ticket_key;
    int64_t look_ms; /* not before */
    char said[512];  /* why the old ones stay, as it was told last */
    void (*notice)(enum server_notice what, const char *peer, const char *text);
};

static void tell(const struct tls *t, enum server_notice what, const char *text)
{
    if (t->notice)
        t->notice(what, "", text);
}

/* ---- files ---- */

static int read_file(const char *path, struct buf *ret, struct err *e)
{
    ret->max = FILE_MAX;
    return buf_read_file(ret, path, e);
}

static gnutls_datum_t datum(const struct buf *b)
{
    return (gnutls_datum_t){ (unsigned char *)b->ptr, (unsigned)b->len };
}

static void buf_wipe(struct buf *b)
{
    if (b->ptr)
        gnutls_memset(b->ptr, 0, b->len);
    buf_done(b);
}

static void mark(const char *path, struct file_mark *ret)
{
    struct stat st;
    memset(ret, 0, sizeof *ret);
    if (!path || stat(path, &st) < 0)
        return;
    ret->device = st.st_dev;
    ret->inode = st.st_ino;
    ret->size = st.st_size;
    ret->changed = st.st_mtim;
}

static bool marks_equal(const struct file_mark *a, const struct file_mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* ---- certificate, key, CA ---- */

static void keys_drop(struct tls_keys *k)
{
    if (!k || --k->refs)
        return;
    gnutls_certificate_free_credentials(k->credentials);
    free(k);
}

/* Says when it is not valid; what follows it in the file is of those who signed it. */
static int check_certificate(const struct tls *t, const gnutls_datum_t *pem, struct err *e)
{
    const char *path = t->files[CERT];
    gnutls_x509_crt_t *list = NULL;
    unsigned count = 0;
    char text[400];
    int r = gnutls_x509_crt_list_import2(&list, &count, pem, GNUTLS_X509_FMT_PEM, 0);
    if (r < 0 || !count)
        return err_set(e, ERR_FORMAT, "%s: %s", path, r < 0 ? gnutls_strerror(r) : "no certificate in it");
    time_t now = time(NULL);
    bool ended = gnutls_x509_crt_get_expiration_time(list[0]) < now;
    bool early = gnutls_x509_crt_get_activation_time(list[0]) > now;
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(list[i]);
    gnutls_free(list);
    snprintf(text, sizeof text, "%s: the certificate %s", path, ended ? "has expired" : "is not valid yet");
    if (ended || early)
        tell(t, NOTICE_EXPIRED, text);
    return 0;
}

static int check_key(const struct tls *t, const gnutls_datum_t *pem, struct err *e)
{
    gnutls_x509_privkey_t key;
    int r = gnutls_x509_privkey_init(&key);
    if (r < 0)
        return err_set(e, ERR_OOM, "out of memory");
    r = gnutls_x509_privkey_import2(key, pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_x509_privkey_deinit(key);
    return r < 0 ? err_set(e, ERR_FORMAT, "%s: %s", t->files[KEY], gnutls_strerror(r)) : 0;
}

static int load_pair(const struct tls *t, struct tls_keys *k, struct err *e)
{
    CLEANUP(buf_done) struct buf cert = { 0 };
    CLEANUP(buf_wipe) struct buf key = { 0 };
    if (read_file(t->files[CERT], &cert, e) < 0 || read_file(t->files[KEY], &key, e) < 0)
        return -1;
    gnutls_datum_t c = datum(&cert), p = datum(&key);
    if (check_certificate(t, &c, e) < 0 || check_key(t, &p, e) < 0)
        return -1;
    int r = gnutls_certificate_set_x509_key_mem2(k->credentials, &c, &p, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (r == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return err_set(e, ERR_USAGE, "%s: is not the key of the certificate in %s", t->files[KEY],
                       t->files[CERT]);
    return r < 0 ? err_set(e, ERR_FORMAT, "%s, %s: %s", t->files[CERT], t->files[KEY], gnutls_strerror(r))
                 : 0;
}

static int load_ca(const struct tls *t, struct tls_keys *k, struct err *e)
{
    CLEANUP(buf_done) struct buf ca = { 0 };
    if (!t->files[CA])
        return 0;
    if (read_file(t->files[CA], &ca, e) < 0)
        return err_wrap(e, CLIENT_CA);
    gnutls_datum_t c = datum(&ca);
    int r = gnutls_certificate_set_x509_trust_mem(k->credentials, &c, GNUTLS_X509_FMT_PEM);
    return r > 0 ? 0
                 : err_set(e, ERR_FORMAT, CLIENT_CA ": %s: %s", t->files[CA],
                           r < 0 ? gnutls_strerror(r) : "no certificate in it");
}

/* Replaces t->keys, or leaves all as it was. The marks are taken first: a file that changes meanwhile is read again. */
static int load(struct tls *t, struct err *e)
{
    struct file_mark marks[FILES];
    for (size_t i = 0; i < FILES; i++)
        mark(t->files[i], &marks[i]);
    struct tls_keys *k = calloc(1, sizeof *k);
    if (!k || gnutls_certificate_allocate_credentials(&k->credentials) < 0) {
        free(k);
        return err_set(e, ERR_OOM, "out of memory");
    }
    k->refs = 1;
    if (load_pair(t, k, e) < 0 || load_ca(t, k, e) < 0) {
        keys_drop(k);
        return -1;
    }
    keys_drop(t->keys);
    t->keys = k;
    memcpy(t->marks, marks, sizeof marks);
    return 0;
}

static void look_again(struct tls *t)
{
    struct file_mark now;
    struct err e = { 0 };
    bool changed = false;
    if (clock_ms() < t->look_ms)
        return;
    t->look_ms = clock_ms() + LOOK_MS;
    for (size_t i = 0; i < FILES; i++) {
        mark(t->files[i], &now);
        changed |= !marks_equal(&now, &t->marks[i]);
    }
    if (!changed)
        return;
    if (load(t, &e) == 0) {
        t->said[0] = '\0';
        tell(t, NOTICE_RELOADED, "");
    } else if (strcmp(t->said, e.text) != 0) { /* each second, until they fit, but told once */
        snprintf(t->said, sizeof t->said, "%s", e.text);
        tell(t, NOTICE_KEPT, e.text);
    }
}

struct tls *tls_new(const struct server_options *o, struct err *e)
{
    const struct server_tls *files = &o->tls;
    if (!files->certfile || !files->keyfile) {
        err_set(e, ERR_USAGE, "TLS wants a certificate and its key: %s is not given",
                files->certfile ? "the key" : "the certificate");
        return NULL;
    }
    struct tls *t = calloc(1, sizeof *t);
    if (!t) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    t->files[CERT] = files->certfile;
    t->files[KEY] = files->keyfile;
    t->files[CA] = files->cafile;
    t->notice = o->notice;
    int r = gnutls_priority_init(&t->priority, PRIORITY, NULL);
    if (r >= 0)
        r = gnutls_session_ticket_key_generate(&t->ticket_key);
    if (r < 0)
        err_set(e, ERR_INTERNAL, "TLS: %s", gnutls_strerror(r));
    if (r < 0 || load(t, e) < 0)
        tls_freep(&t);
    return t;
}

void tls_freep(struct tls **tp)
{
    struct tls *t = *tp;
    if (!t)
        return;
    keys_drop(t->keys);
    if (t->priority)
        gnutls_priority_deinit(t->priority);
    if (t->ticket_key.data)
        gnutls_memset(t->ticket_key.data, 0, t->ticket_key.size);
    gnutls_free(t->ticket_key.data);
    free(t);
    *tp = NULL;
}

/* ---- one connection ---- */

/* So that we know what GnuTLS does not say: whether the socket is empty, or only what came was none of our business. */
static ssize_t pull(gnutls_transport_ptr_t ctx, void *to, size_t room)
{
    struct watch *watch = ctx;
    ssize_t n = recv(watch->fd, to, room, 0);
    watch->ended |= n == 0;
    if (n == 0 || (n < 0 && errno == EAGAIN))
        watch->readable = false;
    return n;
}

static ssize_t push(gnutls_transport_ptr_t ctx, const giovec_t *pieces, int count)
{
    const struct watch *watch = ctx;
    const struct msghdr m = { .msg_iov = (struct iovec *)pieces, .msg_iovlen = (size_t)count };
    return sendmsg(watch->fd, &m, MSG_NOSIGNAL);
}

static int pull_timeout(gnutls_transport_ptr_t ctx, unsigned ms)
{
    struct pollfd p = { .fd = ((const struct watch *)ctx)->fd, .events = POLLIN };
    (void)ms; /* nothing waits here */
    return poll(&p, 1, 0);
}

int tls_begin(struct tls *t, struct watch *watch, struct tls_link *ret)
{
    static const gnutls_datum_t protocols[] = { { (unsigned char *)"h2", 2 },
                                                { (unsigned char *)"http/1.1", 8 } };
    static gnutls_typed_vdata_st clients[] = { { GNUTLS_DT_KEY_PURPOSE_OID,
                                                 (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT, 0 } };
    gnutls_session_t session;
    look_again(t);
    if (gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
        return -1;
    ret->session = session;
    ret->watch = watch;
    ret->keys = t->keys;
    t->keys->refs++;
    gnutls_transport_set_ptr(session, watch);
    gnutls_transport_set_pull_function(session, pull);
    gnutls_transport_set_vec_push_function(session, push);
    gnutls_transport_set_pull_timeout_function(session, pull_timeout);
    gnutls_handshake_set_timeout(session, 0); /* the loop's limit counts */
    int r = gnutls_priority_set(session, t->priority);
    if (r >= 0)
        r = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, t->keys->credentials);
    if (r >= 0)
        r = gnutls_alpn_set_protocols(session, protocols, 2, GNUTLS_ALPN_SERVER_PRECEDENCE);
    if (t->files[CA]) { /* and no tickets, which would let in a client whose CA is gone */
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
        gnutls_session_set_verify_cert2(session, clients, 1, 0);
    } else if (r >= 0) {
        r = gnutls_session_ticket_enable_server(session, &t->ticket_key);
    }
    if (r >= 0)
        return 0;
    tls_done(ret);
    return -1;
}

static void explain(gnutls_session_t session, int code, char *why, size_t room)
{
    gnutls_datum_t text = { 0 };
    if (code == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR &&
        gnutls_certificate_verification_status_print(gnutls_session_get_verify_cert_status(session),
                                                     GNUTLS_CRT_X509, &text, 0) == 0)
        snprintf(why, room, "%s", (const char *)text.data);
    else if (code == GNUTLS_E_FATAL_ALERT_RECEIVED)
        snprintf(why, room, "%s", gnutls_alert_get_name(gnutls_alert_get(session)));
    else
        snprintf(why, room, "%s", gnutls_strerror(code));
    gnutls_free(text.data);
}

static bool has_more(const struct tls_link *l)
{
    return gnutls_record_get_direction(l->session) == 0 && l->watch->readable;
}

int tls_handshake(struct tls_link *l, char *why, size_t room)
{
    int r, warnings = 0;
    do
        r = gnutls_handshake(l->session);
    while (r < 0 && !gnutls_error_is_fatal(r) && (r == GNUTLS_E_AGAIN ? has_more(l) : warnings++ < WARNINGS));
    if (r == GNUTLS_E_SUCCESS)
        return 1;
    if (r == GNUTLS_E_AGAIN && !l->watch->ended)
        return IO_AGAIN;
    explain(l->session, r, why, room);
    gnutls_alert_send_appropriate(l->session, r);
    return IO_ERROR;
}

bool tls_is_http2(const struct tls_link *l)
{
    gnutls_datum_t name;
    return gnutls_alpn_get_selected_protocol(l->session, &name) == 0 && name.size == 2 &&
           !memcmp(name.data, "h2", 2);
}

ssize_t tls_recv(struct tls_link *l, char *to, size_t room)
{
    for (;;) {
        ssize_t n = gnutls_record_recv(l->session, to, room);
        if (n >= 0)
            return n;
        if (n == GNUTLS_E_AGAIN && !l->watch->readable)
            return l->watch->ended ? IO_END : IO_AGAIN;
        if (n == GNUTLS_E_PREMATURE_TERMINATION) /* no close_notify: what was to come says its own length */
            return IO_END;
        if (n != GNUTLS_E_INTERRUPTED && n != GNUTLS_E_AGAIN)
            return IO_ERROR; /* also a wish for another handshake, and any alert */
    }
}

ssize_t tls_send(struct tls_link *l, const char *bytes, size_t n)
{
    ssize_t r;
    do
        r = gnutls_record_send(l->session, bytes, n);
    while (r == GNUTLS_E_INTERRUPTED);
    return r >= 0 ? r : r == GNUTLS_E_AGAIN ? IO_AGAIN : IO_ERROR;
}

int tls_bye(struct tls_link *l)
{
    int r;
    do
        r = gnutls_bye(l->session, GNUTLS_SHUT_WR);
    while (r == GNUTLS_E_INTERRUPTED);
    return r == GNUTLS_E_SUCCESS ? 1 : r == GNUTLS_E_AGAIN ? IO_AGAIN : IO_ERROR;
}

void tls_done(struct tls_link *l)
{
    if (!l->session)
        return;
    gnutls_deinit(l->session);
    keys_drop(l->keys);
    *l = (struct tls_link){ 0 };
}
