/*
 * Ubuntu's CVE tracker as it lay in git: a text file for each CVE (spec/updaters-legacy.md 3), in a tar archive. It is what is left of the
 * releases that OSV does not have any more; the others are left to the feed `ubuntu`.
 *
 *     Candidate: CVE-2018-1                                  xenial_glibc: released (2.23-0ubuntu10)
 *     Priority: high                                         trusty/esm_dietlibc: ignored (was needed now end-of-life)
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "codec/archive.h"
#include "base/arena.h"
#include "feed/feed.h"
#include "model/distribution.h"
#include "model/package.h"
#include "version/version.h"

#define FILE_MAX        ((size_t)4 << 20)
#define ARENA_MAX       ((size_t)64 << 20)
#define DESCRIPTION_MAX 1000

struct statement {
    str version; /* of the release: "16.04" */
    str package, status, note;
    bool esm; /* for those who pay for extended support */
};

struct issue {
    struct arena *arena;
    str id;
    enum severity severity;
    struct buf description;
    struct statement *statements;
    size_t count, cap;
    struct affected_range *ranges;
    size_t range_count, range_cap;
};

static int too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "an issue with more than %zu bytes", ARENA_MAX);
}

/* ---- lines ---- */

/* OSV has 18.04 and what has long-term support since (an even year's April), and each release after 2024. */
static bool is_in_osv(str version)
{
    uint64_t year, month;
    str rest = version, head = str_cut(&rest, '.');
    if (!str_to_u64(head, &year) || !str_to_u64(rest, &month))
        return true;
    return year > 24 || (year >= 18 && year % 2 == 0 && month == 4);
}

static bool is_esm(str s) { return str_eq(s, STR("esm")) || str_starts(s, STR("esm-")); }

/* "(0.10.0-0ubuntu2.2)", also with doubled or missing parentheses */
static str inner(str note)
{
    note = str_trim(note);
    while (note.len && *note.ptr == '(')
        note = str_skip(note, 1);
    while (note.len && note.ptr[note.len - 1] == ')')
        note.len--;
    return str_trim(note);
}

/* "trusty/esm_bzip2": a package has no "_" in its name. */
static bool split_head(str head, struct statement *ret)
{
    ptrdiff_t at = str_rfind(head, '_');
    if (at <= 0)
        return false;
    str release = str_head(head, (size_t)at), codename = str_cut(&release, '/');
    ret->package = str_skip(head, (size_t)at + 1);
    ret->version = ubuntu_version(codename);
    ret->esm = is_esm(release);
    return ret->package.len && ret->version.len && !is_in_osv(ret->version) && (!release.len || ret->esm) &&
           !str_starts(ret->package, STR("linux"));
}

static void add_statement(struct issue *i, str head, str value)
{
    struct statement st = { 0 };
    if (!split_head(head, &st))
        return;
    st.status = str_word(&value);
    st.note = inner(value);
    struct statement *list = arena_grow(i->arena, i->statements, i->count, &i->cap, sizeof *list);
    if (!list)
        return;
    i->statements = list;
    list[i->count++] = st;
}

/* A few tags end a description; a blank line or any other tag does not (spec). */
static bool ends_description(str line)
{
    static const char *const tags[] = { "Ubuntu-Description:", "Notes:",         "Bugs:",
                                        "Priority:",           "Discovered-by:", "Assigned-to:" };
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (str_starts(line, str_from(tags[i])))
            return true;
    return false;
}

static void describe(struct issue *i, str words)
{
    if (words.len && i->description.len < DESCRIPTION_MAX) {
        if (i->description.len)
            buf_char(&i->description, ' ');
        buf_str(&i->description, str_head(words, 2 * DESCRIPTION_MAX));
    }
}

static void read_tag(struct issue *i, str head, str value)
{
    if (str_eq(head, STR("Candidate")) && value.len)
        i->id = value;
    else if (str_eq(head, STR("Priority")) && !severity_parse(str_word(&value), &i->severity))
        i->severity = SEVERITY_UNKNOWN; /* untriaged */
    else
        add_statement(i, head, value);
}

static void read_lines(struct issue *i, str text)
{
    bool describing = false;
    while (text.len) {
        str line = str_trim(str_line(&text)), value = line;
        if (!line.len || *line.ptr == '#')
            continue;
        describing &= !ends_description(line);
        str head = str_cut(&value, ':');
        if (describing) {
            describe(i, line);
        } else if (str_eq(head, STR("Description"))) {
            describing = true;
            describe(i, str_trim(value));
        } else if (head.len < line.len) {
            read_tag(i, head, str_trim(value));
        }
    }
}

/* ---- ranges ---- */

static int by_package(const void *a, const void *b)
{
    const struct statement *x = a, *y = b;
    int r = str_cmp(x->version, y->version);
    if (!r)
        r = str_cmp(x->package, y->package);
    return r ? r : x->esm - y->esm;
}

static bool was_affected(str note)
{
    static const char *const words[] = { "was needed", "was pending", "was deferred", "was active" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_contains(note, str_from(words[i])))
            return true;
    return false;
}

static bool is_one_of(str s, const char *words)
{
    str rest = str_from(words);
    for (str word; (word = str_word(&rest)).len;)
        if (str_eq(s, word))
            return true;
    return false;
}

