/* feed_test.c - what a source's parser makes of a file: in the cage, as in an update, but printed. */
#include "cmd/feed.h"

#include "base/cleanup.h"
#include "cage/cage.h"
#include "cmd/command.h"
#include "codec/json.h"
#include "codec/pack.h"
#include "feed/parse_task.h"
#include "feed/update.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#define CHUNK (64u << 10)
#define YEAR  "{year}"

static const struct cage_task *const tasks[] = { &feed_task, NULL };

struct testing {
    const struct feed *feed;
    bool json;
    char document[FEED_TEXT_MAX]; /* that FILE is */
    struct advisory_room *room;
    struct buf line;
    uint64_t advisories, ranges, negative, parts, leads, gone, skipped;
    /* the file */
    const char *name; /* for error texts */
    int fd;
    uint64_t bytes;
    char *chunk;
};

static void testing_done(struct testing *t)
{
    free(t->room);
    free(t->chunk);
    buf_done(&t->line);
    if (t->fd > 0)
        close_fdp(&t->fd);
}

/* ---- which document it is ---- */

static str without_packing(str name)
{
    static const char *const endings[] = { ".zst", ".gz", ".xz", ".bz2" };
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (str_ends(name, str_from(endings[i])))
            return str_head(name, name.len - strlen(endings[i]));
    return name;
}

/* "{year}" fits any four digits. */
static bool same_part(str pattern, str part)
{
    const str year = STR(YEAR);
    size_t at = 0;
    while (at + year.len <= pattern.len && !str_starts(str_skip(pattern, at), year))
        at++;
    if (at + year.len > pattern.len)
        return str_eq(pattern, part);
    bool fits = part.len + year.len == pattern.len + 4 && str_starts(part, str_head(pattern, at)) &&
                str_ends(part, str_skip(pattern, at + year.len));
    for (size_t i = at; fits && i < at + 4; i++)
        fits = part.ptr[i] >= '0' && part.ptr[i] <= '9';
    return fits;
}

static str last_part(str *rest)
{
    ptrdiff_t slash = str_rfind(*rest, '/');
    str part = slash < 0 ? *rest : str_skip(*rest, (size_t)slash + 1);
    *rest = str_head(*rest, slash < 0 ? 0 : (size_t)slash);
    return part;
}

/* How many parts of both paths are alike, from their ends. */
static unsigned likeness(str pattern, str file)
{
    unsigned n = 0;
    while (pattern.len && file.len && same_part(last_part(&pattern), last_part(&file)))
        n++;
    return n;
}

/* As an update would call it: with the year of FILE, or this one. */
static void put_year(char *name, size_t room, const char *path, str file)
{
    char year[5] = "";
    const char *at = strstr(path, YEAR), *part = at;
    while (part && part > path && part[-1] != '/')
        part--;
    str last = last_part(&file);
    if (at && same_part(str_from(part), last))
        memcpy(year, last.ptr + (at - part), 4);
    time_t now = time(NULL);
    struct tm tm;
    if (at && !*year && gmtime_r(&now, &tm))
        strftime(year, sizeof year, "%Y", &tm);
    if (at)
        snprintf(name, room, "%.*s%s%s", (int)(at - path), path, year, at + strlen(YEAR));
    else
        snprintf(name, room, "%s", path);
}

static int choose_document(struct testing *t, const struct feed_options *o, const char *file, struct err *e)
{
    str name = without_packing(str_from(file));
    const struct feed_document *best = t->feed->documents;
    unsigned most = 0;
    if (o->document && (!*o->document || strlen(o->document) >= sizeof t->document))
        return err_set(e, ERR_USAGE, "--document: wants 1 to %d bytes", PACKAGE_TEXT_MAX);
    for (const struct feed_document *d = t->feed->documents; d->path; d++) {
        unsigned n = likeness(str_from(d->path), name);
        if (n > most)
            best = d, most = n;
    }
    if (o->document)
        snprintf(t->document, sizeof t->document, "%s", o->document);
    else
        put_year(t->document, sizeof t->document, best->path, name);
    return 0;
}

/* ---- the file ---- */

static int open_file(struct testing *t, const char *file, struct err *e)
{
    bool standard = !strcmp(file, "-");
    t->name = standard ? "standard input" : file;
    t->fd = standard ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (t->fd < 0)
        return err_errno(e, "%s", file);
    t->chunk = malloc(CHUNK);
    return t->chunk ? 0 : err_set(e, ERR_OOM, "out of memory");
}

static int read_file(void *ctx, str *ret, struct err *e)
{
    struct testing *t = ctx;
    ssize_t n;
    do
        n = read(t->fd, t->chunk, CHUNK);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_errno(e, "read");
    *ret = str_of(t->chunk, (size_t)n);
    t->bytes += (uint64_t)n;
    return n > 0;
}

