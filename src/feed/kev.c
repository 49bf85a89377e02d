/*
 * CISA's catalogue of vulnerabilities that are known to be exploited: { vulnerabilities: [ { cveID, dateAdded, dueDate,
 * ... } ] } (spec/feeds.md 15).
 */
#include "base/cleanup.h"
#include "codec/json.h"
#include "feed/feed.h"

#define SHOWN 100

struct field {
    char bytes[FEED_TEXT_MAX];
    size_t len;
};

enum member { MEMBER_ID, MEMBER_ADDED, MEMBER_DUE, MEMBERS };
static const char *const members[MEMBERS] = { "cveID", "dateAdded", "dueDate" };

struct catalogue {
    struct json *json;
    struct advisory_sink *sink;
    struct field fields[MEMBERS]; /* of one entry */
    bool complete;                /* the list was there */
};

static str view(const struct catalogue *c, enum member m)
{
    return str_of(c->fields[m].bytes, c->fields[m].len);
}

static int read_member(struct catalogue *c, enum member m, struct err *e)
{
    str value;
    if (json_string(c->json, &value, e) < 0)
        return err_wrap(e, "%s", members[m]);
    value = str_head(value, FEED_TEXT_MAX);
    c->fields[m].len = value.len;
    if (value.len)
        memcpy(c->fields[m].bytes, value.ptr, value.len);
    return 0;
}

/* A date that is none says nothing. */
static str date(str s) { return date_valid(s) ? s : (str){ 0 }; }

static int put(struct catalogue *c, struct err *e)
{
    str id = view(c, MEMBER_ID);
    if (!id.len)
        return err_set(e, ERR_FORMAT, "byte %llu: an entry without cveID",
                       (unsigned long long)json_offset(c->json));
    struct advisory a = {
        .key = id,
        .id = id,
        .meta.kev = { .added = date(view(c, MEMBER_ADDED)), .due = date(view(c, MEMBER_DUE)) },
    };
    return a.meta.kev.added.len ? c->sink->put(c->sink, &a, e) : 0;
}

static int read_entry(struct catalogue *c, struct err *e)
{
    for (size_t i = 0; i < MEMBERS; i++)
        c->fields[i].len = 0;
    str key;
    int r;
    while ((r = json_key(c->json, &key, e)) > 0) {
        enum member m = 0;
        while (m < MEMBERS && !str_eq(key, str_from(members[m])))
            m++;
        if ((m < MEMBERS ? read_member(c, m, e) : json_skip(c->json, e)) < 0)
            return err_wrap(e, "'" STR_FMT "'", STR_ARG(str_head(view(c, MEMBER_ID), SHOWN)));
    }
    return r < 0 ? -1 : put(c, e);
}

static int read_entries(struct catalogue *c, struct err *e)
{
    c->complete = true;
    if (json_enter(c->json, JSON_ARRAY, e) < 0)
        return -1;
    enum json_type type;
    str text;
    int r;
    while ((r = json_element(c->json, &type, &text, e)) > 0) {
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "byte %llu: an entry is not an object",
                           (unsigned long long)json_offset(c->json));
        if (read_entry(c, e) < 0)
            return -1;
    }
    return r;
}

static int kev_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    CLEANUP(json_freep) struct json *json = json_new(in->bytes, NULL, e);
    if (!json)
        return -1;
    struct catalogue c = { .json = json, .sink = sink };
    if (json_enter(json, JSON_OBJECT, e) < 0)
        return -1;
    str key;
    int r;
    while ((r = json_key(json, &key, e)) > 0) {
        bool list = str_eq(key, STR("vulnerabilities"));
        if (list && read_entries(&c, e) < 0)
            return err_wrap(e, "vulnerabilities");
        if (!list && json_skip(json, e) < 0)
            return -1;
    }
    if (r < 0 || json_finish(json, e) < 0)
        return -1;
    return c.complete ? 0 : err_set(e, ERR_FORMAT, "no list of vulnerabilities");
}

static const struct feed_document documents[] = {
    { "sites/default/files/feeds/known_exploited_vulnerabilities.json" },
    { NULL },
};

const struct feed feed_kev = {
    .name = "kev",
    .about = "CISA's known exploited vulnerabilities",
    .covers = "",
    .megabytes = 1,
    .place = { "cisa", "https://www.cisa.gov" },
    .documents = documents,
    .version = 1,
    .parse = kev_parse,
};
