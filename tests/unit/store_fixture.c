#include "store_fixture.h"

#include "base/cleanup.h"

#include <ftw.h>
#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdlib.h>

/* ---- the engine ---- */

bool on_server(void) { return getenv("ECLAIR_TEST_POSTGRES") != NULL; }

/* ECLAIR_TEST_POSTGRES is postgresql://eclair@HOST:PORT/postgres */
static void url_of(const char *database, const char *user, char ret[256])
{
    str rest = str_from(getenv("ECLAIR_TEST_POSTGRES"));
    str_cut(&rest, '@');
    str host = str_cut(&rest, '/');
    snprintf(ret, 256, "postgresql://%s@" STR_FMT "/%s", user, STR_ARG(host), database);
}

void place_url(const struct place *p, const char *user, char ret[256]) { url_of(p->database, user, ret); }

static void ignore(void *unused, const PGresult *notice) {}

/* A connection for each: nothing of it is left to the children of a test. The first value of the last result, or "". */
static void ask_server(const char *database, const char *sql, char ret[64])
{
    char url[256];
    url_of(database, "eclair", url);
    PGconn *c = PQconnectdb(url);
    PQsetNoticeReceiver(c, ignore, NULL);
    PGresult *r = PQexec(c, sql);
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    snprintf(ret, 64, "%s", status == PGRES_TUPLES_OK && PQntuples(r) ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    PQfinish(c);
}

static struct place *place_new(void)
{
    struct place *p = calloc(1, sizeof *p);
    p->arena = arena_new(0);
    return p;
}

static void create_database(struct place *p, const char *template)
{
    static int count;
    char ignored[64], sql[160];
    snprintf(p->database, sizeof p->database, "c%d_%d", (int)getpid(), count++);
    snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE %s STRATEGY file_copy", p->database,
             template); /* the quick one without fsync */
    ask_server("postgres", sql, ignored);
    place_url(p, "eclair", p->where);
}

