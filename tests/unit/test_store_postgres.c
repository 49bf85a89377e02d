/* What only a server can do: be named in two ways, refuse, go away and come back, belong to somebody else. Under tests/pg.py run. */
#include "store_fixture.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "store/postgres.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <sys/wait.h>

#define QUICK_MS                                                                                             \
    8000 /* far less than any timeout that would be wrong here, far more than a slow machine needs */

/* stop, start, kill, pause, continue */
static void server(const char *what)
{
    char command[512];
    assert_non_null(getenv("ECLAIR_TEST_PG_CTL"));
    snprintf(command, sizeof command, "%s %s", getenv("ECLAIR_TEST_PG_CTL"), what);
    assert_int_equal(system(command), 0);
}

/* "127.0.0.1 5432" of the server, NUL-terminated in the place's arena. */
static void address_of(struct place *p, const char **host, const char **port)
{
    str rest = str_from(getenv("ECLAIR_TEST_POSTGRES"));
    str_cut(&rest, '@');
    str both = str_cut(&rest, '/');
    *host = arena_cstr(p->arena, str_cut(&both, ':'));
    *port = arena_cstr(p->arena, both);
}

/* Writes p->where: $H, $P and $D are host, port and database of the place. */
static void name_it(struct place *p, const char *format)
{
    const char *host, *port;
    address_of(p, &host, &port);
    str rest = str_from(format), text = str_cut(&rest, '$');
    while (rest.len) {
        const char *value = rest.ptr[0] == 'H' ? host : rest.ptr[0] == 'P' ? port : p->database;
        rest = str_skip(rest, 1);
        str head = str_cut(&rest, '$');
        text = arena_printf(p->arena, STR_FMT "%s" STR_FMT, STR_ARG(text), value, STR_ARG(head));
    }
    snprintf(p->where, sizeof p->where, STR_FMT, STR_ARG(text));
}

/* No text may tell a password: all of these tests are called hunter2 or secret. */
static void refused(struct place *p, enum store_mode mode, enum err_kind kind, const char *text)
{
    p->e = (struct err){ 0 };
    int64_t start = clock_ms();
    struct store *s = store_open(p->where, mode, &p->e);
    if (s || p->e.kind != kind || !strstr(p->e.text, text))
        fail_msg("%s: %s: %s", p->where, err_kind_name(p->e.kind), p->e.text);
    if (strstr(p->e.text, "hunter") || strstr(p->e.text, "secret"))
        fail_msg("%s: it tells the password: %s", p->where, p->e.text);
    assert_true(clock_ms() - start < QUICK_MS);
}

/* ---- the connection string ---- */

static const char *const good[] = {
    "postgresql://eclair@$H:$P/$D",
    "postgres://eclair@$H:$P/$D?sslmode=disable",
    "postgresql://eclair:hunter2@$H:$P/$D?sslmode=disable&statement_timeout=60000",
    "postgresql://eclair@$H:$P/$D?connect_timeout=5&application_name=two%20words",
    "postgresql://eclair@$H:$P/$D?options=-c%20work_mem%3D8MB&lock_timeout=5000",
    "postgresql://eclair@$H:$P/$D?search_path=public",
    "host=$H port=$P dbname=$D user=eclair",
    "host=$H port=$P dbname=$D user=eclair password=hunter2 sslmode=disable statement_timeout=60000",
    "host = $H  port = '$P' dbname='$D' user = 'eclair'  ",
    "host=$H port=$P dbname=$D user=eclair application_name='it\\'s a \\\\ name' datestyle='ISO, DMY'",
    "host=$H port=$P dbname=$D user=eclair options='-c work_mem=8MB' lock_timeout=5000",
    "host=$H port=$P dbname=$D user=eclair binary_parameters=yes",
    "host=$H port=$P dbname=$D user=eclair response_timeout=20",
    "host=$H,$H port=1,$P dbname=$D user=eclair target_session_attrs=read-write",
    "host=$H,$H port=$P dbname=$D user=eclair",
    "postgresql://eclair@$H:1,$H:$P/$D?target_session_attrs=read-write",
    "postgres://eclair@/$D?host=$H,$H&port=$P,1&target_session_attrs=primary",
    "postgresql://eclair@$H:$P/$D?response_timeout=20&lock_timeout=5000",
};

static void test_good(void **state)
{
    struct place *p = *state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char key[16];
        name_it(p, good[i]);
        struct store *s = open_at(p, STORE_WRITE);
        snprintf(key, sizeof key, "key %zu", i);
        ok(p, store_value_set(s, str_from(key), STR("v"), &p->e));
        store_freep(&s);
    }
    assert_int_equal(number(p, "SELECT count(*) FROM eclair.keyvalue"), sizeof good / sizeof *good);
    assert_int_equal(number(p, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                               " AND relkind = 'r'"),
                     0);
}

/* What libpq is given; NULL: nothing. The last of a keyword counts. */
static void word_is(const char *where, const char *keyword, const char *want)
{
    struct postgres p = { 0 };
    struct err e = { 0 };
    const char *got = NULL;
    assert_int_equal(postgres_parse(where, &p, &e), 0);
    for (size_t k = 0; p.keywords[k]; k++)
        got = strcmp(p.keywords[k], keyword) ? got : p.values[k];
    if (!got != !want || (got && strcmp(got, want)))
        fail_msg("%s: %s", where, got ? got : "none");
    for (size_t k = 0; p.keywords[k]; k++)
        free(p.keywords[k]), free(p.values[k]);
    free(p.keywords), free(p.values);
}

