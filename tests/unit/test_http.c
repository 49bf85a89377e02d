/* What http_open() sends, whom it believes and where it does not go. The other side is our own server, or libmicrohttpd for TLS. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "net/http.h"
#include "net/server.h"

#include <errno.h>
#include <ftw.h>
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

static struct {
    struct server *server, *other;
    struct MHD_Daemon *tls;
    struct http_pool *pool;
    char dir[64];
    char *cert, *key; /* contents */
} world;

static unsigned other_port(void) { return server_port(world.other); }

/* ---- the other side ---- */

static enum service route(void *ctx, struct request *r) { return SERVE_NOW; }

/* "/to/STATUS/URL" redirects; anything else tells the request. */
static void handle(void *ctx, struct request *r, struct response *ret)
{
    str rest = r->path;
    if (str_starts(rest, STR("/to/"))) {
        uint64_t status = 0;
        rest = str_skip(rest, 4);
        str_to_u64(str_cut(&rest, '/'), &status);
        ret->status = (unsigned)status;
        response_header(ret, "Location", rest);
        return;
    }
    ret->status = 200;
    buf_printf(&ret->body, STR_FMT " " STR_FMT "\n", STR_ARG(r->method), STR_ARG(r->target));
    static const char *const names[] = { "User-Agent", "Content-Type",    "Content-Length", "Authorization",
                                         "X-Own",      "Accept-Encoding", "Expect" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        str v = request_header(r, names[i]);
        if (v.ptr && (v.len || !strcmp(names[i], "X-Own")))
            buf_printf(&ret->body, "%s=" STR_FMT "\n", names[i], STR_ARG(v));
    }
    buf_printf(&ret->body, "body=" STR_FMT "\n", STR_ARG(r->body));
}

static const struct server_handler handler = { .route = route, .handle = handle };

static struct server *serve(const char *address)
{
    struct err e = { 0 };
    struct server *s = server_new(&(struct server_options){ .address = address }, &handler, &e);
    if (!s || server_start(s, &e) < 0)
        fail_msg("%s", e.text);
    return s;
}

static enum MHD_Result on_tls(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *upload, size_t *size, void **con_cls)
{
    static char text[] = "secret";
    struct MHD_Response *r = MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result ok = MHD_queue_response(c, 200, r);
    MHD_destroy_response(r);
    return ok;
}

static char *slurp(const char *name)
{
    char path[200];
    struct buf b = { 0 };
    snprintf(path, sizeof path, "%s/%s", world.dir, name);
    CLEANUP(fclosep) FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (int c; (c = fgetc(f)) != EOF;)
        buf_char(&b, (char)c);
    buf_char(&b, '\0');
    return b.ptr;
}

static int start(void **state)
{
    struct err e = { 0 };
    char command[300];
    static const char *const proxies[] = { "http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY",
                                           "ALL_PROXY" };
    for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++)
        unsetenv(proxies[i]);
    strcpy(world.dir, "/tmp/test_http.XXXXXX");
    assert_non_null(mkdtemp(world.dir));
    snprintf(command, sizeof command,
             "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
             "/CN=test "
             "-addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem 2>/dev/null",
             world.dir);
    assert_int_equal(system(command), 0);
    world.cert = slurp("cert.pem");
    world.key = slurp("key.pem");

    assert_int_equal(http_init(&e), 0);
    world.pool = http_pool_new(&e);
    assert_non_null(world.pool);
    world.server = serve("localhost:0");
    world.other = serve("localhost:0");
    world.tls = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS, 0, NULL, NULL, on_tls, NULL,
                                 MHD_OPTION_HTTPS_MEM_KEY, world.key, MHD_OPTION_HTTPS_MEM_CERT, world.cert,
                                 MHD_OPTION_HTTPS_MEM_TRUST, world.cert, MHD_OPTION_END);
    assert_non_null(world.tls);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    return remove(path);
}

