/* What http_open() sends, whom it believes and where it does not go. The other side is our own server, or libmicrohttpd for TLS. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "net/download.h"
#include "net/http.h"
#include "net/places.h"
#include "net/proxy.h"
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

static const struct places anywhere; /* but for link-local addresses */

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
    bool leads = str_starts(str_from(url), STR("/to/")); /* "/to/URL" redirects */
    if (leads)
        MHD_add_response_header(r, "Location", url + strlen("/to/"));
    enum MHD_Result ok = MHD_queue_response(c, leads ? 302 : 200, r);
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
    static char text[32][600];
    static unsigned n;
    char *ret = text[n++ % 32];
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

/* "a,b"; NULL: none. */
static struct place_rules rules(const char *list, struct arena *arena)
{
    struct err e = { 0 };
    struct place_rules ret = { 0 };
    str texts[8], rest = str_from(list);
    size_t n = 0;
    while (rest.len)
        texts[n++] = str_cut(&rest, ',');
    assert_int_equal(places_read(texts, n, arena, &ret, &e), 0);
    return ret;
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
    const struct http_options careful = { .places = &anywhere };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CLEANUP(answer_done) struct answer a = { 0 };
        ask(bad[i], NULL, &careful, &a);
        if (a.e.kind != ERR_DENIED || !strstr(a.e.text, ": no request may go there"))
            fail_msg("%s: %u %s", bad[i], a.e.kind, a.e.text);
    }
    /* Behind a proxy (here: our server, which is asked for the whole URL) only the URL tells. */
    for (int i = 0; i < 2; i++) {
        CLEANUP(answer_done) struct answer a = { 0 };
        setenv("http_proxy", url("http://127.0.0.1:%u", port), 1);
        ask("http://169.254.169.254/", NULL, i ? &careful : NULL, &a);
        unsetenv("http_proxy");
        assert_int_equal(a.e.kind, i ? ERR_DENIED : ERR_NONE);
        assert_int_equal(a.status, i ? 0 : 200);
    }
    CLEANUP(answer_done) struct answer good = { 0 };
    ask(url("http://localhost:%u/", port), NULL, &careful, &good);
    assert_int_equal(good.status, 200);
}

