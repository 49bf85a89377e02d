/*
 * Debian's security tracker, tracker/data/json: { source: { id: { description, releases: { codename: {
 * status, fixed_version, urgency, nodsa_reason, ... } } } } }. Members come in any order, so one (source, id)
 * is held until it ends.
 */
#include "base/cleanup.h"
#include "codec/json.h"
#include "feed/feed.h"
#include "model/distribution.h"
#include "model/package.h"

#define TRACKER         "https://security-tracker.debian.org"
#define RELEASES_MAX    64
#define SHOWN           100 /* bytes of a name in an error: the reason must fit too */
#define DESCRIPTION_MAX ((size_t)64 << 10)

static const struct urgency {
    const char *name;
    enum severity severity;
} urgencies[] = {
    { "unimportant", SEVERITY_NEGLIGIBLE },
    { "end-of-life", SEVERITY_NEGLIGIBLE },
    { "low", SEVERITY_LOW },
    { "medium", SEVERITY_MEDIUM },
    { "high", SEVERITY_HIGH },
};

struct text {
    char bytes[FEED_TEXT_MAX];
    size_t len;
};

struct tracker {
    struct json *json;
    struct advisory_sink *sink;
    struct text package, id;
    char description[DESCRIPTION_MAX];
    size_t description_len;
    struct affected_range ranges[RELEASES_MAX];
    struct text fixed[RELEASES_MAX]; /* what ranges[i].fixed_version points into */
    size_t range_count;
};

/* What is read of one release; the order is that of `members`. */
enum member { MEMBER_STATUS, MEMBER_FIXED_VERSION, MEMBER_URGENCY, MEMBER_REASON, MEMBERS };
static const char *const members[MEMBERS] = { "status", "fixed_version", "urgency", "nodsa_reason" };

struct statement {
    bool open, resolved; /* neither: undetermined, or a word we do not know */
    bool end_of_life, ignored;
    enum severity severity;
};

static str view(const struct text *t) { return str_of(t->bytes, t->len); }

static void set_text(struct text *t, str s)
{
    t->len = s.len < sizeof t->bytes ? s.len : sizeof t->bytes;
    if (t->len)
        memcpy(t->bytes, s.ptr, t->len);
}

static int set_name(struct text *t, str s, struct err *e)
{
    set_text(t, s);
    return t->len ? 0 : err_set(e, ERR_FORMAT, "an empty name");
}

/* Cuts a long description where a character begins. */
static void set_description(struct tracker *t, str s)
{
    size_t n = s.len < sizeof t->description ? s.len : sizeof t->description;
    while (n && n < s.len && ((uint8_t)s.ptr[n] & 0xc0) == 0x80)
        n--;
    if (n)
        memcpy(t->description, s.ptr, n);
    t->description_len = n;
}

/* Old data has "low**": the stars tell how the urgency was found. */
static enum severity severity_of(str urgency)
{
    while (str_ends(urgency, STR("*")))
        urgency.len--;
    for (size_t i = 0; i < sizeof urgencies / sizeof *urgencies; i++)
        if (str_eq(urgency, str_from(urgencies[i].name)))
            return urgencies[i].severity;
    return SEVERITY_UNKNOWN; /* "not yet assigned" */
}

static enum member member_of(str key)
{
    enum member m = 0;
    while (m < MEMBERS && !str_eq(key, str_from(members[m])))
        m++;
    return m;
}

static void set_member(struct statement *st, struct text *fixed, enum member m, str value)
{
    switch (m) {
    case MEMBER_STATUS:
        st->open = str_eq(value, STR("open"));
        st->resolved = str_eq(value, STR("resolved"));
        break;
    case MEMBER_FIXED_VERSION:
        set_text(fixed, value);
        break;
    case MEMBER_URGENCY:
        st->severity = severity_of(value);
        st->end_of_life = str_eq(value, STR("end-of-life"));
        break;
    case MEMBER_REASON:
        st->ignored = str_eq(value, STR("ignored"));
        break;
    case MEMBERS:
        break;
    }
}

static int read_statement(struct json *j, struct statement *st, struct text *fixed, struct err *e)
{
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    str key;
    int r;
    while ((r = json_key(j, &key, e)) > 0) {
        enum member m = member_of(key);
        str value;
        if (m == MEMBERS) {
            if (json_skip(j, e) < 0)
                return -1;
            continue;
        }
        if (json_string(j, &value, e) < 0)
            return err_wrap(e, "%s", members[m]);
        set_member(st, fixed, m, value);
    }
    return r;
}

