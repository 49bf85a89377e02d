/* value.c - a value of the file, a variable or a flag into its field. */
#include "config/internal.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/secret.h"
#include "codec/yaml.h"
#include "config/duration.h"

#include <stdio.h>
#include <strings.h>

bool config_is_word(str text, str word)
{
    return text.len == word.len && !strncasecmp(text.ptr, word.ptr, word.len);
}

int config_oom(struct err *e) { return err_set(e, ERR_OOM, "configuration: out of memory"); }

void config_warn(struct loading *l, str text)
{
    CLEANUP(buf_done) struct buf shown = { 0 };
    secret_mask(text, &shown);
    if (l->to->warning_count < CONFIG_WARNINGS)
        l->warnings[l->to->warning_count++] = arena_dup(l->arena, buf_view(&shown));
}

/* "config.yaml: line 7: clair.api.timeout", "ECLAIR_API_TIMEOUT", "--db". */
str config_place(const struct loading *l, const struct setting *s, unsigned line)
{
    const char *key = s->key->about.key;
    if (s->origin != CONFIG_FILE)
        return str_from(s->name);
    if (!s->key->of_source)
        return arena_printf(l->arena, "%s: line %u: clair.%s", s->name, line, key);
    return arena_printf(l->arena, "%s: line %u: clair.feeds." STR_FMT "%s", s->name, line, STR_ARG(s->source),
                        strrchr(key, '.'));
}

static str shown(const struct loading *l, const struct setting *s, str text)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    if (s->key->type == SECRET)
        return STR(SECRET_MASK);
    secret_mask(text, &out);
    return arena_dup(l->arena, buf_view(&out));
}

static int wrong(const struct loading *l, const struct setting *s, const struct yaml *v, const char *want,
                 struct err *e)
{
    str where = config_place(l, s, v->line);
    static const char *const kinds[] = {
        [YAML_NULL] = "nothing", [YAML_SCALAR] = "", [YAML_LIST] = "a list", [YAML_MAP] = "a map"
    };
    if (v->type != YAML_SCALAR)
        return err_set(e, ERR_FORMAT, STR_FMT ": %s is no %s", STR_ARG(where), kinds[v->type], want);
    return err_set(e, ERR_FORMAT, STR_FMT ": '" STR_FMT "' is no %s", STR_ARG(where),
                   STR_ARG(shown(l, s, v->text)), want);
}

static int set_port(struct loading *l, const struct setting *s, str *to, struct err *e)
{
    uint64_t port;
    if (!str_to_u64(s->value->text, &port) || port > 65535)
        return wrong(l, s, s->value, "port (1 to 65535)", e);
    *to = arena_printf(l->arena, ":%u", (unsigned)port);
    return 0;
}

static int set_duration(struct loading *l, const struct setting *s, int64_t unit_ns, int64_t *to,
                        struct err *e)
{
    const struct yaml *v = s->value;
    uint64_t number;
    int64_t ns;
    if (!v->quoted && str_to_u64(v->text, &number) && number) {
        if (number > INT64_MAX)
            return wrong(l, s, v, "duration (900s, 2h, 1h30m)", e);
        bool seconds = number < 1000000;
        ns = seconds ? (int64_t)number * 1000000000 : (int64_t)number;
        CONFIG_WARN(l, STR_FMT ": a number without a unit is taken for %s: write a unit (900s, 2h)",
                    STR_ARG(config_place(l, s, v->line)), seconds ? "seconds" : "nanoseconds");
    } else if (!duration_parse(v->text, &ns)) {
        return wrong(l, s, v, "duration (900s, 2h, 1h30m)", e);
    }
    *to = ns / unit_ns + (ns % unit_ns > 0); /* less than one unit is not zero, which would mean "off" */
    return 0;
}

/* "32GiB", or a number of bytes. */
static int set_bytes(struct loading *l, const struct setting *s, uint64_t *to, struct err *e)
{
    const struct yaml *v = s->value;
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
    str number = v->text;
    unsigned shift = 0;
    for (unsigned i = 0; i < sizeof units / sizeof *units && !shift; i++)
        if (str_ends(v->text, str_from(units[i]))) {
            shift = 10 * (i + 1);
            number = str_trim(str_head(v->text, v->text.len - 3));
        }
    if (!str_to_u64(number, to) || *to > UINT64_MAX >> shift)
        return wrong(l, s, v, "size (1048576, 500MiB, 32GiB)", e);
    *to <<= shift;
    return 0;
}

static int set_number(struct loading *l, const struct setting *s, int64_t *to, struct err *e)
{
    uint64_t number;
    if (!str_to_u64(s->value->text, &number) || number > 1000000)
        return wrong(l, s, s->value, "number (0 to 1000000)", e);
    *to = (int64_t)number;
    return 0;
}

