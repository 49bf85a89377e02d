#include "report/template.h"

struct parse {
    str text, rest;
    struct arena *arena;
    struct template_parts *ret;
    size_t cap;
    size_t open[TEMPLATE_DEPTH];
    size_t depth;
};

static int fail(const struct parse *p, const char *at, const char *what, str word, struct err *e)
{
    size_t line = 1;
    for (const char *c = p->text.ptr; c < at; c++)
        line += *c == '\n';
    return err_set(e, ERR_FORMAT, "line %zu: %s '" STR_FMT "'", line, what, STR_ARG(str_head(word, 100)));
}

static struct template_part *add(struct parse *p, enum template_kind kind, str text)
{
    void *grown = arena_grow(p->arena, p->ret->parts, p->ret->count, &p->cap, sizeof *p->ret->parts);
    if (!grown)
        return NULL;
    p->ret->parts = grown;
    struct template_part *part = &p->ret->parts[p->ret->count++];
    *part = (struct template_part){ .kind = kind, .text = text };
    return part;
}

static ptrdiff_t find_two(str s, const char *two)
{
    for (size_t i = 0; i + 1 < s.len; i++)
        if (s.ptr[i] == two[0] && s.ptr[i + 1] == two[1])
            return (ptrdiff_t)i;
    return -1;
}

static bool name_ok(str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!(name.ptr[i] >= 'a' && name.ptr[i] <= 'z') && name.ptr[i] != '_')
            return false;
    return name.len > 0;
}

static bool path_ok(str path)
{
    if (str_eq(path, STR(".")))
        return true;
    for (ptrdiff_t dot; (dot = str_find(path, '.')) >= 0; path = str_skip(path, (size_t)dot + 1))
        if (!name_ok(str_head(path, (size_t)dot)))
            return false;
    return name_ok(path);
}

static bool filter_ok(str filter)
{
    static const char *const names[] = { "html", "markdown", "csv", "json", "line", "raw" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq(filter, str_from(names[i])))
            return true;
    return false;
}

static int add_value(struct parse *p, str tag, struct err *e)
{
    bool filtered = str_find(tag, '|') >= 0;
    str rest = tag, path = str_trim(str_cut(&rest, '|')), filter = str_trim(rest);
    if (!path_ok(path))
        return fail(p, tag.ptr, "this is no name (nor anything else that is known)", tag, e);
    if (filtered && !filter_ok(filter))
        return fail(p, tag.ptr, "none of the filters html, markdown, csv, json, line, raw", filter, e);
    struct template_part *part = add(p, TEMPLATE_VALUE, path);
    if (part)
        part->filter = filter;
    return 0;
}

static int begin_section(struct parse *p, enum template_kind kind, str path, struct err *e)
{
    if (!path_ok(path))
        return fail(p, path.ptr, "this is no name", path, e);
    if (p->depth == TEMPLATE_DEPTH)
        return fail(p, path.ptr, "sections are nested too deep", path, e);
    p->open[p->depth++] = p->ret->count;
    add(p, kind, path);
    return 0;
}

static int end_section(struct parse *p, str path, struct err *e)
{
    if (!p->depth || !p->ret->count || arena_failed(p->arena))
        return fail(p, path.ptr, "no such section is open", path, e);
    struct template_part *begin = &p->ret->parts[p->open[--p->depth]];
    if (!str_eq(begin->text, path))
        return fail(p, path.ptr, "another section is to be closed first than", path, e);
    begin->end = p->ret->count;
    add(p, TEMPLATE_END, path);
    return 0;
}

static int add_tag(struct parse *p, str tag, struct err *e)
{
    char sign = tag.len ? *tag.ptr : '\0';
    str path = str_trim(str_skip(tag, 1));
    switch (sign) {
    case '!':
        return 0;
    case '#':
        return begin_section(p, TEMPLATE_SECTION, path, e);
    case '^':
        return begin_section(p, TEMPLATE_INVERTED, path, e);
    case '/':
        return end_section(p, path, e);
    default:
        return add_value(p, tag, e);
    }
}

/* Where the line that ends at `at` begins, if there are only blanks up to there; NULL otherwise. */
static const char *blank_before(const struct parse *p, const char *at)
{
    while (at > p->text.ptr && (at[-1] == ' ' || at[-1] == '\t'))
        at--;
    return at == p->text.ptr || at[-1] == '\n' ? at : NULL;
}

/* How many blanks and line ends follow, if nothing else does up to the end of the line; -1 otherwise. */
static ptrdiff_t blank_after(str rest)
{
    size_t i = 0;
    while (i < rest.len && (rest.ptr[i] == ' ' || rest.ptr[i] == '\t' || rest.ptr[i] == '\r'))
        i++;
    if (i < rest.len && rest.ptr[i] != '\n')
        return -1;
    return (ptrdiff_t)(i < rest.len ? i + 1 : i);
}

static int take_tag(struct parse *p, size_t at, struct err *e)
{
    str before = str_head(p->rest, at), inner = str_skip(p->rest, at + 2);
    ptrdiff_t end = find_two(inner, "}}");
    if (end < 0)
        return fail(p, p->rest.ptr + at, "a tag without its end", str_head(inner, 20), e);
    str tag = str_trim(str_head(inner, (size_t)end));
    p->rest = str_skip(inner, (size_t)end + 2);
    const char *line = blank_before(p, before.ptr + before.len);
    ptrdiff_t more = blank_after(p->rest);
    if (tag.len && strchr("!#^/", *tag.ptr) && line && line >= before.ptr && more >= 0) {
        before = str_head(before, (size_t)(line - before.ptr));
        p->rest = str_skip(p->rest, (size_t)more);
    }
    if (before.len)
        add(p, TEMPLATE_TEXT, before);
    return add_tag(p, tag, e);
}

int template_parse(str text, struct arena *arena, struct template_parts *ret, struct err *e)
{
    struct parse p = { .text = text, .rest = text, .arena = arena, .ret = ret };
    ptrdiff_t at;
    *ret = (struct template_parts){ 0 };
    while ((at = find_two(p.rest, "{{")) >= 0) {
        if (take_tag(&p, (size_t)at, e) < 0)
            return -1;
        if (ret->count > TEMPLATE_TAGS)
            return err_set(e, ERR_LIMIT, "more than %u tags", TEMPLATE_TAGS);
    }
    if (p.depth)
        return fail(&p, p.text.ptr + p.text.len,
                    "a section is not closed:", ret->parts[p.open[p.depth - 1]].text, e);
    if (p.rest.len)
        add(&p, TEMPLATE_TEXT, p.rest);
    return arena_failed(arena) ? err_set(e, ERR_LIMIT, "the template is too large") : 0;
}
