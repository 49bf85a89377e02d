/* Fetching against a real server with faults (tests/e2e/feedserver.py) and against folders. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "feed/fetch.h"
#include "net/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define DOCUMENT "tracker/data/json"
#define SIZE     3000000u

static const struct fetch_policy quick = { { 1, 2, 3 }, 2000, 300, 4u << 20, 4 };

static struct {
    char dir[64];
    char content[SIZE];
    pid_t server;
    unsigned port;
    struct http_pool *pool;
} world;

static void write_file(const char *name, const void *bytes, size_t n)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", world.dir, name);
    for (char *p = path + strlen(world.dir) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
    }
    CLEANUP(fclosep) FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
}

static void wait_for_server(void)
{
    char path[300];
    snprintf(path, sizeof path, "%s/port", world.dir);
    for (int i = 0; i < 1000 && !world.port; i++) {
        CLEANUP(fclosep) FILE *f = fopen(path, "r");
        if (!f || fscanf(f, "%u", &world.port) != 1)
            nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
    }
    assert_true(world.port > 0);
}

static int start(void **state)
{
    (void)state;
    static const char *const proxies[] = { "http_proxy", "https_proxy", "all_proxy",
                                           "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY" };
    for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++)
        unsetenv(proxies[i]);
    strcpy(world.dir, "/tmp/test_fetch.XXXXXX");
    assert_non_null(mkdtemp(world.dir));
    uint64_t x = 1;
    for (size_t i = 0; i < SIZE; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        world.content[i] = (char)(x >> 56);
    }
    write_file("debian/" DOCUMENT, world.content, SIZE);
    write_file("packed/" DOCUMENT ".zst", world.content, 1000);
    write_file("packed/plain", world.content, 500);
    write_file("with space/doc", world.content, 10);
    write_file("empty", "", 0);

    struct err e = { 0 };
    assert_int_equal(http_init(&e), 0);
    world.pool = http_pool_new(&e);
    assert_non_null(world.pool);
    world.server = fork();
    if (world.server == 0) {
        char port[300];
        snprintf(port, sizeof port, "%s/port", world.dir);
        execl("/usr/bin/python3", "python3", "tests/e2e/feedserver.py", "--root", world.dir, "--port-file",
              port, NULL);
        _exit(127);
    }
    assert_true(world.server > 0);
    wait_for_server();
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

static int stop(void **state)
{
    (void)state;
    http_pool_freep(&world.pool);
    kill(world.server, SIGTERM);
    waitpid(world.server, NULL, 0);
    return nftw(world.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- helpers ---- */

struct answer {
    enum fetch_result found;
    struct err e;
    struct buf bytes;
    char validator[2000];
};

static void answer_done(struct answer *a) { buf_done(&a->bytes); }

/* Everything a caller does: open, read to the end, and once more behind it. */
static int get_from(struct fetch_base *b, const char *path, const char *validator, struct answer *a)
{
    CLEANUP(fetch_freep) struct fetch *f = fetch_open(b, path, str_from(validator), &a->found, &a->e);
    if (!f)
        return -1;
    snprintf(a->validator, sizeof a->validator, STR_FMT, STR_ARG(fetch_validator(f)));
    if (a->found != FETCH_NEW)
        return 0;
    str chunk;
    int r;
    while ((r = fetch_read(f, &chunk, &a->e)) > 0)
        buf_str(&a->bytes, chunk);
    assert_int_equal(fetch_read(f, &chunk, &a->e), r);
    return r;
}

static int get(const char *base, const char *path, const char *validator, bool mirror, struct answer *a)
{
    CLEANUP(fetch_base_freep) struct fetch_base *b = fetch_base_new(&quick, base, mirror, &a->e);
    return b ? get_from(b, path, validator, a) : -1;
}

static const char *url(const char *path)
{
    static char text[200];
    snprintf(text, sizeof text, "http://127.0.0.1:%u%s", world.port, path);
    return text;
}

