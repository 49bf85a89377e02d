#include "model/purl.h"

struct purl_type {
    const char *kind, *type;
    bool distribution; /* the packages are those of a distribution: its name is the namespace */
    bool lower;        /* names are the same in any letter case */
    char split;        /* what parts namespace and name in ours; '\0': nothing */
};

static const struct purl_type types[] = {
    { "dpkg", "deb", true, true, '\0' },       { "apk", "apk", true, true, '\0' },
    { "rpm", "rpm", true, false, '\0' },       { "alpm", "alpm", true, true, '\0' },
    { "pypi", "pypi", false, true, '\0' },     { "npm", "npm", false, true, '/' },
    { "rubygems", "gem", false, false, '\0' }, { "maven", "maven", false, false, ':' },
    { "go", "golang", false, true, '/' },      { "crates", "cargo", false, false, '\0' },
    { "nuget", "nuget", false, false, '\0' },  { "packagist", "composer", false, true, '/' },
    { "hex", "hex", false, true, '/' },        { "pub", "pub", false, true, '\0' },
};

static const struct purl_type *type_of(str kind)
{
    static const struct purl_type generic = { "", "generic", false, false, '\0' };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_eq(kind, str_from(types[i].kind)))
            return &types[i];
    return &generic;
}

str purl_type(str kind) { return str_from(type_of(kind)->type); }

bool purl_of_distribution(str kind) { return type_of(kind)->distribution; }

str purl_kind(str type, bool *distribution, const char **between)
{
    *distribution = false;
    *between = "/";
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_eq(type, str_from(types[i].type))) {
            *distribution = types[i].distribution;
            *between = types[i].split == ':' ? ":" : "/";
            return str_from(types[i].kind);
        }
    return type;
}

static bool is_plain(char c, const char *keep)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && (strchr(".-_~:", c) || strchr(keep, c)));
}

void purl_put_word(struct buf *out, str s, const char *keep)
{
    for (size_t i = 0; i < s.len; i++) {
        if (is_plain(s.ptr[i], keep))
            buf_char(out, s.ptr[i]);
        else
            buf_printf(out, "%%%02X", (unsigned)(uint8_t)s.ptr[i]);
    }
}

static void put_name(struct buf *out, const struct purl_type *t, str s, const char *keep)
{
    bool python = !strcmp(t->type, "pypi");
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        c = t->lower && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        c = python && c == '_' ? '-' : c;
        purl_put_word(out, str_of(&c, 1), keep);
    }
}

static void put_path(struct buf *out, const struct purl_type *t, const struct package *p,
                     const struct distribution *d)
{
    ptrdiff_t at = t->split ? str_rfind(p->name, t->split) : -1;
    str vendor = str_eq(d->id, STR("rhel")) ? STR("redhat") : d->id;
    buf_printf(out, "pkg:%s/", t->type);
    if (t->distribution && vendor.len) {
        purl_put_word(out, vendor, "");
        buf_char(out, '/');
    } else if (at > 0) {
        put_name(out, t, str_head(p->name, (size_t)at), "/");
        buf_char(out, '/');
    }
    put_name(out, t, at > 0 ? str_skip(p->name, (size_t)at + 1) : p->name, "");
}

static void put_qualifier(struct buf *out, const char *key, str value, bool *begun)
{
    if (!value.len)
        return;
    buf_printf(out, "%c%s=", *begun ? '&' : '?', key);
    purl_put_word(out, value, "");
    *begun = true;
}

/* "3.20" of "v3.20": what os-release says. */
static str plain_version(str v)
{
    return v.len > 1 && v.ptr[0] == 'v' && v.ptr[1] >= '0' && v.ptr[1] <= '9' ? str_skip(v, 1) : v;
}

static void put_distro(struct buf *out, const struct distribution *d, bool *begun)
{
    str version = plain_version(d->version);
    put_qualifier(out, "distro", d->id, begun);
    if (d->id.len && version.len) {
        buf_char(out, '-');
        purl_put_word(out, version, "");
    }
}

static void put_upstream(struct buf *out, const struct package *p, bool *begun)
{
    if (!p->source.len || (str_eq(p->source, p->name) && str_eq(p->source_version, p->version)))
        return;
    put_qualifier(out, "upstream", p->source, begun);
    if (!p->source_version.len || str_eq(p->source_version, p->version))
        return;
    buf_str(out, STR("%40"));
    purl_put_word(out, p->source_version, "");
}

/* Qualifiers stand in the order of their keys. */
void purl_put(struct buf *out, const struct package *p, const struct distribution *d)
{
    const struct purl_type *t = type_of(p->kind);
    bool begun = false, rpm = !strcmp(t->type, "rpm");
    str version = p->version, epoch = STR("");
    if (rpm && str_find(version, ':') >= 0)
        epoch = str_cut(&version, ':');
    put_path(out, t, p, d);
    if (version.len) {
        buf_char(out, '@');
        purl_put_word(out, version, "");
    }
    if (!t->distribution)
        return;
    put_qualifier(out, "arch", p->arch, &begun);
    put_distro(out, d, &begun);
    put_qualifier(out, "epoch", str_eq(epoch, STR("0")) ? STR("") : epoch, &begun);
    put_qualifier(out, "rpmmod", p->module, &begun);
    put_upstream(out, p, &begun);
}

void purl_put_image(struct buf *out, str name, str digest)
{
    static const struct purl_type oci = { "", "oci", false, true, '\0' };
    ptrdiff_t at = str_find(name, '@');
    if (!digest.len)
        return;
    name = at > 0 ? str_head(name, (size_t)at) : name;
    at = str_rfind(name, '/');
    name = at >= 0 ? str_skip(name, (size_t)at + 1) : name;
    name = str_find(name, ':') > 0 ? str_cut(&name, ':') : name;
    buf_str(out, STR("pkg:oci/"));
    put_name(out, &oci, name.len ? name : STR("image"), "");
    buf_char(out, '@');
    purl_put_word(out, digest, "");
}
