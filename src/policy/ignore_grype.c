/*
 * ignore_grype.c - the list `ignore` of .grype.yaml: vulnerability, namespace, fix-state, vex-status, reason, package {name, version, type,
 * language, location, upstream-name}. All that a rule says has to fit. Of regular expressions in names ".*" is understood, and "\." and the
 * two ends.
 */
#include "policy/ignore_reader.h"

#include <stdio.h>

/* grype's names of types, and of languages, that are not those of purls. */
static str type_of(str type)
{
    static const struct {
        const char *theirs, *ours;
    } names[] = { { "python", "pypi" },
                  { "go-module", "golang" },
                  { "java-archive", "maven" },
                  { "rust-crate", "cargo" },
                  { "php-composer", "composer" },
                  { "dotnet", "nuget" },
                  { "dart-pub", "pub" },
                  { "go", "golang" },
                  { "java", "maven" },
                  { "javascript", "npm" },
                  { "ruby", "gem" },
                  { "rust", "cargo" },
                  { "php", "composer" },
                  { "dart", "pub" } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq(type, str_from(names[i].theirs)))
            return str_from(names[i].ours);
    return type;
}

/* "debian:distro:debian:12" -> "debian:12", "alpine:distro:alpine:3.18" -> "alpine:v3.18". */
static str namespace_of(struct arena *arena, str theirs)
{
    str rest = theirs;
    str_cut(&rest, ':');
    if (!str_eq(str_cut(&rest, ':'), STR("distro")))
        return theirs;
    str version = rest, id = str_cut(&version, ':');
    const char *v =
        str_eq(id, STR("alpine")) && version.len && version.ptr[0] >= '0' && version.ptr[0] <= '9' ? "v" : "";
    static const struct {
        const char *theirs, *ours;
    } names[] = { { "redhat", "rhel" },
                  { "oraclelinux", "oracle" },
                  { "amazonlinux", "amzn" },
                  { "rockylinux", "rocky" } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq(id, str_from(names[i].theirs)))
            id = str_from(names[i].ours);
    return arena_printf(arena, STR_FMT ":%s" STR_FMT, STR_ARG(id), v, STR_ARG(version));
}

static bool is_rolling(str namespace) { return str_ends(namespace, STR(":rolling")); }

/* A pattern for glob_fits(). False: more than that. */
static bool pattern_of(struct arena *arena, str name, str *ret)
{
    char *to = arena_array(arena, char, name.len + 1);
    size_t n = 0;
    if (str_starts(name, STR("^")))
        name = str_skip(name, 1);
    if (str_ends(name, STR("$")))
        name.len--;
    for (size_t i = 0; to && i < name.len; i++) {
        char c = name.ptr[i];
        if (c == '.' && i + 1 < name.len && name.ptr[i + 1] == '*')
            c = name.ptr[++i];
        else if (c == '\\' && i + 1 < name.len)
            c = name.ptr[++i];
        else if (strchr("*?[](){}|^$\\", c))
            return false;
        to[n++] = c;
    }
    *ret = str_of(to, n);
    return true;
}

static int read_name(const struct reader *r, const struct yaml *package, const char *key, str *ret,
                     struct err *e)
{
    str name;
    if (reader_text(r, package, key, &name, e) < 0)
        return -1;
    if (pattern_of(r->list->arena, name, ret))
        return 0;
    return reader_fail(r, yaml_get(package, str_from(key))->line, e,
                       "package.%s: of regular expressions only .* is understood", key);
}

