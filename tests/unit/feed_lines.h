/* feed_lines.h - what a feed parser says, a line for each advisory and each lead: shared by the tests of feeds. */
#pragma once
#include "base/buf.h"
#include "base/cleanup.h"
#include "feed/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct said {
    struct advisory_sink sink;
    struct buf out;
    size_t advisories, ranges, negative, unfixed;
};

static inline void add_metadata(struct buf *out, const struct metadata *m)
{
    if (m->has_severity)
        buf_printf(out, " %s", severity_name(m->severity));
    for (size_t i = 0; i < m->score_count; i++)
        buf_printf(out, " " STR_FMT ":%u:" STR_FMT "@" STR_FMT, STR_ARG(m->scores[i].version),
                   m->scores[i].base, STR_ARG(m->scores[i].vector), STR_ARG(m->scores[i].source));
    for (size_t i = 0; i < m->alias_count; i++)
        buf_printf(out, " =" STR_FMT, STR_ARG(m->aliases[i]));
    if (m->has_epss)
        buf_printf(out, " epss %u %u", m->epss, m->epss_percentile);
    if (m->kev.added.len)
        buf_printf(out, " kev " STR_FMT "/" STR_FMT, STR_ARG(m->kev.added), STR_ARG(m->kev.due));
}

static inline void add_range(struct buf *out, const struct affected_range *r)
{
    assert_int_equal(r->introduced.len + r->arch.len + r->module.len + r->cpe.len, 0);
    buf_printf(out, "; " STR_FMT " " STR_FMT " %s " STR_FMT " ", STR_ARG(r->namespace), STR_ARG(r->scheme),
               r->kind == AFFECTS_SOURCE ? "source" : "binary", STR_ARG(r->package));
    if (r->negative)
        buf_str(out, STR("never"));
    else
        buf_printf(out, "%s<" STR_FMT " %s", fix_state_name(r->state), STR_ARG(r->fixed_version),
                   severity_name(r->severity));
}

/* KEY ID [TITLE] <LINK> METADATA; RANGE; RANGE */
static inline int say_advisory(struct advisory_sink *sink, const struct advisory *a, struct err *e)
{
    struct buf *out = &((struct said *)sink)->out;
    buf_printf(out, STR_FMT " " STR_FMT " [" STR_FMT "] <" STR_FMT ">", STR_ARG(a->key), STR_ARG(a->id),
               STR_ARG(a->title), STR_ARG(a->link));
    assert_int_equal(a->description.len, 0);
    add_metadata(out, &a->meta);
    for (size_t i = 0; i < a->range_count; i++)
        add_range(out, &a->ranges[i]);
    buf_char(out, '\n');
    return 0;
}

/* NAME -> PATH (FINGERPRINT) */
static inline int say_lead(struct advisory_sink *sink, const struct feed_lead *lead, struct err *e)
{
    buf_printf(&((struct said *)sink)->out, STR_FMT " -> " STR_FMT " (" STR_FMT ")%s\n", STR_ARG(lead->name),
               STR_ARG(lead->path), STR_ARG(lead->fingerprint), lead->may_lack ? " may lack" : "");
    return 0;
}

static inline int parse_said(const char *feed, const char *document, str bytes, struct said *said,
                             struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(bytes, e);
    assert_non_null(in);
    const struct feed_input input = { .document = str_from(document), .bytes = in };
    return feed_by_name(str_from(feed))->parse(&input, &said->sink, e);
}

struct row {
    const char *doc, *want; /* lines, or the error without "\n"; "": nothing is said */
};

static inline void check_rows(const char *feed, const char *document, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct said said = { .sink = { .put = say_advisory, .lead = say_lead } };
        struct err e = { 0 };
        bool good = !*rows[i].want || strchr(rows[i].want, '\n');
        int r = parse_said(feed, document, str_from(rows[i].doc), &said, &e);
        buf_char(&said.out, 0);
        if ((r == 0) != good || strcmp(good ? said.out.ptr : e.text, rows[i].want) != 0)
            fail_msg("%s\n  gives  %s%s\n  wanted %s", rows[i].doc, said.out.ptr, e.text, rows[i].want);
        buf_done(&said.out);
    }
}
