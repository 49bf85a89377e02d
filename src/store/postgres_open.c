#include "store/postgres.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define VERSION_MIN     110000 /* sha256() */
#define CONNECT_MAX_S   "60"
#define RESPONSE_S      60
#define RESPONSE_READ_S 10
#define RESPONSE_MAX_S  86400
#define RESPONSE_MORE_S 5 /* than the server gives a statement */

/* ---- the connection string ---- */

struct words { /* of a connection string: what libpq knows, and the settings of the session */
    struct postgres *p;
    size_t count;
    struct buf options;
};

#define WORDS_MAX 64

static bool is_libpq(str keyword)
{
    bool found = false;
    PQconninfoOption *all = PQconndefaults();
    for (PQconninfoOption *o = all; o && o->keyword && !found; o++)
        found = str_eq(keyword, str_from(o->keyword));
    PQconninfoFree(all);
    return found;
}

/* Words of Go's driver that are about the driver itself. */
static bool is_go(str keyword)
{
    return str_eq(keyword, STR("binary_parameters")) ||
           str_eq(keyword, STR("disable_prepared_binary_result"));
}

/* As libpq's `options` wants it: a backslash before what would end the word. */
static int add_setting(struct words *w, str keyword, str value, struct err *e)
{
    for (size_t i = 0; i < keyword.len; i++)
        if (!isalnum((unsigned char)keyword.ptr[i]) && !strchr("_.", keyword.ptr[i]))
            return err_set(e, ERR_USAGE, "database: '" STR_FMT "' is no keyword", STR_ARG(keyword));
    buf_printf(&w->options, "%s-c " STR_FMT "=", w->options.len ? " " : "", STR_ARG(keyword));
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == ' ' || value.ptr[i] == '\\')
            buf_char(&w->options, '\\');
        buf_char(&w->options, value.ptr[i]);
    }
    return 0;
}

/* Ours: a server would not know it. */
static int set_response(struct postgres *p, str value, struct err *e)
{
    uint64_t seconds;
    if (!str_to_u64(value, &seconds) || !seconds || seconds > RESPONSE_MAX_S)
        return err_set(e, ERR_USAGE, "database: response_timeout: '" STR_FMT "' is not 1 to %d seconds",
                       STR_ARG(str_head(value, 40)), RESPONSE_MAX_S);
    p->response_ms = (int64_t)seconds * 1000;
    p->response_set = true;
    return 0;
}

static char *copy_of(str s) { return strndup(s.len ? s.ptr : "", s.len); }

static int add_word(struct words *w, str keyword, str value, struct err *e)
{
    if (!keyword.len)
        return err_set(e, ERR_USAGE, "database: a value without a keyword");
    if (is_go(keyword))
        return 0;
    if (str_eq(keyword, STR("response_timeout")))
        return set_response(w->p, value, e);
    if (str_eq(keyword, STR("options"))) {
        buf_printf(&w->options, "%s" STR_FMT, w->options.len ? " " : "", STR_ARG(value));
        return 0;
    }
    if (!is_libpq(keyword))
        return add_setting(w, keyword, value, e);
    if (w->count + 8 >= WORDS_MAX)
        return err_set(e, ERR_USAGE, "database: too many keywords");
    w->p->keywords[w->count] = copy_of(keyword);
    w->p->values[w->count++] = copy_of(value);
    return 0;
}

/* One value of a keyword string: 'quoted', or up to a blank; a backslash takes the next byte as it is (libpq, 34.1.1.1). */
static int take_value(str *rest, struct buf *ret, struct err *e)
{
    bool quoted = rest->len && rest->ptr[0] == '\'';
    if (quoted)
        *rest = str_skip(*rest, 1);
    while (rest->len) {
        char c = rest->ptr[0];
        if (quoted ? c == '\'' : isspace((unsigned char)c) != 0)
            break;
        if (c == '\\' && rest->len > 1)
            *rest = str_skip(*rest, 1);
        buf_char(ret, rest->ptr[0]);
        *rest = str_skip(*rest, 1);
    }
    if (quoted && !rest->len)
        return err_set(e, ERR_USAGE, "database: a quoted value does not end");
    if (quoted)
        *rest = str_skip(*rest, 1);
    return 0;
}