/* "1.0, 2.0" tells of other releases from the second on. What only extended support has is no fix for all. */
static bool released(const struct statement *st, struct affected_range *ret)
{
    str note = st->note, version = str_trim(str_cut(&note, ','));
    if (!version_dpkg.valid(version))
        return false;
    bool for_all = !str_contains(version, STR("esm"));
    ret->fixed_version = for_all ? version : (str){ 0 };
    ret->state = for_all ? FIX_FIXED : FIX_WILL_NOT_FIX;
    return true;
}

/* false: it says nothing */
static bool judge(const struct statement *st, struct affected_range *ret)
{
    ret->state = FIX_AFFECTED;
    if (str_eq(st->status, STR("released")))
        return released(st, ret);
    if (str_eq(st->status, STR("not-affected"))) {
        ret->negative = true;
        return true;
    }
    if (str_eq(st->status, STR("ignored")) && was_affected(st->note)) {
        ret->state = FIX_END_OF_LIFE;
        return true;
    }
    return is_one_of(st->status, "needed active deferred pending");
}

static void add_range(struct issue *i, const struct statement *st, struct affected_range range)
{
    struct affected_range *list =
        arena_grow(i->arena, i->ranges, i->range_count, &i->range_cap, sizeof *list);
    if (!list)
        return;
    i->ranges = list;
    range.namespace = arena_printf(i->arena, "ubuntu:" STR_FMT, STR_ARG(st->version));
    range.scheme = STR("dpkg");
    range.package = str_head(st->package, FEED_TEXT_MAX);
    range.kind = AFFECTS_SOURCE;
    range.severity = i->severity;
    list[i->range_count++] = range;
}

/* Of one package in one release the first statement counts that says something: that for all before that for extended support. */
static void make_ranges(struct issue *i)
{
    const struct statement *done = NULL;
    if (i->count)
        qsort(i->statements, i->count, sizeof *i->statements, by_package);
    for (size_t k = 0; k < i->count; k++) {
        const struct statement *st = &i->statements[k];
        struct affected_range range = { 0 };
        if (done && str_eq(done->version, st->version) && str_eq(done->package, st->package))
            continue;
        if (judge(st, &range)) {
            done = st;
            add_range(i, st, range);
        }
    }
}

static int put(struct issue *i, struct advisory_sink *sink, struct err *e)
{
    str description = buf_view(&i->description);
    size_t n = description.len < DESCRIPTION_MAX ? description.len : DESCRIPTION_MAX;
    while (n && n < description.len && ((uint8_t)description.ptr[n] & 0xc0) == 0x80)
        n--;
    struct advisory a = {
        .key = i->id,
        .id = i->id,
        .description = str_head(description, n),
        .link = arena_printf(i->arena, "https://ubuntu.com/security/" STR_FMT, STR_ARG(i->id)),
        .ranges = i->ranges,
        .range_count = i->range_count,
    };
    if (arena_failed(i->arena) || i->description.failed)
        return too_much(e);
    return a.range_count ? sink->put(sink, &a, e) : 0;
}

/* ---- files ---- */

static int read_issue(str name, str text, struct advisory_sink *sink, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(ARENA_MAX);
    if (!arena)
        return err_set(e, ERR_OOM, "ubuntu-tracker: out of memory");
    struct issue i = { .arena = arena, .id = name };
    read_lines(&i, text);
    i.id = str_head(i.id, FEED_TEXT_MAX);
    make_ranges(&i);
    int r = put(&i, sink, e);
    buf_done(&i.description);
    return r;
}

/* ".../active/CVE-2018-1" and ".../retired/CVE-2018-1"; empty: it is another file */
static str issue_of(str path)
{
    ptrdiff_t slash = str_rfind(path, '/');
    str folder = str_head(path, slash < 0 ? 0 : (size_t)slash), name = str_skip(path, (size_t)(slash + 1));
    bool wanted = id_is_cve(name) && (str_ends(folder, STR("active")) || str_ends(folder, STR("retired")));
    return wanted ? name : (str){ 0 };
}

struct reading {
    struct advisory_sink *sink;
    struct buf text;
};

static int read_file(void *ctx, str path, struct stream *file, struct err *e)
{
    struct reading *reading = ctx;
    str chunk, name = issue_of(path);
    int r = 0;
    if (!name.len)
        return 0;
    buf_clear(&reading->text);
    while ((r = stream_next(file, &chunk, e)) > 0)
        buf_str(&reading->text, chunk);
    if (r < 0)
        return -1;
    if (reading->text.failed)
        return err_set(e, ERR_LIMIT, "more than %zu bytes", FILE_MAX);
    return read_issue(name, buf_view(&reading->text), reading->sink, e) < 0 ? -1 : 1;
}

static int tracker_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    struct reading reading = { sink, { .max = FILE_MAX } };
    size_t count = 0;
    int r = archive_each(in->bytes, read_file, &reading, &count, e);
    buf_done(&reading.text);
    return r == 0 && !count ? err_set(e, ERR_FORMAT, "no issue: an empty tracker is a broken one") : r;
}

static const struct feed_document documents[] = { { "ubuntu-cve-tracker-2020-06.tar", DOCUMENT_MAY_LACK },
                                                  { NULL } };

const struct feed feed_ubuntu_tracker = {
    .name = "ubuntu-tracker",
    .about = "Ubuntu CVE tracker of old releases",
    .covers = "ubuntu",
    .megabytes = 3,
    .rank = 110,
    .place = { "ubuntu", NULL }, /* its host serves a git repository, and no archive */
    .documents = documents,
    .version = 1,
    .parse = tracker_parse,
};
