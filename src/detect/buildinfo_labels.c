/*
 * buildinfo_labels.c - which image a layer belongs to, from the labels that Red Hat's build system leaves in it: as JSON, or in the
 * Dockerfile that was built.
 *
 * Facts      "label:NAME" for the names of buildinfo.c; "nvr": name, version and release, from a Dockerfile's name.
 * Shape      Of a Dockerfile the instructions LABEL, ENV, ARG and FROM are read (the labels of its last stage count), with quotes,
 *            lines that go on, $NAME, ${NAME}, ${NAME:-otherwise} and ${NAME:+instead}.
 * Limits     see buildinfo.h; VARIABLES_MAX names, set PAIRS_MAX times; values of VALUE_MAX bytes once all names in them are replaced.
 */
#include "detect/buildinfo.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <strings.h>

enum { VARIABLES_MAX = 128, PAIRS_MAX = 4096, VALUE_MAX = 4096 };

/* ---- labels.json ---- */

static int read_labels(void *ctx, struct json *j, struct detected *out, struct err *e)
{
    char name[64]; /* longer than any that is kept */
    str key;
    int r;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((r = json_key(j, &key, e)) > 0) {
        enum json_type type;
        str value;
        size_t n = key.len <= sizeof name ? key.len : 0;
        if (n)
            memcpy(name, key.ptr, n);
        if (json_next(j, &type, &value, e) < 0)
            return -1;
        if (type != JSON_STRING && json_skip_rest(j, type, e) < 0)
            return -1;
        if (type != JSON_STRING)
            continue;
        if (value.len > 1 && value.ptr[0] == '"' &&
            value.ptr[value.len - 1] == '"') /* some have quotes twice */
            value = str_of(value.ptr + 1, value.len - 2);
        if (!buildinfo_label_set(ctx, str_of(name, n), value, out))
            return err_set(e, ERR_OOM, "labels");
    }
    return r < 0 ? r : json_finish(j, e);
}

/* ---- Dockerfile ---- */

struct dockerfile {
    struct detected *out;
    struct buildinfo_labels labels;
    struct variable {
        str name, value; /* in the arena */
    } variables[VARIABLES_MAX];
    size_t variable_count, pairs;
    struct buf line, word;
};