static int parse_keywords(struct words *w, str rest, struct err *e)
{
    while ((rest = str_trim(rest)).len) {
        CLEANUP(buf_done) struct buf value = { 0 };
        if (str_find(rest, '=') < 0)
            return err_set(e, ERR_USAGE, "database: '=' is missing behind '" STR_FMT "'",
                           STR_ARG(str_head(rest, 40)));
        str keyword = str_trim(str_cut(&rest, '='));
        rest = str_trim(rest);
        if (take_value(&rest, &value, e) < 0 || add_word(w, keyword, buf_view(&value), e) < 0)
            return -1;
    }
    return 0;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void decode(str s, struct buf *ret)
{
    for (size_t i = 0; i < s.len; i++) {
        int high = s.ptr[i] == '%' && i + 2 < s.len ? hex(s.ptr[i + 1]) : -1,
            low = high < 0 ? -1 : hex(s.ptr[i + 2]);
        buf_char(ret, low < 0 ? s.ptr[i] : (char)(high * 16 + low));
        i += low < 0 ? 0 : 2;
    }
}

/* libpq takes the URL apart, without the query, which may name what it does not know. */
static int parse_url(struct words *w, str url, struct err *e)
{
    str query = url, base = str_cut(&query, '?');
    CLEANUP(freep) char *text = copy_of(base);
    char *why = NULL;
    PQconninfoOption *all = text ? PQconninfoParse(text, &why) : NULL;
    if (!all) /* the text of libpq holds the URL, and so the password */
        err_set(e, ERR_USAGE,
                "database: not a URL of PostgreSQL (postgresql://USER:PASSWORD@HOST:PORT/DATABASE)");
    PQfreemem(why);
    int r = all ? 0 : -1;
    for (PQconninfoOption *o = all; o && o->keyword && r == 0; o++)
        if (o->val)
            r = add_word(w, str_from(o->keyword), str_from(o->val), e);
    PQconninfoFree(all);
    while (r == 0 && query.len) {
        str value = str_cut(&query, '&');
        bool whole = str_find(value, '=') >= 0;
        str keyword = str_cut(&value, '=');
        CLEANUP(buf_done) struct buf decoded = { 0 };
        decode(value, &decoded);
        r = whole ? add_word(w, keyword, buf_view(&decoded), e)
                  : err_set(e, ERR_USAGE, "database: '=' is missing behind '" STR_FMT "'", STR_ARG(keyword));
    }
    return r;
}

static bool has(const struct words *w, const char *keyword)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->p->keywords[i] && !strcmp(w->p->keywords[i], keyword))
            return true;
    return false;
}

static int add_default(struct words *w, const char *keyword, const char *value, struct err *e)
{
    return has(w, keyword) ? 0 : add_word(w, str_from(keyword), str_from(value), e);
}

/* The last of several counts, as for libpq. */
static const char *value_of(const struct postgres *p, const char *keyword, const char *otherwise)
{
    for (size_t i = 0; p->keywords[i]; i++)
        if (!strcmp(p->keywords[i], keyword))
            otherwise = p->values[i];
    return otherwise;
}

static bool is_here(str host)
{
    return !host.len || host.ptr[0] == '/' || host.ptr[0] == '@' || str_eq(host, STR("localhost")) ||
           str_eq(host, STR("::1")) || str_starts(host, STR("127."));
}

/* Clair's driver asks for TLS unless told otherwise, while libpq would go on in plain text when the server has none. On this machine
 * that harms nobody. */
static bool wants_tls(const struct words *w)
{
    const char *address = value_of(w->p, "hostaddr", "");
    str hosts = str_from(*address ? address : value_of(w->p, "host", ""));
    if (getenv("PGSSLMODE"))
        return false;
    for (bool more = hosts.len; more; more = hosts.len)
        if (!is_here(str_trim(str_cut(&hosts, ','))))
            return true;
    return false;
}

/* libpq would wait for ever at 0. What is no number it refuses itself. */
static int bound_connecting(struct words *w, struct err *e)
{
    const char *value = value_of(w->p, "connect_timeout", "5");
    char *end;
    long seconds = strtol(value, &end, 10);
    if (*value && !*end && seconds <= 0)
        value = CONNECT_MAX_S;
    return add_word(w, STR("connect_timeout"), str_from(value), e);
}

