/*
 * ignore_trivy.c - .trivyignore: a line for each id, with "exp:2026-01-31" behind it; .trivyignore.yaml: id, paths, purls, statement, expired_at.
 *
 * A comment behind an id, or the lines of one right above it, is the reason. As Trivy has it a rule ends with the first moment (UTC) of the
 * day that it names.
 */
#include "policy/ignore_reader.h"

#include <stdio.h>

static int take_word(const struct reader *r, unsigned line, str word, struct ignore_rule *rule, struct err *e)
{
    if (!str_starts(word, STR("exp:")))
        return reader_warn(r, line, e, "'" STR_FMT "' behind an id is not known",
                           STR_ARG(str_head(word, 80)));
    if (reader_time(str_skip(word, 4), &rule->until))
        return 0;
    return reader_fail(r, line, e, "exp: '" STR_FMT "' is no date of the form 2026-01-31",
                       STR_ARG(str_head(str_skip(word, 4), 80)));
}

/* Blocks of comments are one reason. */
static str join(const struct reader *r, str above, str comment)
{
    if (!above.len || !comment.len)
        return above.len ? above : comment;
    return arena_printf(r->list->arena, STR_FMT " " STR_FMT, STR_ARG(str_head(above, 1024)),
                        STR_ARG(str_head(comment, 1024)));
}

static int take_line(const struct reader *r, unsigned number, str line, str above, struct err *e)
{
    str comment = line, rest = str_cut(&comment, '#');
    struct ignore_rule rule = { .id = str_word(&rest), .by = reader_place(r, number) };
    rule.reason = str_trim(comment).len ? str_trim(comment) : above;
    for (str word; (word = str_word(&rest)).len;)
        if (take_word(r, number, word, &rule, e) < 0)
            return -1;
    return reader_add(r, &rule, e);
}

int read_trivy_lines(const struct reader *r, str bytes, struct err *e)
{
    str above = STR("");
    for (unsigned number = 1; bytes.len; number++) {
        str line = str_trim(str_line(&bytes));
        if (!line.len)
            above = STR("");
        else if (line.ptr[0] == '#')
            above = join(r, above, str_trim(str_skip(line, 1)));
        else if (take_line(r, number, line, above, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- the YAML ---- */

static int text_of(const struct reader *r, const struct yaml *list, size_t i, const char *what, str *ret,
                   struct err *e)
{
    const struct yaml *y = list->pairs[i].value;
    *ret = y->text;
    return y->type == YAML_SCALAR ? 0 : reader_fail(r, y->line, e, "%s: must be a list of texts", what);
}

static int add_purl(const struct reader *r, const struct yaml *purls, size_t i, struct ignore_rule *rule,
                    struct err *e)
{
    str text;
    if (text_of(r, purls, i, "purls", &text, e) < 0)
        return -1;
    struct purl *purl = arena_array(r->list->arena, struct purl, 1);
    struct err why = { 0 };
    if (!purl)
        return err_set(e, ERR_OOM, "%s", r->file);
    if (purl_parse(text, r->list->arena, purl, &why) < 0)
        return reader_fail(r, purls->pairs[i].value->line, e, "purls: %s", why.text);
    rule->purl = purl;
    return reader_add(r, rule, e);
}

/* A rule for each package. */
static int add_purls(const struct reader *r, const struct yaml *purls, struct ignore_rule *rule,
                     struct err *e)
{
    if (!purls)
        return reader_add(r, rule, e);
    for (size_t i = 0; i < purls->count; i++)
        if (add_purl(r, purls, i, rule, e) < 0)
            return -1;
    return 0;
}

static int read_times(const struct reader *r, const struct yaml *y, struct ignore_rule *rule, struct err *e)
{
    str date;
    if (reader_text(r, y, "expired_at", &date, e) < 0)
        return -1;
    if (!date.len || reader_time(date, &rule->until))
        return 0;
    return reader_fail(r, yaml_get(y, STR("expired_at"))->line, e,
                       "expired_at: '" STR_FMT "' is no date of the form 2026-01-31",
                       STR_ARG(str_head(date, 80)));
}

static int read_entry(const struct reader *r, const struct yaml *y, struct err *e)
{
    static const char *const known[] = { "id", "paths", "purls", "statement", "expired_at", NULL };
    struct ignore_rule rule = { .by = reader_place(r, y->line) };
    const struct yaml *paths, *purls;
    if (reader_is_map(r, y, "vulnerabilities", e) < 0)
        return -1;
    int unknown = reader_unknown(r, y, known, e);
    if (unknown < 0 || reader_text(r, y, "id", &rule.id, e) < 0 ||
        reader_text(r, y, "statement", &rule.reason, e) < 0 || read_times(r, y, &rule, e) < 0 ||
        reader_list(r, y, "paths", &paths, e) < 0 || reader_list(r, y, "purls", &purls, e) < 0)
        return -1;
    if (!rule.id.len)
        return reader_fail(r, y->line, e, "id: is missing");
    if (unknown)
        return 0;
    for (size_t i = 0; paths && i < paths->count; i++)
        if (text_of(r, paths, i, "paths", &rule.path, e) < 0 || add_purls(r, purls, &rule, e) < 0)
            return -1;
    return paths && paths->count ? 0 : add_purls(r, purls, &rule, e);
}

int read_trivy_yaml(const struct reader *r, const struct yaml *top, struct err *e)
{
    const struct yaml *list;
    if (top->type == YAML_NULL)
        return 0;
    if (reader_is_map(r, top, "the file", e) < 0 || reader_list(r, top, "vulnerabilities", &list, e) < 0)
        return -1;
    for (size_t i = 0; list && i < list->count; i++)
        if (read_entry(r, list->pairs[i].value, e) < 0)
            return -1;
    return 0;
}