int fresh_place(void **state)
{
    struct place *p = *state = place_new();
    if (on_server()) {
        create_database(p, "template1");
        return 0;
    }
    snprintf(p->folder, sizeof p->folder, "/tmp/eclair-store-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->where, sizeof p->where, "%s/new/folder/eclair.db", p->folder);
    return 0;
}

/* A database with our tables, which take longer to make than to copy. */
static const char *template_of_ours(void)
{
    static struct place *p;
    if (!p) {
        p = place_new();
        create_database(p, "template1");
        struct store *s = open_at(p, STORE_WRITE);
        store_freep(&s);
    }
    return p->database;
}

int fresh(void **state)
{
    struct place *p;
    if (on_server()) {
        const char *template = template_of_ours();
        create_database(p = *state = place_new(), template);
    } else {
        fresh_place(state);
        p = *state;
    }
    p->store = open_at(p, STORE_WRITE);
    return 0;
}

static int delete_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

int tidy(void **state)
{
    char ignored[64], sql[96];
    struct place *p = *state;
    store_freep(&p->store);
    arena_freep(&p->arena);
    if (p->folder[0])
        nftw(p->folder, delete_one, 8, FTW_DEPTH | FTW_PHYS);
    if (p->database[0]) {
        snprintf(sql, sizeof sql, "DROP DATABASE %s WITH (FORCE)", p->database);
        ask_server("postgres", sql, ignored);
    }
    free(p);
    return 0;
}

struct store *open_at(struct place *p, enum store_mode mode)
{
    struct store *s = store_open(p->where, mode, &p->e);
    if (!s)
        fail_msg("%s", p->e.text);
    return s;
}

/* ---- behind the store's back ---- */

static sqlite3 *open_file(const struct place *p, int flags)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(p->where, &db, flags, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    return db;
}

void execute(const struct place *p, const char *sql)
{
    char ignored[64];
    if (on_server()) {
        ask_server(p->database, sql, ignored);
        return;
    }
    sqlite3 *db = open_file(p, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

int64_t number(const struct place *p, const char *sql)
{
    char text[64];
    if (on_server()) {
        ask_server(p->database, sql, text);
        return strtoll(text, NULL, 10);
    }
    sqlite3_stmt *st;
    sqlite3 *db = open_file(p, SQLITE_OPEN_READWRITE);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

static uint64_t hash_rows(sqlite3 *db, const char *sql, uint64_t h)
{
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(st); i++) {
            const void *bytes = sqlite3_column_blob(st, i);
            h = h * 31 + str_hash(str_of(bytes ? bytes : "", (size_t)sqlite3_column_bytes(st, i)), 0);
        }
    sqlite3_finalize(st);
    return h;
}

/* Rows have no order there, and a database more than ours. */
static uint64_t server_contents(const struct place *p)
{
    char text[64];
    ask_server(
        p->database,
        "CREATE FUNCTION pg_temp.rows_of(t regclass) RETURNS text LANGUAGE plpgsql AS $$ DECLARE r text; "
        "BEGIN"
        " EXECUTE format('SELECT md5(string_agg(x::text, '';'' ORDER BY x::text)) FROM %s x', t) INTO r;"
        " RETURN coalesce(r, ''); END $$;"
        "SELECT md5(string_agg(c.oid::regclass || pg_temp.rows_of(c.oid), ';' ORDER BY c.oid)) FROM pg_class "
        "c"
        " WHERE c.relkind = 'r' AND c.relnamespace IN ('eclair'::regnamespace, 'public'::regnamespace)",
        text);
    assert_int_equal(strlen(text), 32);
    return str_hash(str_from(text), 0);
}

uint64_t contents(const struct place *p)
{
    sqlite3_stmt *st;
    uint64_t h = 0;
    char sql[128];
    if (on_server())
        return server_contents(p);
    sqlite3 *db = open_file(p, SQLITE_OPEN_READONLY);
    sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE type = 'table'", -1, &st, NULL);
    while (sqlite3_step(st) == SQLITE_ROW) {
        snprintf(sql, sizeof sql, "SELECT * FROM %s", sqlite3_column_text(st, 0));
        h = hash_rows(db, sql, h * 31 + 1);
    }
    sqlite3_finalize(st);
    sqlite3_close(db);
    return h;
}

void same_at(int line, str a, str b)
{
    if (!str_eq(a, b))
        fail_msg("line %d: '" STR_FMT "' is not '" STR_FMT "'", line, STR_ARG(a), STR_ARG(b));
}

str field(str *line)
{
    str w = str_word(line);
    return str_eq(w, STR("-")) ? STR("") : w;
}

/* ---- layers and images ---- */

struct package packages[] = {
    { .kind = STR("dpkg"),
      .name = STR("libssl3"),
      .version = STR("3.0.9-1"),
      .arch = STR("amd64"),
      .source = STR("openssl"),
      .source_version = STR("3.0.9-1") },
    { .kind = STR("rpm"),
      .name = STR("nodejs"),
      .version = STR("1-1"),
      .arch = STR("x86_64"),
      .source = STR("nodejs"),
      .source_version = STR("1-1"),
      .module = STR("nodejs:18") },
    { .kind = STR("dpkg"),
      .name = STR(RAW),
      .version = STR("1:2~rc1"),
      .source = STR(RAW),
      .source_version = STR("x y") },
};

static struct fact facts[] = { { STR("content-set"), STR("baseos") }, { STR("label:" RAW), STR("") } };
struct layer_entry entries[] = {
    { .kind = ENTRY_FILE,
      .path = STR("var/lib/dpkg/status"),
      .detector = STR("dpkg"),
      .packages = packages,
      .package_count = 3,
      .note = STR("line 7: skipped") },
    { .kind = ENTRY_LINK, .path = STR("etc/os-release"), .target = STR("../usr/lib/os-release") },
    { .kind = ENTRY_HARDLINK, .path = STR("a/" RAW), .target = STR("b/" RAW) },
    { .kind = ENTRY_REMOVED, .path = STR("lib/apk") },
    { .kind = ENTRY_OPAQUE, .path = STR("") },
    { .kind = ENTRY_OTHER, .path = STR("var/lib") },
    { .kind = ENTRY_FILE,
      .path = STR("usr/lib/os-release"),
      .detector = STR("os-release"),
      .distribution = { STR("debian"), STR("12"), STR("Debian GNU/Linux 12 (bookworm)"), STR("debian:12") },
      .facts = facts,
      .fact_count = 2 },
    { .kind = ENTRY_FILE,
      .path = STR("second"),
      .facts = facts + 1,
      .fact_count = 1,
      .detector = STR("dpkg"),
      .packages = packages,
      .package_count = 3 },
};

const struct layer_index layer_one = { .digest = STR("sha256:1111"),
                                       .diff_id = STR("sha256:2222"),
                                       .size = (uint64_t)5 << 32,
                                       .entries = entries,
                                       .entry_count = 8 };
const struct layer_index layer_empty = { .digest = STR("sha256:3333") };

void same_package(const struct package *a, const struct package *b)
{
    same(a->kind, b->kind), same(a->name, b->name), same(a->version, b->version), same(a->arch, b->arch);
    same(a->source, b->source), same(a->source_version, b->source_version), same(a->module, b->module);
}

void same_entry(const struct layer_entry *a, const struct layer_entry *b)
{
    assert_int_equal(a->kind, b->kind);
    same(a->path, b->path), same(a->target, b->target), same(a->detector, b->detector),
        same(a->note, b->note);
    same(a->distribution.id, b->distribution.id), same(a->distribution.version, b->distribution.version);
    same(a->distribution.name, b->distribution.name),
        same(a->distribution.namespace, b->distribution.namespace);
    assert_int_equal(a->package_count, b->package_count);
    for (size_t i = 0; i < a->package_count; i++)
        same_package(&a->packages[i], &b->packages[i]);
    assert_int_equal(a->fact_count, b->fact_count);
    for (size_t i = 0; i < a->fact_count; i++)
        same(a->facts[i].name, b->facts[i].name), same(a->facts[i].value, b->facts[i].value);
}

/* "KIND PACKAGE INTRODUCED FIXED|<=LAST ARCH MODULE [NAMESPACE SCHEME [CPE]]", "-" = empty; KIND S or B, in small letters: not affected. */
struct affected_range range_of(str line)
{
    struct affected_range r = { .severity = SEVERITY_HIGH };
    str kind = field(&line);
    r.kind = strchr("Ss", kind.ptr[0]) ? AFFECTS_SOURCE : AFFECTS_BINARY;
    r.negative = strchr("sb", kind.ptr[0]) != NULL;
    r.package = field(&line);
    r.introduced = field(&line);
    range_end_read(field(&line), &r);
    r.arch = field(&line);
    r.module = field(&line);
    r.namespace = field(&line);
    r.scheme = field(&line);
    r.cpe = field(&line);
    if (!r.namespace.len)
        r.namespace = STR("debian:12"), r.scheme = STR("dpkg");
    r.state = r.fixed_version.len ? FIX_FIXED : FIX_AFFECTED;
    return r;
}

/* Lines "FEED ID RANGE", one advisory each; the lines of a feed stand together. */
void load(struct place *p, const char *text)
{
    struct store_update *u = NULL;
    struct update_counts n;
    str rest = str_from(text), feed = { 0 };
    for (int number = 0; rest.len; number++) {
        str line = str_cut(&rest, ';');
        str next = field(&line);
        if (!str_eq(next, feed)) {
            if (u)
                ok(p, store_update_commit(u, 1000, &n, &p->e));
            feed = next;
            u = store_update_begin(p->store, feed, STORE_RANK, &p->e);
            assert_non_null(u);
            ok(p, store_update_document(u, STR("doc"), STR("v"), &p->e));
        }
        struct advisory a = { .id = field(&line), .title = feed, .range_count = 1 };
        struct affected_range r = range_of(line);
        a.key = arena_printf(p->arena, "%d", number);
        a.ranges = &r;
        ok(p, store_update_put(u, &a, &p->e));
    }
    if (u)
        ok(p, store_update_commit(u, 1000, &n, &p->e));
}

/* "NAME VERSION SOURCE SOURCE_VERSION ARCH MODULE [KIND]" */
static int by_package(const void *a, const void *b) { return package_cmp(a, b); }

int64_t put_image(struct place *p, const char *text, str namespace)
{
    struct image_package rows[16] = { 0 };
    const struct layer_index *layers[] = { &layer_empty };
    struct image_index image = {
        .digest = STR("sha256:abc"), .layers = layers, .layer_count = 1, .packages = rows
    };
    image.distribution.namespace = namespace;
    for (str rest = str_from(text); rest.len; image.package_count++) {
        str line = str_cut(&rest, ';');
        struct package *k = &rows[image.package_count].package;
        k->name = field(&line), k->version = field(&line), k->source = field(&line),
        k->source_version = field(&line);
        k->arch = field(&line), k->module = field(&line), k->kind = field(&line);
        k->kind = k->kind.len ? k->kind : STR("dpkg");
    }
    int64_t id = 0;
    qsort(rows, image.package_count, sizeof *rows, by_package);
    ok(p, store_layer_put(p->store, &layer_empty, 1, &p->e));
    ok(p, store_image_put(p->store, &image, 1, &id, &p->e));
    return id;
}

/* "PACKAGE ID FIXED FEED[ ?];" for each finding */
int match_stored(struct place *p, struct store *s, int64_t image, struct match *ret, struct err *e)
{
    struct image_index *index;
    int found = store_image_get(s, image, p->arena, &index, e);
    if (found <= 0)
        return found < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "no image %lld", (long long)image);
    return store_match(s, index, MATCH_AS_NAMED, p->arena, ret, e);
}

str findings(struct place *p, int64_t image, struct match *ret)
{
    str text = STR("");
    ok(p, match_stored(p, p->store, image, ret, &p->e));
    for (size_t i = 0; i < ret->finding_count; i++) {
        const struct finding *f = &ret->findings[i];
        str fixed = f->fixed_version.len ? f->fixed_version : STR("-");
        text = arena_printf(p->arena, STR_FMT "%u " STR_FMT " " STR_FMT " " STR_FMT "%s;", STR_ARG(text),
                            f->package, STR_ARG(f->id), STR_ARG(fixed), STR_ARG(f->feed),
                            f->uncertain ? " ?" : "");
        same(f->title, f->feed), same(f->severity_source, f->feed);
        assert_int_equal(f->severity, SEVERITY_HIGH);
        assert_int_equal(f->state, f->fixed_version.len ? FIX_FIXED : FIX_AFFECTED);
    }
    return text;
}

/* ---- updates ---- */

struct store_update *begin(struct place *p, const char *feed)
{
    struct store_update *u = store_update_begin(p->store, str_from(feed), STORE_RANK, &p->e);
    if (!u)
        fail_msg("%s", p->e.text);
    return u;
}

/* Advisories "KEY" .. that affect source "x" in debian:12 and "y" in debian:11, fixed in `fixed`. */
int put(struct place *p, struct store_update *u, const char *key, const char *fixed, const char *title)
{
    struct affected_range r[] = { range_of(STR("S x - - - -")), range_of(STR("S y - - - - debian:11 dpkg")) };
    struct advisory a = {
        .key = str_from(key), .id = str_from(key), .title = str_from(title), .ranges = r, .range_count = 2
    };
    r[0].fixed_version = r[1].fixed_version = str_from(fixed);
    r[0].state = r[1].state = fixed[0] ? FIX_FIXED : FIX_AFFECTED;
    r[0].severity = SEVERITY_LOW;
    return store_update_put(u, &a, &p->e);
}

/* One document: words KEY=FIXED. */
void fill_document(struct place *p, struct store_update *u, const char *document, const char *validator,
                   const char *words)
{
    ok(p, store_update_document(u, str_from(document), str_from(validator), &p->e));
    for (str rest = str_from(words); rest.len;) {
        str fixed = str_word(&rest), key = str_cut(&fixed, '=');
        ok(p, put(p, u, arena_cstr(p->arena, key), arena_cstr(p->arena, fixed), "t"));
    }
}

struct update_counts commit(struct place *p, struct store_update *u, int64_t now)
{
    struct update_counts n = { 0 };
    ok(p, store_update_commit(u, now, &n, &p->e));
    return n;
}

void state_is(struct place *p, int64_t generation, int64_t advisories, int64_t changes)
{
    struct store_counts n;
    ok(p, store_count(p->store, &n, &p->e));
    assert_int_equal(n.generation, generation);
    assert_int_equal(n.advisories, advisories);
    assert_int_equal(n.ranges, advisories * 2);
    assert_int_equal(n.changes, changes);
}

/* `count` advisories of round `round`: enough for several batches. */
int put_round(struct place *p, struct store_update *u, int round, int count)
{
    char key[32], title[32], fixed[16];
    snprintf(title, sizeof title, "round %d", round);
    snprintf(fixed, sizeof fixed, "%d", 100 + round);
    if (store_update_document(u, STR("d"), str_from(title), &p->e) < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "K%05d", i);
        if (put(p, u, key, fixed, title) < 0)
            return -1;
    }
    return 0;
}

/* Whatever happened: one complete round is seen, that of the generation. */
int whole(struct place *p, int64_t image)
{
    struct match m;
    arena_freep(&p->arena);
    p->arena = arena_new(0);
    ok(p, match_stored(p, p->store, image, &m, &p->e));
    assert_int_equal(m.finding_count, MANY);
    for (size_t i = 1; i < m.finding_count; i++)
        same(m.findings[i].title, m.findings[0].title);
    str title = m.findings[0].title, validator;
    assert_int_equal(store_document(p->store, STR("f"), STR("d"), p->arena, &validator, &p->e), 1);
    same(validator, title);
    state_is(p, m.generation, MANY, (m.generation - 1) * MANY);
    return atoi(arena_cstr(p->arena, str_skip(title, 6)));
}

/* ---- scratch ---- */

void scratch_works(struct place *p, const char *want)
{
    struct match m;
    struct layer_index *layer;
    int64_t image = put_image(p, SSL, STR("debian:12"));
    ok(p, store_layer_put(p->store, &layer_one, 1, &p->e));
    assert_int_equal(store_layer_find(p->store, layer_one.digest, 1, p->arena, &layer, &p->e), 1);
    same_entry(&layer->entries[0], &entries[0]);
    same(findings(p, image, &m), str_from(want));
    assert_null(store_update_begin(p->store, STR("f"), STORE_RANK, &p->e));
    assert_int_equal(p->e.kind, ERR_READONLY);
    assert_int_equal(store_value_set(p->store, STR("k"), STR("v"), &p->e), -1);
    assert_int_equal(p->e.kind, ERR_READONLY);
    assert_int_equal(store_feed_tried(p->store, STR("f"), 1, STR(""), &p->e), -1);
    assert_int_equal(p->e.kind, ERR_READONLY);
}
