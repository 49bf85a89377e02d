#include "feed/redhat_lists.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/strmap.h"
#include "feed/lines.h"

#define LIST_MAX     ((size_t)64 << 20) /* bytes of what is held of one list */
#define TIME_MAX     40                 /* bytes */
#define DAY          INT64_C(86400)
#define ARCHIVE_HEAD STR("csaf_vex_")
#define ARCHIVE_TAIL STR(".tar.zst")
#define WHOLE        STR("whole")
#define DISTANT      INT64_MIN
/* Lists are made while documents come: what is a little older than the newest may be listed only next time. What was read then is told by
 * its fingerprint. */
#define LATE INT64_C(3600)

/* 1 a line that is not blank, trimmed; 0 the end; -1. */
static int next_row(struct lines *l, str *ret, struct err *e)
{
    int r;
    do {
        r = lines_next(l, ret, e);
        *ret = r > 0 ? str_trim(*ret) : (str){ 0 };
    } while (r > 0 && !ret->len);
    return r;
}

/* ---- times ---- */

static bool number_at(str s, size_t at, size_t digits, unsigned from, unsigned to, int64_t *ret)
{
    uint64_t n;
    if (s.len < at + digits || !str_to_u64(str_of(s.ptr + at, digits), &n) || n < from || n > to)
        return false;
    *ret = (int64_t)n;
    return true;
}

static int64_t days_before(int64_t year, int64_t month) /* of its first day, since 1970 */
{
    static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
    int64_t y = year - 1, leap = month > 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return (year - 1970) * 365 + (y / 4 - y / 100 + y / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400) +
           before[month - 1] + leap;
}

/* "2025-08-01" */
static bool parse_date(str s, int64_t *ret)
{
    int64_t year, month, day;
    if (!number_at(s, 0, 4, 1970, 9999, &year) || !number_at(s, 5, 2, 1, 12, &month) ||
        !number_at(s, 8, 2, 1, 31, &day) || s.ptr[4] != '-' || s.ptr[7] != '-')
        return false;
    *ret = (days_before(year, month) + day - 1) * DAY;
    return true;
}

/* "2026-08-04T19:54:43+00:00", or "Z", perhaps with a fraction of a second. */
static bool parse_time(str s, int64_t *ret)
{
    int64_t date, hour, minute, second, off_hour = 0, off_minute = 0;
    if (s.len > TIME_MAX || !parse_date(s, &date) || !number_at(s, 11, 2, 0, 23, &hour) ||
        !number_at(s, 14, 2, 0, 59, &minute) || !number_at(s, 17, 2, 0, 60, &second) || s.ptr[10] != 'T' ||
        s.ptr[13] != ':' || s.ptr[16] != ':')
        return false;
    str zone = str_skip(s, 19);
    if (zone.len && *zone.ptr == '.')
        for (zone = str_skip(zone, 1); zone.len && *zone.ptr >= '0' && *zone.ptr <= '9';)
            zone = str_skip(zone, 1);
    bool ahead = zone.len && *zone.ptr == '+';
    bool offset = zone.len == 6 && (ahead || *zone.ptr == '-') && zone.ptr[3] == ':';
    if (!str_eq(zone, STR("Z")) &&
        !(offset && number_at(zone, 1, 2, 0, 23, &off_hour) && number_at(zone, 4, 2, 0, 59, &off_minute)))
        return false;
    int64_t east = (off_hour * 60 + off_minute) * 60;
    *ret = date + (hour * 60 + minute) * 60 + second - (ahead ? east : -east);
    return true;
}

/* ---- names ---- */

/* "csaf_vex_2025-08-01.tar.zst" */
static bool parse_archive(str name, int64_t *ret_date)
{
    str head = ARCHIVE_HEAD, tail = ARCHIVE_TAIL;
    return name.len == head.len + 10 + tail.len && str_starts(name, head) && str_ends(name, tail) &&
           parse_date(str_head(str_skip(name, head.len), 10), ret_date);
}

/* "2024/cve-2024-1.json": what stands behind our place, and nothing that could lead out of it. */
static bool is_document(str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '/' || c == '-' ||
              c == '_' || c == '.'))
            return false;
    }
    return name.len && name.len < PACKAGE_TEXT_MAX / 2 && *name.ptr != '/' &&
           !str_contains(name, STR("..")) && str_ends(name, STR(".json"));
}