static int finish(struct words *w, struct err *e)
{
    if (wants_tls(w) && add_default(w, "sslmode", "require", e) < 0)
        return -1;
    if (bound_connecting(w, e) < 0 || add_default(w, "tcp_user_timeout", "10000", e) < 0 ||
        add_default(w, "keepalives_idle", "10", e) < 0 || add_default(w, "application_name", "eclair", e) < 0)
        return -1;
    if (w->options.len) {
        w->p->keywords[w->count] = strdup("options");
        w->p->values[w->count++] = copy_of(buf_view(&w->options));
    }
    for (size_t i = 0; i < w->count; i++)
        if (!w->p->keywords[i] || !w->p->values[i])
            return err_set(e, ERR_OOM, "database: out of memory");
    return w->options.failed ? err_set(e, ERR_OOM, "database: out of memory") : 0;
}

int postgres_parse(const char *where, struct postgres *p, struct err *e)
{
    str s = str_from(where);
    p->keywords = calloc(WORDS_MAX, sizeof *p->keywords);
    p->values = calloc(WORDS_MAX, sizeof *p->values);
    if (!p->keywords || !p->values)
        return err_set(e, ERR_OOM, "database: out of memory");
    struct words w = { .p = p };
    bool url = str_starts(s, STR("postgresql://")) || str_starts(s, STR("postgres://"));
    int r = url ? parse_url(&w, s, e) : parse_keywords(&w, s, e);
    r = r < 0 ? -1 : finish(&w, e);
    buf_done(&w.options);
    return r;
}

/* ---- connecting ---- */

static const struct {
    const char *text;
    enum err_kind kind;
} refusals[] = {
    { "password authentication failed", ERR_DENIED },
    { "no password supplied", ERR_DENIED },
    { "no pg_hba.conf entry", ERR_DENIED },
    { "authentication failed", ERR_DENIED },
    { "permission denied", ERR_DENIED },
    { "role \"", ERR_DENIED },
    { "does not exist", ERR_NOT_FOUND },
    { "invalid integer value", ERR_USAGE },
    { "invalid port number", ERR_USAGE },

    { "invalid value", ERR_USAGE },
    { "invalid connection option", ERR_USAGE },
    { "unrecognized configuration parameter", ERR_USAGE },
    { "invalid command-line argument", ERR_USAGE },
    { "invalid sslmode value", ERR_USAGE },
    { "too many clients", ERR_BUSY },
    { "remaining connection slots", ERR_BUSY },
};

/* "connection to server at "localhost" (127.0.0.1), port 5432 failed: Connection refused" as Go's net says it:
 * "127.0.0.1:5432: connect: connection refused". */
static bool refused_as_go(str line, struct buf *to)
{
    str rest = line;
    if (!str_starts(rest, STR("connection to server at \"")))
        return false;
    rest = str_skip(rest, STR("connection to server at \"").len);
    str host = str_cut(&rest, '"');
    rest = str_trim(rest);
    if (rest.len && rest.ptr[0] == '(') {
        rest = str_skip(rest, 1);
        host = str_cut(&rest, ')');
    }
    if (!str_starts(rest, STR(", port ")))
        return false;
    rest = str_skip(rest, 7);
    str port = str_word(&rest);
    str_cut(&rest, ':');
    rest = str_trim(rest);
    if (!rest.len || str_starts(rest, STR("FATAL")))
        return false;
    bool six = str_find(host, ':') >= 0;
    buf_printf(to, "%s" STR_FMT "%s:" STR_FMT ": connect: %c" STR_FMT, six ? "[" : "", STR_ARG(host),
               six ? "]" : "", STR_ARG(port), tolower((unsigned char)rest.ptr[0]),
               STR_ARG(str_skip(rest, 1)));
    return true;
}

static enum err_kind refusal(str line)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (str_contains(line, str_from(refusals[i].text)))
            return refusals[i].kind;
    return ERR_NONE;
}