static int set_bool(struct loading *l, const struct setting *s, bool *to, struct err *e)
{
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on" }; /* of YAML 1.1 */
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (config_is_word(s->value->text, str_from(words[i]))) {
            *to = i % 2;
            return 0;
        }
    return wrong(l, s, s->value, "true or false", e);
}

static int set_word(struct loading *l, const struct setting *s, str *to, struct err *e)
{
    char want[128];
    for (str rest = str_from(s->key->words), word; (word = str_word(&rest)).len;)
        if (config_is_word(s->value->text, word)) {
            *to = word;
            return 0;
        }
    snprintf(want, sizeof want, "word of: %s", s->key->words);
    return wrong(l, s, s->value, want, e);
}

static int set_list(struct loading *l, const struct setting *s, const str **to, struct err *e)
{
    const struct yaml *v = s->value;
    if (v->type != YAML_LIST)
        return wrong(l, s, v, "list", e);
    str *list = arena_array(l->arena, str, v->count + 1);
    if (!list)
        return config_oom(e);
    for (size_t i = 0; i < v->count; i++) {
        if (v->pairs[i].value->type != YAML_SCALAR)
            return wrong(l, s, v->pairs[i].value, "text", e);
        list[i] = v->pairs[i].value->text;
    }
    *to = list;
    memcpy(to + 1, &v->count, sizeof v->count); /* COUNT_BEHIND */
    return 0;
}

/* false, 0 and nothing are what it does anyway. */
int config_tell(struct loading *l, const struct setting *s, struct err *e)
{
    static const char *const nothing[] = { "", "0", "false", "no", "off" };
    str where = config_place(l, s, s->value->line);
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        if (s->value->type == YAML_SCALAR && config_is_word(s->value->text, str_from(nothing[i])))
            return 0;
    if (s->key->type == REFUSED)
        return err_set(e, ERR_UNSUPPORTED, STR_FMT ": %s", STR_ARG(where), s->key->about.help);
    CONFIG_WARN(l, STR_FMT " has no effect: %s", STR_ARG(where), s->key->about.help);
    return 0;
}

static char as_variable(char c) { return c == '-' ? '_' : c; }

bool config_is_source(str a, str b)
{
    size_t i = 0;
    while (a.len == b.len && i < a.len && as_variable(a.ptr[i]) == as_variable(b.ptr[i]))
        i++;
    return a.len == b.len && i == a.len;
}

/* A new one if it was not spoken of before. NULL: there are too many. */
static struct config_feed *feed_at(struct loading *l, const struct setting *s, struct err *e)
{
    size_t i = 0;
    while (i < l->to->feed_count && !config_is_source(l->feeds[i].name, s->source))
        i++;
    if (i == CONFIG_FEEDS) {
        err_set(e, ERR_LIMIT, STR_FMT ": more than %d sources", STR_ARG(config_place(l, s, s->value->line)),
                CONFIG_FEEDS);
        return NULL;
    }
    if (i == l->to->feed_count)
        l->feeds[l->to->feed_count++] = (struct config_feed){ .name = s->source,
                                                              .interval_s = CONFIG_UNSAID,
                                                              .where = config_place(l, s, s->value->line) };
    return &l->feeds[i];
}

int config_set_field(struct loading *l, const struct setting *s, struct err *e)
{
    void *whole = s->key->of_source ? (void *)feed_at(l, s, e) : l->to;
    if (!whole)
        return -1;
    void *field = (char *)whole + s->key->field;
    const struct yaml *v = s->value;
    if (s->key->type != LIST && v->type != YAML_SCALAR)
        return err_set(e, ERR_FORMAT, STR_FMT ": a list or map where one value is wanted",
                       STR_ARG(config_place(l, s, v->line)));
    switch (s->key->type) {
    case TEXT:
    case SECRET:
        *(str *)field = v->text;
        return 0;
    case WORD:
        return set_word(l, s, field, e);
    case BOOL:
        return set_bool(l, s, field, e);
    case PORT:
        return set_port(l, s, field, e);
    case MILLISECONDS:
        return set_duration(l, s, 1000000, field, e);
    case SECONDS:
        return set_duration(l, s, 1000000000, field, e);
    case BYTES:
        return set_bytes(l, s, field, e);
    case NUMBER:
        return set_number(l, s, field, e);
    case LIST:
        return set_list(l, s, field, e);
    case IGNORED:
    case WITHOUT_EFFECT:
    case REFUSED:
        break;
    }
    return 0;
}
