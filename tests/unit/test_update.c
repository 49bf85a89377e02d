/* What feed_update() asks of the store, and when: a store that writes the calls down; real files, real cage. How
 * advisories travel. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "cage/cage.h"
#include "feed/parse_task.h"
#include "feed/update.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#define TRACKER      "debian/tracker/data/json"
#define TRACKER_NAME "tracker/data/json"
#define GOOD                                                                                                 \
    "{\"openssl\": {"                                                                                        \
    "\"CVE-2024-1\": {\"description\": \"one\", \"releases\": {\"bookworm\": {"                              \
    "\"status\": \"resolved\", \"fixed_version\": \"3.0.1-1\", \"urgency\": \"low\"}}}, "                    \
    "\"CVE-2024-2\": {\"releases\": {\"bookworm\": {\"status\": \"open\", \"urgency\": \"high\"}}}}}"
#define BRANCH                                                                                               \
    "{\"distroversion\": \"v3.20\", \"reponame\": \"main\", \"packages\": [{\"pkg\": "                       \
    "{\"name\": \"busybox\", \"secfixes\": {\"1.36-r2\": [\"CVE-2024-3\"]}}}]}"

/* ---- a store that writes down ---- */

struct store {
    struct buf log;
    char validator[1000]; /* of the document that was committed last */
    char staged[1000];
    const char *fail;    /* the call that fails, NULL = none */
    enum err_kind kind;  /* as this */
    bool waits;          /* for another update */
    const char *shrinks; /* the document that does; NULL: none */
    char refusals[20];   /* the key-value; empty: none */
};
struct store_update {
    struct store *store;
};

static int call(struct store *s, const char *name, str what, struct err *e)
{
    buf_printf(&s->log, "%s " STR_FMT "\n", name, STR_ARG(what));
    return s->fail && !strcmp(s->fail, name) ? err_set(e, s->kind, "full") : 0;
}

int store_document(struct store *s, str feed, str document, struct arena *arena, str *ret, struct err *e)
{
    (void)feed, (void)e;
    if (str_starts(document, STR("."))) /* the cursor: never any */
        return 0;
    *ret = arena_dup(arena, str_from(s->validator));
    return *s->validator ? 1 : 0;
}

int store_feed_tried(struct store *s, str feed, int64_t now, str error, struct err *e)
{
    (void)feed;
    assert_true(now > 0);
    return call(s, "tried", error, e);
}

struct store_update *store_update_begin(struct store *s, str feed, unsigned rank, struct err *e)
{
    struct store_update *u = calloc(1, sizeof *u);
    u->store = s;
    if (s->waits)
        err_set(e, s->kind, "full"); /* it is asked again and again: once is enough for the log */
    else if (call(s, "begin", feed, e) == 0)
        return u;
    s->waits = s->kind == ERR_BUSY;
    free(u);
    return NULL;
}

int store_update_document(struct store_update *u, str document, str validator, struct err *e)
{
    snprintf(u->store->staged, sizeof u->store->staged, STR_FMT, STR_ARG(validator));
    return call(u->store, "document", document, e);
}

int store_update_drop(struct store_update *u, str document, struct err *e)
{
    return call(u->store, "drop", document, e);
}

int store_update_put(struct store_update *u, const struct advisory *a, struct err *e)
{
    return call(u->store, "put", a->key, e);
}

int store_update_commit(struct store_update *u, int64_t now, struct update_counts *ret, struct err *e)
{
    assert_true(now > 0);
    int r = call(u->store, "commit", STR(""), e);
    if (r == 0) {
        ret->added = 7;
        memcpy(u->store->validator, u->store->staged, sizeof u->store->staged);
    }
    free(u);
    return r;
}

void store_update_freep(struct store_update **u)
{
    if (*u)
        buf_str(&(*u)->store->log, STR("abandon\n"));
    free(*u);
    *u = NULL;
}

bool store_update_shrunk(struct store_update *u, struct update_shrink *ret)
{
    if (!u->store->shrinks)
        return false;
    *ret = (struct update_shrink){ str_from(u->store->shrinks), 1000, 499 };
    return true;
}

