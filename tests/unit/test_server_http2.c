/* The server over HTTP/2: each case in plain text and in TLS, with a client of nghttp2's and one that only throws bytes. */
#include "server_fixture.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/inflate.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#define ASKS_MAX 2000

/* ---- a certificate ---- */

static char folder[] = "/tmp/test_server_http2.XXXXXX", cert_path[64], key_path[64];

static void write_file(const char *path, const gnutls_datum_t *d)
{
    CLEANUP(fclosep) FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(d->data, 1, d->size, f), d->size);
}

static int make_certificate(void **state)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    gnutls_datum_t cert_pem, key_pem;
    assert_non_null(mkdtemp(folder));
    snprintf(cert_path, sizeof cert_path, "%s/cert", folder);
    snprintf(key_path, sizeof key_path, "%s/key", folder);
    gnutls_x509_privkey_init(&key);
    gnutls_x509_crt_init(&crt);
    gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    gnutls_x509_crt_set_version(crt, 3);
    gnutls_x509_crt_set_serial(crt, "\1", 1);
    gnutls_x509_crt_set_activation_time(crt, time(NULL) - 3600);
    gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 3600);
    gnutls_x509_crt_set_dn(crt, "CN=test", NULL);
    gnutls_x509_crt_set_key(crt, key);
    assert_int_equal(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &cert_pem), 0);
    assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_pem), 0);
    write_file(cert_path, &cert_pem);
    write_file(key_path, &key_pem);
    gnutls_free(cert_pem.data);
    gnutls_free(key_pem.data);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
    return 0;
}

static int remove_certificate(void **state)
{
    unlink(cert_path);
    unlink(key_path);
    return rmdir(folder);
}

static bool in_tls(void **state) { return *state; }

static struct server *serve_as(void **state, struct server_options o)
{
    if (in_tls(state))
        o.tls = (struct server_tls){ .certfile = cert_path, .keyfile = key_path };
    return serve(o);
}

/* ---- a client ---- */

struct ask {
    int32_t id;
    unsigned status;
    char head[4096]; /* "name: value\n"... */
    struct buf body;
    bool done;
    uint32_t code;
    size_t send_left; /* of the request's body */
};

struct client {
    int fd;
    gnutls_session_t tls;
    gnutls_certificate_credentials_t credentials;
    nghttp2_session *h2;
    struct ask *asks;
    size_t count;
    bool ended, left;
    uint32_t goaway;
};

static void client_done(struct client *c)
{
    nghttp2_session_del(c->h2);
    if (c->tls) {
        gnutls_deinit(c->tls);
        gnutls_certificate_free_credentials(c->credentials);
    }
    for (size_t i = 0; i < c->count; i++)
        buf_done(&c->asks[i].body);
    free(c->asks);
    close_fdp(&c->fd);
}

static ssize_t client_send(nghttp2_session *s, const uint8_t *bytes, size_t n, int flags, void *ctx)
{
    struct client *c = ctx;
    ssize_t r = c->tls ? gnutls_record_send(c->tls, bytes, n) : send(c->fd, bytes, n, MSG_NOSIGNAL);
    return r > 0 ? r : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static struct ask *ask_of(nghttp2_session *s, int32_t id)
{
    return nghttp2_session_get_stream_user_data(s, id);
}

static int client_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_len,
                         const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
{
    struct ask *a = ask_of(s, f->hd.stream_id);
    size_t n = strlen(a->head);
    if (str_eq(str_of(name, name_len), STR(":status"))) {
        a->status = (unsigned)strtoul((const char *)value, NULL, 10);
        a->head[0] = '\0';
        return 0;
    }
    snprintf(a->head + n, sizeof a->head - n, "%s: %s\n", (const char *)name, (const char *)value);
    return 0;
}

static int client_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n,
                       void *ctx)
{
    buf_add(&ask_of(s, id)->body, bytes, n);
    return 0;
}

static int client_close(nghttp2_session *s, int32_t id, uint32_t code, void *ctx)
{
    struct ask *a = ask_of(s, id);
    a->done = true;
    a->code = code;
    buf_char(&a->body, '\0');
    return 0;
}

static int client_frame(nghttp2_session *s, const nghttp2_frame *f, void *ctx)
{
    struct client *c = ctx;
    if (f->hd.type == NGHTTP2_GOAWAY) {
        c->left = true;
        c->goaway = f->goaway.error_code;
    }
    return 0;
}

