/* redhat_said.h - what the parser of Red Hat's documents says, a line each, for tests. In documents of our own ' stands for ". */
#pragma once
#include "base/buf.h"
#include "base/cleanup.h"
#include "feed/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define VEX_FOLDER   "data/csaf/v2/vex/"
#define ARCHIVE      "csaf_vex_2025-08-01.tar.zst"
#define CHANGES      VEX_FOLDER "changes.csv@" ARCHIVE

struct said {
    struct advisory_sink sink;
    struct buf out;
    size_t advisories, ranges, documents;
    bool quiet;
};

static inline void add_range(struct buf *out, const struct affected_range *r)
{
    buf_printf(out, "; " STR_FMT " " STR_FMT "%s", STR_ARG(r->namespace), STR_ARG(r->package),
               r->kind == AFFECTS_SOURCE ? ".src" : "");
    if (r->arch.len)
        buf_printf(out, "." STR_FMT, STR_ARG(r->arch));
    if (r->module.len)
        buf_printf(out, " {" STR_FMT "}", STR_ARG(r->module));
    if (r->negative) {
        buf_str(out, STR(" never"));
        assert_int_equal(r->fixed_version.len + r->cpe.len + r->arch.len, 0);
    } else {
        buf_printf(out, " %s<" STR_FMT " %s " STR_FMT, fix_state_name(r->state), STR_ARG(r->fixed_version),
                   severity_name(r->severity), STR_ARG(str_skip(r->cpe, STR("cpe:/o:redhat:").len)));
    }
}

static inline int put_line(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    struct said *s = (struct said *)sink;
    s->advisories++;
    s->ranges += a->range_count;
    if (s->quiet)
        return 0;
    buf_printf(&s->out, STR_FMT " " STR_FMT, STR_ARG(a->key), STR_ARG(a->id));
    for (size_t i = 0; i < a->meta.alias_count; i++)
        buf_printf(&s->out, " =" STR_FMT, STR_ARG(a->meta.aliases[i]));
    for (size_t i = 0; i < a->meta.score_count; i++)
        buf_printf(&s->out, " " STR_FMT ":%u:" STR_FMT, STR_ARG(a->meta.scores[i].version),
                   a->meta.scores[i].base, STR_ARG(a->meta.scores[i].vector));
    for (size_t i = 0; i < a->meta.cpe_count; i++)
        buf_printf(&s->out, " " STR_FMT, STR_ARG(a->meta.cpes[i]));
    for (size_t i = 0; i < a->range_count; i++) {
        assert_true(str_eq(a->ranges[i].scheme, STR("rpm")) && !a->ranges[i].introduced.len);
        add_range(&s->out, &a->ranges[i]);
    }
    buf_char(&s->out, '\n');
    return 0;
}

static inline int put_document(struct advisory_sink *sink, str name, struct err *e)
{
    struct said *s = (struct said *)sink;
    s->documents++;
    if (!s->quiet)
        buf_printf(&s->out, "document " STR_FMT "\n", STR_ARG(name));
    return 0;
}

static inline int put_lead(struct advisory_sink *sink, const struct feed_lead *l, struct err *e)
{
    buf_printf(&((struct said *)sink)->out, "lead " STR_FMT, STR_ARG(l->name));
    if (!str_eq(l->name, l->path))
        buf_printf(&((struct said *)sink)->out, " at " STR_FMT, STR_ARG(l->path));
    buf_printf(&((struct said *)sink)->out, " [" STR_FMT "]%s\n", STR_ARG(l->fingerprint),
               l->may_lack ? "" : " must");
    return 0;
}

static inline int put_gone(struct advisory_sink *sink, str name, struct err *e)
{
    buf_printf(&((struct said *)sink)->out, "gone " STR_FMT "\n", STR_ARG(name));
    return 0;
}

static inline int put_cursor(struct advisory_sink *sink, str cursor, struct err *e)
{
    buf_printf(&((struct said *)sink)->out, "cursor " STR_FMT "\n", STR_ARG(cursor));
    return 0;
}

static const struct advisory_sink sayer = { put_line, put_document, put_lead, put_gone, put_cursor };

static inline int parse(const char *document, const char *cursor, struct stream *in, struct said *said,
                        struct err *e)
{
    struct feed_input input = { .document = str_from(document), .cursor = str_from(cursor), .bytes = in };
    return feed_by_name(STR("redhat"))->parse(&input, &said->sink, e);
}

static inline int parse_text(const char *document, const char *cursor, str text, struct said *said,
                             struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(text, e);
    assert_non_null(in);
    return parse(document, cursor, in, said, e);
}

/* `want`: lines, or the error without "\n". */
static inline void check(const char *document, const char *cursor, const char *text, const char *want)
{
    CLEANUP(buf_done) struct buf doc = { 0 };
    struct said said = { .sink = sayer };
    struct err e = { 0 };
    bool good = !*want || strchr(want, '\n');
    for (const char *p = text; *p; p++)
        buf_char(&doc, *p == '\'' ? '"' : *p);
    int r = parse_text(document, cursor, buf_view(&doc), &said, &e);
    buf_char(&said.out, 0);
    if ((r == 0) != good || strcmp(good ? said.out.ptr : e.text, want) != 0) {
        print_error("%s\n", text);
        fail_msg("gives\n%s%s\nwanted\n%s", said.out.ptr, e.text, want);
    }
    buf_done(&said.out);
}

struct row {
    const char *text, *want;
};

static inline void check_rows(const char *document, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(document, "", rows[i].text, rows[i].want);
}
