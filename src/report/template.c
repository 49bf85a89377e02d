/* template.c - the report as JSON, read again, through a template. */
#include "report/template.h"
#include "base/cleanup.h"
#include "report/json_tree.h"
#include "report/report.h"
#include "report/text.h"

#define MEMORY_MAX ((size_t)1 << 30)

struct render {
    const struct template_part *parts;
    const struct json_node *context[TEMPLATE_DEPTH + 1]; /* the innermost last */
    size_t depth, steps;
    struct buf *out;
};

static const struct json_node *look_up(const struct render *t, str path)
{
    const struct json_node *found = NULL;
    if (str_eq(path, STR(".")))
        return t->context[t->depth];
    str name = str_cut(&path, '.');
    for (size_t i = t->depth + 1; i > 0 && !found; i--)
        found = json_member(t->context[i - 1], name);
    while (found && path.len)
        found = json_member(found, str_cut(&path, '.'));
    return found;
}

static bool is_shown(const struct json_node *n)
{
    if (!n || n->type == JSON_NULL || n->type == JSON_FALSE)
        return false;
    return n->type == JSON_TRUE || n->type == JSON_NUMBER || n->type == JSON_OBJECT || n->first ||
           n->text.len;
}

static str text_of(const struct json_node *n)
{
    if (n->type == JSON_TRUE)
        return STR("true");
    return n->type == JSON_FALSE ? STR("false") : n->text;
}

/* RFC 4180. A cell that a spreadsheet would compute is told to be text. */
static void put_csv(struct buf *out, str s)
{
    buf_char(out, '"');
    if (s.len && strchr("=+-@\t\r", *s.ptr))
        buf_char(out, '\'');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"')
            buf_char(out, '"');
        buf_char(out, s.ptr[i]);
    }
    buf_char(out, '"');
}

static void put_value(struct render *t, const struct template_part *part)
{
    const struct json_node *n = look_up(t, part->text);
    str s = n ? text_of(n) : STR("");
    if (str_eq(part->filter, STR("raw")))
        buf_str(t->out, s);
    else if (str_eq(part->filter, STR("csv")))
        put_csv(t->out, s);
    else if (str_eq(part->filter, STR("json")))
        json_w_str(&(struct json_writer){ .out = t->out, .go = true }, s);
    else if (str_eq(part->filter, STR("line")))
        text_put(t->out, s, TEXT_TERMINAL);
    else if (str_eq(part->filter, STR("markdown")))
        text_put(t->out, s, TEXT_MARKDOWN);
    else
        text_put(t->out, s, TEXT_ATTRIBUTE);
}

static void render(struct render *t, size_t from, size_t to);

static void render_inside(struct render *t, const struct json_node *context, size_t from, size_t to)
{
    t->context[++t->depth] = context;
    render(t, from, to);
    t->depth--;
}

static void section(struct render *t, size_t at)
{
    const struct template_part *part = &t->parts[at];
    const struct json_node *n = look_up(t, part->text);
    if (part->kind == TEMPLATE_INVERTED) {
        if (!is_shown(n))
            render(t, at + 1, part->end);
    } else if (n && n->type == JSON_ARRAY) {
        for (n = n->first; n && !t->out->failed; n = n->next)
            render_inside(t, n, at + 1, part->end);
    } else if (is_shown(n)) {
        render_inside(t, n, at + 1, part->end);
    }
}

static void render(struct render *t, size_t from, size_t to)
{
    for (size_t i = from; i < to && !t->out->failed; i++) {
        if (++t->steps > TEMPLATE_STEPS)
            t->out->failed = true;
        switch (t->parts[i].kind) {
        case TEMPLATE_TEXT:
            buf_str(t->out, t->parts[i].text);
            break;
        case TEMPLATE_VALUE:
            put_value(t, &t->parts[i]);
            break;
        case TEMPLATE_SECTION:
        case TEMPLATE_INVERTED:
            section(t, i);
            i = t->parts[i].end;
            break;
        case TEMPLATE_END:
            break;
        }
    }
}

/* Whoever calls has parsed the template before, to tell what is wrong with it. */
static void write_template(const struct report *r, const struct report_options *o, struct buf *out)
{
    CLEANUP(buf_done) struct buf json = { .max = out->max };
    CLEANUP(arena_freep) struct arena *arena = arena_new(MEMORY_MAX);
    struct template_parts parts;
    struct err e = { 0 };
    report_json.write(r, o, &json);
    const struct json_node *root = arena && !json.failed ? json_tree(buf_view(&json), arena, &e) : NULL;
    if (!root || template_parse(o->template_text, arena, &parts, &e) < 0) {
        out->failed = true;
        return;
    }
    struct render t = { .parts = parts.parts, .context = { root }, .out = out };
    render(&t, 0, parts.count);
}

const struct report_format report_template = { "template", "one of your own (--template FILE)",
                                               write_template };