static void begin_tls(struct client *c, const char *name)
{
    const gnutls_datum_t protocol = { (unsigned char *)name, (unsigned)strlen(name) };
    gnutls_datum_t chosen;
    int r;
    gnutls_certificate_allocate_credentials(&c->credentials);
    gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL);
    gnutls_set_default_priority(c->tls);
    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->credentials);
    gnutls_alpn_set_protocols(c->tls, &protocol, 1, GNUTLS_ALPN_MANDATORY);
    gnutls_transport_set_int(c->tls, c->fd);
    do
        r = gnutls_handshake(c->tls);
    while (r < 0 && !gnutls_error_is_fatal(r));
    if (r < 0)
        fail_msg("%s", gnutls_strerror(r));
    assert_int_equal(gnutls_alpn_get_selected_protocol(c->tls, &chosen), 0);
    assert_true(str_eq(str_of(chosen.data, chosen.size), str_from(name)));
}

static struct client open_client(const struct server *s, void **state, const char *protocol)
{
    struct client c = { .fd = dial(s), .asks = calloc(ASKS_MAX, sizeof(struct ask)) };
    int yes = 1;
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (in_tls(state))
        begin_tls(&c, protocol);
    return c;
}

/* `windows`: it tells the server that it has room, again and again. */
static void begin_http2(struct client *c, bool windows)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *options;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_send_callback(callbacks, client_send);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, client_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, client_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, client_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, client_frame);
    nghttp2_option_new(&options);
    nghttp2_option_set_no_auto_window_update(options, !windows);
    nghttp2_session_client_new2(&c->h2, callbacks, c, options);
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(c->h2, 0, NULL, 0);
}

static ssize_t client_body(nghttp2_session *s, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                           nghttp2_data_source *source, void *ctx)
{
    struct ask *a = source->ptr;
    size_t n = a->send_left < room ? a->send_left : room;
    memset(to, 'x', n);
    a->send_left -= n;
    if (!a->send_left)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

#define FIELD(n, v)                                                                                          \
    {                                                                                                        \
        (uint8_t *)(n), (uint8_t *)(v), strlen(n), strlen(v), 0                                              \
    }

/* `extra`: a header, NULL for none. */
static struct ask *ask_with(struct client *c, const char *method, const char *path, size_t body,
                            const char *extra, const char *value)
{
    const nghttp2_nv fields[] = { FIELD(":method", method), FIELD(":scheme", "http"),
                                  FIELD(":authority", "test"), FIELD(":path", path),
                                  FIELD(extra ? extra : "", value ? value : "") };
    assert_true(c->count < ASKS_MAX);
    struct ask *a = &c->asks[c->count++];
    const nghttp2_data_provider data = { .source.ptr = a, .read_callback = client_body };
    a->send_left = body;
    a->id = nghttp2_submit_request(c->h2, NULL, fields, extra ? 5 : 4, body ? &data : NULL, a);
    assert_true(a->id > 0);
    return a;
}

static struct ask *ask(struct client *c, const char *method, const char *path, size_t body)
{
    return ask_with(c, method, path, body, NULL, NULL);
}

static void send_all(struct client *c)
{
    if (nghttp2_session_send(c->h2) < 0)
        c->ended = true;
}

/* Sends what is to be sent, and reads once. */
static void turn(struct client *c)
{
    char bytes[65536];
    send_all(c);
    if (c->ended)
        return;
    ssize_t n;
    int64_t end = clock_ms() + PATIENCE_S * 1000;
    do /* a ticket is no data */
        n = c->tls ? gnutls_record_recv(c->tls, bytes, sizeof bytes) : recv(c->fd, bytes, sizeof bytes, 0);
    while (c->tls && n == GNUTLS_E_AGAIN && clock_ms() < end);
    if (c->tls ? n == GNUTLS_E_AGAIN : n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        fail_msg("nothing within %d s", PATIENCE_S);
    if (n <= 0)
        c->ended = true;
    else if (nghttp2_session_mem_recv(c->h2, (const uint8_t *)bytes, (size_t)n) < 0)
        fail_msg("the server does not speak HTTP/2");
}

static void hear(struct client *c, struct ask *a)
{
    while (!a->done && !c->ended)
        turn(c);
}

static void hear_status(struct client *c, struct ask *a, unsigned status)
{
    hear(c, a);
    if (!a->done || a->code || a->status != status)
        fail_msg("done %d, code %u, status %u: %s", a->done, a->code, a->status, a->body.ptr);
}

static void hear_end(struct client *c)
{
    while (!c->ended)
        turn(c);
}

#define CLIENT(name, s)                                                                                      \
    CLEANUP(client_done) struct client name = open_client(s, state, "h2");                                   \
    begin_http2(&name, true)

static void check_now(const struct server *s, void **state)
{
    CLIENT(c, s);
    hear_status(&c, ask(&c, "GET", "/now", 0), 200);
}

/* ---- what is understood ---- */

static void test_requests(void **state)
{
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ 0 });
    CLIENT(c, s);
    struct ask *a = ask(&c, "GET", "/read/sha256%3Aab%2F+c?d=%20e&f", 0);
    hear_status(&c, a, 200);
    assert_string_equal(a->body.ptr,
                        "GET /read/sha256%3Aab%2F+c ? d=%20e&f = /read/sha256%3Aab%2F+c?d=%20e&f, body 0, "
                        "loopback, routed");
    assert_non_null(strstr(a->head, "date: "));
    assert_non_null(strstr(a->head, "server: test/1\n"));
    a = ask(&c, "POST", "/now", 11);
    hear_status(&c, a, 200);
    assert_string_equal(a->body.ptr, "POST /now ?  = /now, body 11, loopback, routed");
    a = ask(&c, "GET", "/peer", 0);
    hear_status(&c, a, 200);
    assert_non_null(strstr(a->body.ptr, ", 127.0.0.1:"));
    a = ask(&c, "OPTIONS", "*", 0);
    hear_status(&c, a, 200);
    a = ask(&c, "GET", "/full", 0);
    hear_status(&c, a, 500);
    a = ask(&c, "HEAD", "/size?5000", 0);
    hear_status(&c, a, 200);
    assert_non_null(strstr(a->head, "content-length: 5000\n"));
    assert_int_equal(a->body.len, 1);
    assert_int_equal(gate.told_count, 6);
}