int store_value_get(struct store *s, str key, struct arena *arena, str *ret, struct err *e)
{
    (void)e;
    assert_true(str_eq(key, STR("feed/debian/shrunk")) || str_eq(key, STR("feed/alpine/shrunk")));
    *ret = arena_dup(arena, str_from(s->refusals));
    return *s->refusals ? 1 : 0;
}

int store_value_set(struct store *s, str key, str value, struct err *e)
{
    (void)key;
    snprintf(s->refusals, sizeof s->refusals, STR_FMT, STR_ARG(value));
    return call(s, "refusals", value, e);
}

/* ---- the world ---- */

static char dir[64];
static struct cage *cage;

static void write_file(const char *name, str bytes)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *p = path + strlen(dir) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
    }
    CLEANUP(fclosep) FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, f), bytes.len);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

static int fresh(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/test_update.XXXXXX");
    assert_non_null(mkdtemp(dir));
    return 0;
}

static int gone(void **state)
{
    (void)state;
    return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int start(void **state)
{
    (void)state;
    static const struct cage_task *const tasks[] = { &feed_task, NULL };
    struct err e = { 0 };
    cage = cage_new(tasks, NULL, &e);
    if (!cage)
        fail_msg("%s", e.text);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cage_freep(&cage);
    return 0;
}

static void store_done(struct store *s) { buf_done(&s->log); }

/* One update of `feed` from the folder; the calls it must make. */
static int update(struct store *s, const char *feed, struct update_result *ret, struct err *e,
                  const char *calls)
{
    buf_clear(&s->log);
    *e = (struct err){ 0 };
    *ret = (struct update_result){ 0 };
    int r =
        feed_update(s, cage, feed_by_name(str_from(feed)), &(struct update_options){ .mirror = dir }, ret, e);
    buf_char(&s->log, '\0');
    if (strcmp(s->log.ptr, calls))
        fail_msg("%s: %s\n-- wanted --\n%s\n-- got --\n%s", feed, e->text, calls, s->log.ptr);
    return r;
}

/* ---- tests ---- */

#define LOADED "begin debian\ndocument tracker/data/json\nput openssl/CVE-2024-1\nput openssl/CVE-2024-2\n"

static void test_first_and_second(void **state)
{
    (void)state;
    CLEANUP(store_done) struct store s = { 0 };
    struct update_result r;
    struct err e;
    write_file(TRACKER, STR(GOOD));
    assert_int_equal(update(&s, "debian", &r, &e, LOADED "commit \ntried \n"), 0);
    assert_int_equal(r.outcome, UPDATE_LOADED);
    assert_int_equal(r.documents, 1);
    assert_int_equal(r.counts.added, 7);
    assert_int_equal(update(&s, "debian", &r, &e, "tried \n"), 0); /* no other call: nothing is touched */
    assert_int_equal(r.outcome, UPDATE_UNCHANGED);
    assert_int_equal(r.documents, 0);
}

/* A document may be cut anywhere: nothing of it may stay. */
static void test_truncated(void **state)
{
    (void)state;
    for (size_t n = 1; n < sizeof GOOD - 1; n += 7) {
        CLEANUP(store_done) struct store s = { 0 };
        struct update_result r;
        struct err e = { 0 };
        write_file(TRACKER, str_of(GOOD, n));
        assert_int_equal(feed_update(&s, cage, feed_by_name(STR("debian")),
                                     &(struct update_options){ .mirror = dir }, &r, &e),
                         -1);
        assert_int_equal(e.kind, ERR_FORMAT);
        assert_int_equal(strncmp(e.text, "debian: tracker/data/json: ", 27), 0);
        assert_non_null(strstr(e.text, "byte "));
        buf_char(&s.log, '\0');
        assert_null(strstr(s.log.ptr, "commit"));
        assert_non_null(strstr(s.log.ptr, "abandon\ntried tracker/data/json: "));
    }
}

/* The JSON is whole, but what guards it is not. */
static void test_truncated_trailer(void **state)
{
    (void)state;
    CLEANUP(store_done) struct store s = { 0 };
    struct update_result r;
    struct err e = { 0 };
    struct stat st;
    char text[500], path[200];
    write_file(TRACKER, STR(GOOD));
    snprintf(text, sizeof text, "gzip %s/" TRACKER, dir);
    assert_int_equal(system(text), 0);
    assert_int_equal(update(&s, "debian", &r, &e, LOADED "commit \ntried \n"), 0);

    snprintf(path, sizeof path, "%s/" TRACKER ".gz", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 4), 0);
    assert_int_equal(
        feed_update(&s, cage, feed_by_name(STR("debian")), &(struct update_options){ .mirror = dir }, &r, &e),
        -1);
    assert_int_equal(e.kind, ERR_FORMAT);
    assert_non_null(strstr(e.text, "gzip"));
}