/* Several hosts: a line of libpq's for each, and hints of its own that begin with a tab. */
static int connect_error(const struct postgres *p, struct err *e)
{
    CLEANUP(buf_done) struct buf all = { 0 };
    for (str rest = str_from(PQerrorMessage(p->conn)); rest.len;) {
        str line = str_line(&rest);
        enum err_kind kind = refusal(line);
        if (kind)
            return err_set(e, kind, "%s: " STR_FMT, p->sql.where, STR_ARG(str_trim(line)));
        if (!str_trim(line).len || str_starts(line, STR("\t")))
            continue;
        buf_str(&all, all.len ? STR("; ") : STR(""));
        if (!refused_as_go(line, &all))
            buf_printf(&all, "%s: " STR_FMT, p->sql.where, STR_ARG(str_trim(line)));
    }
    return err_set(e, ERR_NETWORK, STR_FMT, STR_ARG(buf_view(&all)));
}

/* Each loop of a statement is an index range, in the order in which it is written: what a planner would guess of tables that
 * grow from nothing is worse, and guessing again for each report costs more than the report. */
static const struct {
    int since; /* server version */
    const char *sql;
    bool optional; /* alone, for a refusal undoes what is sent with it */
} settings[] = {
    { 0, "SET search_path TO eclair; SET client_min_messages TO warning; SET enable_seqscan TO off;"
         "SET enable_hashjoin TO off; SET enable_mergejoin TO off; SET enable_material TO off;"
         "SET enable_bitmapscan TO off; SET join_collapse_limit TO 1; SET from_collapse_limit TO 1;"
         "SET bytea_output TO hex" },
    { 0, "SET lc_messages TO 'C'", .optional = true }, /* only a superuser may */
    { 110000, "SET jit TO off" },
    { 120000, "SET plan_cache_mode TO force_generic_plan" },
    { 140000, "SET enable_memoize TO off" },
    /* that a client has given up is noticed while a statement runs or waits; not on every system */
    { 140000, "SET client_connection_check_interval TO '3s'", .optional = true },
};

/* The one number of a statement; `otherwise` when there is no row or it is NULL. */
static int number(struct postgres *p, const char *sql, int64_t otherwise, int64_t *ret, struct err *e)
{
    PGresult *r = postgres_execute(p, sql, e);
    if (!r)
        return -1;
    *ret = PQntuples(r) && !PQgetisnull(r, 0, 0) ? strtoll(PQgetvalue(r, 0, 0), NULL, 10) : otherwise;
    PQclear(r);
    return 0;
}

/* The server ends a statement by itself at its statement_timeout, and says so: soon after that nothing will come. */
static int find_response(struct postgres *p, struct err *e)
{
    int64_t ms = 0;
    if (p->response_set)
        return 0;
    p->response_ms = p->response_default_ms;
    if (number(p, "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'statement_timeout'", 0, &ms, e) <
        0)
        return -1;
    if (ms > 0 && ms + RESPONSE_MORE_S * 1000 < p->response_ms)
        p->response_ms = ms + RESPONSE_MORE_S * 1000;
    return 0;
}

static int configure(struct postgres *p, struct err *e)
{
    int version = PQserverVersion(p->conn);
    if (p->foreign)
        return find_response(p, e);
    if (version < VERSION_MIN)
        return err_set(e, ERR_UNSUPPORTED, "%s: PostgreSQL %d.%d is too old: 11 is the oldest that will do",
                       p->sql.where, version / 10000, version / 100 % 100);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (version < settings[i].since)
            continue;
        PGresult *r = postgres_query(p, settings[i].sql);
        bool good = PQresultStatus(r) == PGRES_COMMAND_OK;
        if (!good && settings[i].optional && PQstatus(p->conn) == CONNECTION_OK)
            good = true;
        if (!good)
            postgres_error(p, r, "open", e);
        PQclear(r);
        if (!good)
            return -1;
    }
    return find_response(p, e);
}

/* What a server remarks goes to nobody's standard error: what matters comes as an error. */
static void ignore_notice(void *ctx, const PGresult *r) { (void)ctx, (void)r; }

