#include "policy/purl.h"

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
    } known[] = { { "arch", &ret->arch },
                  { "distro", &ret->distro },
                  { "epoch", &epoch },
                  { "repository_url", &ret->repository_url },
                  { "tag", &ret->tag } };
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

/* What purls and vulnerability databases call distributions whose os-release has another ID. */
static str own_name(str id)
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
                  { "mariner", "mariner" },
                  { "opensuse-leap", "opensuse.leap" } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq(id, str_from(names[i].theirs)))
            return str_from(names[i].ours);
    return id;
}

bool distribution_same(str a, str b) { return str_eq(own_name(a), own_name(b)); }

/* "9" and "9.3" are of "9"; "3.18.4" is of "v3.18". */
static bool version_of(str said, str ours)
{
    if (str_starts(ours, STR("v")))
        ours = str_skip(ours, 1);
    if (str_starts(said, STR("v")))
        said = str_skip(said, 1);
    return str_starts(said, ours) && (said.len == ours.len || said.ptr[ours.len] == '.');
}

/* "bookworm", "debian-12", "ubuntu-22.04", "esm-apps/jammy", "12". */
static bool distro_fits(str distro, const struct distribution *d)
{
    ptrdiff_t at = str_rfind(distro, '/');
    distro = str_skip(distro, (size_t)(at + 1));
    const struct debian_release *debian = debian_release(distro);
    if (debian)
        return str_eq(str_from(debian->namespace), d->namespace);
    str ubuntu = ubuntu_version(distro);
    if (ubuntu.len)
        return str_eq(d->id, STR("ubuntu")) && str_eq(ubuntu, d->version);
    at = str_rfind(distro, '-');
    if (at < 0)
        return version_of(distro, d->version) || distribution_same(distro, d->id);
    return distribution_same(str_head(distro, (size_t)at), d->id) &&
           version_of(str_skip(distro, (size_t)at + 1), d->version);
}

static str without_zero_epoch(str version)
{
    return str_starts(version, STR("0:")) ? str_skip(version, 2) : version;
}

/* Of packages of a distribution the namespace is its name; of those of languages it is a part of theirs. */
static bool is_full_name(const struct purl *p, str name)
{
    size_t n = p->namespace.len;
    const char *between = str_eq(p->type, STR("maven")) ? ":" : "/";
    if (!n)
        return str_eq(p->name, name);
    return name.len == n + 1 + p->name.len && str_starts(name, p->namespace) && name.ptr[n] == *between &&
           str_ends(name, p->name);
}

bool purl_holds(const struct purl *p, const struct package *package, const struct distribution *d)
{
    if (!str_eq(p->type, purl_type(package->kind)))
        return false;
    bool system = purl_of_distribution(package->kind);
    bool source = str_eq(p->arch, STR("src")) || str_eq(p->arch, STR("source"));
    str name = source ? package->source : package->name;
    str version = source ? package->source_version : package->version;
    if (system && p->namespace.len && !distribution_same(p->namespace, d->id))
        return false;
    if (system && p->distro.len && !distro_fits(p->distro, d))
        return false;
    if (!(system ? str_eq(p->name, name) : is_full_name(p, name)))
        return false;
    if (p->arch.len && !source && !str_eq(p->arch, package->arch))
        return false;
    return !p->version.len || str_eq(without_zero_epoch(p->version), without_zero_epoch(version));
}
