#include "detect/distro.h"

#include <ctype.h>

#define ID_MAX   64  /* bytes of an id or version that are kept; longer ones are none */
#define NAME_MAX 256 /* bytes of a name for people, cut */

/* How much of the version the namespace takes (design.md 9, Namespaces). */
enum cut { CUT_ALL, CUT_MAJOR, CUT_MINOR, CUT_DEBIAN, CUT_UBUNTU, CUT_ALPINE, CUT_AMAZON };

static const struct family {
    const char *id; /* os-release ID */
    const char *name;
    const char *scheme;
    enum cut cut; /* CUT_ALL: a rolling release, whose namespace has no version */
} families[] = {
    { "debian", "debian", "dpkg", CUT_DEBIAN },
    { "ubuntu", "ubuntu", "dpkg", CUT_UBUNTU },
    { "alpine", "alpine", "apk", CUT_ALPINE },
    { "wolfi", "wolfi", "apk", CUT_ALL },
    { "chainguard", "chainguard", "apk", CUT_ALL },
    { "rhel", "rhel", "rpm", CUT_MAJOR },
    { "centos", "centos", "rpm", CUT_MAJOR },
    { "ol", "oracle", "rpm", CUT_MAJOR },
    { "rocky", "rocky", "rpm", CUT_MAJOR },
    { "almalinux", "almalinux", "rpm", CUT_MAJOR },
    { "amzn", "amzn", "rpm", CUT_AMAZON },
    { "fedora", "fedora", "rpm", CUT_MAJOR },
    { "sles", "sles", "rpm", CUT_MINOR },     /* BCI too */
    { "sles_sap", "sles", "rpm", CUT_MINOR }, /* the same packages under another name */
    { "sle_hpc", "sles", "rpm", CUT_MINOR },
    { "sled", "sled", "rpm", CUT_MINOR },
    { "sle-micro", "sle-micro", "rpm", CUT_MINOR }, /* up to 5.5 */
    { "sl-micro", "sl-micro", "rpm", CUT_MINOR },   /* from 6.0 */
    { "opensuse-leap", "opensuse.leap", "rpm", CUT_MINOR },
    { "opensuse-tumbleweed", "opensuse.tumbleweed", "rpm", CUT_ALL },
    { "opensuse-microos", "opensuse.tumbleweed", "rpm", CUT_ALL },
    { "opensuse", "opensuse", "rpm", CUT_MINOR }, /* up to 13.2; see opensuse_id() */
    { "photon", "photon", "rpm", CUT_MAJOR },
    { "azurelinux", "azurelinux", "rpm", CUT_MAJOR },
    { "mariner", "mariner", "rpm", CUT_MAJOR },
    { "arch", "arch", "alpm", CUT_ALL },
};
#define FAMILIES (sizeof families / sizeof *families)

str debian_version(str codename)
{
    const struct debian_release *r = debian_release(codename);
    return r ? str_skip(str_from(r->namespace), STR("debian:").len) : (str){ 0 };
}

static size_t digits(str s)
{
    size_t n = 0;
    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9')
        n++;
    return n;
}

/* "8.9" -> "8"; empty when it does not begin with a number. */
static str major(str v) { return str_head(v, digits(v)); }

/* "15.5.1" -> "15.5", "15" -> "15" */
static str minor(str v)
{
    size_t n = digits(v), more = n < v.len && v.ptr[n] == '.' ? digits(str_skip(v, n + 1)) : 0;
    return str_head(v, n && more ? n + 1 + more : n);
}

/* A development snapshot ("3.21_alpha20240807", or only its date) is edge; a release candidate ("3.21.0_rc1") is
 * already on its branch. */
static str alpine(struct arena *a, str v)
{
    bool date = v.len == 8 && digits(v) == 8;
    if (date || str_eq(v, STR("edge")) || str_contains(v, STR("_alpha")))
        return STR("edge");
    str branch = minor(v);
    return str_find(branch, '.') < 0 ? (str){ 0 } : arena_printf(a, "v" STR_FMT, STR_ARG(branch));
}