static int stop(void **state)
{
    http_pool_freep(&world.pool);
    server_freep(&world.server);
    server_freep(&world.other);
    MHD_stop_daemon(world.tls);
    free(world.cert);
    free(world.key);
    return nftw(world.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- helpers ---- */

struct answer {
    unsigned status;
    struct err e;
    struct buf body; /* ends with a NUL */
};

static void answer_done(struct answer *a) { buf_done(&a->body); }

static void ask(const char *url, const char *const headers[], const struct http_options *o, struct answer *a)
{
    str chunk;
    int r = -1;
    CLEANUP(http_freep) struct http *h = http_open(world.pool, url, headers, o, NULL, &a->e);
    if (h) {
        a->status = http_head(h)->status;
        while ((r = http_read(h, &chunk, &a->e)) > 0)
            buf_str(&a->body, chunk);
    }
    assert_int_equal(r < 0, a->e.kind != ERR_NONE);
    buf_char(&a->body, '\0');
}

#define assert_says(a, what)                                                                                 \
    do {                                                                                                     \
        if (!strstr((a).body.ptr, what))                                                                     \
            fail_msg("no '%s' in: %s%s", what, (a).body.ptr, (a).e.text);                                    \
    } while (0)

static char *url(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *url(const char *fmt, ...)
{
    static char text[4][600];
    static unsigned n;
    char *ret = text[n++ % 4];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(ret, sizeof *text, fmt, ap);
    va_end(ap);
    return ret;
}

/* ---- tests ---- */

static void test_methods(void **state)
{
    static const struct {
        const char *method, *body, *type, *expect;
    } cases[] = {
        { NULL, NULL, NULL, "GET /a?b\nUser-Agent=eclair/" ECLAIR_VERSION "\nbody=\n" },
        { NULL, "x=1", NULL,
          "POST /a?b\nUser-Agent=eclair/" ECLAIR_VERSION "\nContent-Length=3\nbody=x=1\n" },
        { "POST", "{}", "Content-Type: application/json",
          "POST /a?b\nUser-Agent=eclair/" ECLAIR_VERSION
          "\nContent-Type=application/json\nContent-Length=2\nbody={}\n" },
        { "POST", NULL, NULL, "POST /a?b\nUser-Agent=eclair/" ECLAIR_VERSION "\nContent-Length=0\nbody=\n" },
        { "PUT", "abc", NULL,
          "PUT /a?b\nUser-Agent=eclair/" ECLAIR_VERSION "\nContent-Length=3\nbody=abc\n" },
        { "DELETE", NULL, NULL, "DELETE /a?b\nUser-Agent=eclair/" ECLAIR_VERSION "\nbody=\n" },
        { "HEAD", NULL, NULL, "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(answer_done) struct answer a = { 0 };
        struct http_options o = { .method = cases[i].method, .body = str_from(cases[i].body) };
        ask(url("http://127.0.0.1:%u/a?b", server_port(world.server)),
            (const char *[]){ cases[i].type, NULL }, &o, &a);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body.ptr, cases[i].expect);
    }
}

static void test_large_body(void **state)
{
    CLEANUP(answer_done) struct answer a = { 0 };
    CLEANUP(freep) char *body = malloc(1000000);
    memset(body, 'x', 1000000);
    ask(url("http://127.0.0.1:%u/", server_port(world.server)), NULL,
        &(struct http_options){ .body = str_of(body, 1000000) }, &a);
    assert_says(a, "Content-Length=1000000\nbody=xxx");
    assert_null(strstr(a.body.ptr, "Expect"));
}

/* Sends a byte now and then: never silent, and never done. */
static void *dribble(void *ctx)
{
    int listener = *(int *)ctx, c = accept(listener, NULL, NULL);
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    ssize_t n = send(c, head, sizeof head - 1, MSG_NOSIGNAL);
    for (int i = 0; n > 0 && i < 300; i++) {
        n = send(c, "x", 1, MSG_NOSIGNAL);
        usleep(100000);
    }
    close(c);
    return NULL;
}

static void test_min_rate(void **state)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    pthread_t thread;
    struct err e = { 0 };
    str chunk;
    int r;
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&a, &size);
    pthread_create(&thread, NULL, dribble, &listener);
    struct http *h =
        http_open(world.pool, url("http://127.0.0.1:%u/", ntohs(a.sin_port)), NULL,
                  &(struct http_options){ .min_rate = 1024 }, &(struct http_limits){ .idle_ms = 2000 }, &e);
    assert_non_null(h);
    int64_t begin = clock_ms();
    while ((r = http_read(h, &chunk, &e)) > 0)
        ;
    assert_int_equal(r, -1);
    assert_int_equal(e.kind, ERR_NETWORK);
    assert_non_null(strstr(e.text, "too slow"));
    assert_true(clock_ms() - begin < 20000);
    http_freep(&h);
    pthread_join(thread, NULL);
    close(listener);
}

static void test_headers(void **state)
{
    CLEANUP(answer_done) struct answer a = { 0 }, b = { 0 };
    ask(url("http://127.0.0.1:%u/", server_port(world.server)),
        (const char *[]){ "Authorization: Bearer x", "X-Own: ", NULL },
        &(struct http_options){ .user_agent = "Go-http-client/1.1" }, &a);
    assert_says(a, "User-Agent=Go-http-client/1.1\nAuthorization=Bearer x\nX-Own=\n");
    ask(url("http://127.0.0.1:%u/", server_port(world.server)),
        (const char *[]){ "X-Own: a\r\nAuthorization: b", NULL }, NULL, &b);
    assert_int_equal(b.e.kind, ERR_FORMAT);
}

/* The same server by another name, and another port of the same host, are other places. */
static void test_redirects(void **state)
{
    unsigned port = server_port(world.server);
    static const char *const headers[] = { "Authorization: Bearer x", "X-Own: y", NULL };
    const struct {
        const char *url;
        bool told;
    } cases[] = {
        { url("http://127.0.0.1:%u/to/302//end", port), true },
        { url("http://127.0.0.1:%u/to/307/http://127.0.0.1:%u/end", port, port), true },
        { url("http://127.0.0.1:%u/to/302/http://localhost:%u/end", port, port), false },
        { url("http://127.0.0.1:%u/to/302/http://127.0.0.1:%u/end", port, other_port()), false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(answer_done) struct answer a = { 0 };
        ask(cases[i].url, headers, NULL, &a);
        assert_int_equal(a.status, 200);
        assert_says(a, "GET /end\nUser-Agent=eclair");
        if (!strstr(a.body.ptr, "Bearer x") == cases[i].told ||
            !strstr(a.body.ptr, "X-Own=y") == cases[i].told)
            fail_msg("%s: %s", cases[i].url, a.body.ptr);
    }
    CLEANUP(answer_done) struct answer kept = { 0 }, changed = { 0 };
    const struct http_options post = { .method = "POST", .body = STR("abc") };
    ask(url("http://127.0.0.1:%u/to/307//end", port), NULL, &post, &kept);
    assert_says(kept, "POST /end");
    assert_says(kept, "body=abc");
    ask(url("http://127.0.0.1:%u/to/303//end", port), NULL, &post, &changed);
    assert_says(changed, "GET /end");
}

static void test_redirect_limit(void **state)
{
    unsigned port = server_port(world.server);
    CLEANUP(answer_done) struct answer a = { 0 }, b = { 0 };
    char *two = url("http://127.0.0.1:%u/to/302//to/302//end", port);
    ask(two, NULL, &(struct http_options){ .max_redirects = 2 }, &a);
    assert_int_equal(a.status, 200);
    ask(two, NULL, &(struct http_options){ .max_redirects = 1 }, &b);
    assert_int_equal(b.e.kind, ERR_LIMIT);
    assert_non_null(strstr(b.e.text, "more than 1 redirects"));
}

static void test_link_local(void **state)
{
    unsigned port = server_port(world.server);
    const char *const bad[] = {
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[fe80::1]/",
        "http://[febf::1]:8080/",
        "http://[fd00:ec2::254]/latest/meta-data",
        "http://0xa9fea9fe/",
        url("http://127.0.0.1:%u/to/302/http://169.254.169.254/", port),
    };
    const struct http_options careful = { .no_link_local = true };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CLEANUP(answer_done) struct answer a = { 0 };
        ask(bad[i], NULL, &careful, &a);
        if (a.e.kind != ERR_NETWORK || !strstr(a.e.text, ": link-local addresses are refused"))
            fail_msg("%s: %u %s", bad[i], a.e.kind, a.e.text);
    }
    /* Behind a proxy (here: our server, which is asked for the whole URL) only the URL tells. */
    for (int i = 0; i < 2; i++) {
        CLEANUP(answer_done) struct answer a = { 0 };
        setenv("http_proxy", url("http://127.0.0.1:%u", port), 1);
        ask("http://169.254.169.254/", NULL, i ? &careful : NULL, &a);
        unsetenv("http_proxy");
        assert_int_equal(a.e.kind, i ? ERR_NETWORK : ERR_NONE);
        assert_int_equal(a.status, i ? 0 : 200);
    }
    CLEANUP(answer_done) struct answer good = { 0 };
    ask(url("http://localhost:%u/", port), NULL, &careful, &good);
    assert_int_equal(good.status, 200);
}

static void *answer_one(void *ctx)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nunix";
    char request[2000];
    int fd = accept(*(int *)ctx, NULL, NULL);
    if (fd >= 0 && read(fd, request, sizeof request) > 0 && write(fd, text, sizeof text - 1) < 0)
        perror("write");
    close(fd);
    return NULL;
}