/* ---- as text ---- */

/* A line of the table, whatever bytes the file had in it. */
static int print_line(struct testing *t, struct err *e)
{
    if (t->line.failed)
        return err_set(e, ERR_OOM, "out of memory");
    size_t room = 4 * t->line.len + 1;
    CLEANUP(freep) char *clean = malloc(room);
    if (!clean)
        return err_set(e, ERR_OOM, "out of memory");
    for (size_t i = 0; i < t->line.len; i++)
        if (!t->line.ptr[i])
            t->line.ptr[i] = '\1'; /* shown as a control byte, and not the end */
    buf_char(&t->line, '\0');
    if (t->line.failed)
        return err_set(e, ERR_OOM, "out of memory");
    err_clean(clean, room, t->line.ptr);
    buf_clear(&t->line);
    return puts(clean) < 0 ? err_errno(e, "write to standard output") : 0;
}

static int say(struct testing *t, const char *what, str text, struct err *e)
{
    buf_printf(&t->line, "%s ", what);
    buf_str(&t->line, text);
    return print_line(t, e);
}

static void say_more(struct buf *b, const char *what, str text)
{
    if (text.len) {
        buf_printf(b, ", %s ", what);
        buf_str(b, text);
    }
}

static int say_range(struct testing *t, const struct affected_range *r, struct err *e)
{
    struct buf *b = &t->line;
    buf_str(b, STR("    "));
    buf_str(b, r->namespace);
    buf_printf(b, " %s ", r->kind == AFFECTS_SOURCE ? "source" : "binary");
    buf_str(b, r->package);
    if (r->negative)
        buf_str(b, STR(": not affected"));
    else
        buf_printf(b, ": %s", r->fixed_version.len ? "fixed in " : fix_state_name(r->state));
    buf_str(b, r->fixed_version);
    say_more(b, "up to", r->last_affected);
    say_more(b, "since", r->introduced);
    say_more(b, "arch", r->arch);
    say_more(b, "module", r->module);
    say_more(b, "of", r->cpe);
    if (!r->negative && r->severity != SEVERITY_UNKNOWN)
        buf_printf(b, ", %s", severity_name(r->severity));
    buf_printf(b, " (" STR_FMT ")", STR_ARG(r->scheme));
    return print_line(t, e);
}

static void say_metadata(struct buf *b, const struct metadata *m)
{
    if (m->has_severity)
        buf_printf(b, ", %s", severity_name(m->severity));
    for (size_t i = 0; i < m->score_count; i++) {
        const struct cvss_score *s = &m->scores[i];
        buf_printf(b, ", CVSS " STR_FMT " %u.%u", STR_ARG(s->version), s->base / 10u, s->base % 10u);
    }
    if (m->has_epss)
        buf_printf(b, ", EPSS %.5f", m->epss / (double)EPSS_ONE);
    say_more(b, "in KEV since", m->kev.added);
    for (size_t i = 0; i < m->alias_count; i++) {
        buf_str(b, i ? STR(" ") : STR(", also "));
        buf_str(b, m->aliases[i]);
    }
    for (size_t i = 0; i < m->cpe_count; i++) {
        buf_str(b, i ? STR(" ") : STR(", is "));
        buf_str(b, m->cpes[i]);
    }
}

static int say_advisory(struct testing *t, const struct advisory *a, struct err *e)
{
    buf_str(&t->line, a->id);
    buf_str(&t->line, STR("  ["));
    buf_str(&t->line, a->key);
    buf_str(&t->line, STR("]"));
    say_metadata(&t->line, &a->meta);
    if (print_line(t, e) < 0 || (a->title.len && say(t, "   ", a->title, e) < 0))
        return -1;
    for (size_t i = 0; i < a->range_count; i++)
        if (say_range(t, &a->ranges[i], e) < 0)
            return -1;
    return 0;
}

static int say_lead(struct testing *t, const struct feed_lead *lead, struct err *e)
{
    buf_str(&t->line, STR("leads to "));
    buf_str(&t->line, lead->name);
    buf_str(&t->line, STR(" at "));
    buf_str(&t->line, lead->path);
    say_more(&t->line, "fingerprint", lead->fingerprint);
    if (lead->may_lack)
        buf_str(&t->line, STR(", which may lack"));
    return print_line(t, e);
}