static void test_store_fails(void **state)
{
    (void)state;
    static const struct {
        const char *call, *calls;
    } rows[] = {
        { "begin", "begin debian\ntried tracker/data/json: full\n" },
        { "document", "begin debian\ndocument tracker/data/json\nabandon\ntried tracker/data/json: full\n" },
        { "put", "begin debian\ndocument tracker/data/json\nput openssl/CVE-2024-1\nabandon\n"
                 "tried full\n" },
        { "commit", LOADED "commit \ntried full\n" },
        { "tried", LOADED "commit \ntried \n" },
    };
    write_file(TRACKER, STR(GOOD));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(store_done) struct store s = { .fail = rows[i].call, .kind = ERR_FULL };
        struct update_result r;
        struct err e;
        assert_int_equal(update(&s, "debian", &r, &e, rows[i].calls), -1);
        assert_int_equal(e.kind, ERR_FULL);
    }
}

/* Another update that runs is no failure of the feed: nothing is written down. */
static void test_busy(void **state)
{
    (void)state;
    CLEANUP(store_done) struct store s = { .fail = "begin", .kind = ERR_BUSY };
    struct update_result r;
    struct err e;
    write_file(TRACKER, STR(GOOD));
    assert_int_equal(update(&s, "debian", &r, &e, "begin debian\n"), -1);
    assert_int_equal(e.kind, ERR_BUSY);
}

/* The bytes are as before, but another parser read them, or one that told no version. */
static void test_other_parser(void **state)
{
    (void)state;
    CLEANUP(store_done) struct store s = { 0 };
    struct update_result r;
    struct err e;
    char good[sizeof s.validator];
    static const char *const others[] = { "v2 ", "v10 ", "v1", "" };
    write_file(TRACKER, STR(GOOD));
    assert_int_equal(update(&s, "debian", &r, &e, LOADED "commit \ntried \n"), 0);
    memcpy(good, s.validator, sizeof good);
    assert_int_equal(strncmp(good, "v1 file ", 8), 0);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(s.validator, sizeof s.validator, "%s%.*s", others[i], 900, good + 3);
        assert_int_equal(update(&s, "debian", &r, &e, LOADED "commit \ntried \n"), 0);
        assert_int_equal(r.outcome, UPDATE_LOADED);
        assert_string_equal(s.validator, good);
    }
    assert_int_equal(update(&s, "debian", &r, &e, "tried \n"), 0);
}

#define SMALL                                                                                                \
    "499 advisories instead of 1000 (tracker/data/json): the old data stays; the third time in a row, or "   \
    "--accept-shrunk, takes it"