/* As Clair's driver: TLS unless told otherwise, but not on this machine. */
static void test_tls_by_default(void **state)
{
    (void)state;
    static const struct {
        const char *where, *sslmode;
    } table[] = {
        { "host=db.example dbname=x", "require" },
        { "postgresql://u@192.0.2.1/x", "require" },
        { "postgresql://u@127.0.0.1,db2/x", "require" },
        { "hostaddr=192.0.2.1 host=localhost", "require" },
        { "host=db.example sslmode=disable", "disable" },
        { "postgresql://u@db/x?sslmode=verify-full", "verify-full" },
        { "host=localhost", NULL },
        { "postgresql://u@[::1]:5432/x", NULL },
        { "host=127.0.0.1,127.0.0.2", NULL },
        { "host=/run/postgresql", NULL },
        { "dbname=x", NULL },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        word_is(table[i].where, "sslmode", table[i].sslmode);
}

/* None waits for ever. */
static void test_connect_timeout(void **state)
{
    (void)state;
    word_is("host=a", "connect_timeout", "5");
    word_is("host=a connect_timeout=7", "connect_timeout", "7");
    word_is("host=a connect_timeout=0", "connect_timeout", "60");
    word_is("postgresql://u@a/x?connect_timeout=-1", "connect_timeout", "60");
    word_is("host=a connect_timeout=soon", "connect_timeout", "soon");
}

/* With a lock in its way a write waits as long as the string said, and no longer. */
static void times_out(struct place *p)
{
    char url[256];
    place_url(p, "eclair", url);
    CLEANUP(store_freep) struct store *s = open_at(p, STORE_WRITE);
    PGconn *c = PQconnectdb(url);
    PGresult *r = PQexec(c, "BEGIN; LOCK TABLE eclair.keyvalue IN ACCESS EXCLUSIVE MODE");
    assert_int_equal(PQresultStatus(r), PGRES_COMMAND_OK);
    int64_t start = clock_ms();
    int failed = store_value_set(s, STR("k"), STR("v"), &p->e);
    int64_t took = clock_ms() - start;
    PQclear(r);
    PQfinish(c);
    assert_int_equal(failed, -1);
    if (took >= QUICK_MS)
        fail_msg("%s: %lld ms: %s", p->where, (long long)took, p->e.text);
    ok(p, store_value_set(s, STR("k"), STR("v"), &p->e));
}

static void test_settings(void **state)
{
    struct place *p = *state;
    name_it(p, "host=$H port=$P dbname=$D user=eclair statement_timeout=200");
    times_out(p);
    place_url(p, "eclair", p->where);
    strcat(p->where, "?sslmode=disable&statement_timeout=200");
    times_out(p);
    place_url(p, "eclair", p->where);
    strcat(p->where, "?application_name=two%20words%26more");
    CLEANUP(store_freep) struct store *s = open_at(p, STORE_WRITE);
    assert_int_equal(
        number(p, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'two words&more'"), 1);
    name_it(p, "host=$H port=$P dbname=$D user=eclair default_transaction_read_only=on");
    refused(p, STORE_WRITE, ERR_READONLY, "");
    CLEANUP(store_freep) struct store *reader = open_at(p, STORE_READ);
    assert_int_equal(((struct postgres *)reader)->response_ms, 10000);
}

static void test_bad(void **state)
{
    /* what libpq would not take, and what the server does not */
    static const char *const bad[] = {
        "postgresql://eclair:hunter2@$H:port/$D",
        "postgresql://eclair:hunter2@[::1/$D",
        "postgresql://eclair:hunter2@$H:$P/$D?sslmode=sometimes",
        "postgresql://eclair:hunter2@$H:$P/$D?no_such_setting=1",
        "postgresql://eclair:hunter2@$H:$P/$D?statement_timeout=soon",
        "host=$H port=$P dbname=$D user=eclair password=hunter2 user",
        "host=$H port=$P dbname=$D user=eclair password='hunter2",
        "host=$H port=$P dbname=$D user=eclair password=hunter2 =x",
        "host=$H port=$P dbname=$D user=eclair password=hunter2 sslmode=sometimes",
        "host=$H port=$P dbname=$D user=eclair password=hunter2 no_such_setting=1",
        "host=$H port=$P dbname=$D user=eclair password=hunter2 statement_timeout=soon",
        "host=$H port=$P dbname=$D user=eclair password=hunter2 connect_timeout=soon",
        "host=$H dbname=$D user=eclair password=hunter2 port=99999",
        "host=$H port=$P dbname=$D user=eclair password=hunter2 a-b=1",
        "host=$H port=$P dbname=$D user=eclair password=hunter2 response_timeout=soon",
        "host=$H port=$P dbname=$D user=eclair password=hunter2 response_timeout=0",
        "postgresql://eclair:hunter2@$H:$P/$D?response_timeout=-1",
    };
    struct place *p = *state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        name_it(p, bad[i]);
        refused(p, STORE_WRITE, ERR_USAGE, "");
        assert_true(strlen(p->e.text) > 10);
    }
}

/* Errors tell each of them, and which of them would not do. */
static void test_hosts(void **state)
{
    struct place *p = *state;
    const char *host, *port;
    address_of(p, &host, &port);
    name_it(p, "host=$H,$H port=1,2 dbname=$D user=eclair password=hunter2 target_session_attrs=read-write");
    refused(p, STORE_WRITE, ERR_NETWORK,
            "127.0.0.1:1: connect: connection refused; 127.0.0.1:2: connect: connection refused");
    name_it(p, "postgresql://eclair:hunter2@$H:1,$H:$P/$D?target_session_attrs=read-write"
               "&default_transaction_read_only=on");
    const char *standby = arena_cstr(
        p->arena, arena_printf(p->arena, "refused; 127.0.0.1:%s: connect: session is read-only", port));
    refused(p, STORE_WRITE, ERR_NETWORK, standby);
    name_it(p, "postgresql://eclair:hunter2@$H:1,$H:$P/$D?default_transaction_read_only=on");
    refused(p, STORE_WRITE, ERR_READONLY,
            arena_cstr(p->arena, arena_printf(p->arena, "postgresql://127.0.0.1:1,127.0.0.1:%s/%s: not", port,
                                              p->database)));
    name_it(p, "host=$H,$H port=$P dbname=$D user=eclair password=hunter2 default_transaction_read_only=on");
    refused(
        p, STORE_WRITE, ERR_READONLY,
        arena_cstr(p->arena, arena_printf(p->arena, "postgresql://127.0.0.1:%s,127.0.0.1:%s/", port, port)));
    name_it(p, "host=$H,$H port=1,$P dbname=nowhere user=eclair password=hunter2");
    refused(p, STORE_WRITE, ERR_NOT_FOUND, "\"nowhere\"");
    name_it(p, "hostaddr=$H,$H port=,1 dbname=$D user=eclair password=hunter2");
    p->e = (struct err){ 0 };
    CLEANUP(store_freep) struct store *s = store_open(p->where, STORE_WRITE, &p->e);
    assert_true(s || (p->e.kind == ERR_NETWORK && strstr(p->e.text, "127.0.0.1:5432: connect: ")));
}

/* ---- who is let in ---- */

/* Of `listen`: one that takes connections, but never says a word; otherwise one that nobody listens at. */
static int silent_port(bool listening, int *fd)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&a, size), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&a, &size), 0);
    if (listening)
        assert_int_equal(listen(*fd, 5), 0);
    return ntohs(a.sin_port);
}

