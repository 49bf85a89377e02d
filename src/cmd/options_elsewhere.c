/* options_elsewhere.c - values of options, and where they are from when the command line does not say: environment, then file. */
#include "cmd/nearest.h"
#include "cmd/options.h"
#include "cmd/options_file.h"
#include "codec/yaml.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

/* ---- values ---- */

/* As strconv.ParseBool, which the old programs use: 1 true, -1 false, 0 neither. */
static int truth(const char *word)
{
    static const struct {
        const char *word;
        int value;
    } words[] = { { "1", 1 },  { "t", 1 },  { "T", 1 },  { "true", 1 },   { "TRUE", 1 },   { "True", 1 },
                  { "0", -1 }, { "f", -1 }, { "F", -1 }, { "false", -1 }, { "FALSE", -1 }, { "False", -1 } };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(word, words[i].word))
            return words[i].value;
    return 0;
}

static int none_of(words_of *words, str word, struct err *e)
{
    char list[384] = "";
    struct nearest n = { .word = word };
    const char *w;
    for (size_t i = 0; (w = words(i)); i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", w);
        nearest_try(&n, w);
    }
    if (n.best)
        return err_set(e, ERR_USAGE, "'%.*s' is none of %s (did you mean %s?)",
                       (int)(word.len < 64 ? word.len : 64), word.ptr, list, n.best);
    return err_set(e, ERR_USAGE, "'%.*s' is none of %s", (int)(word.len < 64 ? word.len : 64), word.ptr,
                   list);
}

int option_check_word(words_of *words, str text, const char **word, struct err *e)
{
    const char *w;
    for (size_t i = 0; (w = words(i)); i++)
        if (strlen(w) == text.len && !strncasecmp(w, text.ptr, text.len)) {
            *word = w;
            return 0;
        }
    return none_of(words, text, e);
}

/* *value becomes the word as the table has it; "NAME=FILE" stays what it is. */
static int check_value(const struct option *o, const char **value, struct err *e)
{
    str rest = str_from(*value), text = o->type == OPT_LIST ? str_cut(&rest, '=') : rest;
    const char *word = NULL;
    if (option_check_word(o->words, text, &word, e) < 0)
        return -1;
    *value = text.len == strlen(*value) ? word : *value;
    return 0;
}

static int set_switch(const struct option *o, const char *value, void *field, struct err *e)
{
    int yes = value ? truth(value) : 1;
    if (!yes)
        return err_set(e, ERR_USAGE, "'%s' is neither true nor false", value);
    if (o->type == OPT_FLAG)
        *(bool *)field = yes > 0;
    else
        *(int *)field = yes;
    return 0;
}

static int add(const char *value, struct option_list *list, struct err *e)
{
    if (list->count == OPTION_LIST_MAX)
        return err_set(e, ERR_USAGE, "given more than %d times", OPTION_LIST_MAX);
    list->values[list->count++] = value;
    return 0;
}

int option_set(struct options_found *f, const struct option *o, const char *value, struct err *e)
{
    void *field = (option_is_common(o) ? (char *)&f->common : (char *)f->ret) + o->field;
    uint64_t number;
    if (o->words && value && !f->as_old_program && check_value(o, &value, e) < 0)
        return -1;
    switch (o->type) {
    case OPT_FLAG:
    case OPT_BOOL:
        return set_switch(o, value, field, e);
    case OPT_TEXT:
        *(const char **)field = value;
        return 0;
    case OPT_NUMBER:
        if (!str_to_u64(str_from(value), &number) || number > 255)
            return err_set(e, ERR_USAGE, "'%s' is not a number from 0 to 255", value);
        *(int *)field = (int)number;
        return 0;
    case OPT_LIST:
        return add(value, field, e);
    }
    return err_set(e, ERR_INTERNAL, "no type");
}

/* ---- from where ---- */

static bool is_same(const struct option *a, const struct option *b)
{
    return a->field == b->field && option_is_common(a) == option_is_common(b);
}

const char *option_from(const struct options_found *f, const struct option *o)
{
    const struct option *other;
    for (size_t i = 0; i < OPTIONS_MAX && (other = command_option(f->c, i)); i++)
        if (is_same(o, other))
            return f->origins->from[i];
    return NULL;
}