/* Refused twice, taken the third time; what is good in between begins the count anew. */
static void test_shrunk(void **state)
{
    (void)state;
    CLEANUP(store_done) struct store s = { .shrinks = TRACKER_NAME };
    struct update_result r;
    struct err e;
    write_file(TRACKER, STR(GOOD));
    assert_int_equal(update(&s, "debian", &r, &e, LOADED "abandon\nrefusals 1\ntried " SMALL "\n"), -1);
    assert_int_equal(e.kind, ERR_FORMAT);
    assert_string_equal(e.text, "debian: " SMALL);
    assert_true(r.shrunk); /* so it is not tried again at once */
    assert_string_equal(s.validator, "");
    assert_int_equal(update(&s, "debian", &r, &e, LOADED "abandon\nrefusals 2\ntried " SMALL "\n"), -1);
    s.shrinks = NULL;
    assert_int_equal(update(&s, "debian", &r, &e, LOADED "commit \nrefusals 0\ntried \n"), 0);
    assert_false(r.shrunk);
    s.shrinks = "";
    s.validator[0] = '\0';
    assert_int_equal(update(&s, "debian", &r, &e,
                            LOADED "abandon\nrefusals 1\ntried 499 advisories instead of 1000: the old data "
                                   "stays; the third time in a row, or --accept-shrunk, takes it\n"),
                     -1);
    s.shrinks = TRACKER_NAME;
    assert_int_equal(update(&s, "debian", &r, &e, LOADED "abandon\nrefusals 2\ntried " SMALL "\n"), -1);
    assert_int_equal(update(&s, "debian", &r, &e, LOADED "commit \nrefusals 0\ntried \n"), 0);
    assert_true(r.shrunk);
    assert_int_equal(update(&s, "debian", &r, &e, "tried \n"), 0); /* nothing is read: nothing shrinks */
    assert_false(r.shrunk);
}

static void test_accept_shrunk(void **state)
{
    (void)state;
    CLEANUP(store_done) struct store s = { .shrinks = TRACKER_NAME, .refusals = "1" };
    struct update_result r = { 0 };
    struct err e = { 0 };
    const struct update_options o = { .mirror = dir, .accept_shrunk = true };
    write_file(TRACKER, STR(GOOD));
    assert_int_equal(feed_update(&s, cage, feed_by_name(STR("debian")), &o, &r, &e), 0);
    assert_true(r.shrunk);
    assert_string_equal(s.refusals, "0");
}