static void test_unreachable(void **state)
{
    struct place *p = *state;
    char want[64];
    CLEANUP(close_fdp) int closed = -1, silent = -1;
    int port = silent_port(false, &closed);
    snprintf(want, sizeof want, "127.0.0.1:%d: connect: connection refused", port);
    snprintf(p->where, sizeof p->where, "postgresql://eclair:hunter2@127.0.0.1:%d/x?sslmode=disable", port);
    refused(p, STORE_WRITE, ERR_NETWORK, want), refused(p, STORE_SCRATCH, ERR_NETWORK, want);
    snprintf(p->where, sizeof p->where, "host=127.0.0.1 port=%d user=eclair password=hunter2 dbname=x", port);
    refused(p, STORE_WRITE, ERR_NETWORK, want);
    snprintf(p->where, sizeof p->where, "host=/nowhere port=%d user=eclair password=hunter2 dbname=x", port);
    refused(p, STORE_WRITE, ERR_NETWORK, "/nowhere");
    port = silent_port(true, &silent);
    snprintf(p->where, sizeof p->where, "postgresql://eclair:hunter2@127.0.0.1:%d/x?connect_timeout=2", port);
    refused(p, STORE_WRITE, ERR_NETWORK, "127.0.0.1");
    close_fdp(&silent);
}

static void test_denied(void **state)
{
    struct place *p = *state;
    char grant[128];
    store_freep(&p->store);
    execute(p, "DROP SCHEMA eclair CASCADE");
    name_it(p, "host=$H port=$P dbname=$D user=locked password=hunter2");
    refused(p, STORE_WRITE, ERR_DENIED, "locked");
    place_url(p, "locked:hunter2", p->where);
    refused(p, STORE_WRITE, ERR_DENIED, "locked");
    place_url(p, "locked", p->where);
    refused(p, STORE_WRITE, ERR_DENIED, "");
    place_url(p, "nobody:hunter2", p->where);
    refused(p, STORE_WRITE, ERR_DENIED, "nobody");
    place_url(p, "locked:secret", p->where); /* the right one; but it may not make a schema */
    refused(p, STORE_WRITE, ERR_DENIED, p->database);
    snprintf(grant, sizeof grant, "GRANT CREATE ON DATABASE %s TO locked", p->database);
    execute(p, grant);
    p->store = open_at(p, STORE_WRITE);
    ok(p, store_value_set(p->store, STR("k"), STR("v"), &p->e));
    name_it(p, "host=$H port=$P user=eclair password=hunter2 dbname=nowhere");
    refused(p, STORE_WRITE, ERR_NOT_FOUND, "nowhere");
}

/* A user who may only read: nothing that is written, but scans go on. */
static void test_reader(void **state)
{
    struct place *p = *state;
    load(p, "f C1 S openssl - 4 - -");
    store_freep(&p->store);
    execute(p,
            "GRANT USAGE ON SCHEMA eclair TO locked; GRANT SELECT ON ALL TABLES IN SCHEMA eclair TO locked");
    uint64_t before = contents(p);
    place_url(p, "locked:secret", p->where);
    p->store = store_open(p->where, STORE_WRITE, &p->e);
    if (p->store)
        assert_int_equal(store_value_set(p->store, STR("k"), STR("v"), &p->e), -1);
    if (p->e.kind != ERR_READONLY && p->e.kind != ERR_DENIED)
        fail_msg("%s: %s", err_kind_name(p->e.kind), p->e.text);
    store_freep(&p->store);
    p->store = open_at(p, STORE_SCRATCH);
    scratch_works(p, "0 C1 4 f;");
    store_freep(&p->store);
    assert_true(before == contents(p));
}

