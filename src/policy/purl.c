#include "policy/purl.h"
#include "model/purl.h"

bool distribution_same(str a, str b) { return str_eq(purl_distribution(a), purl_distribution(b)); }

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
