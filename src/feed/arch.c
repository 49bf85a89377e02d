/*
 * Arch Linux's security tracker, all.json: [ { name: "AVG-1", packages: [ binary packages ], issues: [ CVEs ], status, severity,
 * fixed, type, ... } ] (spec/feeds.md 11). A group is held until it ends; each of its issues becomes an advisory.
 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "codec/json.h"
#include "feed/feed.h"

#define TRACKER     "https://security.archlinux.org"
#define GROUP_LIMIT ((size_t)4 << 20) /* bytes for the data of one group */
#define SHOWN       100

static const struct status {
    const char *name;
    bool negative;
    enum fix_state unfixed; /* of a group without a fixed version; 0: it says nothing then */
} statuses[] = {
    { "Vulnerable", false, FIX_AFFECTED },         { "Testing", false, FIX_AFFECTED },
    { "Unknown", false, FIX_UNDER_INVESTIGATION }, { "Fixed", false, 0 },
    { "Not affected", true, FIX_FIXED },
};

struct list {
    str *items;
    size_t count, cap;
};

enum member { MEMBER_NAME, MEMBER_STATUS, MEMBER_SEVERITY, MEMBER_FIXED, MEMBER_TYPE, TEXTS };
static const char *const members[TEXTS] = { "name", "status", "severity", "fixed", "type" };

struct group {
    struct json *json;
    struct arena *arena;
    str texts[TEXTS];
    struct list packages, issues;
};

static int too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "a group with more than %zu bytes", GROUP_LIMIT);
}

static int keep(struct group *g, str s, str *ret, struct err *e)
{
    *ret = arena_dup(g->arena, str_head(s, FEED_TEXT_MAX));
    return arena_failed(g->arena) ? too_much(e) : 0;
}

static int read_list(struct group *g, struct list *l, struct err *e)
{
    int r = json_enter_or_null(g->json, JSON_ARRAY, e);
    if (r <= 0)
        return r;
    enum json_type type;
    str text;
    while ((r = json_element(g->json, &type, &text, e)) > 0) {
        if (type != JSON_STRING || !text.len)
            return err_set(e, ERR_FORMAT, "byte %llu: a name wanted",
                           (unsigned long long)json_offset(g->json));
        l->items = arena_grow(g->arena, l->items, l->count, &l->cap, sizeof *l->items);
        if (!l->items)
            return too_much(e);
        if (keep(g, text, &l->items[l->count], e) < 0)
            return -1;
        l->count++;
    }
    return r;
}

static int read_member(struct group *g, str key, struct err *e)
{
    if (str_eq(key, STR("packages")))
        return read_list(g, &g->packages, e) < 0 ? err_wrap(e, "packages") : 0;
    if (str_eq(key, STR("issues")))
        return read_list(g, &g->issues, e) < 0 ? err_wrap(e, "issues") : 0;
    size_t m = 0;
    str text;
    while (m < TEXTS && !str_eq(key, str_from(members[m])))
        m++;
    if (m == TEXTS)
        return json_skip(g->json, e);
    if (json_string(g->json, &text, e) < 0)
        return err_wrap(e, "%s", members[m]);
    return keep(g, text, &g->texts[m], e);
}

static const struct status *status_of(str name)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (str_eq(name, str_from(statuses[i].name)))
            return &statuses[i];
    return NULL;
}

/* What the group says of any of its packages; false: nothing. */
static bool statement(const struct group *g, struct affected_range *ret)
{
    const struct status *status = status_of(g->texts[MEMBER_STATUS]);
    str fixed = g->texts[MEMBER_FIXED];
    if (!status || (!fixed.len && !status->unfixed))
        return false;
    *ret = (struct affected_range){
        .namespace = STR("arch"),
        .scheme = STR("alpm"),
        .kind = AFFECTS_BINARY,
        .negative = status->negative,
        .fixed_version = status->negative ? (str){ 0 } : fixed,
        .state = fixed.len ? FIX_FIXED : status->unfixed,
    };
    severity_parse(g->texts[MEMBER_SEVERITY], &ret->severity);
    return true;
}

static int by_text(const void *a, const void *b) { return str_cmp(*(const str *)a, *(const str *)b); }

/* In order, each once: a key must not come twice. */
static void make_unique(struct list *l)
{
    size_t count = 0;
    if (l->count)
        qsort(l->items, l->count, sizeof *l->items, by_text);
    for (size_t i = 0; i < l->count; i++)
        if (!i || !str_eq(l->items[i], l->items[i - 1]))
            l->items[count++] = l->items[i];
    l->count = count;
}

static int put(struct group *g, struct advisory_sink *sink, struct err *e)
{
    struct affected_range common, *ranges;
    str name = g->texts[MEMBER_NAME];
    if (!name.len)
        return err_set(e, ERR_FORMAT, "byte %llu: a group without a name",
                       (unsigned long long)json_offset(g->json));
    if (!statement(g, &common) || !g->packages.count)
        return 0;
    make_unique(&g->issues);
    make_unique(&g->packages);
    ranges = arena_array(g->arena, struct affected_range, g->packages.count);
    if (!ranges)
        return too_much(e);
    for (size_t i = 0; i < g->packages.count; i++) {
        ranges[i] = common;
        ranges[i].package = g->packages.items[i];
    }
    str link = arena_printf(g->arena, TRACKER "/" STR_FMT, STR_ARG(name));
    for (size_t i = 0; i < g->issues.count; i++) {
        struct advisory a = {
            .key = arena_printf(g->arena, STR_FMT "/" STR_FMT, STR_ARG(name), STR_ARG(g->issues.items[i])),
            .id = g->issues.items[i],
            .title = g->texts[MEMBER_TYPE],
            .link = link,
            .ranges = ranges,
            .range_count = g->packages.count,
        };
        if (arena_failed(g->arena))
            return too_much(e);
        if (sink->put(sink, &a, e) < 0)
            return -1;
    }
    return 0;
}

/* Its object has begun; all of its data is gone afterwards. */
static int read_group(struct json *json, struct advisory_sink *sink, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(GROUP_LIMIT);
    struct group g = { .json = json, .arena = arena };
    if (!arena)
        return err_set(e, ERR_OOM, "arch: out of memory");
    str key;
    int r;
    while ((r = json_key(json, &key, e)) > 0)
        if (read_member(&g, key, e) < 0)
            break;
    if (r == 0)
        r = put(&g, sink, e);
    return r == 0 ? 0 : err_wrap(e, "'" STR_FMT "'", STR_ARG(str_head(g.texts[MEMBER_NAME], SHOWN)));
}

static int arch_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    CLEANUP(json_freep) struct json *json = json_new(in->bytes, NULL, e);
    if (!json || json_enter(json, JSON_ARRAY, e) < 0)
        return -1;
    enum json_type type;
    str text;
    size_t count = 0;
    int r;
    for (; (r = json_element(json, &type, &text, e)) > 0; count++) {
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "byte %llu: a group is not an object",
                           (unsigned long long)json_offset(json));
        if (read_group(json, sink, e) < 0)
            return -1;
    }
    if (r < 0 || json_finish(json, e) < 0)
        return -1;
    return count ? 0 : err_set(e, ERR_FORMAT, "no group: an empty tracker is a broken one");
}

static const struct feed_document documents[] = {
    { "issues/all.json" },
    { "all.json", DOCUMENT_ELSE },
    { NULL },
};

const struct feed feed_arch = {
    .name = "arch",
    .about = "Arch Linux security tracker",
    .covers = "arch",
    .megabytes = 1,
    .place = { "arch", TRACKER },
    .documents = documents,
    .version = 1,
    .parse = arch_parse,
};