static void control(const char *what, struct buf *ret)
{
    struct err e = { 0 };
    str chunk;
    int r;
    buf_clear(ret);
    CLEANUP(http_freep) struct http *h = http_open(world.pool, url(what), NULL, NULL, NULL, &e);
    assert_non_null(h);
    while ((r = http_read(h, &chunk, &e)) > 0)
        buf_str(ret, chunk);
    assert_int_equal(r, 0);
    buf_char(ret, '\0');
}

/* The requests since the last call, one a line. */
static void take_log(struct buf *ret)
{
    CLEANUP(buf_done) struct buf nothing = { 0 };
    control("/control/log", ret);
    control("/control/reset", &nothing);
}

static unsigned lines(const struct buf *log)
{
    unsigned n = 0;
    for (const char *p = log->ptr; (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

/* ---- HTTP ---- */

static const struct fault {
    const char *mode;
    enum err_kind kind; /* ERR_NONE: the document arrives, byte for byte */
    const char *says;   /* of the error's text; of the server's log when it arrives */
    unsigned requests;
} faults[] = {
    { "drop-50000-then-resume", ERR_NONE, "bytes=50000-\t\"", 2 },
    { "drop-0-then-resume", ERR_NONE, "json\t-\t-\t-", 2 },
    { "stall-50000", ERR_NONE, "bytes=50000-", 2 },
    { "no-range", ERR_NONE, "bytes=1500000-", 2 },
    { "truncate-1048576", ERR_NONE, "bytes=2097152-", 3 },
    { "truncate-100000", ERR_NETWORK, "closed with", 4 },
    { "chunked-truncate-100000", ERR_NETWORK, "closed with", 4 },
    { "no-validator", ERR_NETWORK, "without ETag or Last-Modified", 1 },
    { "weak", ERR_NETWORK, "without ETag or Last-Modified", 1 },
    { "changed-in-between", ERR_NETWORK, "changed while it was read", 2 },
    { "changed-no-range", ERR_NETWORK, "changed while it was read", 2 },
    { "wrong-range", ERR_NETWORK, "changed while it was read", 2 },
    { "hang", ERR_NETWORK, "no byte for 0.3 s", 4 },
    { "503-2", ERR_NONE, "", 3 },
    { "500-3", ERR_NONE, "", 4 },
    { "503-4", ERR_NETWORK, "answered 503", 4 },
    { "429-1-1", ERR_NONE, "", 2 },
    { "429-1-31", ERR_NETWORK, "answered 429 and asks to wait 31 s", 1 },
    { "403-9", ERR_NETWORK, "answered 403", 1 },
    { "304-9", ERR_NETWORK, "answered 304", 1 }, /* to an unconditional request */
    { "redirect", ERR_NONE, "\n/debian", 2 },
    { "redirect-loop", ERR_LIMIT, "20 redirects", 21 },
    { "redirect-file", ERR_UNSUPPORTED, "file", 1 },
    { "big-headers", ERR_LIMIT, "bytes of headers", 1 },
};

static void test_faults(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf log = { 0 };
    take_log(&log);
    for (const struct fault *t = faults; t < faults + sizeof faults / sizeof *faults; t++) {
        CLEANUP(answer_done) struct answer a = { 0 };
        char base[200];
        snprintf(base, sizeof base, "http://127.0.0.1:%u/fault/%s/debian", world.port, t->mode);
        int r = get(base, DOCUMENT, "", false, &a);
        take_log(&log);
        if ((r < 0) != (t->kind != ERR_NONE) || a.e.kind != t->kind)
            fail_msg("%s: got %d, %s", t->mode, r, a.e.text);
        if (lines(&log) != t->requests)
            fail_msg("%s: %u requests: %s", t->mode, lines(&log), log.ptr);
        if (!strstr(r < 0 ? a.e.text : log.ptr, t->says))
            fail_msg("%s: '%s' not in: %s", t->mode, t->says, r < 0 ? a.e.text : log.ptr);
        if (r == 0 && (a.bytes.len != SIZE || memcmp(a.bytes.ptr, world.content, SIZE)))
            fail_msg("%s: other bytes (%zu)", t->mode, a.bytes.len);
    }
}

static void test_conditional(void **state)
{
    (void)state;
    static const char *const bases[] = { "/debian", "/fault/ignore-conditional/debian/",
                                         "/fault/weak/debian" };
    CLEANUP(buf_done) struct buf log = { 0 };
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        CLEANUP(answer_done) struct answer first = { 0 }, second = { 0 };
        CLEANUP(fetch_base_freep)
        struct fetch_base *b = fetch_base_new(&quick, url(bases[i]), false, &first.e);
        assert_non_null(b);
        CLEANUP(fetch_freep) struct fetch *f = fetch_open(b, DOCUMENT, STR(""), &first.found, &first.e);
        assert_non_null(f);
        assert_int_equal(first.found, FETCH_NEW);
        snprintf(first.validator, sizeof first.validator, STR_FMT, STR_ARG(fetch_validator(f)));
        take_log(&log);
        assert_int_equal(get(url(bases[i]), DOCUMENT, first.validator, false, &second), 0);
        assert_int_equal(second.found, FETCH_UNCHANGED);
        assert_string_equal(second.validator, first.validator);
        take_log(&log);
        assert_int_equal(lines(&log), 1);
        assert_non_null(strstr(log.ptr, "\"\t-\t-\n")); /* If-None-Match was sent */
    }
}

/* A validator belongs to one place, and one of a folder, an old form or garbage is none. */
static void test_foreign_validator(void **state)
{
    (void)state;
    static const char *const foreign[] = { "", "x", "\n\n\n", "file 3000000 1.000000000",
                                           "http 0000000000000000\n\"a\"\nb" };
    CLEANUP(buf_done) struct buf log = { 0 };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        CLEANUP(answer_done) struct answer a = { 0 };
        take_log(&log);
        assert_int_equal(get(url("/debian"), DOCUMENT, foreign[i], false, &a), 0);
        assert_int_equal(a.found, FETCH_NEW);
        assert_int_equal(a.bytes.len, SIZE);
        take_log(&log);
        assert_non_null(strstr(log.ptr, "json\t-\t-\t-\n"));
    }
}

static void test_missing(void **state)
{
    (void)state;
    static const struct {
        const char *base;
        bool mirror;
        enum fetch_result found;
        unsigned requests;
    } rows[] = {
        { "/nothing", false, FETCH_MISSING, 1 },       { "/nothing", true, FETCH_MISSING, 4 },
        { "/packed", false, FETCH_MISSING, 1 },        { "/packed//", true, FETCH_NEW, 2 },
        { "/fault/410-9/x", false, FETCH_MISSING, 1 }, { "/fault/s3/x", true, FETCH_FORBIDDEN, 4 },
        { "/fault/s3/packed", true, FETCH_NEW, 2 },
    };
    CLEANUP(buf_done) struct buf log = { 0 };
    take_log(&log);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(answer_done) struct answer a = { 0 };
        assert_int_equal(get(url(rows[i].base), DOCUMENT, "", rows[i].mirror, &a), 0);
        assert_int_equal(a.found, rows[i].found);
        assert_int_equal(a.bytes.len, a.found == FETCH_NEW ? 1000 : 0);
        take_log(&log);
        assert_int_equal(lines(&log), rows[i].requests);
    }
}

