#include "feed/secdb.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "codec/json.h"
#include "model/package.h"
#include "version/version.h"

#define PACKAGE_LIMIT ((size_t)8 << 20) /* bytes for the data of one package */
#define SHOWN         100               /* bytes of a name in an error: the reason must fit too */

/* How much a version says about an id. The same id comes under several versions when a fix had to be
 * repaired: then the highest is the fix; a version that apk cannot compare counts only where nothing else is
 * said. */
enum rank { RANK_INVALID, RANK_NEVER, RANK_VERSION };

struct fix {
    str id, version;
    enum rank rank;
};

struct secdb {
    struct json *json;
    const struct secdb_source *source;
    struct advisory_sink *sink;
    bool complete; /* the list of packages was there */
    /* of one package: */
    struct arena *arena;
    str package;
    struct fix *fixes;
    size_t fix_count, fix_cap;
};

static int too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "a package with more than %zu bytes", PACKAGE_LIMIT);
}

static int keep(struct secdb *d, str s, str *ret, struct err *e)
{
    *ret = arena_dup(d->arena, str_head(s, FEED_TEXT_MAX));
    return arena_failed(d->arena) ? too_much(e) : 0;
}

static bool letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* What of a word is an id: "(CVE-2019-1)," and "CVE_2019-1" are typed too, and "CVE-????-?????" is none. */
static str id_of(str word, char out[FEED_TEXT_MAX])
{
    static const char *const heads[] = { "CVE-", "CVE_", "GHSA-", "XSA-", "ALPINE-" };
    word = str_head(word.len && *word.ptr == '(' ? str_skip(word, 1) : word, FEED_TEXT_MAX);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        str head = str_from(heads[i]);
        size_t n = head.len;
        if (!str_starts(word, head))
            continue;
        while (n < word.len && (letter_or_digit(word.ptr[n]) || word.ptr[n] == '-'))
            n++;
        if (n == head.len || word.ptr[n - 1] == '-')
            break;
        memcpy(out, word.ptr, n);
        out[head.len - 1] = '-';
        return str_of(out, n);
    }
    return (str){ 0 };
}

static int add_fix(struct secdb *d, str id, str version, enum rank rank, struct err *e)
{
    struct fix *fixes = arena_grow(d->arena, d->fixes, d->fix_count, &d->fix_cap, sizeof *fixes);
    if (!fixes)
        return too_much(e);
    d->fixes = fixes;
    struct fix *f = &fixes[d->fix_count];
    f->version = version;
    f->rank = rank;
    if (keep(d, id, &f->id, e) < 0)
        return -1;
    d->fix_count++;
    return 0;
}

/* "CVE-2017-2616 XSA-1" is one problem with two names: the other databases know it by the first. */
static bool has_cve(str text)
{
    char buffer[FEED_TEXT_MAX];
    str word;
    do
        word = str_word(&text);
    while (word.len && !id_is_cve(id_of(word, buffer)));
    return word.len > 0;
}

/* The ids in one string; of one with a CVE only the CVEs. */
static int add_ids(struct secdb *d, str text, str version, enum rank rank, struct err *e)
{
    bool cves = has_cve(text);
    for (str word; (word = str_word(&text)).len;) {
        char buffer[FEED_TEXT_MAX];
        str id = id_of(word, buffer);
        if (id.len && (id_is_cve(id) || !cves) && add_fix(d, id, version, rank, e) < 0)
            return -1;
    }
    return 0;
}

static int read_ids(struct secdb *d, str version, struct err *e)
{
    enum rank rank = str_eq(version, STR("0"))    ? RANK_NEVER
                     : version_apk.valid(version) ? RANK_VERSION
                                                  : RANK_INVALID;
    int r = json_enter_or_null(d->json, JSON_ARRAY, e);
    if (r <= 0)
        return r;
    enum json_type type;
    str text;
    while ((r = json_element(d->json, &type, &text, e)) > 0) {
        if (type != JSON_STRING && type != JSON_NULL)
            return err_set(e, ERR_FORMAT, "byte %llu: an id is not a string",
                           (unsigned long long)json_offset(d->json));
        if (add_ids(d, text, version, rank, e) < 0)
            return -1;
    }
    return r;
}

static int read_secfixes(struct secdb *d, struct err *e)
{
    int r = json_enter_or_null(d->json, JSON_OBJECT, e);
    if (r <= 0)
        return r;
    str key, version;
    while ((r = json_key(d->json, &key, e)) > 0) {
        if (!key.len)
            return err_set(e, ERR_FORMAT, "byte %llu: an empty version",
                           (unsigned long long)json_offset(d->json));
        if (keep(d, key, &version, e) < 0 || read_ids(d, version, e) < 0)
            return err_wrap(e, "secfixes");
    }
    return r;
}

/* By id, and within it the one that counts last. */
static int by_id(const void *a, const void *b)
{
    const struct fix *x = a, *y = b;
    int r = str_cmp(x->id, y->id);
    if (!r)
        r = (x->rank > y->rank) - (x->rank < y->rank);
    if (!r && x->rank == RANK_VERSION)
        r = version_apk.compare(x->version, y->version);
    return r ? r : str_cmp(x->version, y->version);
}