static void dockerfile_done(struct dockerfile *d)
{
    buf_done(&d->line);
    buf_done(&d->word);
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static bool is_name(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static struct variable *find(struct dockerfile *d, str name)
{
    for (size_t i = 0; i < d->variable_count; i++)
        if (str_eq(d->variables[i].name, name))
            return &d->variables[i];
    return NULL;
}

/* Drops what is past VARIABLES_MAX: a value with such a name stays incomplete. */
static bool set_variable(struct dockerfile *d, str name, str value)
{
    struct variable *v = find(d, name);
    if (!v && d->variable_count == VARIABLES_MAX)
        return true;
    if (!v)
        *(v = &d->variables[d->variable_count++]) =
            (struct variable){ arena_dup(d->out->arena, name), { 0 } };
    v->value = arena_dup(d->out->arena, value);
    return !arena_failed(d->out->arena);
}

/* `s` begins behind a "$": appends the value, and returns how many bytes named it; 0: it is a plain "$". */
static size_t expand(struct dockerfile *d, str s)
{
    bool braces = s.len && s.ptr[0] == '{';
    size_t n = braces;
    while (n < s.len && is_name(s.ptr[n]))
        n++;
    str name = str_of(s.ptr + braces, n - braces);
    if (!name.len)
        return 0;
    struct variable *v = find(d, name);
    str value = v ? v->value : (str){ 0 };
    if (!braces) {
        buf_str(&d->word, value);
        return n;
    }
    ptrdiff_t end = str_find(str_head(s, VALUE_MAX), '}');
    if (end < 0)
        return 0;
    str other = str_of(s.ptr + n, (size_t)end - n);
    if (str_starts(other, STR(":-")))
        value = value.len ? value : str_skip(other, 2);
    else if (str_starts(other, STR(":+")))
        value = value.len ? str_skip(other, 2) : value;
    buf_str(&d->word, value);
    return (size_t)end + 1;
}

/* Puts the next word, or the rest of the line, into d->word: without quotes, names replaced. False at the end. */
static bool next_word(struct dockerfile *d, str *rest, bool whole)
{
    while (rest->len && is_blank(rest->ptr[0]))
        *rest = str_skip(*rest, 1);
    if (!rest->len)
        return false;
    buf_clear(&d->word);
    char quote = 0;
    size_t i = 0;
    for (; i < rest->len && (quote || whole || !is_blank(rest->ptr[i])); i++) {
        char c = rest->ptr[i];
        if (c == quote)
            quote = 0;
        else if (!quote && (c == '"' || c == '\''))
            quote = c;
        else if (c == '\\' && quote != '\'' && i + 1 < rest->len)
            buf_char(&d->word, rest->ptr[++i]);
        else if (c == '$' && quote != '\'') {
            size_t n = expand(d, str_skip(*rest, i + 1));
            if (!n)
                buf_char(&d->word, c);
            i += n;
        } else {
            buf_char(&d->word, c);
        }
    }
    *rest = str_skip(*rest, i);
    return true;
}

static bool set(struct dockerfile *d, bool label, str name, str value)
{
    if (d->pairs++ >= PAIRS_MAX) { /* each takes memory, and a short one can stand for a long value */
        detected_note(d->out, "more than %d labels and variables: the others were left out", PAIRS_MAX);
        return true;
    }
    return label ? buildinfo_label_set(&d->labels, name, value, d->out) : set_variable(d, name, value);
}

/* "NAME=VALUE NAME=VALUE", or in the oldest form "NAME VALUE". */
static bool set_pairs(struct dockerfile *d, bool label, str rest)
{
    for (bool first = true; next_word(d, &rest, false); first = false) {
        str value = buf_view(&d->word), name = str_cut(&value, '=');
        if (d->word.failed)
            continue; /* longer than any that counts */
        if (name.len < d->word.len) {
            if (!set(d, label, name, value))
                return false;
            continue;
        }
        if (!first)
            continue;
        name = arena_dup(d->out->arena, name);
        return !arena_failed(d->out->arena) && (!next_word(d, &rest, true) || d->word.failed ||
                                                set(d, label, name, str_trim(buf_view(&d->word))));
    }
    return true;
}

static bool is(str word, const char *what)
{
    return word.len == strlen(what) && !strncasecmp(word.ptr, what, word.len);
}

static bool instruction(struct dockerfile *d, str line)
{
    str word = str_word(&line);
    if (is(word, "FROM")) { /* the next stage begins, with nothing of the last one */
        d->labels = (struct buildinfo_labels){ 0 };
        d->variable_count = 0;
        return true;
    }
    if (is(word, "LABEL") || is(word, "ENV") || (is(word, "ARG") && str_find(line, '=') >= 0))
        return set_pairs(d, is(word, "LABEL"), line);
    return true;
}

/* Joins lines that end with a backslash; lines of comment between them do not count. */
static bool read_lines(struct dockerfile *d, str content)
{
    while (content.len) {
        str line = str_line(&content), text = str_trim(line);
        if (!text.len || text.ptr[0] == '#')
            continue;
        bool more = text.ptr[text.len - 1] == '\\';
        buf_str(&d->line, more ? str_head(line, (size_t)(str_rfind(line, '\\'))) : line);
        if (more && content.len)
            continue;
        if (!d->line.failed && !instruction(d, buf_view(&d->line)))
            return false;
        buf_clear(&d->line);
    }
    return true;
}

/* "root/buildinfo/Dockerfile-ubi9-9.0.0-1468": the name may have dashes, version and release have none. */
static str nvr_of(str path)
{
    str nvr = str_skip(path, STR("root/buildinfo/Dockerfile-").len);
    ptrdiff_t release = str_rfind(nvr, '-');
    ptrdiff_t version = release > 0 ? str_rfind(str_head(nvr, (size_t)release), '-') : -1;
    return version > 0 && release > version + 1 && (size_t)release + 1 < nvr.len ? nvr : (str){ 0 };
}

static int read_dockerfile(const struct detect_file *file, struct detected *out, struct err *e)
{
    CLEANUP(dockerfile_done)
    struct dockerfile d = { .out = out, .line = { .max = BUILDINFO_MAX }, .word = { .max = VALUE_MAX } };
    str nvr = nvr_of(file->path);
    if (file->content.len > BUILDINFO_MAX)
        detected_note(out, "it has %zu bytes, more than %u, and was not read", file->content.len,
                      BUILDINFO_MAX);
    else if (!read_lines(&d, file->content) || !buildinfo_labels_tell(&d.labels, out))
        return err_set(e, ERR_OOM, "no memory for its labels");
    return !nvr.len || detected_fact(out, STR("nvr"), nvr) ? 0
                                                           : err_set(e, ERR_OOM, "no memory for its name");
}

static int labels_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    struct buildinfo_labels labels = { 0 };
    if (!str_ends(file->path, STR("/labels.json")))
        return read_dockerfile(file, out, e);
    int r = buildinfo_json(file->content, &labels, read_labels, out, e);
    if (r <= 0)
        return r;
    return buildinfo_labels_tell(&labels, out) ? 0 : err_set(e, ERR_OOM, "no memory for its labels");
}

const struct detector detector_buildinfo_labels = {
    .name = "buildinfo-labels",
    .version = 1,
    .paths = "root/buildinfo/labels.json usr/share/buildinfo/labels.json root/buildinfo/Dockerfile-*",
    .scan = labels_scan,
    .hints = true,
};