/* The documents of a base share a connection, and how their names end. The text of a 404 comes late. */
static void test_one_connection(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum fetch_result found;
        unsigned requests;
    } rows[] = {
        { "tracker/nothing", FETCH_MISSING, 4 }, { DOCUMENT, FETCH_NEW, 2 }, { DOCUMENT, FETCH_NEW, 1 },
        { "tracker/nothing", FETCH_MISSING, 4 }, { "plain", FETCH_NEW, 2 },  { "plain", FETCH_NEW, 1 },
    };
    CLEANUP(buf_done) struct buf log = { 0 }, connections = { 0 };
    struct err e = { 0 };
    CLEANUP(fetch_base_freep)
    struct fetch_base *b = fetch_base_new(&quick, url("/fault/late/packed"), true, &e);
    assert_non_null(b);
    take_log(&log);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(answer_done) struct answer a = { 0 };
        assert_int_equal(get_from(b, rows[i].path, "", &a), 0);
        assert_int_equal(a.found, rows[i].found);
        control("/control/connections", &connections);
        take_log(&log);
        assert_int_equal(lines(&log), rows[i].requests);
        assert_string_equal(connections.ptr, i ? "0\n" : "1\n"); /* new ones */
    }
}

/* Two transfers of one pool at a time: neither takes the other's bytes or its end. */
static void test_overlap(void **state)
{
    (void)state;
    struct err e = { 0 };
    struct http *h[2];
    size_t at[2] = { 0 };
    for (int i = 0; i < 2; i++)
        assert_non_null(h[i] = http_open(world.pool, url("/debian/" DOCUMENT), NULL, NULL, NULL, &e));
    int ended[2] = { 0 };
    for (int i = 0; !ended[0] || !ended[1]; i = !i) {
        str chunk;
        int r = http_read(h[i], &chunk, &e);
        assert_true(r >= 0);
        ended[i] = r == 0;
        if (r == 0)
            continue;
        assert_true(at[i] + chunk.len <= SIZE);
        assert_memory_equal(chunk.ptr, world.content + at[i], chunk.len);
        at[i] += chunk.len;
    }
    assert_int_equal(at[0], SIZE);
    assert_int_equal(at[1], SIZE);
    http_freep(&h[0]);
    http_freep(&h[1]);
}

