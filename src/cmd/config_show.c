#include "cmd/config_show.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/secret.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "codec/json.h"

#include <string.h>

#define MEMORY_MAX ((size_t)64 << 20)

static void put_value(const struct option *o, const void *options, struct buf *out)
{
    const void *field = (const char *)options + o->field;
    const struct option_list *list = field;
    const char *text = o->type == OPT_TEXT ? *(const char *const *)field : NULL;
    switch (o->type) {
    case OPT_FLAG:
        buf_printf(out, "%s", *(const bool *)field ? "true" : "false");
        break;
    case OPT_BOOL:
        buf_printf(out, "%s", *(const int *)field > 0 ? "true" : "false");
        break;
    case OPT_TEXT:
        secret_mask(str_from(text), out);
        break;
    case OPT_NUMBER:
        buf_printf(out, "%d", *(const int *)field);
        break;
    case OPT_LIST:
        for (size_t i = 0; i < list->count; i++)
            buf_printf(out, "%s%s", i ? ", " : "", list->values[i]);
    }
}

static void put_row(const struct command *c, const struct option *o, str value, const char *from,
                    struct buf *out)
{
    char name[96], clean[1024];
    CLEANUP(buf_done) struct buf text = { .max = 1 << 16 };
    snprintf(name, sizeof name, "%s --%s", c->name, o->name);
    buf_str(&text, value);
    buf_char(&text, '\0');
    err_clean(clean, sizeof clean, text.failed ? "(too long)" : text.ptr);
    buf_printf(out, "%-32s %-24s (%s)\n", name, clean, from);
}

static void put_object(const struct command *c, const struct option *o, str value, const char *from,
                       struct json_writer *w)
{
    json_w_object(w);
    json_w_text_or_null(w, "command", str_from(c->name));
    json_w_text_or_null(w, "option", str_from(o->name));
    json_w_text_or_null(w, "value", value);
    json_w_text_or_null(w, "from", str_from(from));
    json_w_object_end(w);
}

/* `w`: NULL for the table. */
static int show(const struct command *c, struct json_writer *w, struct buf *out, struct err *e)
{
    _Alignas(max_align_t) char options[OPTIONS_SIZE_MAX] = { 0 };
    struct option_origins origins = { 0 };
    const struct option *o;
    CLEANUP(arena_freep) struct arena *arena = arena_new(MEMORY_MAX);
    if (!arena)
        return err_set(e, ERR_OOM, "out of memory");
    if (options_hold(c, arena, options, &origins, e) < 0)
        return -1;
    for (size_t i = 0; i < OPTIONS_MAX && (o = command_option(c, i)); i++) {
        CLEANUP(buf_done) struct buf value = { .max = 1 << 16 };
        if (!origins.from[i] || !o->help || option_is_common(o))
            continue;
        put_value(o, options, &value);
        if (w)
            put_object(c, o, buf_view(&value), origins.from[i], w);
        else
            put_row(c, o, buf_view(&value), origins.from[i], out);
    }
    return 0;
}

int config_show(const char *command, bool json, struct err *e)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    struct json_writer w = { .out = &out };
    if (command && !command_by_name(command))
        return command_unknown(command, false, e);
    if (json)
        json_w_array(&w);
    for (size_t i = 0; commands[i]; i++)
        if ((!command || !strcmp(command, commands[i]->name)) &&
            show(commands[i], json ? &w : NULL, &out, e) < 0)
            return -1;
    if (json) {
        json_w_array_end(&w);
        buf_char(&out, '\n');
    } else if (!out.len) {
        buf_str(&out, STR("nothing is set: the defaults hold\n"));
    }
    return out.failed ? err_set(e, ERR_OOM, "config show") : output_write("", NULL, buf_view(&out), e);
}