int postgres_connect(struct postgres *p, struct err *e)
{
    postgres_give_up(p);
    p->sql.again = p->silent = p->listening = p->deaf = false;
    for (size_t i = 0; i < QUERIES; i++)
        p->statements[i].prepared = false;
    p->conn = PQconnectdbParams((const char *const *)p->keywords, (const char *const *)p->values, 0);
    if (!p->conn)
        return sql_oom(&p->sql, e);
    PQsetNoticeReceiver(p->conn, ignore_notice, NULL);
    if (PQstatus(p->conn) != CONNECTION_OK)
        return connect_error(p, e);
    if (PQsetnonblocking(p->conn, 1) < 0)
        return postgres_error(p, NULL, "open", e);
    if (configure(p, e) < 0)
        return -1;
    if (!p->sql.scratch)
        return 0;
    PGresult *r = postgres_execute(p, postgres_index_tables, e);
    PQclear(r);
    return r ? 0 : -1;
}

/* ---- the schema ---- */

static int has_meta(struct postgres *p, int64_t *ret, struct err *e)
{
    return number(p, "SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('eclair.meta')", 0,
                  ret, e);
}

/* 0: there is none. Another process may be at making it, and end at any moment: so its table is looked for once more when there is
 * something else. */
static int read_schema(struct postgres *p, int64_t *ret, struct err *e)
{
    int64_t there, others = 0;
    *ret = 0;
    if (has_meta(p, &there, e) < 0)
        return -1;
    if (!there &&
        (number(p, "SELECT count(*) FROM pg_catalog.pg_class WHERE relnamespace = to_regnamespace('eclair')",
                0, &others, e) < 0 ||
         (others && has_meta(p, &there, e) < 0)))
        return -1;
    if (there)
        return number(p, "SELECT schema FROM eclair.meta", 0, ret, e);
    return others
               ? err_set(e, ERR_FORMAT, "%s: the schema 'eclair' is somebody else's: it has no table 'meta'",
                         p->sql.where)
               : 0;
}

static int run_steps(struct postgres *p, int64_t schema, struct err *e)
{
    char mark[64];
    for (; schema < SCHEMA_NUMBER; schema++) {
        for (const char *const *step = postgres_migrations[schema]; *step; step++) {
            PGresult *r = postgres_execute(p, *step, e);
            PQclear(r);
            if (!r)
                return -1;
        }
        if (sql_convert(&p->sql, (int)schema + 1, e) < 0)
            return -1;
    }
    snprintf(mark, sizeof mark, "UPDATE meta SET schema = %d", SCHEMA_NUMBER);
    PGresult *r = postgres_execute(p, mark, e);
    PQclear(r);
    return r ? 0 : -1;
}

/* One at a time: all servers of a cluster may start at once. */
static int migrate_in_turn(struct postgres *p, struct err *e)
{
    int64_t schema;
    CLEANUP(sql_endp) struct sql *t = sql_begin(&p->sql, true, e);
    if (!t)
        return -1;
    PGresult *r =
        postgres_execute(p, "SELECT pg_advisory_xact_lock(1162037362)", e); /* any number of our own */
    PQclear(r);
    if (!r || read_schema(p, &schema, e) < 0)
        return -1;
    p->sql.store.schema_before = schema;
    if (schema < SCHEMA_NUMBER) {
        r = postgres_execute(p, "CREATE SCHEMA IF NOT EXISTS eclair", e);
        PQclear(r);
        if (!r || run_steps(p, schema, e) < 0)
            return -1;
    }
    return sql_commit(&t, e);
}

/* Both a turn and a step may take long, and say nothing meanwhile. */
static int migrate(struct postgres *p, struct err *e)
{
    p->patient = true;
    int r = migrate_in_turn(p, e);
    p->patient = false;
    return r;
}

static int check_schema(struct postgres *p, enum store_mode mode, struct err *e)
{
    int64_t schema, readonly;
    if (read_schema(p, &schema, e) < 0)
        return -1;
    if (schema > SCHEMA_NUMBER)
        return err_set(e, ERR_NEWER,
                       "%s: its schema is %lld, this program knows up to %d: use a newer éclair",
                       p->sql.where, (long long)schema, SCHEMA_NUMBER);
    p->sql.store.schema_before = schema;
    p->sql.readonly = mode == STORE_READ;
    if (mode != STORE_WRITE)
        return schema == SCHEMA_NUMBER
                   ? 0
                   : err_set(e, ERR_READONLY, "%s: its schema must be made or migrated first", p->sql.where);
    if (number(p, "SELECT (current_setting('transaction_read_only')::boolean)::int", 0, &readonly, e) < 0)
        return -1;
    if (readonly)
        return err_set(e, ERR_READONLY, "%s: not writable (a standby server?)", p->sql.where);
    return schema < SCHEMA_NUMBER ? migrate(p, e) : 0;
}