/* A port where nobody listens, as long as nobody else takes it. */
static unsigned free_port(void)
{
    CLEANUP(close_fdp) int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    return ntohs(at.sin_port);
}

static void test_refused(void **state)
{
    (void)state;
    CLEANUP(answer_done) struct answer a = { 0 };
    char base[100], place[50];
    unsigned port = free_port();
    snprintf(base, sizeof base, "http://user:secret@127.0.0.1:%u", port);
    snprintf(place, sizeof place, "127.0.0.1:%u: ", port);
    assert_int_equal(get(base, DOCUMENT, "", false, &a), -1);
    assert_int_equal(a.e.kind, ERR_NETWORK);
    assert_int_equal(strncmp(a.e.text, place, strlen(place)), 0);
    assert_null(strstr(a.e.text, "secret"));
}

/* Passwords in a base are sent, but neither stored nor shown. */
static void test_password(void **state)
{
    (void)state;
    CLEANUP(answer_done) struct answer a = { 0 };
    char base[100];
    snprintf(base, sizeof base, "http://user:secret@127.0.0.1:%u/debian", world.port);
    assert_int_equal(get(base, DOCUMENT, "", false, &a), 0);
    assert_int_equal(a.found, FETCH_NEW);
    assert_true(*a.validator);
    assert_null(strstr(a.validator, "secret"));
}

static void test_size_limit(void **state)
{
    (void)state;
    struct fetch_policy small = quick;
    small.max_bytes = SIZE - 1;
    const char *bases[] = { url("/debian"), world.dir };
    for (size_t i = 0; i < 2; i++) {
        struct err e = { 0 };
        enum fetch_result found;
        str chunk;
        CLEANUP(fetch_base_freep) struct fetch_base *b = fetch_base_new(&small, bases[i], false, &e);
        assert_non_null(b);
        CLEANUP(fetch_freep)
        struct fetch *f = fetch_open(b, i ? "debian/" DOCUMENT : DOCUMENT, STR(""), &found, &e);
        while (f && fetch_read(f, &chunk, &e) > 0)
            ;
        assert_int_equal(e.kind, ERR_LIMIT);
    }
}

