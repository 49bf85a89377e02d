/*
 * Red Hat: CSAF VEX, a document for each CVE (csaf.c), in an archive and one by one (redhat_lists.h says which are read), and the CPEs of
 * repositories. The CSAF advisories ("data/csaf/v2/advisories/...") are read alike; they are not asked for, for VEX says the same.
 */
#include "base/cleanup.h"
#include "base/arena.h"
#include "codec/archive.h"
#include "codec/json.h"
#include "feed/csaf.h"
#include "feed/redhat_lists.h"
#include "model/metadata.h"

#define ARCHIVE_NAME     STR(".tar.zst")
#define REPOSITORIES     "data/metrics/repository-to-cpe.json"
#define REPOSITORY_LIMIT ((size_t)1 << 20)
#define SHOWN            100

/* ---- the archive ---- */

/* Folders before the year are none of the documents' names. */
static str document_of(str name)
{
    ptrdiff_t file = str_rfind(name, '/');
    ptrdiff_t year = file > 0 ? str_rfind(str_head(name, (size_t)file), '/') : -1;
    return str_skip(name, (size_t)(year + 1));
}

struct archive_reading {
    str folder; /* of the archive */
    struct advisory_sink *sink;
};

static int read_part(void *ctx, str name, struct stream *file, struct err *e)
{
    const struct archive_reading *r = ctx;
    char document[2 * PACKAGE_TEXT_MAX];
    str part = document_of(name);
    if (!str_ends(part, STR(".json")))
        return 0;
    if (r->folder.len + part.len > PACKAGE_TEXT_MAX)
        return err_set(e, ERR_FORMAT, "too long a name");
    int n = snprintf(document, sizeof document, STR_FMT STR_FMT, STR_ARG(r->folder), STR_ARG(part));
    if (r->sink->document(r->sink, str_of(document, (size_t)n), e) < 0 || csaf_read(file, r->sink, e) < 0)
        return -1;
    return 1;
}

static int read_archive(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    struct archive_reading r = { str_head(in->document, (size_t)(str_rfind(in->document, '/') + 1)), sink };
    size_t count;
    if (archive_each(in->bytes, read_part, &r, &count, e) < 0)
        return -1;
    return count ? 0 : err_set(e, ERR_FORMAT, "an archive without documents");
}

/* ---- repositories ---- */

struct repository {
    struct arena *arena;
    str id;
    str *cpes;
    size_t count, cap;
};

static int too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "a repository with more than %zu bytes", REPOSITORY_LIMIT);
}

static int read_cpes(struct json *json, struct repository *r, struct err *e)
{
    int got = json_enter_or_null(json, JSON_ARRAY, e);
    if (got <= 0)
        return got;
    enum json_type type;
    str text;
    while ((got = json_element(json, &type, &text, e)) > 0) {
        if (type != JSON_STRING)
            return err_set(e, ERR_FORMAT, "json: byte %llu: a CPE is not a string",
                           (unsigned long long)json_offset(json));
        str *cpes = arena_grow(r->arena, r->cpes, r->count, &r->cap, sizeof *cpes);
        if (!cpes)
            return too_much(e);
        r->cpes = cpes;
        r->cpes[r->count++] = arena_dup(r->arena, str_head(text, FEED_TEXT_MAX));
    }
    return got;
}

static int put_repository(const struct repository *r, struct advisory_sink *sink, struct err *e)
{
    struct advisory a = {
        .key = arena_printf(r->arena, "repository/" STR_FMT, STR_ARG(r->id)),
        .id = r->id,
        .meta = { .cpes = r->cpes, .cpe_count = r->count },
    };
    if (arena_failed(r->arena))
        return too_much(e);
    return r->id.len && r->count ? sink->put(sink, &a, e) : 0;
}

static int read_repository(struct json *json, str id, struct advisory_sink *sink, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(REPOSITORY_LIMIT);
    if (!arena)
        return err_set(e, ERR_OOM, "redhat: out of memory");
    struct repository r = { .arena = arena, .id = arena_dup(arena, str_head(id, FEED_TEXT_MAX)) };
    char shown[SHOWN + 1];
    snprintf(shown, sizeof shown, STR_FMT, STR_ARG(str_head(id, SHOWN)));
    str key;
    int got = json_enter(json, JSON_OBJECT, e);
    while (got >= 0 && (got = json_key(json, &key, e)) > 0)
        got = str_eq(key, STR("cpes")) ? read_cpes(json, &r, e) : json_skip(json, e);
    return got < 0 || put_repository(&r, sink, e) < 0 ? err_wrap(e, "%s", shown) : 0;
}

static int read_data(struct json *json, struct advisory_sink *sink, struct err *e)
{
    str id;
    int r = json_enter(json, JSON_OBJECT, e);
    while (r >= 0 && (r = json_key(json, &id, e)) > 0)
        r = read_repository(json, id, sink, e);
    return r;
}

int redhat_repositories_read(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    CLEANUP(json_freep) struct json *json = json_new(in->bytes, NULL, e);
    if (!json || json_enter(json, JSON_OBJECT, e) < 0)
        return -1;
    str key;
    int r;
    bool found = false;
    while ((r = json_key(json, &key, e)) > 0) {
        bool data = str_eq(key, STR("data"));
        found |= data;
        if ((data ? read_data(json, sink, e) : json_skip(json, e)) < 0)
            return data ? err_wrap(e, "data") : -1;
    }
    if (r < 0 || json_finish(json, e) < 0)
        return -1;
    return found ? 0 : err_set(e, ERR_FORMAT, "no list of repositories");
}

/* ---- the source ---- */

static int redhat_parse(const struct feed_input *in, struct advisory_sink *sink, struct err *e)
{
    if (str_eq(in->document, STR(REDHAT_VEX "archive_latest.txt")))
        return redhat_latest_read(in, sink, e);
    if (str_starts(in->document, STR(REDHAT_CHANGES)))
        return redhat_changes_read(in, sink, e);
    if (str_eq(in->document, STR(REDHAT_DELETIONS)))
        return redhat_deletions_read(in, sink, e);
    if (str_eq(in->document, STR(REPOSITORIES)))
        return redhat_repositories_read(in, sink, e);
    return str_ends(in->document, ARCHIVE_NAME) ? read_archive(in, sink, e) : csaf_read(in->bytes, sink, e);
}

static const struct feed_document documents[] = {
    { REDHAT_VEX "archive_latest.txt" },
    { REPOSITORIES, DOCUMENT_MAY_LACK },
    { NULL },
};

const struct feed feed_redhat = {
    .name = "redhat",
    .about = "Red Hat CSAF VEX",
    .covers = "rhel centos",
    .megabytes = 300,
    .place = { "redhat", "https://security.access.redhat.com" },
    .documents = documents,
    .version = 1,
    .parse = redhat_parse,
};
