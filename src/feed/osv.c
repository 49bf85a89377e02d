#include "feed/osv.h"

#include "base/cleanup.h"
#include "codec/archive.h"

static int too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "a record with more than %zu bytes", OSV_RECORD_MAX);
}

static int read_text(struct json *j, struct arena *a, size_t max, str *ret, struct err *e)
{
    str text;
    if (json_string(j, &text, e) < 0)
        return -1;
    *ret = arena_dup(a, str_head(text, max));
    return arena_failed(a) ? too_much(e) : 0;
}

static int read_name(struct json *j, struct arena *a, str *ret, struct err *e)
{
    return read_text(j, a, FEED_TEXT_MAX, ret, e);
}

/* A member that each database fills as it likes: what is no text is none. */
static int read_free_text(struct json *j, struct arena *a, str *ret, struct err *e)
{
    enum json_type type;
    str text;
    if (json_next(j, &type, &text, e) < 0)
        return -1;
    if (type != JSON_STRING)
        return json_skip_rest(j, type, e);
    *ret = arena_dup(a, str_head(text, FEED_TEXT_MAX));
    return arena_failed(a) ? too_much(e) : 0;
}

/* ---- tables of members ---- */

struct place {
    struct json *json;
    struct arena *arena;
    void *at; /* what is being filled */
};

struct member {
    const char *name;
    int (*read)(const struct place *p, struct err *e);
};

static int read_object(const struct place *p, const struct member *members, struct err *e)
{
    str key;
    int r;
    while ((r = json_key(p->json, &key, e)) > 0) {
        const struct member *m = members;
        while (m->name && !str_eq(key, str_from(m->name)))
            m++;
        if (!m->name && json_skip(p->json, e) < 0)
            return -1;
        if (m->name && m->read(p, e) < 0)
            return err_wrap(e, "%s", m->name);
    }
    return r;
}

/* The value is an object or null. */
static int enter_object(const struct place *p, const struct member *members, struct err *e)
{
    int r = json_enter_or_null(p->json, JSON_OBJECT, e);
    return r > 0 ? read_object(p, members, e) : r;
}

/* The value is an array of objects, or null; `begin` makes room for one and gives it. */
static int read_objects(const struct place *p, void *(*begin)(const struct place *p),
                        const struct member *members, int (*end)(const struct place *p, void *one),
                        struct err *e)
{
    int r = json_enter_or_null(p->json, JSON_ARRAY, e);
    enum json_type type;
    str text;
    if (r <= 0)
        return r;
    while ((r = json_element(p->json, &type, &text, e)) > 0) {
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "byte %llu: not an object",
                           (unsigned long long)json_offset(p->json));
        struct place one = { p->json, p->arena, begin(p) };
        if (!one.at)
            return too_much(e);
        if (read_object(&one, members, e) < 0 || (end && end(p, one.at) < 0))
            return -1;
        if (arena_failed(p->arena))
            return too_much(e);
    }
    return r;
}

static void list_add(struct arena *a, struct osv_list *to, str s)
{
    str *list = arena_grow(a, to->list, to->count, &to->cap, sizeof *list);
    if (!list)
        return;
    to->list = list;
    list[to->count++] = arena_dup(a, str_head(s, FEED_TEXT_MAX));
}

static int read_list(const struct place *p, struct osv_list *to, struct err *e)
{
    int r = json_enter_or_null(p->json, JSON_ARRAY, e);
    enum json_type type;
    str text;
    if (r <= 0)
        return r;
    while ((r = json_element(p->json, &type, &text, e)) > 0) {
        if (type != JSON_STRING)
            return err_set(e, ERR_FORMAT, "byte %llu: not a string",
                           (unsigned long long)json_offset(p->json));
        list_add(p->arena, to, text);
    }
    return r < 0 ? -1 : arena_failed(p->arena) ? too_much(e) : 0;
}

/* ---- severity ---- */

static int severity_type(const struct place *p, struct err *e)
{
    return read_name(p->json, p->arena, &((struct osv_severity *)p->at)->type, e);
}

static int severity_score(const struct place *p, struct err *e)
{
    return read_name(p->json, p->arena, &((struct osv_severity *)p->at)->score, e);
}

static const struct member severity_members[] = { { "type", severity_type },
                                                  { "score", severity_score },
                                                  { NULL, NULL } };

static void *severity_begin(const struct place *p)
{
    struct osv_severities *s = p->at;
    struct osv_severity *list = arena_grow(p->arena, s->list, s->count, &s->cap, sizeof *list);
    if (!list)
        return NULL;
    s->list = list;
    list[s->count] = (struct osv_severity){ 0 };
    return &list[s->count++];
}

static int read_severities(const struct place *p, struct osv_severities *to, struct err *e)
{
    return read_objects(&(struct place){ p->json, p->arena, to }, severity_begin, severity_members, NULL, e);
}

/* ---- ranges ---- */

enum event_kind { EVENT_NONE, EVENT_INTRODUCED, EVENT_FIXED, EVENT_LAST_AFFECTED };

struct event {
    enum event_kind kind;
    str version;
};