static void test_not_mirrored(void **state)
{
    (void)state;
    CLEANUP(store_done) struct store s = { 0 };
    struct update_result r;
    struct err e;
    assert_int_equal(update(&s, "debian", &r, &e, "tried not mirrored\n"), 0);
    assert_int_equal(r.outcome, UPDATE_NOT_MIRRORED);
    assert_int_equal(update(&s, "alpine", &r, &e, "tried not mirrored\n"), 0);
    assert_int_equal(r.outcome, UPDATE_NOT_MIRRORED);

    assert_int_equal(feed_update(&s, cage, feed_by_name(STR("debian")),
                                 &(struct update_options){ .mirror = "/nowhere/at/all" }, &r, &e),
                     -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_string_equal(e.text, "debian: mirror: /nowhere/at/all: No such file or directory");
}

static void test_some_documents(void **state)
{
    (void)state;
    CLEANUP(store_done) struct store s = { 0 };
    struct update_result r;
    struct err e;
    write_file("alpine/v3.20/main.json", STR(BRANCH));
    assert_int_equal(update(&s, "alpine", &r, &e,
                            "begin alpine\ndocument v3.20/main.json\n"
                            "put v3.20/main/busybox/CVE-2024-3\ncommit \ntried \n"),
                     0);
    assert_int_equal(r.documents, 1);
    write_file("alpine/v3.20/community.json", STR("{"));
    assert_int_equal(
        feed_update(&s, cage, feed_by_name(STR("alpine")), &(struct update_options){ .mirror = dir }, &r, &e),
        -1);
    assert_int_equal(strncmp(e.text, "alpine: v3.20/community.json: ", 30), 0);
}

/* A name that nobody could have installed does not cost the rest of the feed. */
static void test_skipped(void **state)
{
    (void)state;
    CLEANUP(store_done) struct store s = { 0 };
    CLEANUP(buf_done) struct buf text = { 0 };
    struct update_result r;
    struct err e;
    buf_str(&text, STR("{\""));
    for (int i = 0; i < 505; i++) /* fits by itself, but not with the id behind it */
        buf_char(&text, 'x');
    buf_str(
        &text,
        STR("\":{\"CVE-2024-1\":{\"releases\":{\"bookworm\":{\"status\":\"open\",\"urgency\":\"low\"}}}},"));
    buf_str(&text, str_skip(STR(GOOD), 1));
    write_file(TRACKER, buf_view(&text));
    assert_int_equal(update(&s, "debian", &r, &e, LOADED "commit \ntried \n"), 0);
    assert_int_equal(r.skipped, 1);
}

/* ---- how advisories travel ---- */

static struct affected_range sample_ranges[] = {
    { .namespace = { "debian:12", 9 },
      .scheme = { "dpkg", 4 },
      .package = { "openssl", 7 },
      .kind = AFFECTS_SOURCE,
      .fixed_version = { "3.0.1-1", 7 },
      .severity = SEVERITY_HIGH,
      .state = FIX_FIXED },
    { .namespace = { "alpine:v3.20", 12 },
      .scheme = { "apk", 3 },
      .package = { "o", 1 },
      .kind = AFFECTS_BINARY,
      .negative = true,
      .introduced = { "1", 1 },
      .arch = { "x86_64", 6 },
      .module = { "a:b", 3 },
      .state = FIX_AFFECTED },
};
static struct cvss_score sample_scores[] = {
    { .version = { "3.1", 3 }, .vector = { "CVSS:3.1/AV:N", 13 }, .base = 98, .source = { "nvd", 3 } },
    { .version = { "2.0", 3 }, .base = 0 },
};
static str sample_links[] = { { "https://x", 9 }, { "y", 1 } };
static str sample_aliases[] = { { "GHSA-1", 6 } };
static const struct advisory sample = {
    .key = { "openssl/CVE-1", 13 },
    .id = { "CVE-1", 5 },
    .title = { "t", 1 },
    .description = { "d\n", 2 },
    .link = { "l", 1 },
    .meta = { .has_severity = true,
              .severity = SEVERITY_HIGH,
              .scores = sample_scores,
              .score_count = 2,
              .links = sample_links,
              .link_count = 2,
              .aliases = sample_aliases,
              .alias_count = 1,
              .has_epss = true,
              .epss = 430,
              .epss_percentile = 1000000,
              .kev = { { "2021-12-10", 10 }, { "2021-12-24", 10 } } },
    .ranges = sample_ranges,
    .range_count = 2,
};

static void same_str(str a, str b) { assert_true(str_eq(a, b)); }

static void same_metadata(const struct metadata *a, const struct metadata *b)
{
    assert_true(a->has_severity == b->has_severity && a->severity == b->severity);
    assert_int_equal(a->score_count, b->score_count);
    for (size_t i = 0; i < a->score_count; i++) {
        same_str(a->scores[i].version, b->scores[i].version);
        same_str(a->scores[i].vector, b->scores[i].vector);
        same_str(a->scores[i].source, b->scores[i].source);
        assert_int_equal(a->scores[i].base, b->scores[i].base);
    }
    assert_int_equal(a->link_count, b->link_count);
    for (size_t i = 0; i < a->link_count; i++)
        same_str(a->links[i], b->links[i]);
    assert_int_equal(a->alias_count, b->alias_count);
    for (size_t i = 0; i < a->alias_count; i++)
        same_str(a->aliases[i], b->aliases[i]);
    assert_true(a->has_epss == b->has_epss && a->epss == b->epss && a->epss_percentile == b->epss_percentile);
    same_str(a->kev.added, b->kev.added), same_str(a->kev.due, b->kev.due);
}

static void sane_metadata(const struct metadata *m)
{
    assert_true((unsigned)m->severity < SEVERITIES && m->has_severity == (m->severity != SEVERITY_UNKNOWN));
    for (size_t i = 0; i < m->score_count; i++)
        assert_true(cvss_version(m->scores[i].version) >= 0 && m->scores[i].base <= 100);
    for (size_t i = 0; i < m->link_count; i++)
        assert_true(m->links[i].len > 0);
    assert_true(m->epss <= 1000000 && m->epss_percentile <= 1000000);
    assert_true(!m->kev.added.len || date_valid(m->kev.added));
    assert_true(!m->kev.due.len || (m->kev.added.len && date_valid(m->kev.due)));
}

static void test_travel(void **state)
{
    (void)state;
    struct advisory_room *got = calloc(1, sizeof *got);
    CLEANUP(buf_done) struct buf body = { 0 }, longer = { 0 };
    struct advisory a;
    struct err e = { 0 };
    uint64_t skipped = 0;
    assert_int_equal(advisory_pack(&sample, &body, &skipped, &e), 1);
    assert_int_equal(skipped, 0);
    assert_int_equal(advisory_unpack(buf_view(&body), got, &a, &e), 0);
    same_str(a.key, sample.key), same_str(a.id, sample.id), same_str(a.title, sample.title);
    same_str(a.description, sample.description), same_str(a.link, sample.link);
    same_metadata(&a.meta, &sample.meta);
    assert_int_equal(a.range_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct affected_range *x = &a.ranges[i], *y = &sample_ranges[i];
        same_str(x->namespace, y->namespace), same_str(x->scheme, y->scheme),
            same_str(x->package, y->package);
        same_str(x->introduced, y->introduced), same_str(x->fixed_version, y->fixed_version);
        same_str(x->arch, y->arch), same_str(x->module, y->module);
        assert_true(x->kind == y->kind && x->negative == y->negative && x->severity == y->severity &&
                    x->state == y->state);
    }
    for (size_t n = 0; n < body.len; n++) { /* a copy of its own, so that a read behind it is noticed */
        char *part = malloc(n + !n);
        memcpy(part, body.ptr, n);
        assert_int_equal(advisory_unpack(str_of(part, n), got, &a, &e), -1);
        assert_int_equal(e.kind, ERR_CAGE);
        free(part);
    }
    buf_str(&longer, buf_view(&body));
    buf_char(&longer, 0);
    assert_int_equal(advisory_unpack(buf_view(&longer), got, &a, &e), -1);
    for (size_t i = 0; i < body.len * 256; i++) { /* any byte replaced: refused, or inside the limits */
        char old = body.ptr[i / 256];
        body.ptr[i / 256] = (char)(i % 256);
        bool taken = advisory_unpack(buf_view(&body), got, &a, &e) == 0;
        if (taken)
            sane_metadata(&a.meta);
        if (taken)
            for (size_t k = 0; k < a.range_count; k++)
                assert_true(a.ranges[k].severity < SEVERITIES && a.ranges[k].kind >= AFFECTS_SOURCE &&
                            a.ranges[k].kind <= AFFECTS_BINARY && a.ranges[k].state >= FIX_AFFECTED &&
                            a.ranges[k].state <= FIX_UNDER_INVESTIGATION && a.ranges[k].package.len);
        body.ptr[i / 256] = old;
    }
    free(got);
}

static void test_travel_limits(void **state)
{
    (void)state;
    CLEANUP(freep) char *text = calloc(1, 2 << 20);
    struct affected_range *many = calloc(ADVISORY_RANGES + 1, sizeof *many);
    struct advisory_room *room = calloc(1, sizeof *room);
    CLEANUP(buf_done) struct buf body = { .max = 2 << 20 };
    struct err e = { 0 };
    uint64_t skipped = 0;
    struct affected_range two[2] = { sample_ranges[0], sample_ranges[1] };
    struct advisory a = sample, got;
    a.ranges = two;

    two[0].fixed_version = str_of(text, 513); /* one of two is left out */
    assert_int_equal(advisory_pack(&a, &body, &skipped, &e), 1);
    assert_int_equal(skipped, 1);
    assert_int_equal(advisory_unpack(buf_view(&body), room, &got, &e), 0);
    assert_int_equal(got.range_count, 1);
    two[1].package = str_of(text, 513); /* and then the other: what is left speaks of the id alone */
    assert_int_equal(advisory_pack(&a, &body, &skipped, &e), 1);
    assert_int_equal(skipped, 3);
    assert_int_equal(advisory_unpack(buf_view(&body), room, &got, &e), 0);
    assert_int_equal(got.range_count, 0);
    same_metadata(&got.meta, &sample.meta);
    a.meta = (struct metadata){ 0 };
    skipped = 1;
    assert_int_equal(advisory_pack(&a, &body, &skipped, &e), 0);
    assert_int_equal(skipped, 3);

    a = sample;
    a.id = str_of(text, 513);
    assert_int_equal(advisory_pack(&a, &body, &skipped, &e), 0);
    assert_int_equal(skipped, 5);

    a = sample;
    a.description = str_of(text, 2 << 20);
    assert_int_equal(advisory_pack(&a, &body, &skipped, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    a.description = str_of(text, (1 << 20) - 1000);
    assert_int_equal(advisory_pack(&a, &body, &skipped, &e), 1);

    a = sample;
    a.ranges = many;
    for (a.range_count = 0; a.range_count <= ADVISORY_RANGES; a.range_count++)
        many[a.range_count] = sample_ranges[0];
    assert_int_equal(advisory_pack(&a, &body, &skipped, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    free(many);
    free(room);
}

/* What is too long, too much or nonsense is left out and counted; the rest travels. */
static void test_metadata_limits(void **state)
{
    (void)state;
    static char text[2049];
    memset(text, 'x', sizeof text);
    struct advisory_room *room = calloc(1, sizeof *room);
    CLEANUP(buf_done) struct buf body = { 0 };
    struct err e = { 0 };
    uint64_t skipped = 0;
    struct advisory a = sample, got;
    a.ranges = NULL, a.range_count = 0;

    struct cvss_score scores[70] = { [1] = { .version = { "3.2", 3 }, .base = 10 },
                                     [2] = { .version = { "3.1", 3 }, .base = 101 },
                                     [3] = { .version = { "3.1", 3 }, .vector = { text, 2049 } },
                                     [4] = { .version = { "3.1", 3 }, .source = { text, 2049 } } };
    str links[67] = { [1] = { text, 2049 } };
    for (size_t i = 0; i < 70; i++)
        if (i < 1 || i > 4)
            scores[i] =
                (struct cvss_score){ .version = { "4.0", 3 }, .vector = { text, 2048 }, .base = (uint16_t)i };
    for (size_t i = 2; i < 67; i++)
        links[i] = str_of(text, 2048 - i);
    a.meta = (struct metadata){ .has_severity = true, /* Unknown: none */
                                .scores = scores,
                                .score_count = 70,
                                .links = links,
                                .link_count = 67,
                                .has_epss = true,
                                .epss = 1000001,
                                .kev = { { "2021-12-10", 10 }, { "soon", 4 } } };
    assert_int_equal(advisory_pack(&a, &body, &skipped, &e), 1);
    assert_int_equal(skipped, (70 - 64) + (67 - 64) + 1 + 1);
    assert_int_equal(advisory_unpack(buf_view(&body), room, &got, &e), 0);
    assert_false(got.meta.has_severity || got.meta.has_epss);
    assert_int_equal(got.meta.score_count, 64);
    assert_int_equal(got.meta.scores[1].base, 5);
    assert_int_equal(got.meta.link_count, 64);
    assert_int_equal(got.meta.links[0].len, 2046);
    same_str(got.meta.kev.added, a.meta.kev.added), same_str(got.meta.kev.due, STR(""));

    a.meta = (struct metadata){ .kev = { { "2021", 4 }, { 0 } } }; /* and when nothing is left */
    skipped = 0;
    assert_int_equal(advisory_pack(&a, &body, &skipped, &e), 0);
    assert_int_equal(skipped, 1);
    free(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_and_second, fresh, gone),
        cmocka_unit_test_setup_teardown(test_truncated, fresh, gone),
        cmocka_unit_test_setup_teardown(test_truncated_trailer, fresh, gone),
        cmocka_unit_test_setup_teardown(test_store_fails, fresh, gone),
        cmocka_unit_test_setup_teardown(test_busy, fresh, gone),
        cmocka_unit_test_setup_teardown(test_other_parser, fresh, gone),
        cmocka_unit_test_setup_teardown(test_shrunk, fresh, gone),
        cmocka_unit_test_setup_teardown(test_accept_shrunk, fresh, gone),
        cmocka_unit_test_setup_teardown(test_not_mirrored, fresh, gone),
        cmocka_unit_test_setup_teardown(test_some_documents, fresh, gone),
        cmocka_unit_test_setup_teardown(test_skipped, fresh, gone),
        cmocka_unit_test(test_travel),
        cmocka_unit_test(test_travel_limits),
        cmocka_unit_test(test_metadata_limits),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
