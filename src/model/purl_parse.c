/* purl_parse.c - package URLs, read. */
#include "model/purl.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static str decode(str s, struct arena *arena)
{
    str copy = arena_dup(arena, s);
    char *to = (char *)copy.ptr;
    size_t n = 0;
    if (str_find(s, '%') < 0)
        return copy;
    for (size_t i = 0; i < copy.len; i++) {
        int high = copy.ptr[i] == '%' && i + 2 < copy.len ? hex_value(copy.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_value(copy.ptr[i + 2]) : -1;
        to[n++] = (char)(low >= 0 ? high << 4 | low : copy.ptr[i]);
        i += low >= 0 ? 2 : 0;
    }
    return str_head(copy, n);
}

static str lower(str s, struct arena *arena)
{
    str copy = arena_dup(arena, s);
    for (size_t i = 0; i < copy.len; i++)
        if (copy.ptr[i] >= 'A' && copy.ptr[i] <= 'Z')
            ((char *)copy.ptr)[i] = (char)(copy.ptr[i] + 'a' - 'A');
    return copy;
}

/* Cuts what follows the last `c` off. */
static str cut_tail(str *s, char c)
{
    ptrdiff_t at = str_rfind(*s, c);
    if (at < 0)
        return STR("");
    str tail = str_skip(*s, (size_t)at + 1);
    *s = str_head(*s, (size_t)at);
    return tail;
}

static void qualifiers(str text, struct arena *arena, struct purl *ret)
{
    str epoch = STR("");
    const struct {
        const char *key;
        str *to;
    } known[] = { { "arch", &ret->arch },        { "distro", &ret->distro },
                  { "epoch", &epoch },           { "repository_url", &ret->repository_url },
                  { "rpmmod", &ret->module },    { "tag", &ret->tag },
                  { "upstream", &ret->upstream } };
    while (text.len) {
        str value = str_cut(&text, '&'), key = str_cut(&value, '=');
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (str_eq(key, str_from(known[i].key)))
                *known[i].to = decode(value, arena);
    }
    if (epoch.len && ret->version.len && str_find(ret->version, ':') < 0)
        ret->version = arena_printf(arena, STR_FMT ":" STR_FMT, STR_ARG(epoch), STR_ARG(ret->version));
}

bool purl_is(str text) { return str_starts(text, STR("pkg:")); }

int purl_parse(str text, struct arena *arena, struct purl *ret, struct err *e)
{
    *ret = (struct purl){ 0 };
    str rest = str_skip(text, 4), more;
    if (!purl_is(text) || text.len > PURL_MAX)
        return err_set(e, ERR_FORMAT, "'" STR_FMT "' is no purl (pkg:TYPE/NAME...)",
                       STR_ARG(str_head(text, 80)));
    while (str_starts(rest, STR("/")))
        rest = str_skip(rest, 1);
    rest = str_cut(&rest, '#');
    more = rest;
    rest = str_cut(&more, '?');
    ret->type = lower(str_cut(&rest, '/'), arena);
    ptrdiff_t at = str_rfind(rest, '@'); /* one at the front of a part is a scope of npm's */
    if (at > 0 && rest.ptr[at - 1] != '/')
        ret->version = decode(cut_tail(&rest, '@'), arena);
    while (str_ends(rest, STR("/")))
        rest.len--;
    at = str_rfind(rest, '/');
    ret->name = decode(at < 0 ? rest : str_skip(rest, (size_t)at + 1), arena);
    if (at > 0)
        ret->namespace = decode(str_head(rest, (size_t)at), arena);
    qualifiers(more, arena, ret);
    if (arena_failed(arena))
        return err_set(e, ERR_OOM, "purl");
    if (!ret->type.len || !ret->name.len)
        return err_set(e, ERR_FORMAT, "'" STR_FMT "': a purl without %s", STR_ARG(str_head(text, 80)),
                       ret->type.len ? "a name" : "a type");
    return 0;
}

/* ---- as a package ---- */

str purl_distribution(str name)
{
    static const struct {
        const char *theirs, *ours;
    } names[] = { { "redhat", "rhel" },
                  { "amazon", "amzn" },
                  { "amazonlinux", "amzn" },
                  { "oraclelinux", "ol" },
                  { "oracle", "ol" },
                  { "suse", "sles" },
                  { "archlinux", "arch" },
                  { "alma", "almalinux" },
                  { "rockylinux", "rocky" },
                  { "cbl-mariner", "mariner" },
                  { "opensuse.leap", "opensuse-leap" },
                  { "opensuse.tumbleweed", "opensuse-tumbleweed" },
                  { "suse linux enterprise server", "sles" } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq(name, str_from(names[i].theirs)))
            return str_from(names[i].ours);
    return name;
}

/* "openssl-3.0.7-1.el9.src.rpm" */
static bool split_source_rpm(str text, str *name, str *version)
{
    if (!str_ends(text, STR(".src.rpm")))
        return false;
    text.len -= STR(".src.rpm").len;
    ptrdiff_t release = str_rfind(text, '-');
    ptrdiff_t at = release > 0 ? str_rfind(str_head(text, (size_t)release), '-') : -1;
    if (at <= 0)
        return false;
    *name = str_head(text, (size_t)at);
    *version = str_skip(text, (size_t)at + 1);
    return true;
}

/* Without its epoch, which the name of a source file does not tell, is it the package's own version? */
static bool is_own_version(str source, str own)
{
    ptrdiff_t at = str_find(own, ':');
    return str_eq(source, own) || str_eq(source, str_skip(own, (size_t)(at + 1)));
}

static void set_source(struct package *p, str upstream)
{
    str name, version;
    bool file = split_source_rpm(upstream, &name, &version);
    p->source = p->name;
    p->source_version = p->version;
    if (!file) {
        version = upstream;
        name = str_cut(&version, '@');
    }
    if (name.len)
        p->source = name;
    if (version.len && !(file && is_own_version(version, p->version)))
        p->source_version = version;
}

/* A letter, a digit, one of ".+-": else it is none that anybody has registered. */
static bool is_type(str type)
{
    for (size_t i = 0; i < type.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789.+-", type.ptr[i]) || !type.ptr[i])
            return false;
    return type.len <= 64;
}

bool purl_package(const struct purl *p, struct arena *arena, struct package *ret)
{
    const char *between;
    bool system;
    str kind = purl_kind(is_type(p->type) ? p->type : STR("generic"), &system, &between);
    *ret = (struct package){ .kind = kind, .name = p->name, .version = p->version };
    if (!p->version.len)
        return false;
    if (!system && p->namespace.len)
        ret->name =
            arena_printf(arena, STR_FMT "%s" STR_FMT, STR_ARG(p->namespace), between, STR_ARG(p->name));
    if (system) {
        ret->arch = p->arch;
        ret->module = p->module;
    }
    set_source(ret, system ? p->upstream : STR(""));
    return true;
}