struct raw_range {
    str type;
    struct event *events;
    size_t count, cap;
};

static int read_event(const struct place *p, enum event_kind kind, struct err *e)
{
    struct event *event = p->at;
    event->kind = kind;
    return read_name(p->json, p->arena, &event->version, e);
}

static int event_introduced(const struct place *p, struct err *e)
{
    return read_event(p, EVENT_INTRODUCED, e);
}
static int event_fixed(const struct place *p, struct err *e) { return read_event(p, EVENT_FIXED, e); }
static int event_last(const struct place *p, struct err *e) { return read_event(p, EVENT_LAST_AFFECTED, e); }

static const struct member event_members[] = {
    { "introduced", event_introduced },
    { "fixed", event_fixed },
    { "last_affected", event_last },
    { NULL, NULL },
};

static void *event_begin(const struct place *p)
{
    struct raw_range *r = p->at;
    struct event *events = arena_grow(p->arena, r->events, r->count, &r->cap, sizeof *events);
    if (!events)
        return NULL;
    r->events = events;
    events[r->count] = (struct event){ 0 };
    return &events[r->count++];
}

static int range_type(const struct place *p, struct err *e)
{
    return read_name(p->json, p->arena, &((struct raw_range *)p->at)->type, e);
}

static int range_events(const struct place *p, struct err *e)
{
    return read_objects(p, event_begin, event_members, NULL, e);
}

static const struct member range_members[] = { { "type", range_type },
                                               { "events", range_events },
                                               { NULL, NULL } };

static void *range_begin(const struct place *p) { return arena_alloc(p->arena, 1, sizeof(struct raw_range)); }

static void add_range(const struct place *p, struct osv_range range)
{
    struct osv_affected *to = p->at;
    struct osv_range *list = arena_grow(p->arena, to->ranges, to->range_count, &to->range_cap, sizeof *list);
    if (!list)
        return;
    to->ranges = list;
    list[to->range_count++] = range;
}

/* What ends before it begins, and what begins again before it has ended, says nothing new. */
static int fold_events(const struct place *p, void *one)
{
    const struct raw_range *raw = one;
    struct osv_range open = { 0 };
    bool is_open = false;
    if (str_eq(raw->type, STR("GIT"))) {
        ((struct osv_affected *)p->at)->commits = true;
        return 0;
    }
    for (size_t i = 0; i < raw->count; i++) {
        const struct event *event = &raw->events[i];
        if (event->kind == EVENT_INTRODUCED && !is_open) {
            is_open = true;
            open = (struct osv_range){ .introduced =
                                           str_eq(event->version, STR("0")) ? (str){ 0 } : event->version };
        } else if (is_open && (event->kind == EVENT_FIXED || event->kind == EVENT_LAST_AFFECTED)) {
            is_open = false;
            *(event->kind == EVENT_FIXED ? &open.fixed : &open.last_affected) = event->version;
            add_range(p, open);
        }
    }
    if (is_open)
        add_range(p, open);
    return 0;
}

/* ---- affected packages ---- */

static int package_ecosystem(const struct place *p, struct err *e)
{
    return read_name(p->json, p->arena, &((struct osv_affected *)p->at)->ecosystem, e);
}

static int package_name(const struct place *p, struct err *e)
{
    return read_name(p->json, p->arena, &((struct osv_affected *)p->at)->name, e);
}

static const struct member package_members[] = {
    { "ecosystem", package_ecosystem },
    { "name", package_name },
    { NULL, NULL },
};

static int affected_package(const struct place *p, struct err *e)
{
    return enter_object(p, package_members, e);
}

static int affected_ranges(const struct place *p, struct err *e)
{
    return read_objects(p, range_begin, range_members, fold_events, e);
}

static int affected_severity(const struct place *p, struct err *e)
{
    return read_severities(p, &((struct osv_affected *)p->at)->severities, e);
}

static int affected_versions(const struct place *p, struct err *e)
{
    struct osv_affected *one = p->at;
    int r = json_enter_or_null(p->json, JSON_ARRAY, e);
    enum json_type type;
    str text;
    if (r <= 0)
        return r;
    for (; (r = json_element(p->json, &type, &text, e)) > 0; one->version_count++) {
        if (type != JSON_STRING)
            return err_set(e, ERR_FORMAT, "byte %llu: not a string",
                           (unsigned long long)json_offset(p->json));
        if (!one->range_count && one->versions.count < OSV_VERSIONS_MAX)
            list_add(p->arena, &one->versions, text);
    }
    return r < 0 ? -1 : arena_failed(p->arena) ? too_much(e) : 0;
}

static int affected_priority(const struct place *p, struct err *e)
{
    return read_free_text(p->json, p->arena, &((struct osv_affected *)p->at)->priority, e);
}

static const struct member affected_specific_members[] = {
    { "ubuntu_priority", affected_priority },
    { NULL, NULL },
};

static int affected_specific(const struct place *p, struct err *e)
{
    return enter_object(p, affected_specific_members, e);
}