static str cut_version(struct arena *a, enum cut cut, str v, str codename)
{
    switch (cut) {
    case CUT_ALL:
        return v;
    case CUT_MAJOR:
        return major(v);
    case CUT_MINOR:
        return minor(v);
    case CUT_DEBIAN:
        v = major(v).len ? major(v) : debian_version(v);
        return v.len ? v : debian_version(codename);
    case CUT_UBUNTU:
        v = minor(v).len ? minor(v) : ubuntu_version(v);
        return v.len ? v : ubuntu_version(codename);
    case CUT_ALPINE:
        return alpine(a, v);
    case CUT_AMAZON: /* 2018.03 and before have months; 2 and 2023 do not count their minor releases */
        return str_starts(v, STR("201")) ? minor(v) : major(v);
    }
    return (str){ 0 };
}

static str lower(struct arena *a, str s)
{
    char *p = s.len && s.len <= ID_MAX ? arena_alloc(a, s.len, 1) : NULL;
    for (size_t i = 0; p && i < s.len; i++)
        p[i] = (char)tolower((unsigned char)s.ptr[i]);
    return (str){ p, p ? s.len : 0 };
}

static const struct family *family_of(str id)
{
    for (size_t i = 0; i < FAMILIES; i++)
        if (str_eq(str_from(families[i].id), id))
            return &families[i];
    return NULL;
}

/* Leap 42 still had the old id, and so had Tumbleweed, whose version is a date. */
static str opensuse_id(str id, str version)
{
    if (!str_eq(id, STR("opensuse")))
        return id;
    if (str_eq(major(version), STR("42")))
        return STR("opensuse-leap");
    return major(version).len == 8 ? STR("opensuse-tumbleweed") : id;
}

bool distribution_known(str id) { return family_of(id) != NULL; }

struct distribution distribution_from(struct arena *a, str id, str version, str codename, str pretty)
{
    struct distribution d = { .id = lower(a, id), .name = arena_dup(a, str_head(pretty, NAME_MAX)) };
    if (version.len > ID_MAX)
        version.len = 0;
    if (!d.id.len)
        return (struct distribution){ 0 };
    d.id = opensuse_id(d.id, version);

    const struct family *f = family_of(d.id);
    if (!f) { /* kept as it is: named in the report, never guessed from ID_LIKE */
        d.version = arena_dup(a, version);
        return d;
    }
    d.version = arena_dup(a, cut_version(a, f->cut, version, codename));
    if (f->cut == CUT_ALL)
        d.namespace = str_from(f->name);
    else if (d.version.len)
        d.namespace = arena_printf(a, "%s:" STR_FMT, f->name, STR_ARG(d.version));
    return d;
}

str distribution_scheme(str namespace)
{
    str name = str_cut(&namespace, ':');
    for (size_t i = 0; i < FAMILIES; i++)
        if (str_eq(str_from(families[i].name), name))
            return str_from(families[i].scheme);
    return (str){ 0 };
}

/* One of the quoting rules of os-release(5): returns the bytes that *in stands for and moves it on. */
static size_t unquote(str *in, char quote, char *out)
{
    size_t n = 0;
    for (; in->len && (!quote || in->ptr[0] != quote); *in = str_skip(*in, 1)) {
        char c = in->ptr[0];
        if (quote != '\'' && c == '\\' && in->len > 1 && (!quote || strchr("\"\\$`", in->ptr[1]))) {
            *in = str_skip(*in, 1);
            c = in->ptr[0];
        } else if (!quote && (c == '\'' || c == '"' || c == '#')) {
            /* a "#" opens a comment only after a blank: "ID=a#b" is one word */
            if (c != '#' || (n && (out[n - 1] == ' ' || out[n - 1] == '\t')))
                break;
        }
        out[n++] = c;
    }
    return n;
}

bool release_assignment(struct arena *a, str line, str *name, str *value)
{
    line = str_trim(line);
    ptrdiff_t eq = str_find(line, '=');
    if (eq <= 0 || line.ptr[0] == '#' || line.len > 16 * NAME_MAX)
        return false;
    str rest = str_skip(line, (size_t)eq + 1);
    char *out = arena_alloc(a, rest.len + 1, 1);
    if (!out)
        return false;

    size_t n = 0;
    while (rest.len && rest.ptr[0] != '#') {
        char quote = rest.ptr[0] == '"' || rest.ptr[0] == '\'' ? rest.ptr[0] : 0;
        if (quote)
            rest = str_skip(rest, 1);
        n += unquote(&rest, quote, out + n);
        if (quote)
            rest = str_skip(rest, 1);
    }
    *name = str_head(line, (size_t)eq);
    *value = str_trim((str){ out, n });
    return true;
}