static void test_sizes(void **state)
{
    static const size_t sizes[] = { 0, 1, 2049, 16384, 65535, 65536, 3000000 };
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ 0 });
    CLIENT(c, s);
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        char path[100], length[100];
        size_t size = sizes[i / 2];
        snprintf(path, sizeof path, "/size?%zu", size);
        struct ask *a = ask_with(&c, "GET", path, 0, i % 2 ? "accept-encoding" : NULL, "gzip");
        hear_status(&c, a, 200);
        snprintf(length, sizeof length, "content-length: %zu\n", a->body.len - 1);
        assert_non_null(strstr(a->head, length));
        assert_int_equal(strstr(a->head, "content-encoding: gzip\n") != NULL, i % 2);
        assert_true(i % 2 || a->body.len == size + 1);
        for (size_t k = 0; i % 2 == 0 && k < size; k++)
            if (a->body.ptr[k] != (char)('a' + k % 23))
                fail_msg("byte %zu", k);
    }
}

static void test_bodies(void **state)
{
    static const struct {
        size_t size;
        const char *says;
    } cases[] = { { 999, "body 999," },
                  { 1000, "body 1000," },
                  { 1001, "body 1000 cut," },
                  { 5000000, "body 1000 cut," } };
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ .body_max = 1000 });
    CLIENT(c, s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ask *a = ask(&c, "POST", "/read", cases[i].size);
        hear_status(&c, a, 200);
        if (!strstr(a->body.ptr, cases[i].says))
            fail_msg("%s", a->body.ptr);
    }
    struct ask *endless = ask(&c, "POST", "/read", (size_t)1 << 30);
    hear(&c, endless);
    assert_int_equal(endless->code, NGHTTP2_CANCEL);
    assert_false(c.ended);
    struct ask *patient = ask_with(&c, "POST", "/read", 2, "expect", "100-continue");
    hear_status(&c, patient, 200);
}