/* A reader that takes its time gets all bytes, and the transfer waits for it. */
static void test_slow_reader(void **state)
{
    (void)state;
    struct err e = { 0 };
    size_t at = 0, largest = 0;
    str chunk;
    int r;
    CLEANUP(http_freep)
    struct http *h = http_open(world.pool, url("/debian/" DOCUMENT), NULL, NULL,
                               &(struct http_limits){ .idle_ms = 50 }, &e);
    assert_non_null(h);
    while ((r = http_read(h, &chunk, &e)) > 0) {
        assert_true(at + chunk.len <= SIZE);
        assert_memory_equal(chunk.ptr, world.content + at, chunk.len);
        at += chunk.len;
        largest = chunk.len > largest ? chunk.len : largest;
        if (at < SIZE / 2)
            nanosleep(&(struct timespec){ 0, 60000000 }, NULL);
    }
    assert_int_equal(r, 0);
    assert_int_equal(at, SIZE);
    assert_true(largest <= (512u << 10));
}

/* ---- folders ---- */

static void test_folder(void **state)
{
    (void)state;
    CLEANUP(answer_done) struct answer a = { 0 }, b = { 0 }, c = { 0 };
    char base[200];
    snprintf(base, sizeof base, "%s/debian//", world.dir);
    assert_int_equal(get(base, DOCUMENT, "", true, &a), 0);
    assert_int_equal(a.found, FETCH_NEW);
    assert_int_equal(a.bytes.len, SIZE);
    assert_memory_equal(a.bytes.ptr, world.content, SIZE);

    snprintf(base, sizeof base, "file://%s/debian", world.dir);
    assert_int_equal(get(base, DOCUMENT, a.validator, true, &b), 0);
    assert_int_equal(b.found, FETCH_UNCHANGED);
    assert_string_equal(a.validator, b.validator);

    nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
    write_file("debian/" DOCUMENT, world.content, SIZE);
    assert_int_equal(get(base, DOCUMENT, a.validator, true, &c), 0);
    assert_int_equal(c.found, FETCH_NEW);
    assert_string_not_equal(a.validator, c.validator);
}

static void set_times(const char *name, struct timespec modified)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", world.dir, name);
    assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[]){ modified, modified }, 0), 0);
}

/* Neither time nor size tell these apart. */
static void test_folder_same_time(void **state)
{
    (void)state;
    static const struct timespec then = { 1000000000, 5 };
    static const struct {
        const char *folder, *content;
        enum fetch_result found;
    } rows[] = {
        { "one", "first", FETCH_NEW },
        { "one", NULL, FETCH_UNCHANGED },
        { "one", "other", FETCH_NEW }, /* written in place */
        { "two", "third", FETCH_NEW },
    };
    char validator[2000] = "";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(answer_done) struct answer a = { 0 };
        char base[200], name[100];
        snprintf(base, sizeof base, "%s/%s", world.dir, rows[i].folder);
        snprintf(name, sizeof name, "%s/doc", rows[i].folder);
        if (rows[i].content) {
            nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
            write_file(name, rows[i].content, 5);
            set_times(name, then);
        }
        assert_int_equal(get(base, "doc", validator, true, &a), 0);
        assert_int_equal(a.found, rows[i].found);
        memcpy(validator, a.validator, sizeof validator);
    }
}