/* ---- opening ---- */

void postgres_close(struct store *store)
{
    struct postgres *p = (struct postgres *)store;
    for (size_t i = 0; i < QUERIES; i++) {
        PQclear(p->statements[i].result);
        buf_done(&p->statements[i].list);
    }
    for (size_t i = 0; i < BULKS; i++)
        buf_done(&p->bulks[i]);
    PQfinish(p->conn);
    for (size_t i = 0; p->keywords && p->values && i < WORDS_MAX; i++) {
        free(p->keywords[i]);
        free(p->values[i]);
    }
    free(p->keywords);
    free(p->values);
    free(p->sql.where);
    free(p);
}

static void closep(struct postgres **p)
{
    if (*p)
        postgres_close(&(*p)->sql.store);
    *p = NULL;
}

/* What errors call the database: never the password. One port may stand for all hosts, an empty one for the usual. */
static int name_place(struct postgres *p, struct err *e)
{
    CLEANUP(buf_done) struct buf name = { 0 };
    str hosts = str_from(value_of(p, "host", value_of(p, "hostaddr", "localhost")));
    str ports = str_from(value_of(p, "port", "")), port = { 0 };
    bool one = str_find(ports, ',') < 0;
    buf_str(&name, STR("postgresql://"));
    for (bool more = true, first = true; more; first = false) {
        more = str_find(hosts, ',') >= 0;
        port = one && !first ? port : str_trim(str_cut(&ports, ','));
        str host = str_trim(str_cut(&hosts, ','));
        buf_printf(&name, "%s" STR_FMT ":" STR_FMT, first ? "" : ",", STR_ARG(host),
                   STR_ARG(port.len ? port : STR("5432")));
    }
    buf_printf(&name, "/%s", value_of(p, "dbname", value_of(p, "user", "")));
    p->sql.where = name.failed ? NULL : copy_of(buf_view(&name));
    return p->sql.where ? 0 : err_set(e, ERR_OOM, "database: out of memory");
}

static struct postgres *make(enum store_mode mode, struct err *e)
{
    struct postgres *p = calloc(1, sizeof *p);
    if (!p) {
        err_set(e, ERR_OOM, "database: out of memory");
        return NULL;
    }
    p->sql.store.engine = &store_postgres;
    p->sql.driver = &postgres_driver;
    p->sql.care = &postgres_care;
    p->response_ms = p->response_default_ms = (mode == STORE_READ ? RESPONSE_READ_S : RESPONSE_S) * 1000;
    return p;
}

struct postgres *postgres_attach(const char *where, struct err *e)
{
    CLEANUP(closep) struct postgres *p = make(STORE_WRITE, e);
    if (!p)
        return NULL;
    p->foreign = true;
    if (postgres_parse(where, p, e) < 0 || name_place(p, e) < 0 || postgres_connect(p, e) < 0)
        return NULL;
    struct postgres *ret = p;
    p = NULL;
    return ret;
}

struct store *postgres_open(const char *where, enum store_mode mode, struct err *e)
{
    CLEANUP(closep) struct postgres *p = make(mode, e);
    if (!p)
        return NULL;
    if (postgres_parse(where, p, e) < 0 || name_place(p, e) < 0 || postgres_connect(p, e) < 0 ||
        check_schema(p, mode, e) < 0)
        return NULL;
    if (mode == STORE_SCRATCH) {
        PGresult *r = postgres_execute(p, postgres_index_tables, e);
        PQclear(r);
        if (!r)
            return NULL;
        p->sql.scratch = true; /* a new connection makes its temporary tables anew */
    }
    struct store *ret = &p->sql.store;
    p = NULL;
    return ret;
}