/* 1: there is something in it that we do not know, 0, -1. */
static int read_package(const struct reader *r, const struct yaml *rule, struct ignore_rule *ret,
                        struct err *e)
{
    static const char *const known[] = { "name",     "version",       "type", "language",
                                         "location", "upstream-name", NULL };
    const struct yaml *p;
    str type, language;
    if (reader_map(r, rule, "package", &p, e) < 0)
        return -1;
    if (!p)
        return 0;
    int unknown = reader_unknown(r, p, known, e);
    if (unknown < 0 || read_name(r, p, "name", &ret->package, e) < 0 ||
        read_name(r, p, "upstream-name", &ret->source, e) < 0 ||
        reader_text(r, p, "version", &ret->version, e) < 0 || reader_text(r, p, "type", &type, e) < 0 ||
        reader_text(r, p, "language", &language, e) < 0 || reader_text(r, p, "location", &ret->path, e) < 0)
        return -1;
    ret->type = type_of(type.len ? type : language);
    return unknown;
}

static int read_state(const struct reader *r, const struct yaml *y, struct ignore_rule *rule, struct err *e)
{
    static const struct {
        const char *name;
        unsigned states;
    } states[] = { { "fixed", 1u << FIX_FIXED },
                   { "not-fixed", 1u << FIX_AFFECTED },
                   { "wont-fix", 1u << FIX_WILL_NOT_FIX | 1u << FIX_END_OF_LIFE },
                   { "unknown", 1u << FIX_UNDER_INVESTIGATION } };
    str name;
    if (reader_text(r, y, "fix-state", &name, e) < 0)
        return -1;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (str_eq(name, str_from(states[i].name)))
            rule->states = states[i].states;
    if (rule->states || !name.len)
        return 0;
    return reader_fail(r, yaml_get(y, STR("fix-state"))->line, e,
                       "fix-state: '" STR_FMT "' is none of fixed, not-fixed, wont-fix, unknown",
                       STR_ARG(str_head(name, 80)));
}

static int read_status(const struct reader *r, const struct yaml *y, struct ignore_rule *rule, struct err *e)
{
    str name;
    if (reader_text(r, y, "vex-status", &name, e) < 0)
        return -1;
    rule->needs = vex_status_of(name);
    if (rule->needs || !name.len)
        return 0;
    return reader_fail(r, yaml_get(y, STR("vex-status"))->line, e,
                       "vex-status: '" STR_FMT
                       "' is none of not_affected, fixed, affected, under_investigation",
                       STR_ARG(str_head(name, 80)));
}

static bool says_something(const struct ignore_rule *r)
{
    return r->id.len || r->package.len || r->source.len || r->version.len || r->type.len ||
           r->namespace.len || r->path.len || r->states || r->needs;
}

static int read_rule(const struct reader *r, const struct yaml *y, struct err *e)
{
    static const char *const known[] = { "vulnerability", "include-aliases", "namespace", "fix-state",
                                         "vex-status",    "package",         "reason",    NULL };
    struct ignore_rule rule = { .by = reader_place(r, y->line) };
    if (reader_is_map(r, y, "ignore", e) < 0)
        return -1;
    int unknown = reader_unknown(r, y, known, e), more;
    if (unknown < 0 || reader_text(r, y, "vulnerability", &rule.id, e) < 0 ||
        reader_text(r, y, "namespace", &rule.namespace, e) < 0 ||
        reader_text(r, y, "reason", &rule.reason, e) < 0 || read_state(r, y, &rule, e) < 0 ||
        read_status(r, y, &rule, e) < 0 || (more = read_package(r, y, &rule, e)) < 0)
        return -1;
    rule.namespace = namespace_of(r->list->arena, rule.namespace);
    if (is_rolling(rule.namespace))
        rule.namespace.len -= STR(":rolling").len;
    if (unknown || more)
        return 0;
    if (!says_something(&rule))
        return reader_warn(r, y->line, e, "a rule that names nothing is not used");
    return reader_add(r, &rule, e);
}

int read_grype(const struct reader *r, const struct yaml *top, struct err *e)
{
    const struct yaml *list;
    if (top->type == YAML_NULL)
        return 0;
    if (reader_is_map(r, top, "the file", e) < 0 || reader_list(r, top, "ignore", &list, e) < 0)
        return -1;
    for (size_t i = 0; list && i < list->count; i++)
        if (read_rule(r, list->pairs[i].value, e) < 0)
            return -1;
    return 0;
}