/* What a name leads to is seen when it is connected to, and by whom. */
static void test_places(void **state)
{
    unsigned port = server_port(world.server);
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    const struct {
        const char *allow, *deny, *url;
        bool ok;
    } cases[] = {
        { NULL, "127.0.0.0/8,[::1]", url("http://localhost:%u/", port),
          false }, /* the name leads to a bad address */
        { NULL, "127.0.0.0/8", url("http://0.0.0.0:%u/", port), false },
        { NULL, "127.0.0.0/8", url("http://[::ffff:127.0.0.1]:%u/", port), false },
        { NULL, "127.0.0.0/8", url("http://017700000001:%u/", port), false },
        { NULL, "LOCALHOST", url("http://localhost:%u/", port), false },
        { NULL, "localhost", url("http://localhost.:%u/", port), false },
        { NULL, "*.localhost", url("http://localhost:%u/", port), true },
        { NULL, "localhost:1", url("http://localhost:%u/", port), true },
        { NULL, "example.com", url("http://localhost:%u/", port), true },
        { "example.com", NULL, url("http://localhost:%u/", port), false },
        { "localhost", NULL, url("http://localhost:%u/", port), true },
        { "localhost:1", NULL, url("http://localhost:%u/", port), false },
        { "127.0.0.0/8,::1", NULL, url("http://localhost:%u/", port), true }, /* by its address alone */
        { "10.0.0.0/8", NULL, url("http://localhost:%u/", port), false },
        { "localhost", "127.0.0.1,::1", url("http://localhost:%u/", port), false },
        { "127.0.0.1", "localhost", url("http://127.0.0.1:%u/to/302/http://localhost:%u/", port, port),
          false },
        { "localhost", NULL, url("http://localhost:%u/to/302//end", port), true },
        { NULL, NULL, url("http://localhost:%u/to/302/ftp://localhost/", port), false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(answer_done) struct answer a = { 0 };
        struct places p = { .allow = rules(cases[i].allow, arena), .deny = rules(cases[i].deny, arena) };
        ask(cases[i].url, NULL, &(struct http_options){ .places = &p }, &a);
        enum err_kind bad = strstr(cases[i].url, "ftp:") ? ERR_UNSUPPORTED : ERR_DENIED;
        if (a.e.kind != (cases[i].ok ? ERR_NONE : bad) || (a.status == 200) != cases[i].ok)
            fail_msg("%zu: %s: %u %s", i, cases[i].url, a.status, a.e.text);
    }
}

static void test_rules(void **state)
{
    static const char *const bad[] = {
        "",        "a b", "http://x", "10.0.0.0/33", "::/129", "x:0",
        "x:70000", "x:y", "a*b",      "10.0.0.0/x",  "[::1]x", "example.com/8"
    };
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = { 0 };
        struct place_rules r;
        str text = str_from(bad[i]);
        if (places_read(&text, 1, arena, &r, &e) == 0 || e.kind != ERR_USAGE)
            fail_msg("'%s' is a rule", bad[i]);
    }
    const struct {
        const char *rule, *host;
        unsigned port;
        bool has;
    } cases[] = {
        { "*.example.com", "a.b.example.com", 80, true },
        { "*.example.com", "example.com", 80, false },
        { "*.example.com", "badexample.com", 80, false },
        { "example.com", "a.example.com", 80, false },
        { "example.com:443", "Example.COM.", 443, true },
        { "10.0.0.0/9", "10.127.255.255", 80, true },
        { "10.0.0.0/9", "10.128.0.0", 80, false },
        { "10.0.0.0/8:81", "10.1.1.1", 80, false },
        { "fd00::/8", "[fdff::1]", 80, true },
        { "[fd00::/8]:443", "fdff::1", 443, true },
        { "[fd00::/8]:443", "fdff::1", 80, false },
        { "fd00::/8", "fe00::1", 80, false },
        { "0.0.0.0/0", "8.8.8.8", 80, true },
        { "0.0.0.0/0", "[2001:db8::1]", 80, false },
        { "::/0", "8.8.8.8", 80, true },
        { "64:ff9b::a00:1", "10.0.0.1", 80, false }, /* an address is judged by where it leads */
        { "10.0.0.1", "64:ff9b::a00:1", 80, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct places p = { .deny = rules(cases[i].rule, arena) };
        if ((places_name(&p, str_from(cases[i].host), cases[i].port) == PLACE_REFUSED) != cases[i].has)
            fail_msg("%s, %s", cases[i].rule, cases[i].host);
    }
}

static void test_proxy_of(void **state)
{
    const struct {
        const char *no_proxy, *host;
        bool proxied;
    } cases[] = {
        { "", "example.com", true },
        { "", "localhost", false },
        { "", "127.1.2.3", false },
        { "", "[::1]", false },
        { "*", "example.com", false },
        { "other.com, example.com", "a.example.com", false },
        { ".example.com", "a.example.com", false },
        { "example.com:81", "example.com", true },
        { "example.com:80", "example.com", false },
        { "10.0.0.0/8", "10.1.2.3", false },
        { "10.0.0.0/8", "11.1.2.3", true },
        { "///,,:", "example.com", true },
    };
    setenv("HTTP_PROXY", "http://proxy:3128", 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("NO_PROXY", cases[i].no_proxy, 1);
        if (!proxy_of("http", str_from(cases[i].host), 80) == cases[i].proxied)
            fail_msg("%s, %s", cases[i].no_proxy, cases[i].host);
    }
    assert_null(proxy_of("https", STR("example.com"), 443));
    setenv("http_proxy", "http://small", 1);
    assert_string_equal(proxy_of("http", STR("example.org"), 80), "http://small");
    unsetenv("http_proxy");
    unsetenv("HTTP_PROXY");
    unsetenv("NO_PROXY");
}

/* Takes connections and answers them with `text`, or with nothing for as long as they last. */
struct mute {
    int listener;
    const char *text;
    unsigned taken;
};

static void *take_in(void *ctx)
{
    struct mute *m = ctx;
    char ignored[4096];
    for (int fd; (fd = accept(m->listener, NULL, NULL)) >= 0; close(fd)) {
        m->taken++;
        if (recv(fd, ignored, sizeof ignored, 0) > 0)
            send(fd, m->text, strlen(m->text), MSG_NOSIGNAL);
        while (recv(fd, ignored, sizeof ignored, 0) > 0)
            ;
    }
    return NULL;
}

/* A server that says nothing more is asked once, whether it had begun or not. */
static void test_stuck(void **state)
{
    static const char *const texts[] = { "",
                                         "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 9\r\n\r\nabc" };
    const struct download_options o = { .idle_ms = 1000 };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
        socklen_t size = sizeof a;
        struct mute m = { .listener = socket(AF_INET, SOCK_STREAM, 0), .text = texts[i] };
        struct err e = { 0 };
        pthread_t thread;
        str chunk;
        assert_int_equal(bind(m.listener, (struct sockaddr *)&a, sizeof a), 0);
        assert_int_equal(listen(m.listener, 4), 0);
        getsockname(m.listener, (struct sockaddr *)&a, &size);
        pthread_create(&thread, NULL, take_in, &m);
        struct download *d = download_open(url("http://127.0.0.1:%u/", ntohs(a.sin_port)), NULL, &o, &e);
        assert_int_equal(d != NULL, *texts[i] != '\0');
        if (d) {
            assert_int_equal(download_read(d, &chunk, &e), 1);
            assert_int_equal(download_read(d, &chunk, &e), -1);
        }
        assert_int_equal(e.kind, ERR_NETWORK);
        assert_non_null(strstr(e.text, "no byte for 1.0 s"));
        download_freep(&d);
        shutdown(m.listener, SHUT_RDWR);
        pthread_join(thread, NULL);
        assert_int_equal(m.taken, 1);
        close(m.listener);
    }
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
        &(struct http_options){ .unix_socket = at.sun_path, .places = &anywhere }, &a);
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

