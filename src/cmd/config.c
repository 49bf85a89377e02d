/* config.c - what a server would do here, and why: its configuration, where each value is from, and what is odd about it. */
#include "base/cleanup.h"
#include "cmd/command.h"
#include "cmd/config_reference.h"
#include "cmd/config_show.h"
#include "cmd/output.h"
#include "cmd/settings.h"
#include "cmd/words.h"
#include "codec/json.h"

struct config_options {
    struct serve_options serve;
    const char *format;
};

static const struct option options[] = {
    { "db", "WHERE", OPT_TEXT, offsetof(struct config_options, serve.db), "as of serve" },
    { "log-level", "LEVEL", OPT_TEXT, offsetof(struct config_options, serve.log_level), "as of serve" },
    { "format", "NAME", OPT_TEXT, offsetof(struct config_options, format),
      "of check and show: table (default) or json", .words = words_table_json },
    { 0 },
};
_Static_assert(sizeof(struct config_options) <= OPTIONS_SIZE_MAX, "options");

static const char *const origins[] = { [CONFIG_DEFAULT] = "default",
                                       [CONFIG_FILE] = "file",
                                       [CONFIG_ENVIRONMENT] = "environment",
                                       [CONFIG_FLAG] = "flag" };

/* A key that says nothing because another of the same meaning does. */
static bool is_shown(const struct config *c, size_t i)
{
    return !config_key(i)->inert && !(c->values[i].loses && c->values[i].origin == CONFIG_DEFAULT);
}

static void write_from(const struct config_value *v, struct buf *out)
{
    if (v->origin == CONFIG_FILE)
        buf_printf(out, "line %u", v->line);
    else
        buf_str(out, str_from(v->name ? v->name : origins[v->origin]));
    if (v->loses)
        buf_str(out, STR(" (not in force: another key of the same meaning counts)"));
}

static void write_notes(const struct settings_view *v, struct buf *out)
{
    for (size_t i = 0; i < v->config.warning_count; i++)
        buf_printf(out, "warning: " STR_FMT "\n", STR_ARG(v->config.warnings[i]));
    for (size_t i = 0; i < v->note_count; i++)
        buf_printf(out, "warning: " STR_FMT "\n", STR_ARG(v->notes[i]));
    for (size_t i = 0; i < v->unknown_count; i++)
        buf_printf(out, "warning: updater " STR_FMT " is not there: its data is not loaded\n",
                   STR_ARG(v->unknown[i]));
}

static void write_sources(const struct settings_view *v, struct buf *out)
{
    buf_str(out, STR("Sources of vulnerability data:"));
    for (size_t i = 0; i < v->source_count; i++)
        buf_printf(out, " " STR_FMT, STR_ARG(v->sources[i]));
    buf_str(out, v->source_count ? STR("\n") : STR(" none\n"));
}

static void write_proxies(struct settings *s, struct buf *out)
{
    const struct jwtproxy *j = settings_view(s)->config.jwtproxy;
    if (!j)
        return;
    buf_str(out, STR("Proxies (jwtproxy):\n"));
    for (str rest = jwtproxy_describe(j, settings_arena(s)), line; (line = str_line(&rest)).len;)
        buf_printf(out, "  " STR_FMT "\n", STR_ARG(line));
    buf_char(out, '\n');
}

static void write_table(struct settings *s, struct buf *out)
{
    const struct settings_view *v = settings_view(s);
    const struct config *c = &v->config;
    int widest[2] = { 0, 0 };
    for (size_t i = 0; config_key(i); i++) {
        int key = (int)strlen(config_key(i)->key), value = (int)config_shown(c, i, settings_arena(s)).len;
        if (is_shown(c, i)) {
            widest[0] = key > widest[0] ? key : widest[0];
            widest[1] = value > widest[1] && value < 60 ? value : widest[1];
        }
    }
    buf_printf(out, "%s\n\n", v->file ? v->file : "no file");
    for (size_t i = 0; config_key(i); i++) {
        str value = config_shown(c, i, settings_arena(s));
        if (!is_shown(c, i))
            continue;
        buf_printf(out, "  %-*s  %-*.*s  ", widest[0], config_key(i)->key, widest[1],
                   STR_ARG(value.len ? value : STR("-")));
        write_from(&c->values[i], out);
        buf_char(out, '\n');
    }
    buf_char(out, '\n');
    write_proxies(s, out);
    write_sources(v, out);
    write_notes(v, out);
    buf_str(out, STR("A server would start with it, if the database lets it in and the ports are free.\n"));
}