struct cursor {
    str time, archive; /* empty: none */
    int64_t at;
    bool whole;
};

/* What was remembered by us, so anything else is none. */
static struct cursor cursor_of(str text)
{
    struct cursor c = { .at = DISTANT };
    c.time = str_cut(&text, ' ');
    c.archive = str_cut(&text, ' ');
    c.whole = str_eq(text, WHOLE);
    int64_t ignored;
    if (!parse_time(c.time, &c.at) || !parse_archive(c.archive, &ignored))
        return (struct cursor){ .at = DISTANT };
    return c;
}

static int64_t since_cursor(const struct cursor *c) { return c->time.len ? c->at - LATE : DISTANT; }

/* ---- the lists ---- */

int redhat_latest_read(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    CLEANUP(lines_done) struct lines l = { .in = in->bytes };
    char name[PACKAGE_TEXT_MAX];
    str line;
    int64_t date;
    int r = next_row(&l, &line, e);
    if (r < 0)
        return -1;
    if (!r || !parse_archive(line, &date))
        return err_set(e, ERR_FORMAT, "no name of an archive: '" STR_FMT "'", STR_ARG(str_head(line, 100)));
    int n = snprintf(name, sizeof name, REDHAT_CHANGES "@" STR_FMT, STR_ARG(line));
    struct feed_lead lead = { .name = str_of(name, (size_t)n), .path = STR(REDHAT_CHANGES) };
    if (sink->lead(sink, &lead, e) < 0)
        return -1;
    r = next_row(&l, &line, e);
    return r > 0 ? err_set(e, ERR_FORMAT, "line %llu: a second archive", (unsigned long long)l.number) : r;
}

struct row {
    str name, time;
    int64_t at;
};

static str unquoted(str s)
{
    s = str_trim(s);
    return s.len > 1 && *s.ptr == '"' && str_ends(s, STR("\"")) ? str_of(s.ptr + 1, s.len - 2) : s;
}

static int parse_row(const struct lines *l, str line, struct row *ret, struct err *e)
{
    ret->name = unquoted(str_cut(&line, ','));
    ret->time = unquoted(line);
    if (!is_document(ret->name))
        return err_set(e, ERR_FORMAT, "line %llu: '" STR_FMT "' is no name of a document",
                       (unsigned long long)l->number, STR_ARG(str_head(ret->name, 100)));
    if (!parse_time(ret->time, &ret->at))
        return err_set(e, ERR_FORMAT, "line %llu: '" STR_FMT "' is no time", (unsigned long long)l->number,
                       STR_ARG(str_head(ret->time, 100)));
    return 0;
}

struct changes {
    struct arena *arena;
    struct strmap names;
    struct row *rows; /* as they come: the newest first, each name once */
    size_t count, cap;
    const struct row *newest;
};

static void changes_done(struct changes *c)
{
    strmap_done(&c->names);
    arena_freep(&c->arena);
}

static int list_too_long(struct err *e)
{
    return err_set(e, ERR_LIMIT, "a list of more than %zu bytes", LIST_MAX);
}

static int add_row(struct changes *c, struct row row, struct err *e)
{
    struct row *rows = arena_grow(c->arena, c->rows, c->count, &c->cap, sizeof *rows);
    row.name = arena_dup(c->arena, row.name);
    row.time = arena_dup(c->arena, row.time);
    if (!rows || arena_failed(c->arena))
        return list_too_long(e);
    void **at = strmap_at(&c->names, row.name);
    if (!at)
        return err_set(e, ERR_OOM, "redhat: out of memory");
    c->rows = rows;
    size_t known = (size_t)(uintptr_t)*at; /* its place, from 1 */
    if (!known) {
        *at = (void *)(uintptr_t)++c->count;
        rows[c->count - 1] = row;
    } else if (row.at > rows[known - 1].at) {
        rows[known - 1] = row;
    }
    return 0;
}

static int read_changes(struct stream *in, struct changes *c, struct err *e)
{
    CLEANUP(lines_done) struct lines l = { .in = in };
    struct row row;
    str line;
    int r;
    while ((r = next_row(&l, &line, e)) > 0)
        if (parse_row(&l, line, &row, e) < 0 || add_row(c, row, e) < 0)
            return -1;
    if (r < 0)
        return -1;
    for (size_t i = 0; i < c->count; i++)
        if (!c->newest || c->rows[i].at > c->newest->at)
            c->newest = &c->rows[i];
    return c->newest ? 0 : err_set(e, ERR_FORMAT, "no row: an empty list of changes is a broken one");
}

