#include "cmd/scan_formats.h"
#include "base/arena.h"
#include "base/cleanup.h"
#include "cmd/output.h"

#include <sys/ioctl.h>

#define TEMPLATE_MEMORY_MAX ((size_t)16 << 20)
#define REPORT_MAX          ((size_t)512 << 20)

static bool is_standard(const char *path) { return !path || !strcmp(path, "-"); }

static const struct report_format *by_name(const struct report_format *const *table, str name)
{
    for (; *table; table++)
        if (str_eq(str_from((*table)->name), name))
            return *table;
    return NULL;
}

static int unknown(const struct report_format *const *table, str name, struct err *e)
{
    CLEANUP(buf_done) struct buf names = { .max = 512 };
    for (; *table; table++)
        buf_printf(&names, "%s%s", names.len ? ", " : "", (*table)->name);
    return err_set(e, ERR_USAGE, "--format: '" STR_FMT "' is none of " STR_FMT, STR_ARG(name),
                   STR_ARG(buf_view(&names)));
}

static int read_one(const struct report_format *const *table, const char *text, const char *output,
                    struct scan_output *ret, struct err *e)
{
    str rest = str_from(text), name = str_cut(&rest, '=');
    const struct report_format *format = by_name(table, name);
    bool own = name.len < strlen(text);
    if (!format)
        return unknown(table, name, e);
    if (own && !rest.len)
        return err_set(e, ERR_USAGE, "--format %s: the name of a file is missing", text);
    *ret = (struct scan_output){ format, own ? "--format" : "--output", own ? rest.ptr : output };
    return 0;
}

static int check_places(const struct scan_formats *f, const char *output, struct err *e)
{
    bool used = !output;
    for (size_t i = 0; i < f->count; i++) {
        const struct scan_output *o = &f->outputs[i];
        used |= o->path == output;
        for (size_t k = 0; k < i; k++) {
            const char *other = f->outputs[k].path;
            if (is_standard(o->path) && is_standard(other))
                return err_set(e, ERR_USAGE,
                               "--format: %s and %s both go to standard output (--format NAME=FILE)",
                               f->outputs[k].format->name, o->format->name);
            if (!is_standard(o->path) && !is_standard(other) && !strcmp(o->path, other))
                return err_set(e, ERR_USAGE, "--format: %s and %s both go to %s", f->outputs[k].format->name,
                               o->format->name, other);
        }
        if (output_check(o->option, o->path, e) < 0)
            return -1;
    }
    return used ? 0 : err_set(e, ERR_USAGE, "--output %s: each --format has a file of its own", output);
}

int scan_formats_read(const struct report_format *const *table, const struct option_list *names,
                      const char *output, struct scan_formats *ret, struct err *e)
{
    ret->count = 0;
    for (size_t i = 0; i < names->count; i++)
        if (read_one(table, names->values[i], output, &ret->outputs[ret->count++], e) < 0)
            return -1;
    if (!ret->count)
        ret->outputs[ret->count++] = (struct scan_output){ table[0], "--output", output };
    return check_places(ret, output, e);
}

int scan_formats_template(const struct scan_formats *f, const char *path, struct buf *text,
                          struct report_options *options, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(TEMPLATE_MEMORY_MAX);
    struct template_parts parts;
    bool wanted = false;
    for (size_t i = 0; i < f->count; i++)
        wanted |= f->outputs[i].format == &report_template;
    if (wanted != (path != NULL))
        return err_set(e, ERR_USAGE, "%s",
                       path ? "--template: without --format template"
                            : "--format template: needs --template FILE");
    if (!path)
        return 0;
    if (!arena)
        return err_set(e, ERR_OOM, "arena");
    if (buf_read_file(text, path, e) < 0 || template_parse(buf_view(text), arena, &parts, e) < 0)
        return err_wrap(e, "--template %s", path);
    options->template_text = buf_view(text);
    return 0;
}

bool scan_formats_show(const struct scan_formats *f, const struct report_format *format)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->outputs[i].format == format && !strcmp(f->outputs[i].option, "--output"))
            return true;
    return false;
}

/* Who asked for colours, the nearest first: --color, https://no-color.org, https://bixense.com/clicolors. */
static bool wants_colour(const char *colour)
{
    const char *no = getenv("NO_COLOR"), *force = getenv("CLICOLOR_FORCE"), *term = getenv("TERM");
    if (colour && strcmp(colour, "auto") != 0)
        return !strcmp(colour, "always");
    if (no && *no)
        return false;
    if (force && *force && strcmp(force, "0") != 0)
        return true;
    return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

/* A terminal that says no width, and what is to be coloured though it is none, has 80 columns. */
static struct report_options for_terminal(const struct report_options *options, const char *colour)
{
    struct report_options ret = *options;
    struct winsize size = { 0 };
    ret.colour = wants_colour(colour);
    if (!isatty(STDOUT_FILENO) && !ret.colour)
        return ret;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        ret.width = size.ws_col > REPORT_WIDTH_MIN ? size.ws_col : REPORT_WIDTH_MIN;
    else
        ret.width = 80;
    return ret;
}

int scan_formats_write(const struct scan_formats *f, const char *image, const struct report *r,
                       const struct report_options *options, const char *colour, struct err *e)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct scan_output *o = &f->outputs[i];
        struct report_options here = is_standard(o->path) ? for_terminal(options, colour) : *options;
        CLEANUP(buf_done) struct buf out = { .max = REPORT_MAX };
        o->format->write(r, &here, &out);
        if (out.failed)
            return err_set(e, ERR_LIMIT, "%s: the report as %s is larger than %zu MiB", image,
                           o->format->name, REPORT_MAX >> 20);
        if (output_write(o->option, o->path, buf_view(&out), e) < 0)
            return -1;
    }
    return 0;
}