/* Bodies that wait for their last byte share a limit. */
static void test_many_bodies(void **state)
{
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ .body_max = 10 });
    CLIENT(c, s);
    CLIENT(d, s);
    CLIENT(last, s);
    struct ask *asks[240];
    turn(&c); /* then it knows how many streams it may have */
    turn(&d);
    for (size_t i = 0; i < 240; i++) /* with 5 bytes each beside what is dropped */
        asks[i] = ask(i % 2 ? &c : &d, "POST", "/long", 100);
    send_all(&c);
    send_all(&d);
    wait_for(&gate.routed, 240);
    gate_set(true);
    for (size_t i = 0; i < 240; i++)
        hear_status(i % 2 ? &c : &d, asks[i], 200);
    hear_status(&last, ask(&last, "POST", "/read", 10), 200);
}

static void test_large_headers(void **state)
{
    static char value[40001], small[2001];
    memset(value, 'v', sizeof value - 1);
    memset(small, 'v', sizeof small - 1);
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ 0 });
    CLIENT(c, s);
    hear_status(&c, ask_with(&c, "GET", "/now", 0, "x-long", value), 431);
    hear_status(&c, ask_with(&c, "GET", "/now", 0, "x-long", small), 200);
    char path[2100];
    snprintf(path, sizeof path, "/header?%s", small);
    struct ask *a = ask(&c, "GET", path, 0);
    hear_status(&c, a, 200);
    const char *got = strstr(a->head, "x-long: ");
    assert_non_null(got);
    assert_memory_equal(got + 8, small, sizeof small - 1);
}

/* ---- much at once ---- */

static void test_many(void **state)
{
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ .read_threads = 4 });
    CLIENT(c, s);
    for (int round = 0; round < 3; round++) {
        struct ask *asks[120];
        for (size_t i = 0; i < 120; i++)
            asks[i] = ask(&c, "GET", i % 3 ? "/read" : "/size?50000", 0);
        for (size_t i = 120; i-- > 0;)
            hear_status(&c, asks[i], 200);
    }
}

static void test_long_beside_reads(void **state)
{
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ .long_threads = 2 });
    CLIENT(c, s);
    struct ask *slow[10];
    for (size_t i = 0; i < 10; i++)
        slow[i] = ask(&c, "GET", "/long", 0);
    send_all(&c);
    wait_for(&gate.running, 2);
    for (int i = 0; i < 100; i++)
        hear_status(&c, ask(&c, "GET", i % 2 ? "/read" : "/now", 0), 200);
    assert_int_equal(gate.finished, 0);
    gate_set(true);
    for (size_t i = 0; i < 10; i++)
        hear_status(&c, slow[i], 200);
}

static void test_timeout(void **state)
{
    CLEANUP(server_freep)
    struct server *s = serve_as(state, (struct server_options){ .timeout_ms = 200, .long_threads = 1 });
    CLIENT(c, s);
    struct ask *first = ask(&c, "GET", "/long?1", 0), *second = ask(&c, "GET", "/long?2", 0);
    hear_status(&c, first, 503);
    hear_status(&c, second, 503);
    assert_string_equal(first->body.ptr, "too late");
    hear_status(&c, ask(&c, "GET", "/now", 0), 200);
    gate_set(true);
    wait_for(&gate.finished, 2); /* what was begun for a client that was told so is done all the same */
    hear_status(&c, ask(&c, "GET", "/now", 0), 200);
}

static void test_full_queue(void **state)
{
    CLEANUP(server_freep)
    struct server *s = serve_as(state, (struct server_options){ .long_threads = 1, .queue_max = 1 });
    CLIENT(c, s);
    struct ask *asks[3];
    for (size_t i = 0; i < 3; i++)
        asks[i] = ask(&c, "GET", "/long", 0);
    hear_status(&c, asks[2], 503);
    assert_non_null(strstr(asks[2]->head, "retry-after: 1\n"));
    gate_set(true);
    hear_status(&c, asks[0], 200);
    hear_status(&c, asks[1], 200);
}

/* ---- clients that do not behave ---- */