static void test_unix_socket(void **state)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    CLEANUP(answer_done) struct answer a = { 0 };
    pthread_t thread;
    snprintf(at.sun_path, sizeof at.sun_path, "%s/socket", world.dir);
    CLEANUP(close_fdp) int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, answer_one, &fd), 0);
    ask("http://docker/v1/info", NULL,
        &(struct http_options){ .unix_socket = at.sun_path, .no_link_local = true }, &a);
    pthread_join(thread, NULL);
    assert_string_equal(a.body.ptr, "unix");
}

static void test_tls(void **state)
{
    char cert[100], key[100];
    snprintf(cert, sizeof cert, "%s/cert.pem", world.dir);
    snprintf(key, sizeof key, "%s/key.pem", world.dir);
    unsigned port = MHD_get_daemon_info(world.tls, MHD_DAEMON_INFO_BIND_PORT)->port;
    char *by_name = url("https://localhost:%u/", port), *by_number = url("https://127.0.0.1:%u/", port);
    const struct {
        const char *url;
        struct http_options o;
        bool ok;
    } cases[] = {
        { by_name, { .ca = cert, .cert = cert, .key = key }, true },
        { by_name, { .cert = cert, .key = key }, false },               /* unknown authority */
        { by_number, { .ca = cert, .cert = cert, .key = key }, false }, /* not its name */
        { by_number, { .insecure = true, .cert = cert, .key = key }, true },
        { by_name, { .ca = "/nonexistent.pem" }, false },
        { by_name, { .ca = cert, .cert = "/nonexistent.pem" }, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(answer_done) struct answer a = { 0 };
        ask(cases[i].url, NULL, &cases[i].o, &a);
        if ((a.status == 200) != cases[i].ok || (cases[i].ok && strcmp(a.body.ptr, "secret")))
            fail_msg("%zu: %u %s %s", i, a.status, a.e.text, a.body.ptr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_large_body),
        cmocka_unit_test(test_min_rate),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_link_local),
        cmocka_unit_test(test_redirect_limit),
        cmocka_unit_test(test_unix_socket),
        cmocka_unit_test(test_tls),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