static const struct member affected_members[] = {
    { "package", affected_package },
    { "ranges", affected_ranges },
    { "versions", affected_versions },
    { "severity", affected_severity },
    { "ecosystem_specific", affected_specific },
    { NULL, NULL },
};

static void *affected_begin(const struct place *p)
{
    struct osv_record *r = p->at;
    struct osv_affected *list =
        arena_grow(p->arena, r->affected, r->affected_count, &r->affected_cap, sizeof *list);
    if (!list)
        return NULL;
    r->affected = list;
    list[r->affected_count] = (struct osv_affected){ 0 };
    return &list[r->affected_count++];
}

/* ---- records ---- */

struct reference {
    str type, url;
};

static int reference_type(const struct place *p, struct err *e)
{
    return read_name(p->json, p->arena, &((struct reference *)p->at)->type, e);
}

static int reference_url(const struct place *p, struct err *e)
{
    return read_text(p->json, p->arena, METADATA_TEXT, &((struct reference *)p->at)->url, e);
}

static const struct member reference_members[] = { { "type", reference_type },
                                                   { "url", reference_url },
                                                   { NULL, NULL } };

static void *reference_begin(const struct place *p)
{
    return arena_alloc(p->arena, 1, sizeof(struct reference));
}

static int keep_advisory(const struct place *p, void *one)
{
    const struct reference *reference = one;
    struct osv_record *r = p->at;
    if (!r->link.len && str_eq(reference->type, STR("ADVISORY")))
        r->link = reference->url;
    return 0;
}

static int record_rating(const struct place *p, struct err *e)
{
    return read_free_text(p->json, p->arena, &((struct osv_record *)p->at)->rating, e);
}

static const struct member specific_members[] = { { "severity", record_rating }, { NULL, NULL } };

#define TEXT_MEMBER(member, max)                                                                             \
    static int record_##member(const struct place *p, struct err *e)                                         \
    {                                                                                                        \
        return read_text(p->json, p->arena, max, &((struct osv_record *)p->at)->member, e);                  \
    }
#define LIST_MEMBER(member)                                                                                  \
    static int record_##member(const struct place *p, struct err *e)                                         \
    {                                                                                                        \
        return read_list(p, &((struct osv_record *)p->at)->member, e);                                       \
    }
TEXT_MEMBER(id, FEED_TEXT_MAX)
TEXT_MEMBER(summary, METADATA_TEXT)
TEXT_MEMBER(details, METADATA_TEXT)
LIST_MEMBER(aliases)
LIST_MEMBER(upstream)
LIST_MEMBER(related)

static int record_withdrawn(const struct place *p, struct err *e)
{
    str when;
    if (json_string(p->json, &when, e) < 0)
        return -1;
    ((struct osv_record *)p->at)->withdrawn = when.len > 0;
    return 0;
}

static int record_severity(const struct place *p, struct err *e)
{
    return read_severities(p, &((struct osv_record *)p->at)->severities, e);
}

static int record_affected(const struct place *p, struct err *e)
{
    return read_objects(p, affected_begin, affected_members, NULL, e);
}

static int record_references(const struct place *p, struct err *e)
{
    return read_objects(p, reference_begin, reference_members, keep_advisory, e);
}

static int record_specific(const struct place *p, struct err *e)
{
    return enter_object(p, specific_members, e);
}

static const struct member record_members[] = {
    { "id", record_id },
    { "summary", record_summary },
    { "details", record_details },
    { "withdrawn", record_withdrawn },
    { "aliases", record_aliases },
    { "upstream", record_upstream },
    { "related", record_related },
    { "severity", record_severity },
    { "affected", record_affected },
    { "references", record_references },
    { "database_specific", record_specific },
    { NULL, NULL },
};

int osv_read_record(struct json *j, struct arena *a, struct osv_record *ret, struct err *e)
{
    *ret = (struct osv_record){ 0 };
    if (json_enter(j, JSON_OBJECT, e) < 0 || read_object(&(struct place){ j, a, ret }, record_members, e) < 0)
        return -1;
    return ret->id.len ? 0 : err_set(e, ERR_FORMAT, "a record without id");
}

static int read_file(void *reader, str name, struct stream *file, struct err *e)
{
    struct osv_reader *r = reader;
    if (!str_ends(name, STR(".json")) && !str_eq(name, STR(ARCHIVE_NO_NAME)))
        return 0;
    CLEANUP(json_freep) struct json *json = json_new(file, NULL, e);
    if (!json)
        return -1;
    CLEANUP(arena_freep) struct arena *arena = arena_new(OSV_RECORD_MAX);
    if (!arena)
        return err_set(e, ERR_OOM, "osv: out of memory");
    struct osv_record record;
    if (osv_read_record(json, arena, &record, e) < 0 || json_finish(json, e) < 0)
        return -1;
    return r->record(r, arena, &record, e) < 0 ? -1 : 1;
}

int osv_read_archive(struct stream *in, struct osv_reader *r, struct err *e)
{
    size_t count;
    if (archive_each(in, read_file, r, &count, e) < 0)
        return -1;
    return count ? 0 : err_set(e, ERR_FORMAT, "no record: an empty archive is a broken one");
}