/* ---- the connection breaks ---- */

/* All connections to the database but that of who asks. */
static int64_t cut_connections(const struct place *p)
{
    return number(p, "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                     " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                     " AND backend_type = 'client backend'");
}

/* Every kind of call, each as the first after a break. */
static void test_reconnects(void **state)
{
    struct place *p = *state;
    struct store_counts n;
    struct match m;
    struct named_layer named = { .name = STR("n"), .digest = layer_empty.digest, .engine = 3, .indexer = 1 },
                       *got;
    struct layer_index *layer;
    struct image_index *image;
    struct feed_status *feeds;
    size_t count;
    int64_t id, until;
    str value;
    load(p, "f C1 S openssl - 4 - -");
    id = put_image(p, SSL, STR("debian:12"));
#define after_break(call, want)                                                                              \
    do {                                                                                                     \
        assert_int_equal(cut_connections(p), 1);                                                             \
        int r_ = (call);                                                                                     \
        if (r_ != (want))                                                                                    \
            fail_msg("%s: %d: %s", #call, r_, p->e.text);                                                    \
    } while (0)
    after_break(store_ping(p->store, &p->e), 0);
    after_break(store_value_set(p->store, STR("k"), STR("v"), &p->e), 0);
    after_break(store_value_get(p->store, STR("k"), p->arena, &value, &p->e), 1);
    after_break(store_layer_put(p->store, &layer_one, 1, &p->e), 0);
    after_break(store_layer_find(p->store, layer_one.digest, 1, p->arena, &layer, &p->e), 1);
    after_break(store_image_get(p->store, id, p->arena, &image, &p->e), 1);
    after_break(store_named_put(p->store, &named, &p->e), 1);
    after_break(store_named_find(p->store, named.name, p->arena, &got, &p->e), 1);
    after_break(store_named_delete(p->store, named.name, &p->e), 1);
    after_break(store_lease_take(p->store, STR("l"), STR("elsewhere 1 2 3"), 50, &until, &p->e), 1);
    after_break(store_feed_tried(p->store, STR("g"), 5, STR("no route"), &p->e), 0);
    after_break(store_feeds(p->store, p->arena, &feeds, &count, &p->e), 0);
    assert_int_equal(count, 2);
    after_break(store_count(p->store, &n, &p->e), 0);
    after_break(match_stored(p, p->store, id, &m, &p->e), 0);
    assert_int_equal(m.finding_count, 1);
    assert_int_equal(cut_connections(p), 1);
    load(p, "h C2 S openssl - 5 - -");
    same(findings(p, id, &m), STR("0 C1 4 f;0 C2 5 h;"));

    store_freep(&p->store); /* what was scanned into memory went with the connection, the feeds are there */
    p->store = open_at(p, STORE_SCRATCH);
    id = put_image(p, SSL, STR("debian:12"));
    after_break(store_ping(p->store, &p->e), 0);
    scratch_works(p, "0 C1 4 f;0 C2 5 h;");
}

/* Somebody cuts the connections of an update at any moment: it goes on or fails, but never in between. */
static void test_update_cut(void **state)
{
    struct place *p = *state;
    struct update_counts n;
    int64_t image = put_image(p, "x 1 x 1 - -", STR("debian:12"));
    struct store_update *u = begin(p, "f");
    ok(p, put_round(p, u, 0, MANY));
    commit(p, u, 1);
    srand(1);
    for (int round = 1, seen = 0; round <= 8; round++) {
        pid_t child = fork();
        if (!child) {
            usleep((unsigned)(rand() % 150000) + 1000);
            cut_connections(p);
            _exit(0);
        }
        rand(); /* the child took one */
        u = store_update_begin(p->store, STR("f"), STORE_RANK, &p->e);
        int r = u ? put_round(p, u, round, MANY) : -1;
        if (r < 0)
            store_update_freep(&u);
        else
            r = store_update_commit(u, 1, &n, &p->e);
        int status;
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
        int now = whole(p, image);
        if (now != round && (now != seen || r == 0))
            fail_msg("round %d: %d after %d: %s", round, now, seen, p->e.text);
        seen = now;
    }
    u = begin(p, "f");
    ok(p, put_round(p, u, 99, MANY));
    commit(p, u, 1);
    assert_int_equal(whole(p, image), 99);
}

static void all_fail(struct place *p, int64_t image)
{
    struct match m;
    str value;
    const char *host, *port;
    int64_t start = clock_ms();
    address_of(p, &host, &port);
    fails(p, store_ping(p->store, &p->e), ERR_NETWORK);
    str want = arena_printf(p->arena, "%s:%s: connect: connection refused", host, port);
    for (int i = 0; i < 3; i++) {
        fails(p, store_ping(p->store, &p->e), ERR_NETWORK);
        assert_true(str_contains(str_from(p->e.text), want));
        fails(p, store_value_get(p->store, STR("k"), p->arena, &value, &p->e), ERR_NETWORK);
        fails(p, store_value_set(p->store, STR("k"), STR("v"), &p->e), ERR_NETWORK);
        fails(p, store_layer_put(p->store, &layer_one, 1, &p->e), ERR_NETWORK);
        fails(p, match_stored(p, p->store, image, &m, &p->e), ERR_NETWORK);
        p->e = (struct err){ 0 };
        assert_null(store_update_begin(p->store, STR("f"), STORE_RANK, &p->e));
        assert_int_equal(p->e.kind, ERR_NETWORK);
    }
    refused(p, STORE_WRITE, ERR_NETWORK, arena_cstr(p->arena, want));
    assert_true(clock_ms() - start < QUICK_MS);
}

/* Stopped in order, and fallen over. */
static void test_stopped(void **state)
{
    static const char *const ends[] = { "stop", "kill" };
    struct place *p = *state;
    struct update_counts n;
    int64_t image = put_image(p, "x 1 x 1 - -", STR("debian:12"));
    struct store_update *u = begin(p, "f");
    ok(p, put_round(p, u, 1, MANY));
    commit(p, u, 1);
    for (int i = 0; i < 2; i++) {
        server(ends[i]);
        all_fail(p, image);
        server("start");
        assert_int_equal(whole(p, image), 1 + i); /* the same handle */

        u = begin(p, "f"); /* it ends in the middle of an update */
        ok(p, put_round(p, u, 50, MANY));
        server(ends[i]);
        fails(p, store_update_commit(u, 1, &n, &p->e), ERR_NETWORK);
        server("start");
        assert_int_equal(whole(p, image), 1 + i);
        u = begin(p, "f");
        ok(p, put_round(p, u, 60, MANY - 500));
        server(ends[i]);
        int r = 0;
        for (int k = 0; r == 0 && k < 100000;
             k++) { /* puts are staged in batches: some of them see nothing yet */
            char key[32];
            snprintf(key, sizeof key, "L%05d", k);
            r = put(p, u, key, "", "t");
        }
        assert_int_equal(r, -1);
        assert_int_equal(p->e.kind, ERR_NETWORK);
        store_update_freep(&u);
        server("start");
        assert_int_equal(whole(p, image), 1 + i);
        u = begin(p, "f");
        ok(p, put_round(p, u, 70, 500));
        server(ends[i]);
        server("start"); /* and is back before it was missed: the update may go on */
        r = put_round(p, u, 2 + i, MANY);
        if (r < 0)
            store_update_freep(&u);
        else
            store_update_commit(u, 1, &n, &p->e);
        int now = whole(p, image);
        assert_true(now == 1 + i || now == 2 + i);
        u = begin(p, "f");
        ok(p, put_round(p, u, 2 + i, MANY));
        commit(p, u, 1);
        assert_int_equal(whole(p, image), 2 + i);
    }
}

static void all_read_only(struct place *p, const char *on)
{
    execute(p, arena_cstr(p->arena,
                          arena_printf(p->arena, "ALTER SYSTEM SET default_transaction_read_only = %s", on)));
    execute(p, "SELECT pg_reload_conf()");
}

/* As behind a name that has come to mean a standby: the connection stands, and refuses what writes. A new one does not. */
static void test_read_only(void **state)
{
    struct place *p = *state;
    struct layer_index *layer;
    str value;
    execute(p, arena_cstr(p->arena, arena_printf(p->arena,
                                                 "ALTER DATABASE %s SET "
                                                 "default_transaction_read_only = off",
                                                 p->database)));
    all_read_only(p, "on");
    usleep(200000); /* the backend of p->store is told by a signal */
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    assert_int_equal(store_layer_find(p->store, layer_one.digest, 1, p->arena, &layer, &p->e), 1);
    store_freep(&p->store);

    all_read_only(p, "off");
    execute(p, arena_cstr(p->arena, arena_printf(p->arena, "ALTER DATABASE %s RESET ALL", p->database)));
    usleep(200000);
    p->store = open_at(p, STORE_WRITE);
    all_read_only(p, "on"); /* nowhere else to go */
    usleep(200000);
    fails(p, store_value_set(p->store, STR("k"), STR("v"), &p->e), ERR_READONLY);
    fails(p, store_layer_put(p->store, &layer_one, 2, &p->e), ERR_READONLY);
    assert_int_equal(store_value_get(p->store, STR("k"), p->arena, &value, &p->e), 0);
    all_read_only(p, "off");
    usleep(200000);
    ok(p, store_value_set(p->store, STR("k"), STR("v"), &p->e));
}

static int read_write_and_tidy(void **state)
{
    ((struct place *)*state)->e = (struct err){ 0 };
    all_read_only(*state, "off");
    return tidy(state);
}

/* ---- watching ---- */

static void load_later(struct place *p, bool cut, const char *text)
{
    if (fork())
        return;
    usleep(500000);
    if (cut)
        cut_connections(p);
    p->store = store_open(p->where, STORE_WRITE, &p->e);
    load(p, text);
    _exit(0);
}

/* The connection breaks while it waits, and the server goes away for a while. */
static void test_watch_lost(void **state)
{
    struct place *p = *state;
    int status;
    int64_t generation = 0, start = clock_ms();
    store_freep(&p->store);
    load_later(p, true, "f C1 S openssl - 4 - -");
    CLEANUP(store_watch_freep) struct store_watch *w = store_watch_open(p->where, &p->e);
    assert_non_null(w);
    assert_int_equal(store_watch_wait(w, 20000, &generation, &p->e), 1);
    assert_int_equal(generation, 1);
    server("stop");
    fails(p, store_watch_wait(w, 20000, &generation, &p->e), ERR_NETWORK);
    fails(p, store_watch_wait(w, 20000, &generation, &p->e), ERR_NETWORK);
    server("start");
    ok(p, store_watch_wait(w, 0, &generation, &p->e));
    load_later(p, false, "g C1 S openssl - 4 - -"); /* it listens again */
    if (store_watch_wait(w, 20000, &generation, &p->e) != 1 || generation != 2)
        fail_msg("generation %lld: %s", (long long)generation, p->e.text);
    assert_true(clock_ms() - start < 2 * QUICK_MS);
    for (int i = 0; i < 2; i++)
        assert_true(wait(&status) > 0 && status == 0);
}

/* ---- the server says nothing ---- */

static void test_response(void **state)
{
    static const struct {
        const char *words;
        int64_t ms;
    } table[] = {
        { "", 60000 },
        { "statement_timeout=200", 5200 },
        { "statement_timeout=7s", 12000 },
        { "statement_timeout=60000", 60000 },
        { "options='-c statement_timeout=10s'", 15000 },
        { "response_timeout=7", 7000 },
        { "response_timeout=3600 statement_timeout=200", 3600000 },
    };
    struct place *p = *state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        name_it(p, arena_cstr(p->arena, arena_printf(p->arena, "host=$H port=$P dbname=$D user=eclair %s",
                                                     table[i].words)));
        CLEANUP(store_freep) struct store *s = open_at(p, STORE_WRITE);
        assert_int_equal(((struct postgres *)s)->response_ms, table[i].ms);
    }
}