static int say_counts(struct testing *t, struct err *e)
{
    buf_printf(&t->line,
               "%s: %llu bytes; advisories %llu, affected %llu, not affected %llu; leads %llu, parts %llu, "
               "withdrawn %llu; skipped %llu",
               t->document, (unsigned long long)t->bytes, (unsigned long long)t->advisories,
               (unsigned long long)t->ranges, (unsigned long long)t->negative, (unsigned long long)t->leads,
               (unsigned long long)t->parts, (unsigned long long)t->gone, (unsigned long long)t->skipped);
    return print_line(t, e);
}

/* ---- as JSON, an object a line ---- */

static struct json_writer begin_json(struct testing *t, const char *type)
{
    struct json_writer w = { .out = &t->line };
    json_w_object(&w);
    json_w_text(&w, "type", str_from(type));
    return w;
}

static int end_json(struct testing *t, struct json_writer *w, struct err *e)
{
    json_w_object_end(w);
    buf_char(&t->line, '\n');
    if (t->line.failed)
        return err_set(e, ERR_OOM, "out of memory");
    size_t n = fwrite(t->line.ptr, 1, t->line.len, stdout), all = t->line.len;
    buf_clear(&t->line);
    return n < all ? err_errno(e, "write to standard output") : 0;
}

static void put_list(struct json_writer *w, const char *key, const str *list, size_t count)
{
    json_w_key(w, key);
    json_w_array(w);
    for (size_t i = 0; i < count; i++)
        json_w_str(w, list[i]);
    json_w_array_end(w);
}

static void put_scores(struct json_writer *w, const struct metadata *m)
{
    json_w_key(w, "scores");
    json_w_array(w);
    for (size_t i = 0; i < m->score_count; i++) {
        json_w_object(w);
        json_w_text(w, "version", m->scores[i].version);
        json_w_text_or_null(w, "vector", m->scores[i].vector);
        json_w_key(w, "base");
        json_w_decimal(w, m->scores[i].base, 1);
        json_w_text_or_null(w, "source", m->scores[i].source);
        json_w_object_end(w);
    }
    json_w_array_end(w);
}

static void put_metadata(struct json_writer *w, const struct metadata *m)
{
    json_w_text_or_null(w, "severity", str_from(m->has_severity ? severity_name(m->severity) : ""));
    put_scores(w, m);
    put_list(w, "links", m->links, m->link_count);
    put_list(w, "aliases", m->aliases, m->alias_count);
    put_list(w, "cpes", m->cpes, m->cpe_count);
    if (m->has_epss) {
        json_w_key(w, "epss");
        json_w_decimal(w, m->epss, 6);
        json_w_key(w, "epss_percentile");
        json_w_decimal(w, m->epss_percentile, 6);
    }
    if (m->kev.added.len) {
        json_w_text(w, "kev_added", m->kev.added);
        json_w_text_or_null(w, "kev_due", m->kev.due);
    }
}

static void put_range(struct json_writer *w, const struct affected_range *r)
{
    json_w_object(w);
    json_w_text(w, "namespace", r->namespace);
    json_w_text(w, "scheme", r->scheme);
    json_w_text(w, "package", r->package);
    json_w_text(w, "kind", r->kind == AFFECTS_SOURCE ? STR("source") : STR("binary"));
    json_w_flag(w, "negative", r->negative);
    json_w_text_or_null(w, "introduced", r->introduced);
    json_w_text_or_null(w, "fixed_version", r->fixed_version);
    json_w_text_or_null(w, "last_affected", r->last_affected);
    json_w_text_or_null(w, "arch", r->arch);
    json_w_text_or_null(w, "module", r->module);
    json_w_text_or_null(w, "cpe", r->cpe);
    json_w_text(w, "severity", str_from(severity_name(r->severity)));
    json_w_text(w, "state", str_from(fix_state_name(r->state)));
    json_w_object_end(w);
}

static int put_advisory(struct testing *t, const struct advisory *a, struct err *e)
{
    struct json_writer w = begin_json(t, "advisory");
    json_w_text(&w, "key", a->key);
    json_w_text(&w, "id", a->id);
    json_w_text_or_null(&w, "title", a->title);
    json_w_text_or_null(&w, "description", a->description);
    json_w_text_or_null(&w, "link", a->link);
    put_metadata(&w, &a->meta);
    json_w_key(&w, "ranges");
    json_w_array(&w);
    for (size_t i = 0; i < a->range_count; i++)
        put_range(&w, &a->ranges[i]);
    json_w_array_end(&w);
    return end_json(t, &w, e);
}

static int put_lead(struct testing *t, const struct feed_lead *lead, struct err *e)
{
    struct json_writer w = begin_json(t, "lead");
    json_w_text(&w, "name", lead->name);
    json_w_text(&w, "path", lead->path);
    json_w_text_or_null(&w, "fingerprint", lead->fingerprint);
    json_w_flag(&w, "may_lack", lead->may_lack);
    return end_json(t, &w, e);
}

