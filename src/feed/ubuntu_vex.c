/*
 * Ubuntu's OpenVEX documents (spec/feeds.md 2), for what its OSV records do not tell: what will not be fixed, and what is affected in
 * releases at their end of life. What is not affected is not taken over: OSV does not list it either, and of each kernel flaw it is a
 * hundred packages.
 */
#include "feed/ubuntu.h"

#include "base/cleanup.h"
#include "codec/archive.h"
#include "feed/osv.h"
#include "model/distribution.h"

#define SENTENCE_MAX 256

static const struct {
    const char *sentence; /* with which the action begins */
    enum fix_state state;
} actions[] = {
    { "This package (for the given release) is vulnerable to the CVE, the problem is understood, but the "
      "Ubuntu Security Team decided "
      "to not fix it",
      FIX_WILL_NOT_FIX },
    { "This package (for the given release) is no longer supported", FIX_END_OF_LIFE },
};

struct statement {
    str id, status, action;
    struct osv_list sources; /* purls of source packages */
};

struct vex {
    struct json *json;
    struct arena *arena;
    str id; /* of the first statement that counts */
    struct osv_ranges ranges;
};

static int read_text(struct vex *v, size_t max, str *ret, struct err *e)
{
    str text;
    if (json_string(v->json, &text, e) < 0)
        return -1;
    *ret = arena_dup(v->arena, str_head(text, max));
    return 0;
}

/* { "name": ... } */
static int read_vulnerability(struct vex *v, str *ret, struct err *e)
{
    str key;
    int r;
    if (json_enter(v->json, JSON_OBJECT, e) < 0)
        return -1;
    while ((r = json_key(v->json, &key, e)) > 0)
        if ((str_eq(key, STR("name")) ? read_text(v, FEED_TEXT_MAX, ret, e) : json_skip(v->json, e)) < 0)
            return -1;
    return r;
}

static void add_source(struct vex *v, struct osv_list *to, str purl)
{
    if (!str_contains(purl, STR("arch=source")))
        return;
    str *list = arena_grow(v->arena, to->list, to->count, &to->cap, sizeof *list);
    if (!list)
        return;
    to->list = list;
    list[to->count++] = arena_dup(v->arena, str_head(purl, 2 * FEED_TEXT_MAX));
}

static int read_product(struct vex *v, struct osv_list *to, struct err *e)
{
    str key, purl;
    int r;
    while ((r = json_key(v->json, &key, e)) > 0) {
        if (!str_eq(key, STR("@id"))) {
            if (json_skip(v->json, e) < 0)
                return -1;
            continue;
        }
        if (json_string(v->json, &purl, e) < 0)
            return -1;
        add_source(v, to, purl);
    }
    return r;
}

static int read_products(struct vex *v, struct osv_list *to, struct err *e)
{
    int r = json_enter_or_null(v->json, JSON_ARRAY, e);
    enum json_type type;
    str text;
    if (r <= 0)
        return r;
    while ((r = json_element(v->json, &type, &text, e)) > 0) {
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "byte %llu: not an object",
                           (unsigned long long)json_offset(v->json));
        if (read_product(v, to, e) < 0)
            return -1;
    }
    return r;
}

static int read_statement(struct vex *v, struct statement *ret, struct err *e)
{
    str key;
    int r;
    while ((r = json_key(v->json, &key, e)) > 0) {
        if (str_eq(key, STR("vulnerability")))
            r = read_vulnerability(v, &ret->id, e);
        else if (str_eq(key, STR("status")))
            r = read_text(v, FEED_TEXT_MAX, &ret->status, e);
        else if (str_eq(key, STR("action_statement")))
            r = read_text(v, SENTENCE_MAX, &ret->action, e);
        else
            r = str_eq(key, STR("products")) ? read_products(v, &ret->sources, e) : json_skip(v->json, e);
        if (r < 0)
            return -1;
    }
    return r;
}