static void test_vanished(void **state)
{
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ .long_threads = 1 });
    {
        CLIENT(c, s);
        ask(&c, "GET", "/long", 0);
        struct ask *queued = ask(&c, "GET", "/long", 0), *half = ask(&c, "POST", "/read", 1000000);
        send_all(&c);
        wait_for(&gate.running, 1);
        wait_for(&gate.routed, 3);
        nghttp2_submit_rst_stream(c.h2, 0, queued->id, NGHTTP2_CANCEL);
        send_all(&c);
        wait_for(&gate.silent, 1);
        (void)half;
    }
    wait_for(&gate.silent, 3); /* the connection's end is theirs */
    gate_set(true);
    wait_for(&gate.finished, 1);
    check_now(s, state);
    server_stop(s, -1);
    assert_int_equal(gate.finished, 1); /* what was still in the queue was not begun */
}

static void test_rapid_reset(void **state)
{
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ 0 });
    CLIENT(c, s);
    for (int i = 0; i < 1000 && !c.ended; i++) {
        struct ask *a = ask(&c, "GET", "/long", 0);
        send_all(&c);
        nghttp2_submit_rst_stream(c.h2, 0, a->id, NGHTTP2_CANCEL);
        send_all(&c);
    }
    c.ended = false; /* it may still have said why */
    hear_end(&c);
    assert_true(gate.routed < 200);
    gate_set(true);
    check_now(s, state);
}

static void test_chatter(void **state)
{
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ 0 });
    for (int kind = 0; kind < 2; kind++) {
        CLIENT(c, s);
        turn(&c);
        for (int i = 0; i < 50000 && !c.ended; i++) {
            if (kind)
                nghttp2_submit_priority(c.h2, 0, 1, &(nghttp2_priority_spec){ 3, 16, 0 });
            else
                nghttp2_submit_ping(c.h2, 0, (const uint8_t *)"flooding");
            send_all(&c);
        }
        c.ended = false;
        hear_end(&c);
    }
    check_now(s, state);
}

static void test_slow_reader(void **state)
{
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ .idle_ms = 1000 });
    CLEANUP(client_done) struct client closed = open_client(s, state, "h2");
    begin_http2(&closed, false);
    struct ask *a = ask(&closed, "GET", "/size?50000000", 0);
    hear(&closed, a);
    assert_true(a->body.len <= 65536 && (a->code || closed.ended));

    CLEANUP(client_done) struct client deaf = open_client(s, state, "h2");
    begin_http2(&deaf, true);
    nghttp2_session_set_local_window_size(deaf.h2, 0, 0, 1 << 30);
    nghttp2_submit_settings(deaf.h2, 0,
                            &(nghttp2_settings_entry){ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 30 }, 1);
    ask(&deaf, "GET", "/size?50000000", 0);
    send_all(&deaf);
    wait_for(&gate.told_count, 2);
    server_stop(s, -1); /* would wait for ever */
}

/* Clients that take nothing, in all the ways: the only place for a connection is free again after each. */
static void test_places_come_back(void **state)
{
    static const str big = STR("GET /size?50000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    CLEANUP(server_freep)
    struct server *s = serve_as(state, (struct server_options){ .idle_ms = 1000, .connections = 1 });
    CLEANUP(client_done) struct client deaf = open_client(s, state, "http/1.1");
    if (in_tls(state))
        gnutls_record_send(deaf.tls, big.ptr, big.len);
    else
        assert_true(say(deaf.fd, big));
    wait_for(&gate.told_count, 1);
    check_now(s, state);
    CLEANUP(client_done) struct client closed = open_client(s, state, "h2");
    begin_http2(&closed, false);
    ask(&closed, "GET", "/size?50000000", 0);
    send_all(&closed);
    wait_for(&gate.told_count, 3);
    check_now(s, state);
}

static void expect_end(int fd)
{
    char bytes[4096];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        ;
    if (n < 0 && errno != ECONNRESET)
        fail_msg("not cut off");
}

/* Beginnings that lead nowhere. */
static void test_stuck(void **state)
{
    static const str plain[] = {
        STR(""),
        STR("P"),
        STR("PRI * HTTP/2.0\r\n"),
        STR("PRI * HTTP/2.0\r\n\r\nS"),
        STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"),
        STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\1\1\0\0\0\0\1\x82"), /* no END_HEADERS */
        STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\2\1\4\0\0\0\1\x82\x84"), /* no END_STREAM, nor scheme */
        STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\x40\0\0\0\0\0\0\1xx"), /* half a frame */
    };
    static const str secret[] = { STR(""), STR("\x16"), STR("\x16\3\1"), STR("\x16\3\1\1\0\1\0"),
                                  STR("\x16\3\1\1\0\1\0\0\xfc\3\3abcdef") };
    CLEANUP(server_freep)
    struct server *s = serve_as(state, (struct server_options){ .idle_ms = 1000, .receive_ms = 300 });
    int fds[16];
    size_t n = in_tls(state) ? sizeof secret / sizeof *secret : sizeof plain / sizeof *plain;
    for (size_t i = 0; i < n; i++) {
        fds[i] = dial(s);
        assert_true(say(fds[i], in_tls(state) ? secret[i] : plain[i]));
    }
    for (size_t i = 0; i < n; i++) {
        expect_end(fds[i]);
        close(fds[i]);
    }
    check_now(s, state);
}

static void test_garbage(void **state)
{
    static const str cases[] = {
        STR("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"),
        STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\1\4\0\0\0\0\0x"),
        STR("GET / HTTP/1.1\r\n\r\n"),
        STR("\x15\3\1\0\2\2\x28"),
        STR("\x16\3\1\0\5hello"),
        STR("\x80\x2e\1\0\2"),
        STR("\0"),
        STR("\xff\xff\xff\xff"),
    };
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ 0 });
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(close_fdp) int fd = dial(s);
        assert_true(say(fd, cases[i]));
        shutdown(fd, SHUT_WR);
        expect_end(fd);
    }
    check_now(s, state);
}