static void test_folder_cases(void **state)
{
    (void)state;
    static const struct {
        const char *base, *path;
        enum err_kind kind;
        enum fetch_result found;
        size_t size;
    } rows[] = {
        { "%s/packed", DOCUMENT, ERR_NONE, FETCH_NEW, 1000 },
        { "file://%s/packed/", DOCUMENT, ERR_NONE, FETCH_NEW, 1000 },
        { "file://localhost%s/with%%20space", "doc", ERR_NONE, FETCH_NEW, 10 },
        { "%s/with space", "doc", ERR_NONE, FETCH_NEW, 10 },
        { "%s", "empty", ERR_NONE, FETCH_NEW, 0 },
        { "%s/nothing", DOCUMENT, ERR_NONE, FETCH_MISSING, 0 },
        { "%s/empty", "below/a/file", ERR_NONE, FETCH_MISSING, 0 },
        { "%s", "debian", ERR_IO, 0, 0 },
        { "%s", "pipe", ERR_IO, 0, 0 },
        { "%s/packed", "../empty", ERR_INTERNAL, 0, 0 },
        { "%s/packed", "tracker/../../empty", ERR_INTERNAL, 0, 0 },
        { "%s", "/empty", ERR_INTERNAL, 0, 0 },
        { "%s", "empty/", ERR_INTERNAL, 0, 0 },
        { "%s", "", ERR_INTERNAL, 0, 0 },
        { "ftp://%s", "empty", ERR_UNSUPPORTED, 0, 0 },
        { "file://host%s", "empty", ERR_UNSUPPORTED, 0, 0 },
    };
    char path[300];
    snprintf(path, sizeof path, "%s/pipe", world.dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(answer_done) struct answer a = { 0 };
        CLEANUP(buf_done) struct buf base = { 0 };
        const char *mark = strstr(rows[i].base, "%s");
        buf_str(&base, str_of(rows[i].base, (size_t)(mark - rows[i].base)));
        buf_str(&base, str_from(world.dir));
        buf_str(&base, str_from(mark + 2));
        buf_char(&base, '\0');
        for (char *p; (p = strstr(base.ptr, "%%"));)
            memmove(p, p + 1, strlen(p));
        int r = get(base.ptr, rows[i].path, "", false, &a);
        if (a.e.kind != rows[i].kind || (r < 0) != (rows[i].kind != ERR_NONE))
            fail_msg("%s + %s: got %d, %s", base.ptr, rows[i].path, r, a.e.text);
        if (r == 0 && (a.found != rows[i].found || a.bytes.len != rows[i].size))
            fail_msg("%s + %s: %zu bytes", base.ptr, rows[i].path, a.bytes.len);
    }
}

static void test_folder_changes(void **state)
{
    (void)state;
    struct err e = { 0 };
    enum fetch_result found;
    str chunk;
    int r;
    write_file("changing", world.content, SIZE);
    CLEANUP(fetch_base_freep) struct fetch_base *b = fetch_base_new(&quick, world.dir, false, &e);
    assert_non_null(b);
    CLEANUP(fetch_freep) struct fetch *f = fetch_open(b, "changing", STR(""), &found, &e);
    assert_non_null(f);
    assert_int_equal(fetch_read(f, &chunk, &e), 1);
    nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
    write_file("changing", world.content, SIZE);
    while ((r = fetch_read(f, &chunk, &e)) > 0)
        ;
    assert_int_equal(r, -1);
    assert_non_null(strstr(e.text, "changed while it was read"));
}

static void test_base_check(void **state)
{
    (void)state;
    struct err e = { 0 };
    char path[200];
    assert_int_equal(fetch_base_check(world.dir, &e), 0);
    assert_int_equal(fetch_base_check("http://127.0.0.1:1/", &e), 0);
    snprintf(path, sizeof path, "%s/nothing", world.dir);
    assert_int_equal(fetch_base_check(path, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    snprintf(path, sizeof path, "%s/empty", world.dir);
    assert_int_equal(fetch_base_check(path, &e), -1);
    assert_int_equal(e.kind, ERR_IO);
    assert_int_equal(fetch_base_check("ftp://x/", &e), -1);
    assert_int_equal(fetch_base_check("", &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_conditional),
        cmocka_unit_test(test_foreign_validator),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_one_connection),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_folder_same_time),
        cmocka_unit_test(test_folder_cases),
        cmocka_unit_test(test_folder_changes),
        cmocka_unit_test(test_base_check),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
