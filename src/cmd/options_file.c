#include "cmd/options_file.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "cmd/nearest.h"
#include "codec/yaml.h"

#include <errno.h>
#include <limits.h>

#define HERE      ".eclair.yaml"
#define FILE_MAX  ((size_t)1 << 20)
#define OF_SERVER STR("clair")

/* ---- where it is ---- */

static const char *of_home(struct arena *arena)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (config && *config == '/')
        return arena_cstr(arena, arena_printf(arena, "%s/eclair/config.yaml", config));
    if (home && *home == '/')
        return arena_cstr(arena, arena_printf(arena, "%s/.config/eclair/config.yaml", home));
    return NULL;
}

static const char *find(const char *named, struct arena *arena)
{
    const char *variable = getenv("ECLAIR_CONFIG");
    if (named)
        return *named ? named : NULL;
    if (variable && *variable)
        return variable;
    if (access(HERE, F_OK) == 0)
        return HERE;
    const char *path = of_home(arena);
    return path && access(path, F_OK) == 0 ? path : NULL;
}

/* ---- is all of it known? ---- */

static const struct option *option_of(const struct command *c, str name)
{
    const struct option *o;
    for (size_t i = 0; !c->own_config && (o = command_option(c, i)); i++)
        if (o->help && !option_is_common(o) && str_eq(str_from(o->name), name))
            return o;
    return NULL;
}

static const struct option *option_of_any(str name)
{
    const struct option *o = NULL;
    for (size_t i = 0; commands[i] && !o; i++)
        o = option_of(commands[i], name);
    return o;
}

static const struct command *command_of(str name)
{
    for (size_t i = 0; commands[i]; i++)
        if (!commands[i]->own_config && str_eq(str_from(commands[i]->name), name))
            return commands[i];
    return NULL;
}

static void try_options(struct nearest *n, const struct command *c)
{
    const struct option *o;
    for (size_t i = 0; !c->own_config && (o = command_option(c, i)); i++)
        if (o->help && !option_is_common(o))
            nearest_try(n, o->name);
}

static int unknown(const struct options_file *f, const struct command *c, const struct yaml_pair *p,
                   struct err *e)
{
    struct nearest n = { .word = p->key };
    for (size_t i = 0; !c && commands[i]; i++) {
        nearest_try(&n, commands[i]->name);
        try_options(&n, commands[i]);
    }
    if (c)
        try_options(&n, c);
    const char *what = c ? "is no option of that command" : "is neither an option nor a command";
    if (n.best)
        err_set(e, ERR_USAGE, "%s (did you mean %s?)", what, n.best);
    else
        err_set(e, ERR_USAGE, "%s", what);
    return err_wrap(e, "%s: line %u: %s%s" STR_FMT, f->path, p->line, c ? c->name : "", c ? "." : "",
                    STR_ARG(p->key));
}

/* In a folder that may be somebody else's. */
static bool is_denied(const struct option *o, const struct yaml *v)
{
    static const char *const names[] = { "ca",     "clair", "db",     "insecure", "ip",
                                         "key",    "log",   "mirror", "output",   "registry-mirror",
                                         "report", "token", "url",    "out" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(o->name, names[i]))
            return true;
    bool file = !strcmp(o->name, "format") && v->type == YAML_SCALAR && str_find(v->text, '=') >= 0;
    for (size_t i = 0; !file && !strcmp(o->name, "format") && v->type == YAML_LIST && i < v->count; i++)
        file = str_find(v->pairs[i].value->text, '=') >= 0;
    return file;
}

static const char *wrong_shape(const struct option *o, const struct yaml *v)
{
    if (v->type == YAML_SCALAR)
        return NULL;
    if (v->type == YAML_NULL)
        return "has no value";
    if (v->type == YAML_MAP)
        return "is a map, but wants a value";
    if (o->type != OPT_LIST)
        return "is a list, but wants one value";
    for (size_t i = 0; i < v->count; i++)
        if (v->pairs[i].value->type != YAML_SCALAR)
            return "wants a list of texts";
    return NULL;
}

static int check_pair(const struct options_file *f, const struct command *c, const struct yaml_pair *p,
                      struct err *e)
{
    const struct option *o = c ? option_of(c, p->key) : option_of_any(p->key);
    if (!o)
        return unknown(f, c, p, e);
    const char *what = wrong_shape(o, p->value);
    if (!what && f->found_here && is_denied(o, p->value))
        what = "is not taken from a file that was only found in the current folder (--config .eclair.yaml "
               "takes it)";
    if (!what)
        return 0;
    return err_set(e, ERR_USAGE, "%s: line %u: %s%s" STR_FMT ": %s", f->path, p->line, c ? c->name : "",
                   c ? "." : "", STR_ARG(p->key), what);
}

static int check_section(const struct options_file *f, const struct command *c, const struct yaml *map,
                         struct err *e)
{
    for (size_t i = 0; i < map->count; i++)
        if (check_pair(f, c, &map->pairs[i], e) < 0)
            return -1;
    return 0;
}

static int check(const struct options_file *f, struct err *e)
{
    if (f->root->type == YAML_NULL)
        return 0;
    if (f->root->type != YAML_MAP)
        return err_set(e, ERR_USAGE, "%s: line %u: wants keys (severity: High)", f->path, f->root->line);
    for (size_t i = 0; i < f->root->count; i++) {
        const struct yaml_pair *p = &f->root->pairs[i];
        const struct command *c = p->value->type == YAML_MAP ? command_of(p->key) : NULL;
        if (str_eq(p->key, OF_SERVER))
            continue;
        if (c ? check_section(f, c, p->value, e) < 0 : check_pair(f, NULL, p, e) < 0)
            return -1;
    }
    return 0;
}

int options_file_read(const char *named, struct arena *arena, struct options_file *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf bytes = { .max = FILE_MAX };
    *ret = (struct options_file){ .path = find(named, arena) };
    ret->found_here = ret->path && !strcmp(ret->path, HERE) && !named && !getenv("ECLAIR_CONFIG");
    if (!ret->path)
        return arena_failed(arena) ? err_set(e, ERR_OOM, "out of memory") : 0;
    if (buf_read_file(&bytes, ret->path, e) < 0)
        return err_wrap(e, "%s", named ? "--config" : "configuration file");
    ret->root = yaml_read(buf_view(&bytes), arena, e);
    if (!ret->root) {
        e->kind = e->kind == ERR_FORMAT ? ERR_USAGE : e->kind;
        return err_wrap(e, "%s", ret->path);
    }
    return check(ret, e);
}

/* ---- what it says ---- */

struct yaml *options_file_get(const struct options_file *f, const struct command *c, const struct option *o,
                              bool *ret_section)
{
    *ret_section = false;
    if (!f->root || !o->help || option_is_common(o))
        return NULL;
    struct yaml *section = yaml_get(f->root, str_from(c->name)), *v = NULL;
    if (section && section->type == YAML_MAP)
        v = yaml_get(section, str_from(o->name));
    *ret_section = v != NULL;
    if (v)
        return v;
    v = yaml_get(f->root, str_from(o->name));
    return v && v->type != YAML_MAP ? v : NULL;
}
