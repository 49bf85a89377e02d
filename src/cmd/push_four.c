/* push_four.c - Clair 4: a manifest is posted to the indexer, waited for, and the matcher's report is read (spec/api-v4.md 2, 3). */
#include "base/cleanup.h"
#include "cmd/push.h"
#include "codec/json.h"

#include <time.h>

#define ANSWER_MAX ((size_t)64 << 20)
#define TRIES      30 /* a second each: while there is no report yet */

static enum push_four failed(struct buf *why, const char *what, const struct err *e)
{
    buf_printf(why, "%s%s", what, e->text);
    return PUSH_FOUR_FAILED;
}

static str path_of(const struct push_clair *c, const char *before, str digest)
{
    return arena_printf(c->server->arena, "%s" STR_FMT, before, STR_ARG(digest));
}

/* ---- the indexer ---- */

static void manifest_json(const struct push_clair *c, const struct push_image *i, struct buf *out)
{
    struct json_writer w = { .out = out };
    json_w_object(&w);
    json_w_text(&w, "hash", i->manifest);
    json_w_key(&w, "layers");
    json_w_array(&w);
    for (size_t k = 0; k < i->count; k++) {
        json_w_object(&w);
        json_w_text(&w, "hash", i->names[k]);
        json_w_text(&w, "uri", push_layer_url(c, i->ranges[k].path));
        json_w_object_end(&w);
    }
    json_w_array_end(&w);
    json_w_object_end(&w);
}

struct index_report {
    bool has_hash, has_success, success;
    str err;
};

static int read_index_report(str text, struct arena *arena, struct index_report *ret, struct err *e)
{
    enum json_type type;
    str key, value;
    int more;
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(text, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, e) : NULL;
    if (!j || json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        bool hash = str_eq(key, STR("manifest_hash")), err = str_eq(key, STR("err"));
        bool success = str_eq(key, STR("success"));
        if (json_next(j, &type, &value, e) < 0)
            return -1;
        ret->has_hash |= hash && type == JSON_STRING;
        ret->has_success |= success && (type == JSON_TRUE || type == JSON_FALSE);
        ret->success |= success && type == JSON_TRUE;
        if (err && type == JSON_STRING)
            ret->err = arena_dup(arena, value);
        if (json_skip_rest(j, type, e) < 0)
            return -1;
    }
    return more;
}

/* The old one looked neither at `success` nor at `err`: whatever could not be indexed had no vulnerabilities. */
static enum push_four judge_index(const struct index_report *r, struct buf *why)
{
    if (!r->has_success || r->success)
        return PUSH_FOUR_DONE;
    buf_str(why, STR("Clair could not index the image: "));
    push_put_clean(why, r->err);
    return PUSH_FOUR_FAILED;
}

static enum push_four submit(const struct push_clair *c, const struct push_image *i, struct buf *why)
{
    struct err e = { 0 };
    struct index_report r = { 0 };
    CLEANUP(buf_done) struct buf body = { 0 }, text = { 0 };
    manifest_json(c, i, &body);
    CLEANUP(http_freep)
    struct http *h = push_ask(c->server, "POST", "/indexer/api/v1/index_report", buf_view(&body), NULL, &e);
    if (!h)
        return failed(why, "Failed to submit container for analysis: error sending request: ", &e);
    if (push_text(h, ANSWER_MAX, &text, &e) < 0)
        return failed(why, "Failed to submit container for analysis: error reading response: ", &e);
    if (read_index_report(buf_view(&text), c->server->arena, &r, &e) < 0)
        return failed(why, "Failed to submit container for analysis: error parsing report ID: ", &e);
    if (!r.has_hash) {
        buf_str(why, STR("Failed to submit container for analysis: error parsing report ID: manifest_hash "
                         "not found in "
                         "response"));
        return PUSH_FOUR_FAILED;
    }
    return judge_index(&r, why);
}

static enum push_four await_index(const struct push_clair *c, const struct push_image *i, struct buf *why)
{
    const struct timespec second = { .tv_sec = 1 };
    str path = path_of(c, "/indexer/api/v1/index_report/", i->manifest);
    for (unsigned tries = 0; tries < TRIES && path.ptr; tries++) {
        struct err e = { 0 };
        struct index_report r = { 0 };
        CLEANUP(buf_done) struct buf text = { 0 };
        CLEANUP(http_freep) struct http *h = push_ask(c->server, "GET", path.ptr, (str){ 0 }, NULL, &e);
        unsigned status = h ? http_head(h)->status : 0;
        if (!h)
            return failed(why, "Error waiting for successful response: ", &e);
        if (status == 200 && (push_text(h, ANSWER_MAX, &text, &e) < 0 ||
                              read_index_report(buf_view(&text), c->server->arena, &r, &e) < 0))
            return failed(why, "Error waiting for successful response: ", &e);
        if (status == 200)
            return judge_index(&r, why);
        if (status != 404) {
            buf_printf(why, "Error waiting for successful response: unexpected status code: %u", status);
            return PUSH_FOUR_NOTHING;
        }
        nanosleep(&second, NULL);
    }
    buf_printf(why, "Error waiting for successful response: no index report after %d s", TRIES);
    return PUSH_FOUR_NOTHING;
}