/* ---- what it means ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

static str unescaped(struct arena *a, str s)
{
    char *to = arena_alloc(a, s.len, 1);
    size_t n = 0;
    for (size_t i = 0; to && i < s.len; i++) {
        bool escape = s.ptr[i] == '%' && i + 2 < s.len && hex(s.ptr[i + 1]) >= 0 && hex(s.ptr[i + 2]) >= 0;
        int byte = escape ? hex(s.ptr[i + 1]) << 4 | hex(s.ptr[i + 2]) : s.ptr[i];
        to[n++] = (char)byte;
        i += escape ? 2 : 0;
    }
    return str_of(to, n);
}

/* "pkg:deb/ubuntu/NAME@VERSION?arch=source&distro=jammy"; false for other channels ("distro=esm-infra/xenial") and unknown releases */
static bool read_purl(struct arena *a, str purl, str *name, str *version)
{
    static const str head = STR("pkg:deb/ubuntu/");
    if (!str_starts(purl, head))
        return false;
    str rest = str_skip(purl, head.len), path = str_cut(&rest, '?');
    *name = unescaped(a, str_cut(&path, '@'));
    *version = (str){ 0 };
    for (str value; (value = str_cut(&rest, '&')).len;) {
        str key = str_cut(&value, '=');
        if (str_eq(key, STR("distro")))
            *version = ubuntu_version(value);
    }
    return name->len && version->len;
}

static bool state_of(const struct statement *st, enum fix_state *ret)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (str_eq(st->status, STR("affected")) && str_starts(st->action, str_from(actions[i].sentence))) {
            *ret = actions[i].state;
            return true;
        }
    return false;
}

/* A document is about one CVE. */
static void judge(struct vex *v, const struct statement *st)
{
    struct affected_range range = { .scheme = STR("dpkg"), .kind = AFFECTS_SOURCE };
    str version;
    if (!state_of(st, &range.state) || !id_is_cve(st->id) || (v->id.len && !str_eq(v->id, st->id)))
        return;
    v->id = st->id;
    for (size_t i = 0; i < st->sources.count; i++)
        if (read_purl(v->arena, st->sources.list[i], &range.package, &version)) {
            range.namespace = arena_printf(v->arena, "ubuntu:" STR_FMT, STR_ARG(version));
            osv_add_range(v->arena, &v->ranges, &range);
        }
}

static int read_statements(struct vex *v, struct err *e)
{
    int r = json_enter_or_null(v->json, JSON_ARRAY, e);
    enum json_type type;
    str text;
    if (r <= 0)
        return r;
    while ((r = json_element(v->json, &type, &text, e)) > 0) {
        struct statement st = { 0 };
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "byte %llu: not an object",
                           (unsigned long long)json_offset(v->json));
        if (read_statement(v, &st, e) < 0)
            return -1;
        judge(v, &st);
        if (arena_failed(v->arena))
            return err_set(e, ERR_LIMIT, "a document with more than %zu bytes", OSV_RECORD_MAX);
    }
    return r;
}

static int read_document(struct vex *v, struct err *e)
{
    str key;
    int r;
    if (json_enter(v->json, JSON_OBJECT, e) < 0)
        return -1;
    while ((r = json_key(v->json, &key, e)) > 0) {
        if (!str_eq(key, STR("statements"))) {
            if (json_skip(v->json, e) < 0)
                return -1;
        } else if (read_statements(v, e) < 0) {
            return err_wrap(e, "statements");
        }
    }
    return r < 0 ? -1 : json_finish(v->json, e);
}

/* Where OSV says no more than "affected", too, the store takes the one whose key comes first: this one. */
static int put(struct vex *v, struct advisory_sink *sink, struct err *e)
{
    struct osv_list none = { 0 };
    struct advisory a = {
        .key = arena_printf(v->arena, STR_FMT "/vex", STR_ARG(v->id)),
        .id = v->id,
        .link = arena_printf(v->arena, "https://ubuntu.com/security/" STR_FMT, STR_ARG(v->id)),
    };
    return osv_put(sink, v->arena, &a, &v->ranges, &none, e);
}

static int read_file(void *sink, str name, struct stream *file, struct err *e)
{
    if (!str_contains(name, STR("cve/")) || !str_ends(name, STR(".json")))
        return 0;
    CLEANUP(json_freep) struct json *json = json_new(file, NULL, e);
    if (!json)
        return -1;
    CLEANUP(arena_freep) struct arena *arena = arena_new(OSV_RECORD_MAX);
    if (!arena)
        return err_set(e, ERR_OOM, "vex: out of memory");
    struct vex v = { .json = json, .arena = arena };
    return read_document(&v, e) < 0 || put(&v, sink, e) < 0 ? -1 : 1;
}

int ubuntu_vex_parse(struct stream *in, struct advisory_sink *sink, struct err *e)
{
    size_t count;
    if (archive_each(in, read_file, sink, &count, e) < 0)
        return -1;
    return count ? 0 : err_set(e, ERR_FORMAT, "no document: an empty archive is a broken one");
}
