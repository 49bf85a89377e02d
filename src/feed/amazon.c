/*
 * Amazon Linux: mirror.list names the newest repository, its repomd.xml the updateinfo.xml that goes with it. Documents are named by release and
 * architecture, for the places change with each release of the repository. Names, links and severities are those of the old Clair
 * (spec/updaters-legacy.md 7).
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "feed/feed.h"
#include "feed/lines.h"
#include "feed/updateinfo.h"

#define REPOMD     "/repomd.xml"
#define UPDATEINFO "/updateinfo.xml"
#define MIRRORS    "/mirror.list"

static const struct repository {
    const char *list, *name, *arch, *namespace,
        *link;       /* list: a document of the table; name: of what it leads to */
    const char *cut; /* of ids before they go behind `link` */
} repositories[] = {
    { "2018.03/updates/x86_64", "2018.03/x86_64", "x86_64", "amzn:2018.03", "https://alas.aws.amazon.com/",
      "" },
    { "2/core/latest/x86_64", "2/x86_64", "x86_64", "amzn:2", "https://alas.aws.amazon.com/AL2/ALAS-",
      "ALAS2-" },
    { "2/core/latest/aarch64", "2/aarch64", "aarch64", "amzn:2", "https://alas.aws.amazon.com/AL2/ALAS-",
      "ALAS2-" },
    { "al2023/core/mirrors/latest/x86_64", "2023/x86_64", "x86_64", "amzn:2023",
      "https://alas.aws.amazon.com/AL2023/ALAS-", "ALAS2023-" },
    { "al2023/core/mirrors/latest/aarch64", "2023/aarch64", "aarch64", "amzn:2023",
      "https://alas.aws.amazon.com/AL2023/ALAS-", "ALAS2023-" },
};
#define REPOSITORIES (sizeof repositories / sizeof *repositories)

/* NULL: no such document. */
static const struct repository *repository_of(str document, const char *ending, bool list)
{
    str end = str_from(ending);
    if (!str_ends(document, end))
        return NULL;
    document.len -= end.len;
    for (size_t i = 0; i < REPOSITORIES; i++)
        if (str_eq(document, str_from(list ? repositories[i].list : repositories[i].name)))
            return &repositories[i];
    return NULL;
}

static int oom(struct err *e) { return err_set(e, ERR_OOM, "amazon: out of memory"); }

/* ---- mirror.list ---- */

/* The first line, with "$basearch" filled in. */
static int lead_to_repository(const struct feed_input *in, const struct repository *repo,
                              struct advisory_sink *sink, struct err *e)
{
    CLEANUP(buf_done) struct buf path = { 0 }, name = { 0 };
    CLEANUP(lines_done) struct lines lines = { .in = in->bytes };
    str line, variable = STR("$basearch");
    int r = lines_next(&lines, &line, e);
    if (r < 0)
        return -1;
    line = r ? str_trim(line) : (str){ 0 };
    if (!line.len)
        return err_set(e, ERR_FORMAT, "line 1: no mirror");
    while (line.len) {
        bool here = str_starts(line, variable);
        if (here)
            buf_str(&path, str_from(repo->arch));
        else
            buf_char(&path, *line.ptr);
        line = str_skip(line, here ? variable.len : 1);
    }
    if (path.len && path.ptr[path.len - 1] == '/')
        path.len--;
    buf_str(&path, STR("/repodata/repomd.xml"));
    buf_printf(&name, "%s" REPOMD, repo->name);
    if (path.failed || name.failed)
        return oom(e);
    return sink->lead(sink, &(struct feed_lead){ .name = buf_view(&name), .path = buf_view(&path) }, e);
}

/* ---- repomd.xml ---- */

static int lead_to_updates(const struct feed_input *in, const struct repository *repo,
                           struct advisory_sink *sink, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    str href, checksum, base = in->path, end = STR("repodata/repomd.xml");
    int found = arena ? repomd_read(in->bytes, arena, &href, &checksum, e) : oom(e);
    if (found < 0)
        return -1;
    if (!found)
        return err_set(e, ERR_FORMAT, "it has no updateinfo");
    if (str_ends(base, end))
        base.len -= end.len;
    const struct feed_lead lead = {
        .name = arena_printf(arena, "%s" UPDATEINFO, repo->name),
        .path = arena_printf(arena, STR_FMT STR_FMT, STR_ARG(base), STR_ARG(href)),
        .fingerprint = checksum,
    };
    return arena_failed(arena) ? oom(e) : sink->lead(sink, &lead, e);
}