static void put_value(struct json_writer *w, struct settings *s, size_t i)
{
    const struct config_value *v = &settings_view(s)->config.values[i];
    json_w_object(w);
    json_w_text(w, "key", str_from(config_key(i)->key));
    json_w_text(w, "value", config_shown(&settings_view(s)->config, i, settings_arena(s)));
    json_w_text(w, "from", str_from(origins[v->origin]));
    json_w_text_or_null(w, "name", str_from(v->name));
    json_w_key(w, "line");
    if (v->line)
        json_w_int(w, v->line);
    else
        json_w_null(w);
    json_w_flag(w, "in_force", !v->loses);
    json_w_object_end(w);
}

static void put_source(struct json_writer *w, const struct settings_view *v, size_t i)
{
    json_w_object(w);
    json_w_text(w, "name", v->sources[i]);
    json_w_number(w, "interval", v->source_intervals[i]);
    json_w_object_end(w);
}

/* `s` is NULL when it could not be loaded. */
static void write_json(struct settings *s, const struct err *why, struct buf *out)
{
    struct json_writer w = { .out = out, .indent = 2 };
    const struct settings_view *v = s ? settings_view(s) : NULL;
    json_w_object(&w);
    json_w_text_or_null(&w, "file", str_from(v ? v->file : NULL));
    json_w_text_or_null(&w, "error", str_from(why->text));
    json_w_key(&w, "values");
    json_w_array(&w);
    for (size_t i = 0; v && config_key(i); i++)
        if (is_shown(&v->config, i))
            put_value(&w, s, i);
    json_w_array_end(&w);
    json_w_key(&w, "sources");
    json_w_array(&w);
    for (size_t i = 0; v && i < v->source_count; i++)
        put_source(&w, v, i);
    json_w_array_end(&w);
    json_w_key(&w, "warnings");
    json_w_array(&w);
    for (size_t i = 0; v && i < v->config.warning_count; i++)
        json_w_str(&w, v->config.warnings[i]);
    for (size_t i = 0; v && i < v->note_count; i++)
        json_w_str(&w, v->notes[i]);
    for (size_t i = 0; v && i < v->unknown_count; i++)
        json_w_str(
            &w, arena_printf(settings_arena(s), "updater " STR_FMT " is not there", STR_ARG(v->unknown[i])));
    json_w_array_end(&w);
    json_w_object_end(&w);
    buf_char(out, '\n');
}

static int check(const struct config_options *o, struct err *e)
{
    bool json = o->format && !strcmp(o->format, "json");
    struct err why = { 0 };
    CLEANUP(buf_done) struct buf out = { 0 };
    CLEANUP(settings_freep) struct settings *s = settings_load(&o->serve, &why);
    if (json)
        write_json(s, &why, &out);
    else if (s)
        write_table(s, &out);
    if (!s && !json)
        complain(why.text);
    if (out.failed)
        return err_set(e, ERR_OOM, "config check");
    return output_write("", NULL, buf_view(&out), e) < 0 ? -1 : !s;
}

static int reference(struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(buf_done) struct buf out = { 0 };
    if (arena)
        config_reference(arena, &out);
    if (!arena || arena_failed(arena) || out.failed)
        return err_set(e, ERR_OOM, "config reference");
    return output_write("", NULL, buf_view(&out), e);
}

static int run(const void *opts, char **args, int count, struct err *e)
{
    struct config_options o = *(const struct config_options *)opts;
    if (count == 2)
        o.serve.config = args[1];
    if (!strcmp(args[0], "check"))
        return check(&o, e);
    if (!strcmp(args[0], "reference") && count == 1)
        return reference(e);
    if (!strcmp(args[0], "show"))
        return config_show(count == 2 ? args[1] : NULL, o.format && !strcmp(o.format, "json"), e);
    return err_set(e, ERR_USAGE, "config: usage: eclair config reference");
}

static const char *action_words(size_t i)
{
    static const char *const words[] = { "check", "reference", "show" };
    return WORD_OF(words, i);
}

const struct command command_config = {
    .name = "config",
    .arguments = "check [FILE] | reference | show [COMMAND]",
    .summary = "Tells which configuration a server or a command has, and from where each value is",
    .details =
        "check: reads FILE, or what serve would read, and the environment; secrets are masked. 1 if a server "
        "would not start with it.\n"
        "reference: all keys, in Markdown (docs/configuration.md). `eclair help config` is for reading "
        "here.\n"
        "show: options of COMMAND, or of all, that a variable or the configuration file of the commands "
        "sets.",
    .options = options,
    .words = action_words,
    .own_config = true,
    .args_min = 1,
    .args_max = 2,
    .run = run,
};