static int put(struct secdb *d, const struct fix *f, struct err *e)
{
    char link[FEED_TEXT_MAX];
    bool never = f->rank == RANK_NEVER;
    struct affected_range ranges[2] = { {
        .namespace = d->source->namespace,
        .scheme = STR("apk"),
        .package = d->package,
        .kind = AFFECTS_SOURCE,
        .negative = never,
        .fixed_version = never ? (str){ 0 } : f->version,
        .severity = SEVERITY_UNKNOWN,
        .state = FIX_FIXED,
    } };
    ranges[1] = ranges[0];
    ranges[1].kind = AFFECTS_BINARY;
    struct advisory a = {
        .key = arena_printf(d->arena, STR_FMT STR_FMT "/" STR_FMT, STR_ARG(d->source->key),
                            STR_ARG(d->package), STR_ARG(f->id)),
        .id = f->id,
        .link = d->source->link(f->id, link),
        .ranges = ranges,
        .range_count = d->source->binaries ? 2 : 1,
    };
    return arena_failed(d->arena) ? too_much(e) : d->sink->put(d->sink, &a, e);
}

static int put_package(struct secdb *d, struct err *e)
{
    if (!d->package.len)
        return err_set(e, ERR_FORMAT, "byte %llu: a package without a name",
                       (unsigned long long)json_offset(d->json));
    if (d->fix_count)
        qsort(d->fixes, d->fix_count, sizeof *d->fixes, by_id);
    for (size_t i = 0; i < d->fix_count; i++) {
        bool last = i + 1 == d->fix_count || !str_eq(d->fixes[i].id, d->fixes[i + 1].id);
        if (last && put(d, &d->fixes[i], e) < 0)
            return -1;
    }
    return 0;
}

static int read_package(struct secdb *d, struct err *e)
{
    if (json_enter(d->json, JSON_OBJECT, e) < 0)
        return -1;
    str key, name;
    int r;
    while ((r = json_key(d->json, &key, e)) > 0) {
        if (str_eq(key, STR("name")))
            r = json_string(d->json, &name, e) < 0 ? -1 : keep(d, name, &d->package, e);
        else
            r = str_eq(key, STR("secfixes")) ? read_secfixes(d, e) : json_skip(d->json, e);
        if (r < 0)
            return -1;
    }
    return r < 0 ? -1 : put_package(d, e);
}

/* { "pkg": { ... } }, all of whose data is gone afterwards. */
static int read_element(struct secdb *d, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(PACKAGE_LIMIT);
    if (!arena)
        return err_set(e, ERR_OOM, "secdb: out of memory");
    d->arena = arena;
    str key;
    int r;
    bool found = false;
    while ((r = json_key(d->json, &key, e)) > 0) {
        d->package = (str){ 0 };
        d->fixes = NULL;
        d->fix_count = d->fix_cap = 0;
        if (!str_eq(key, STR("pkg"))) {
            if (json_skip(d->json, e) < 0)
                return -1;
            continue;
        }
        found = true;
        if (read_package(d, e) < 0)
            return err_wrap(e, "package '" STR_FMT "'", STR_ARG(str_head(d->package, SHOWN)));
    }
    if (r == 0 && !found)
        return err_set(e, ERR_FORMAT, "byte %llu: an element without pkg",
                       (unsigned long long)json_offset(d->json));
    return r;
}

static int read_packages(struct secdb *d, struct err *e)
{
    d->complete = true;
    int r = json_enter_or_null(d->json, JSON_ARRAY, e);
    if (r <= 0)
        return r;
    enum json_type type;
    str text;
    while ((r = json_element(d->json, &type, &text, e)) > 0) {
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "byte %llu: a package is not an object",
                           (unsigned long long)json_offset(d->json));
        if (read_element(d, e) < 0)
            return -1;
    }
    return r;
}

static int check_branch(struct secdb *d, struct err *e)
{
    str branch, want = d->source->branch;
    if (json_string(d->json, &branch, e) < 0)
        return -1;
    if (want.len && !str_eq(branch, want))
        return err_set(e, ERR_FORMAT, "byte %llu: '" STR_FMT "' in the document of '" STR_FMT "'",
                       (unsigned long long)json_offset(d->json), STR_ARG(str_head(branch, SHOWN)),
                       STR_ARG(want));
    return 0;
}

static int read_secdb(struct secdb *d, struct err *e)
{
    if (json_enter(d->json, JSON_OBJECT, e) < 0)
        return -1;
    str key;
    int r;
    while ((r = json_key(d->json, &key, e)) > 0) {
        if (str_eq(key, STR("packages")))
            r = read_packages(d, e) < 0 ? err_wrap(e, "packages") : 0;
        else if (str_eq(key, STR("distroversion")))
            r = check_branch(d, e) < 0 ? err_wrap(e, "distroversion") : 0;
        else
            r = json_skip(d->json, e);
        if (r < 0)
            return -1;
    }
    if (r < 0 || json_finish(d->json, e) < 0)
        return -1;
    return d->complete ? 0 : err_set(e, ERR_FORMAT, "no list of packages");
}

int secdb_parse(struct stream *bytes, const struct secdb_source *source, struct advisory_sink *sink,
                struct err *e)
{
    CLEANUP(json_freep) struct json *json = json_new(bytes, NULL, e);
    if (!json)
        return -1;
    struct secdb d = { .json = json, .source = source, .sink = sink };
    return read_secdb(&d, e);
}
