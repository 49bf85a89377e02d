#include "policy/ignore_reader.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>

static void told(const struct reader *r, unsigned line, const char *fmt, va_list args, char *ret, size_t size)
{
    int n = line ? snprintf(ret, size, "%.200s: line %u: ", r->file, line)
                 : snprintf(ret, size, "%.200s: ", r->file);
    vsnprintf(ret + n, size - (size_t)n, fmt, args);
}

int reader_fail(const struct reader *r, unsigned line, struct err *e, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    told(r, line, fmt, args, text, sizeof text);
    va_end(args);
    return err_set(e, ERR_FORMAT, "%s", text);
}

int reader_warn(const struct reader *r, unsigned line, struct err *e, const char *fmt, ...)
{
    struct ignore_list *l = r->list;
    char text[512];
    va_list args;
    va_start(args, fmt);
    told(r, line, fmt, args, text, sizeof text);
    va_end(args);
    if (l->warning_count == IGNORE_WARNINGS_MAX) {
        l->warnings_left_out++;
        return 0;
    }
    l->warnings = arena_grow(l->arena, l->warnings, l->warning_count, &l->warning_cap, sizeof *l->warnings);
    if (!l->warnings)
        return err_set(e, ERR_OOM, "%s", r->file);
    l->warnings[l->warning_count++] = arena_dup(l->arena, str_from(text));
    return 0;
}

int reader_is_map(const struct reader *r, const struct yaml *y, const char *what, struct err *e)
{
    return y->type == YAML_MAP ? 0 : reader_fail(r, y->line, e, "%s: is no map of keys and values", what);
}

/* `type`: what it has to be. */
static int member(const struct reader *r, const struct yaml *map, const char *key, enum yaml_type type,
                  const struct yaml **ret, struct err *e)
{
    static const char *const wanted[] = {
        [YAML_NULL] = "nothing", [YAML_SCALAR] = "a text", [YAML_LIST] = "a list", [YAML_MAP] = "a map"
    };
    const struct yaml *y = yaml_get(map, str_from(key));
    *ret = y && y->type != YAML_NULL ? y : NULL;
    if (*ret && y->type != type)
        return reader_fail(r, y->line, e, "%s: must be %s", key, wanted[type]);
    return 0;
}

int reader_text(const struct reader *r, const struct yaml *map, const char *key, str *ret, struct err *e)
{
    const struct yaml *y;
    if (member(r, map, key, YAML_SCALAR, &y, e) < 0)
        return -1;
    *ret = y ? y->text : STR("");
    return 0;
}

int reader_list(const struct reader *r, const struct yaml *map, const char *key, const struct yaml **ret,
                struct err *e)
{
    return member(r, map, key, YAML_LIST, ret, e);
}

int reader_map(const struct reader *r, const struct yaml *map, const char *key, const struct yaml **ret,
               struct err *e)
{
    return member(r, map, key, YAML_MAP, ret, e);
}

static bool is_one_of(str key, const char *const known[])
{
    while (*known && !str_eq(key, str_from(*known)))
        known++;
    return *known != NULL;
}

int reader_unknown(const struct reader *r, const struct yaml *map, const char *const known[], struct err *e)
{
    int found = 0;
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_pair *p = &map->pairs[i];
        if (is_one_of(p->key, known))
            continue;
        found = 1;
        if (reader_warn(r, p->line, e, STR_FMT ": is not known, so that this rule is not used",
                        STR_ARG(str_head(p->key, 80))) < 0)
            return -1;
    }
    return found;
}

/* "+02:00" behind a time, in seconds. */
static bool offset_of(str s, int64_t *ret)
{
    uint64_t hours, minutes;
    *ret = 0;
    if (str_eq(s, STR("Z")) || str_eq(s, STR("z")))
        return true;
    if (s.len != 6 || (s.ptr[0] != '+' && s.ptr[0] != '-') || s.ptr[3] != ':' ||
        !str_to_u64(str_of(s.ptr + 1, 2), &hours) || !str_to_u64(str_of(s.ptr + 4, 2), &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    *ret = (int64_t)(hours * 3600 + minutes * 60) * (s.ptr[0] == '-' ? -1 : 1);
    return true;
}

bool reader_time(str s, int64_t *ret)
{
    char text[32];
    int64_t offset = 0;
    bool day = s.len == 10;
    if (s.len != 10 && s.len < 20)
        return false;
    snprintf(text, sizeof text, "%.*s%s", day ? 10 : 19, s.ptr, day ? "T00:00:00Z" : "Z");
    str rest = str_skip(s, 19);
    if (!day && str_starts(rest, STR("."))) {
        size_t n = 1;
        while (n < rest.len && rest.ptr[n] >= '0' && rest.ptr[n] <= '9')
            n++;
        rest = str_skip(rest, n);
    }
    if (text[10] == 't' || text[10] == ' ')
        text[10] = 'T';
    if (!clock_parse(str_from(text), ret) || (!day && !offset_of(rest, &offset)))
        return false;
    *ret -= offset;
    return true;
}

int reader_add(const struct reader *r, const struct ignore_rule *rule, struct err *e)
{
    struct ignore_list *l = r->list;
    if (l->count == IGNORE_RULES_MAX)
        return err_set(e, ERR_LIMIT, "%.200s: more than %u rules", r->file, IGNORE_RULES_MAX);
    l->rules = arena_grow(l->arena, l->rules, l->count, &l->cap, sizeof *l->rules);
    struct ignore_rule *copy = arena_array(l->arena, struct ignore_rule, 1);
    void *none = l->any, **at = rule->id.len ? strmap_at(&l->by_id, rule->id) : &none;
    if (!l->rules || !copy || !at)
        return err_set(e, ERR_OOM, "%s", r->file);
    *copy = *rule;
    copy->next = *at;
    *at = copy;
    l->any = none;
    l->rules[l->count++] = copy;
    l->wants_paths |= rule->path.len > 0;
    return 0;
}

str reader_place(const struct reader *r, unsigned line)
{
    return arena_printf(r->list->arena, "%s: line %u", r->file, line);
}