/* ---- updateinfo.xml ---- */

struct writing {
    struct advisory_sink *sink;
    const struct repository *repo;
};

/* Runs of white space are one blank, as the old Clair had it. */
static str one_line(struct arena *a, str s)
{
    char *to = arena_alloc(a, s.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; to && i < s.len; i++) {
        bool blank = s.ptr[i] == ' ' || (s.ptr[i] >= '\t' && s.ptr[i] <= '\r');
        if (!blank)
            to[n++] = s.ptr[i];
        else if (n && to[n - 1] != ' ')
            to[n++] = ' ';
    }
    return str_of(to, n);
}

static int put(void *ctx, const struct updateinfo *u, struct err *e)
{
    const struct writing *w = ctx;
    const struct repository *repo = w->repo;
    struct arena *a = u->arena;
    if ((u->type.len && !str_eq(u->type, STR("security"))) || !u->package_count)
        return 0;
    struct affected_range *ranges = arena_array(a, struct affected_range, u->package_count);
    if (!ranges)
        return oom(e);
    for (size_t i = 0; i < u->package_count; i++)
        ranges[i] = (struct affected_range){
            .namespace = str_from(repo->namespace),
            .scheme = STR("rpm"),
            .package = u->packages[i].name,
            .kind = AFFECTS_BINARY,
            .fixed_version = u->packages[i].evr,
            .arch = u->packages[i].arch,
            .severity = severity_of_word(u->severity),
            .state = FIX_FIXED,
        };
    str number = str_head(u->id, FEED_TEXT_MAX), cut = str_from(repo->cut);
    number = str_starts(number, cut) ? str_skip(number, cut.len) : number;
    const struct advisory advisory = {
        .key = arena_printf(a, "%s/" STR_FMT, repo->name, STR_ARG(u->id)),
        .id = u->id,
        .title = u->title,
        .description = one_line(a, u->description),
        .link = arena_printf(a, "%s" STR_FMT ".html", repo->link, STR_ARG(number)),
        .meta = { .aliases = (str *)u->cves, .alias_count = u->cve_count },
        .ranges = ranges,
        .range_count = u->package_count,
    };
    return arena_failed(a) ? oom(e) : w->sink->put(w->sink, &advisory, e);
}

static int amazon_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    const struct repository *repo;
    if ((repo = repository_of(in->document, MIRRORS, true)))
        return lead_to_repository(in, repo, sink, e);
    if ((repo = repository_of(in->document, REPOMD, false)))
        return lead_to_updates(in, repo, sink, e);
    if ((repo = repository_of(in->document, UPDATEINFO, false)))
        return updateinfo_read(in->bytes, put, &(struct writing){ sink, repo }, e);
    return err_set(e, ERR_FORMAT, "no document of Amazon Linux");
}

/* Amazon Linux 1 is served by plain HTTP alone, which is no place for what nobody has signed. */
static const struct feed_place first = { "amazon", NULL };

static const struct feed_document documents[] = {
    { "2018.03/updates/x86_64" MIRRORS, DOCUMENT_MAY_LACK, &first },
    { "2/core/latest/x86_64" MIRRORS, DOCUMENT_MAY_LACK },
    { "2/core/latest/aarch64" MIRRORS, DOCUMENT_MAY_LACK },
    { "al2023/core/mirrors/latest/x86_64" MIRRORS, DOCUMENT_MAY_LACK },
    { "al2023/core/mirrors/latest/aarch64" MIRRORS, DOCUMENT_MAY_LACK },
    { NULL },
};

const struct feed feed_amazon = {
    .name = "amazon",
    .about = "Amazon Linux repositories",
    .covers = "amzn",
    .megabytes = 8,
    .place = { "amazon", "https://cdn.amazonlinux.com" },
    .documents = documents,
    .version = 1,
    .parse = amazon_parse,
};