/* Is it better to read the archive, which has what changed until `base`, than all that changed since the cursor? */
static bool wants_archive(const struct changes *c, const struct cursor *cursor, int64_t base)
{
    size_t since = 0, in_archive = 0;
    if (!cursor->time.len)
        return true;
    for (size_t i = 0; i < c->count; i++) {
        bool newer = c->rows[i].at > cursor->at;
        since += newer;
        in_archive += newer && c->rows[i].at <= base;
    }
    return since > REDHAT_SINGLE_MAX && in_archive > since / 2;
}

static int lead_to(struct advisory_sink *sink, str file, str fingerprint, bool may_lack, struct err *e)
{
    char path[PACKAGE_TEXT_MAX + sizeof REDHAT_VEX];
    int n = snprintf(path, sizeof path, REDHAT_VEX STR_FMT, STR_ARG(file));
    str name = str_of(path, (size_t)n);
    return sink->lead(
        sink,
        &(struct feed_lead){ .name = name, .path = name, .fingerprint = fingerprint, .may_lack = may_lack },
        e);
}

static int lead_to_rows(const struct changes *c, int64_t base, struct advisory_sink *sink, struct err *e)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->rows[i].at > base && lead_to(sink, c->rows[i].name, c->rows[i].time, true, e) < 0)
            return -1;
    return 0;
}

static int remember(const struct changes *c, const struct cursor *cursor, str archive, bool whole,
                    struct advisory_sink *sink, struct err *e)
{
    char text[PACKAGE_TEXT_MAX];
    str time = c->newest->at > cursor->at ? c->newest->time : cursor->time;
    int n = snprintf(text, sizeof text, STR_FMT " " STR_FMT "%s", STR_ARG(time), STR_ARG(archive),
                     whole ? " whole" : "");
    return sink->remember(sink, str_of(text, (size_t)n), e);
}

/* The list under the name that it had before says nothing any more. */
static int forget_old_name(const struct cursor *cursor, str archive, struct advisory_sink *sink,
                           struct err *e)
{
    char name[PACKAGE_TEXT_MAX];
    if (!cursor->archive.len || str_eq(cursor->archive, archive))
        return 0;
    int n = snprintf(name, sizeof name, REDHAT_CHANGES "@" STR_FMT, STR_ARG(cursor->archive));
    return sink->gone(sink, str_of(name, (size_t)n), e);
}

int redhat_changes_read(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    CLEANUP(changes_done) struct changes c = { .arena = arena_new(LIST_MAX) };
    struct cursor cursor = cursor_of(in->cursor);
    str archive = in->document;
    int64_t date;
    str_cut(&archive, '@');
    if (!parse_archive(archive, &date))
        return err_set(e, ERR_INTERNAL, "its name has no archive");
    if (!c.arena)
        return err_set(e, ERR_OOM, "redhat: out of memory");
    if (read_changes(in->bytes, &c, e) < 0)
        return -1;
    bool whole = wants_archive(&c, &cursor, date - DAY);
    if (forget_old_name(&cursor, archive, sink, e) < 0 ||
        lead_to_rows(&c, whole ? date - DAY : since_cursor(&cursor), sink, e) < 0 ||
        (cursor.time.len && lead_to(sink, STR("deletions.csv"), (str){ 0 }, true, e) < 0) ||
        (whole && lead_to(sink, archive, archive, false, e) < 0))
        return -1;
    return remember(&c, &cursor, archive, whole, sink, e);
}

int redhat_deletions_read(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    CLEANUP(lines_done) struct lines l = { .in = in->bytes };
    struct cursor cursor = cursor_of(in->cursor);
    int64_t since = since_cursor(&cursor);
    if (cursor.whole && parse_archive(cursor.archive, &since))
        since -= DAY;
    struct row row;
    str line;
    int r;
    while ((r = next_row(&l, &line, e)) > 0) {
        if (parse_row(&l, line, &row, e) < 0)
            return -1;
        char name[PACKAGE_TEXT_MAX + sizeof REDHAT_VEX];
        int n = snprintf(name, sizeof name, REDHAT_VEX STR_FMT, STR_ARG(row.name));
        if (row.at > since && sink->gone(sink, str_of(name, (size_t)n), e) < 0)
            return -1;
    }
    return r;
}