static void test_plain_to_tls(void **state)
{
    static const char expect[] =
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    if (!in_tls(state))
        return;
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ 0 });
    CLEANUP(close_fdp) int fd = dial(s);
    char got[sizeof expect] = "";
    assert_true(say(fd, STR("POST /v1/layers HTTP/1.1\r\nHost: a\r\n\r\n")));
    assert_int_equal(recv(fd, got, sizeof got, MSG_WAITALL), sizeof expect - 1);
    assert_string_equal(got, expect);
}

static void test_idle(void **state)
{
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ .idle_ms = 1000 });
    CLIENT(c, s);
    hear_status(&c, ask(&c, "GET", "/now", 0), 200);
    hear_end(&c);
    assert_true(c.left && c.goaway == NGHTTP2_NO_ERROR);
}

/* ---- the end ---- */

static void test_graceful_stop(void **state)
{
    CLEANUP(server_freep) struct server *s = serve_as(state, (struct server_options){ 0 });
    CLIENT(c, s);
    CLIENT(idle, s);
    hear_status(&idle, ask(&idle, "GET", "/now", 0), 200);
    struct ask *a = ask(&c, "GET", "/long", 0);
    pthread_t helper;
    send_all(&c);
    wait_for(&gate.running, 1);
    assert_int_equal(pthread_create(&helper, NULL, open_when_closed, s), 0);
    server_stop(s, -1);
    pthread_join(helper, NULL);
    hear_status(&c, a, 200);
    hear_end(&c);
    hear_end(&idle);
    assert_true(c.left && idle.left);
}

static void test_impatient_stop(void **state)
{
    struct server *s = serve_as(state, (struct server_options){ .long_threads = 1 });
    CLIENT(c, s);
    ask(&c, "GET", "/long", 0);
    send_all(&c);
    wait_for(&gate.running, 1);
    ask(&c, "GET", "/long", 0);
    ask(&c, "POST", "/read", 1000000);
    send_all(&c);
    wait_for(&gate.routed, 3);
    server_stop(s, 50);
    hear_end(&c);
    assert_int_equal(gate.finished, 0);
    gate_set(true);
    server_freep(&s); /* waits for the handler */
    assert_int_equal(gate.finished, 1);
}

static char tls[] = "TLS";
#define T(name)                                                                                              \
    { #name, name, NULL, open_gate, NULL }, { #name " in TLS", name, NULL, open_gate, tls }

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_requests),
        T(test_sizes),
        T(test_bodies),
        T(test_many_bodies),
        T(test_large_headers),
        T(test_many),
        T(test_long_beside_reads),
        T(test_timeout),
        T(test_full_queue),
        T(test_vanished),
        T(test_rapid_reset),
        T(test_chatter),
        T(test_slow_reader),
        T(test_places_come_back),
        T(test_stuck),
        T(test_garbage),
        T(test_plain_to_tls),
        T(test_idle),
        T(test_graceful_stop),
        T(test_impatient_stop),
    };
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