void option_note(struct options_found *f, const struct option *o, const char *from)
{
    const struct option *other;
    for (size_t i = 0; i < OPTIONS_MAX && (other = command_option(f->c, i)); i++)
        if (is_same(o, other))
            f->origins->from[i] = from;
}

/* ---- the environment ---- */

bool option_variable(const struct command *c, const struct option *o, char ret[OPTION_VARIABLE_MAX])
{
    (void)c;
    if (!o->help)
        return false;
    int n = snprintf(ret, OPTION_VARIABLE_MAX, "ECLAIR_%s", o->name);
    for (char *at = ret; *at; at++)
        *at = (char)(*at == '-' ? '_' : toupper((unsigned char)*at));
    return n < OPTION_VARIABLE_MAX;
}

/* A list has commas between its values. */
static int set_from_text(struct options_found *f, const struct option *o, const char *text, struct err *e)
{
    str rest = str_from(text);
    if (o->type != OPT_LIST)
        return option_set(f, o, text, e);
    while (rest.len) {
        str item = str_trim(str_cut(&rest, ','));
        const char *copy = item.len ? arena_cstr(f->arena, item) : NULL;
        if (item.len && !copy)
            return err_set(e, ERR_OOM, "out of memory");
        if (copy && option_set(f, o, copy, e) < 0)
            return -1;
    }
    return 0;
}

int options_from_environment(struct options_found *f, struct err *e)
{
    const struct option *o;
    for (size_t i = 0; i < OPTIONS_MAX && (o = command_option(f->c, i)); i++) {
        char name[OPTION_VARIABLE_MAX];
        const char *value = option_variable(f->c, o, name) ? getenv(name) : NULL;
        if (!value || !*value || option_from(f, o))
            continue;
        const char *from = arena_cstr(f->arena, str_from(name));
        if (!from)
            return err_set(e, ERR_OOM, "out of memory");
        option_note(f, o, from);
        if (set_from_text(f, o, value, e) < 0)
            return err_wrap(e, "$%s", name);
    }
    return 0;
}

/* ---- the file ---- */

static int set_scalar(struct options_found *f, const struct option *o, const struct yaml *v, struct err *e)
{
    const char *text = arena_cstr(f->arena, v->text);
    if (!text)
        return err_set(e, ERR_OOM, "out of memory");
    if (strlen(text) != v->text.len)
        return err_set(e, ERR_USAGE, "has a byte 0");
    return option_set(f, o, text, e);
}

static int set_value(struct options_found *f, const struct option *o, const struct yaml *v, struct err *e)
{
    if (v->type == YAML_SCALAR)
        return set_scalar(f, o, v, e);
    for (size_t i = 0; i < v->count; i++)
        if (set_scalar(f, o, v->pairs[i].value, e) < 0)
            return -1;
    return 0;
}

static int set_from_file(struct options_found *f, const struct options_file *file, const struct option *o,
                         struct err *e)
{
    bool section;
    const struct yaml *v = options_file_get(file, f->c, o, &section);
    if (!v || option_from(f, o))
        return 0;
    const char *from =
        arena_cstr(f->arena, arena_printf(f->arena, "%s: line %u: %s%s%s", file->path, v->line,
                                          section ? f->c->name : "", section ? "." : "", o->name));
    if (!from)
        return err_set(e, ERR_OOM, "out of memory");
    option_note(f, o, from);
    return set_value(f, o, v, e) < 0 ? err_wrap(e, "%s", from) : 0;
}

int options_from_file(struct options_found *f, struct err *e)
{
    struct options_file file;
    const struct option *o;
    if (f->c->own_config || !f->c->options->name)
        return 0;
    if (options_file_read(f->common.config, f->arena, &file, e) < 0)
        return -1;
    f->origins->file = file.path;
    for (size_t i = 0; i < OPTIONS_MAX && (o = command_option(f->c, i)); i++)
        if (set_from_file(f, &file, o, e) < 0)
            return -1;
    return 0;
}