static int put_text(struct testing *t, const char *type, str text, struct err *e)
{
    struct json_writer w = begin_json(t, type);
    json_w_text(&w, strcmp(type, "cursor") ? "name" : "text", text);
    return end_json(t, &w, e);
}

static int put_counts(struct testing *t, struct err *e)
{
    struct json_writer w = begin_json(t, "end");
    json_w_text(&w, "source", str_from(t->feed->name));
    json_w_text(&w, "document", str_from(t->document));
    json_w_number(&w, "bytes", (int64_t)t->bytes);
    json_w_number(&w, "advisories", (int64_t)t->advisories);
    json_w_number(&w, "affected", (int64_t)t->ranges);
    json_w_number(&w, "not_affected", (int64_t)t->negative);
    json_w_number(&w, "leads", (int64_t)t->leads);
    json_w_number(&w, "parts", (int64_t)t->parts);
    json_w_number(&w, "withdrawn", (int64_t)t->gone);
    json_w_number(&w, "skipped", (int64_t)t->skipped);
    return end_json(t, &w, e);
}

/* ---- what the worker says ---- */

static int on_advisory(struct testing *t, str body, struct err *e)
{
    struct advisory a;
    if (advisory_unpack(body, t->room, &a, e) < 0)
        return -1;
    t->advisories++;
    for (size_t i = 0; i < a.range_count; i++)
        *(a.ranges[i].negative ? &t->negative : &t->ranges) += 1;
    return t->json ? put_advisory(t, &a, e) : say_advisory(t, &a, e);
}

static int on_lead(struct testing *t, str body, struct err *e)
{
    struct unpack u = { .rest = body };
    struct feed_lead lead;
    if (!lead_unpack(&u, &lead) || !unpack_end(&u))
        return err_set(e, ERR_CAGE, "worker sent a malformed lead");
    t->leads++;
    return t->json ? put_lead(t, &lead, e) : say_lead(t, &lead, e);
}

static int on_frame(void *ctx, unsigned type, str body, struct err *e)
{
    struct testing *t = ctx;
    switch (type - FRAME_TASK) {
    case PARSE_ADVISORY:
        return on_advisory(t, body, e);
    case PARSE_LEAD:
        return on_lead(t, body, e);
    case PARSE_DOCUMENT:
        t->parts++;
        return t->json ? put_text(t, "document", body, e) : say(t, "document", body, e);
    case PARSE_GONE:
        t->gone++;
        return t->json ? put_text(t, "gone", body, e) : say(t, "withdrawn:", body, e);
    case PARSE_REMEMBER:
        return t->json ? put_text(t, "cursor", body, e) : say(t, "cursor", body, e);
    }
    return err_set(e, ERR_CAGE, "worker sent an unknown frame %u", type);
}

static int parse(struct testing *t, struct cage *cage, const char *cursor, struct err *e)
{
    CLEANUP(buf_done) struct buf params = { 0 }, summary = { 0 };
    const struct cage_input in = { .fd = -1, .read = read_file, .ctx = t };
    str rest;
    str document = str_from(t->document);
    feed_task_ask(&params, t->feed, document, document, str_from(cursor));
    if (params.failed)
        return err_set(e, ERR_OOM, "out of memory");
    if (cage_run(cage, &feed_task, buf_view(&params), &in, on_frame, t, &summary, e) < 0)
        return -1;
    int more = read_file(t, &rest, e);
    if (more)
        return more < 0 ? -1 : err_set(e, ERR_FORMAT, "more bytes follow the document");
    struct unpack u = { .rest = buf_view(&summary) };
    t->skipped = unpack_u64(&u);
    return unpack_end(&u) ? 0 : err_set(e, ERR_CAGE, "worker sent a malformed summary");
}

int feed_test(const struct feed_options *o, const struct feed *feed, const char *file, struct err *e)
{
    CLEANUP(testing_done)
    struct testing t = { .feed = feed, .json = o->format && !strcmp(o->format, "json") };
    if (choose_document(&t, o, file, e) < 0)
        return -1;
    CLEANUP(cage_freep) struct cage *cage = cage_new(tasks, NULL, e);
    if (!cage || open_file(&t, file, e) < 0)
        return -1;
    t.room = calloc(1, sizeof *t.room);
    if (!t.room)
        return err_set(e, ERR_OOM, "out of memory");
    if (parse(&t, cage, o->cursor, e) < 0) {
        fflush(stdout); /* what came before the fault stands before it */
        err_wrap(e, "%s: %s", feed->name, t.document);
        return err_wrap(e, "%s", t.name);
    }
    return t.json ? put_counts(&t, e) : say_counts(&t, e);
}