/* One second is what the string says. Whoever must clean up then tries a new connection, for two. */
#define silent(p, call, most_ms)                                                                             \
    do {                                                                                                     \
        server("pause");                                                                                     \
        int64_t start_ = clock_ms();                                                                         \
        fails(p, call, ERR_NETWORK);                                                                         \
        int64_t took_ = clock_ms() - start_;                                                                 \
        if (!strstr((p)->e.text, "no answer for 1 s") || took_ < 900 || took_ > (most_ms))                   \
            fail_msg("%s: %lld ms: %s", #call, (long long)took_, (p)->e.text);                               \
        server("continue");                                                                                  \
        int64_t same_ = whole(p, image);                                                                     \
        assert_int_equal(same_, 1);                                                                          \
    } while (0)

static int endless(struct place *p, struct store_update *u)
{
    int r = 0;
    for (int k = 0; r == 0 && k < 1000000; k++) {
        char key[32];
        snprintf(key, sizeof key, "L%07d", k);
        r = put(p, u, key, "", "t");
    }
    return r;
}

/* Its processes are stopped: the connections stand, and what is sent is taken, up to a point. */
static void test_silent(void **state)
{
    struct place *p = *state;
    struct update_counts n;
    struct match m;
    struct layer_index *layer;
    str value;
    store_freep(&p->store);
    name_it(p, "host=$H port=$P dbname=$D user=eclair response_timeout=1 connect_timeout=2");
    p->store = open_at(p, STORE_WRITE);
    int64_t image = put_image(p, "x 1 x 1 - -", STR("debian:12"));
    struct store_update *u = begin(p, "f");
    ok(p, put_round(p, u, 1, MANY));
    commit(p, u, 1);
    silent(p, store_ping(p->store, &p->e), 2500);
    silent(p, store_value_get(p->store, STR("k"), p->arena, &value, &p->e), 2500);
    silent(p, store_value_set(p->store, STR("k"), STR("v"), &p->e), 2500);
    silent(p, store_layer_put(p->store, &layer_one, 1, &p->e), 2500);
    silent(p, store_layer_find(p->store, layer_one.digest, 1, p->arena, &layer, &p->e), 2500);
    silent(p, match_stored(p, p->store, image, &m, &p->e), 2500);
    u = begin(p, "f");
    ok(p, put_round(p, u, 2, MANY));
    silent(p, store_update_commit(u, 1, &n, &p->e), 5000);
    u = begin(p, "f");
    ok(p, put_round(p, u, 2, 100));
    silent(p, endless(p, u), 2500);
    store_update_freep(&u);

    server("pause"); /* again and again, and for who is new */
    int64_t start = clock_ms();
    fails(p, store_ping(p->store, &p->e), ERR_NETWORK);
    fails(p, store_ping(p->store, &p->e), ERR_NETWORK);
    refused(p, STORE_WRITE, ERR_NETWORK, "timeout expired");
    assert_true(clock_ms() - start < QUICK_MS);
    server("continue");
    assert_int_equal(whole(p, image), 1);
    ok(p, store_value_set(p->store, STR("k"), STR("v"), &p->e));

    store_freep(&p->store); /* a ping is short, whatever else may take */
    name_it(p, "host=$H port=$P dbname=$D user=eclair");
    p->store = open_at(p, STORE_WRITE);
    server("pause");
    start = clock_ms();
    fails(p, store_ping(p->store, &p->e), ERR_NETWORK);
    assert_true(strstr(p->e.text, "no answer for 5 s") && clock_ms() - start < QUICK_MS);
}

static int go_on_and_tidy(void **state)
{
    server("continue"); /* even if the test failed in between */
    return tidy(state);
}

/* Whose answer nobody waits for any more does not wait for a lock for ever, nor then writes. */
static void test_given_up(void **state)
{
    struct place *p = *state;
    char url[256];
    const char *waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                          " AND wait_event_type = 'Lock'";
    store_freep(&p->store);
    place_url(p, "eclair", url);
    PGconn *c = PQconnectdb(url);
    PGresult *r = PQexec(c, "BEGIN; LOCK TABLE eclair.keyvalue IN ACCESS EXCLUSIVE MODE");
    assert_int_equal(PQresultStatus(r), PGRES_COMMAND_OK);
    name_it(p, "host=$H port=$P dbname=$D user=eclair response_timeout=1");
    p->store = open_at(p, STORE_WRITE);
    fails(p, store_value_set(p->store, STR("k"), STR("v"), &p->e), ERR_NETWORK);
    assert_int_equal(number(p, waiting), 1);
    int64_t start = clock_ms();
    while (number(p, waiting) && clock_ms() - start < QUICK_MS)
        usleep(50000);
    assert_int_equal(number(p, waiting), 0);
    PQclear(r);
    PQfinish(c);
    assert_int_equal(number(p, "SELECT count(*) FROM eclair.keyvalue"), 0);
    ok(p, store_value_set(p->store, STR("k"), STR("v"), &p->e));
}

/* Somebody else migrates: whose turn it is not waits, however long. */
static void test_patient(void **state)
{
    struct place *p = *state;
    char url[256], c;
    int locked[2], status;
    assert_int_equal(pipe(locked), 0);
    pid_t child = fork();
    if (!child) {
        place_url(p, "eclair", url);
        PGconn *conn = PQconnectdb(url);
        PGresult *r = PQexec(conn, "SELECT pg_advisory_lock(1162037362)");
        bool good_one = PQresultStatus(r) == PGRES_TUPLES_OK && write(locked[1], "x", 1) == 1;
        usleep(2500000);
        PQclear(r);
        PQfinish(conn);
        _exit(!good_one);
    }
    close(locked[1]);
    assert_int_equal(read(locked[0], &c, 1), 1);
    close(locked[0]);
    int64_t start = clock_ms();
    name_it(p, "host=$H port=$P dbname=$D user=eclair response_timeout=1");
    p->store = open_at(p, STORE_WRITE);
    assert_true(clock_ms() - start > 1500);
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    ok(p, store_value_set(p->store, STR("k"), STR("v"), &p->e));
}

/* ---- how much is read ---- */

/* Rows that were fetched from our tables, by whoever has gone. */
static int64_t rows_read(const struct place *p)
{
    while (number(p, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                     " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"))
        usleep(10000);
    return number(p, "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables"
                     " WHERE schemaname = 'eclair'");
}

/* What the planner thinks of new tables must not make it walk all of them: neither the advisories nor other images' packages. */
static void test_reads(void **state)
{
    struct place *p = *state;
    struct match m;
    str text = STR("");
    for (int i = 0; i < 20; i++) { /* what other images have */
        for (int k = 0; k < 15; k++)
            text = arena_printf(p->arena, STR_FMT "x%d 1 x%d 1 - -;", STR_ARG(text), i * 15 + k, i * 15 + k);
        put_image(p, arena_cstr(p->arena, text), STR("debian:12"));
        text = STR("");
    }
    int64_t image = put_image(p, "z 1 z 1 - -", STR("debian:12"));
    struct store_update *u = begin(p, "f");
    ok(p, put_round(p, u, 1, MANY));
    commit(p, u, 1);
    store_freep(&p->store);
    int64_t before = rows_read(p);
    p->store = open_at(p, STORE_WRITE);
    same(findings(p, image, &m), STR(""));
    assert_int_equal(m.feed_count, 1);
    store_freep(&p->store);
    int64_t read = rows_read(p) - before;
    if (read > 100)
        fail_msg("%lld rows are read for an image of one package without findings", (long long)read);
}

/* ---- what is in the database ---- */

static void test_made_together(void **state)
{
    struct place *p = *state;
    int gate[2], status;
    assert_int_equal(pipe(gate), 0);
    for (int i = 0; i < 10; i++)
        if (!fork()) {
            char c;
            close(gate[1]);
            while (read(gate[0], &c, 1) > 0)
                ;
            struct store *s = store_open(p->where, STORE_WRITE, &p->e);
            bool good_one = s && store_layer_put(s, &layer_one, (unsigned)i, &p->e) == 0;
            if (!good_one)
                fprintf(stderr, "%s\n", p->e.text);
            store_freep(&s);
            _exit(!good_one);
        }
    close(gate[0]), close(gate[1]);
    for (int i = 0; i < 10; i++) {
        wait(&status);
        assert_int_equal(status, 0);
    }
    assert_int_equal(number(p, "SELECT count(*) FROM eclair.meta"), 1);
    assert_int_equal(number(p, "SELECT count(*) FROM eclair.layer"), 10);
    assert_int_equal(number(p, "SELECT count(*) FROM eclair.package"), 3);
}

/* As its migrations make them, cut to what matters: the names are ours, too. */
static const char clair[] =
    "CREATE TABLE schema_migrations(version int PRIMARY KEY); INSERT INTO schema_migrations VALUES (7);"
    "CREATE TABLE namespace(id serial PRIMARY KEY, name varchar(128), version_format varchar(128), "
    "UNIQUE(name));"
    "CREATE TABLE layer(id serial PRIMARY KEY, name varchar(128) NOT NULL UNIQUE, engineversion smallint NOT "
    "NULL,"
    " parent_id int REFERENCES layer ON DELETE CASCADE, namespace_id int REFERENCES namespace, created_at "
    "timestamptz);"
    "CREATE TABLE feature(id serial PRIMARY KEY, namespace_id int NOT NULL REFERENCES namespace, name "
    "varchar(128));"
    "CREATE TABLE vulnerability(id serial PRIMARY KEY, namespace_id int NOT NULL REFERENCES namespace,"
    " name varchar(128) NOT NULL, description text, severity varchar(16), metadata text, deleted_at "
    "timestamptz);"
    "CREATE TABLE keyvalue(id serial PRIMARY KEY, key varchar(128) NOT NULL UNIQUE, value text);"
    "CREATE TABLE lock(id serial PRIMARY KEY, name varchar(64) NOT NULL UNIQUE, owner varchar(64), until "
    "timestamptz);"
    "INSERT INTO namespace(name, version_format) VALUES ('debian:9', 'dpkg');"
    "INSERT INTO layer(name, engineversion, namespace_id, created_at) VALUES ('sha256:1111', 3, 1, 'epoch');"
    "INSERT INTO feature(namespace_id, name) VALUES (1, 'openssl');"
    "INSERT INTO vulnerability(namespace_id, name, severity) VALUES (1, 'CVE-2014-0160', 'High');"
    "INSERT INTO keyvalue(key, value) VALUES ('updater/last', '1500000000');"
    "INSERT INTO lock(name, owner, until) VALUES ('updater', 'other', now() + interval '1 day')";

/* The database of a Clair 2: nothing of it is taken for ours, changed, or added to. */
static void test_clair(void **state)
{
    struct place *p = *state;
    struct store_counts n;
    struct match m;
    str value;
    execute(p, clair);
    execute(p, "CREATE SCHEMA eclair"); /* for the number of what is in `public` only */
    uint64_t before = contents(p);
    execute(p, "DROP SCHEMA eclair");
    for (int i = 0; i < 2; i++) {
        if (i)
            name_it(p, "host=$H port=$P dbname=$D user=eclair sslmode=disable search_path=public");
        p->store = open_at(p, STORE_WRITE);
        ok(p, store_count(p->store, &n, &p->e));
        assert_int_equal(n.layers, i); /* one of the round before */
        assert_int_equal(store_value_get(p->store, STR("updater/last"), p->arena, &value, &p->e), i);
        ok(p, store_value_set(p->store, STR("updater/last"), STR("5"), &p->e));
        load(p, "f C1 S openssl - 4 - -");
        same(findings(p, put_image(p, SSL, STR("debian:12")), &m), STR("0 C1 4 f;"));
        store_freep(&p->store);
    }
    execute(p, "DROP SCHEMA eclair CASCADE; CREATE SCHEMA eclair");
    assert_true(before == contents(p));
}

static void test_newer(void **state)
{
    struct place *p = *state;
    store_freep(&p->store);
    execute(p, "UPDATE eclair.meta SET schema = 99");
    uint64_t before = contents(p);
    refused(p, STORE_WRITE, ERR_NEWER, "99"), refused(p, STORE_SCRATCH, ERR_NEWER, "99");
    assert_true(before == contents(p));
    execute(p, "DROP SCHEMA eclair CASCADE; CREATE SCHEMA eclair; CREATE TABLE eclair.layer(a int)");
    before = contents(p);
    refused(p, STORE_WRITE, ERR_FORMAT, "eclair"), refused(p, STORE_SCRATCH, ERR_FORMAT, "eclair");
    assert_true(before == contents(p));
    execute(
        p,
        "DROP SCHEMA eclair CASCADE"); /* an empty database cannot be read, and is not made by who only reads */
    refused(p, STORE_SCRATCH, ERR_READONLY, p->database);
    assert_int_equal(number(p, "SELECT count(*) FROM pg_namespace WHERE nspname = 'eclair'"), 0);
    execute(p, "CREATE SCHEMA eclair"); /* by an administrator, for a user who may not */
    p->store = open_at(p, STORE_WRITE);
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
}

#define EMPTY(name) cmocka_unit_test_setup_teardown(name, fresh_place, tidy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_good),
        cmocka_unit_test(test_tls_by_default),
        CASE(test_settings),
        EMPTY(test_bad),
        EMPTY(test_unreachable),
        CASE(test_hosts),
        CASE(test_denied),
        CASE(test_reader),
        CASE(test_reconnects),
        CASE(test_update_cut),
        CASE(test_stopped),
        CASE(test_watch_lost),
        cmocka_unit_test_setup_teardown(test_read_only, fresh, read_write_and_tidy),
        EMPTY(test_clair),
        EMPTY(test_made_together),
        EMPTY(test_made_together),
        CASE(test_newer),
        CASE(test_reads),
        CASE(test_response),
        cmocka_unit_test_setup_teardown(test_silent, fresh, go_on_and_tidy),
        CASE(test_given_up),
        EMPTY(test_patient),
        cmocka_unit_test(test_connect_timeout),
    };
    if (!on_server()) {
        fprintf(stderr, "run me as: tests/pg.py run %s\n", program_invocation_short_name);
        return 2;
    }
    return cmocka_run_group_tests_name("store on PostgreSQL", tests, NULL, NULL);
}