/* A resolved issue without a fixed version says nothing that a version could be held against. */
static void add_range(struct tracker *t, str namespace, const struct statement *st)
{
    str fixed = view(&t->fixed[t->range_count]);
    if (!st->open && !(st->resolved && fixed.len))
        return;
    struct affected_range *range = &t->ranges[t->range_count++];
    *range = (struct affected_range){
        .namespace = namespace,
        .scheme = STR("dpkg"),
        .package = view(&t->package),
        .kind = AFFECTS_SOURCE,
        .negative = st->resolved && str_eq(fixed, STR("0")), /* design.md 9: never affected there */
        .severity = st->severity,
        .state = st->resolved      ? FIX_FIXED
                 : st->end_of_life ? FIX_END_OF_LIFE
                 : st->ignored     ? FIX_WILL_NOT_FIX
                                   : FIX_AFFECTED,
    };
    if (st->resolved && !range->negative)
        range->fixed_version = fixed;
}

static int read_release(struct tracker *t, const struct debian_release *release, struct err *e)
{
    if (t->range_count == RELEASES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d releases", RELEASES_MAX);
    struct statement st = { 0 };
    t->fixed[t->range_count].len = 0;
    if (read_statement(t->json, &st, &t->fixed[t->range_count], e) < 0)
        return -1;
    add_range(t, str_from(release->namespace), &st);
    return 0;
}

static int read_releases(struct tracker *t, struct err *e)
{
    t->range_count = 0;
    if (json_enter(t->json, JSON_OBJECT, e) < 0)
        return -1;
    str key;
    int r;
    while ((r = json_key(t->json, &key, e)) > 0) {
        const struct debian_release *release = debian_release(key);
        if (!release && json_skip(t->json, e) < 0)
            return -1;
        if (release && read_release(t, release, e) < 0)
            return err_wrap(e, "%s", release->codename);
    }
    return r;
}

static int read_members(struct tracker *t, struct err *e)
{
    t->range_count = t->description_len = 0;
    if (json_enter(t->json, JSON_OBJECT, e) < 0)
        return -1;
    str key, value;
    int r;
    while ((r = json_key(t->json, &key, e)) > 0) {
        if (str_eq(key, STR("releases"))) {
            if (read_releases(t, e) < 0)
                return err_wrap(e, "releases");
        } else if (str_eq(key, STR("description"))) {
            if (json_string(t->json, &value, e) < 0)
                return err_wrap(e, "description");
            set_description(t, value);
        } else if (json_skip(t->json, e) < 0) {
            return -1;
        }
    }
    return r;
}

static int put(struct tracker *t, struct err *e)
{
    char key[2 * sizeof(struct text)], link[sizeof TRACKER "/tracker/" + sizeof(struct text)];
    str package = view(&t->package), id = view(&t->id);
    int key_len = snprintf(key, sizeof key, STR_FMT "/" STR_FMT, STR_ARG(package), STR_ARG(id));
    int link_len = snprintf(link, sizeof link, TRACKER "/tracker/" STR_FMT, STR_ARG(id));
    struct advisory a = {
        .key = str_of(key, (size_t)key_len),
        .id = id,
        .description = str_of(t->description, t->description_len),
        .link = str_of(link, (size_t)link_len),
        .ranges = t->ranges,
        .range_count = t->range_count,
    };
    return t->sink->put(t->sink, &a, e);
}

static int read_package(struct tracker *t, struct err *e)
{
    if (json_enter(t->json, JSON_OBJECT, e) < 0)
        return -1;
    str id;
    int r;
    while ((r = json_key(t->json, &id, e)) > 0)
        if (set_name(&t->id, id, e) < 0 || read_members(t, e) < 0 || (t->range_count && put(t, e) < 0))
            return err_wrap(e, STR_FMT, STR_ARG(str_head(view(&t->id), SHOWN)));
    return r;
}

static int read_tracker(struct tracker *t, struct err *e)
{
    if (json_enter(t->json, JSON_OBJECT, e) < 0)
        return -1;
    size_t count = 0;
    str package;
    int r;
    for (; (r = json_key(t->json, &package, e)) > 0; count++)
        if (set_name(&t->package, package, e) < 0 || read_package(t, e) < 0)
            return err_wrap(e, STR_FMT, STR_ARG(str_head(view(&t->package), SHOWN)));
    if (r < 0 || json_finish(t->json, e) < 0)
        return -1;
    return count ? 0 : err_set(e, ERR_FORMAT, "no package: an empty tracker is a broken one");
}

static int debian_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    CLEANUP(json_freep) struct json *json = json_new(in->bytes, NULL, e);
    if (!json)
        return -1;
    CLEANUP(freep) struct tracker *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_OOM, "debian: out of memory");
    t->json = json;
    t->sink = sink;
    return read_tracker(t, e);
}

static const struct feed_document documents[] = { { "tracker/data/json" }, { NULL } };

const struct feed feed_debian = {
    .name = "debian",
    .about = "Debian security tracker",
    .covers = "debian",
    .megabytes = 8,
    .place = { "debian", TRACKER },
    .documents = documents,
    .version = 1,
    .parse = debian_parse,
};