/* Who listens on the way may not hand out another document. */
static void test_stay_secure(void **state)
{
    char cert[100], key[100];
    snprintf(cert, sizeof cert, "%s/cert.pem", world.dir);
    snprintf(key, sizeof key, "%s/key.pem", world.dir);
    unsigned port = MHD_get_daemon_info(world.tls, MHD_DAEMON_INFO_BIND_PORT)->port;
    char *plain = url("http://localhost:%u/", server_port(world.server));
    char *secure = url("https://localhost:%u/", port);
    const struct {
        const char *url;
        bool stay, ok;
    } cases[] = {
        { url("%sto/%s", secure, plain), true, false },    { url("%sto/%s", secure, plain), false, true },
        { url("%sto/%s", secure, secure), true, true },    { url("%sto/302/%s", plain, plain), true, true },
        { url("%sto/302/%s", plain, secure), true, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct http_options o = { .ca = cert, .cert = cert, .key = key, .stay_secure = cases[i].stay };
        CLEANUP(answer_done) struct answer a = { 0 };
        ask(cases[i].url, NULL, &o, &a);
        if ((a.status == 200) != cases[i].ok)
            fail_msg("%zu: %u %s", i, a.status, a.e.text);
        if (!cases[i].ok) {
            assert_int_equal(a.e.kind, ERR_UNSUPPORTED);
            assert_non_null(strstr(a.e.text, "a redirect from https to something else is refused"));
        }
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
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_stuck),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_proxy_of),
        cmocka_unit_test(test_redirect_limit),
        cmocka_unit_test(test_unix_socket),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_stay_secure),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