/* ---- the matcher ---- */

struct reading {
    struct json *json;
    struct arena *arena;
    struct push_vulnerabilities *ret;
};

static int keep(struct reading *r, str *ret, struct err *e)
{
    str text;
    if (json_string(r->json, &text, e) < 0)
        return -1;
    *ret = arena_dup(r->arena, text);
    return arena_failed(r->arena) ? err_set(e, ERR_LIMIT, "too much text") : 0;
}

/* Two members of an object within. */
static int read_within(struct reading *r, const char *one, str *ret_one, const char *two, str *ret_two,
                       struct err *e)
{
    str key;
    int more = json_enter_or_null(r->json, JSON_OBJECT, e);
    if (more <= 0)
        return more;
    while ((more = json_key(r->json, &key, e)) > 0) {
        str *field = str_eq(key, str_from(one))          ? ret_one
                     : two && str_eq(key, str_from(two)) ? ret_two
                                                         : NULL;
        if ((field ? keep(r, field, e) : json_skip(r->json, e)) < 0)
            return -1;
    }
    return more;
}

static int read_vulnerability(struct reading *r, struct err *e)
{
    struct clair_scanner_row *row = push_row(r->ret, r->arena, e);
    str key;
    int more;
    if (!row || json_enter(r->json, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(r->json, &key, e)) > 0) {
        str *field = str_eq(key, STR("name"))                  ? &row->vulnerability
                     : str_eq(key, STR("description"))         ? &row->description
                     : str_eq(key, STR("links"))               ? &row->link
                     : str_eq(key, STR("normalized_severity")) ? &row->severity
                     : str_eq(key, STR("fixed_in_version"))    ? &row->fixed_by
                                                               : NULL;
        int result =
            field                         ? keep(r, field, e)
            : str_eq(key, STR("package")) ? read_within(r, "name", &row->feature, "version", &row->version, e)
            : str_eq(key, STR("distribution")) ? read_within(r, "did", &row->namespace, NULL, NULL, e)
                                               : json_skip(r->json, e);
        if (result < 0)
            return -1;
    }
    return more;
}

static int read_report(struct reading *r, struct err *e)
{
    str key;
    int more, inner;
    if (json_enter(r->json, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(r->json, &key, e)) > 0) {
        if (!str_eq(key, STR("vulnerabilities"))) {
            if (json_skip(r->json, e) < 0)
                return -1;
            continue;
        }
        inner = json_enter_or_null(r->json, JSON_OBJECT, e);
        while (inner > 0 && (inner = json_key(r->json, &key, e)) > 0)
            if (read_vulnerability(r, e) < 0)
                return -1;
        if (inner < 0)
            return -1;
    }
    return more;
}

static enum push_four fetch(const struct push_clair *c, const struct push_image *i,
                            struct push_vulnerabilities *ret, struct buf *why)
{
    struct err e = { 0 };
    CLEANUP(buf_done) struct buf text = { 0 };
    str path = path_of(c, "/matcher/api/v1/vulnerability_report/", i->manifest);
    CLEANUP(http_freep)
    struct http *h = path.ptr ? push_ask(c->server, "GET", path.ptr, (str){ 0 }, NULL, &e) : NULL;
    if (!h || push_text(h, ANSWER_MAX, &text, &e) < 0)
        return failed(why, "Failed to fetch the vulnerability report: ", &e);
    if (http_head(h)->status !=
        200) { /* the old one took what it said for a report without vulnerabilities */
        buf_printf(why, "Failed to fetch the vulnerability report: unexpected status code: %u%s",
                   http_head(h)->status,
                   http_head(h)->status == 202 ? " (the matcher has no vulnerabilities loaded yet)" : "");
        return PUSH_FOUR_FAILED;
    }
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(buf_view(&text), &e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, &e) : NULL;
    struct reading r = { .json = j, .arena = c->server->arena, .ret = ret };
    if (!j || read_report(&r, &e) < 0)
        return failed(why, "Failed to fetch the vulnerability report: ", &e);
    return PUSH_FOUR_DONE;
}

enum push_four push_four_scan(const struct push_clair *c, const struct push_image *i,
                              struct push_vulnerabilities *ret, struct buf *why)
{
    enum push_four r = submit(c, i, why);
    if (r == PUSH_FOUR_DONE)
        r = await_index(c, i, why);
    return r == PUSH_FOUR_DONE ? fetch(c, i, ret, why) : r;
}
