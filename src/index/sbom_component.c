/* sbom_component.c - from a component to a package and a distribution. */
#include "detect/distro.h"
#include "index/layer.h"
#include "index/sbom_reader.h"
#include "model/purl.h"

static int no_memory(struct err *e) { return err_set(e, ERR_OOM, "its packages"); }

static void leave_out(size_t *count, str *example, str name)
{
    if (!(*count)++)
        *example = str_head(name, 80);
}

/* ---- the distribution ---- */

static str plain_version(str v)
{
    return v.len > 1 && v.ptr[0] == 'v' && v.ptr[1] >= '0' && v.ptr[1] <= '9' ? str_skip(v, 1) : v;
}

/* "debian-12", "opensuse-leap-15.5", "alpine-edge", "jammy", "arch"; of a purl of `vendor` also "12" alone. */
static struct distribution of_distro(struct arena *a, str distro, str vendor)
{
    str none = STR(""), rest = str_skip(distro, (size_t)(str_rfind(distro, '/') + 1));
    if (debian_version(rest).len && !str_eq(vendor, STR("ubuntu")))
        return distribution_from(a, STR("debian"), none, rest, none);
    if (ubuntu_version(rest).len)
        return distribution_from(a, STR("ubuntu"), ubuntu_version(rest), none, none);
    if (distribution_known(purl_distribution(rest)))
        return distribution_from(a, purl_distribution(rest), none, none, none);
    ptrdiff_t at = str_rfind(rest, '-');
    if (at <= 0) /* a version, or a word that nobody knows */
        return vendor.len && rest.len && rest.ptr[0] >= '0' && rest.ptr[0] <= '9'
                   ? distribution_from(a, vendor, rest, none, none)
                   : distribution_from(a, rest, none, none, none);
    return distribution_from(a, purl_distribution(str_head(rest, (size_t)at)),
                             plain_version(str_skip(rest, (size_t)at + 1)), none, none);
}

/* What a purl says of its distribution; id empty: nothing. */
static struct distribution said_by(struct arena *a, const struct purl *p)
{
    str vendor = purl_distribution(p->namespace);
    if (p->distro.len)
        return of_distro(a, p->distro, vendor);
    return vendor.len ? distribution_from(a, vendor, STR(""), STR(""), STR("")) : (struct distribution){ 0 };
}

static bool is_other(const struct distribution *ours, const struct distribution *said)
{
    if (!said->id.len || !ours->id.len)
        return false;
    if (ours->namespace.len && said->namespace.len)
        return !str_eq(ours->namespace, said->namespace);
    return !str_eq(ours->id, said->id);
}

static int take_system(struct sbom_reader *r, const struct sbom_component *c, struct err *e)
{
    if (r->has_system)
        return 0;
    r->system = distribution_from(r->arena, purl_distribution(c->name), plain_version(c->version), STR(""),
                                  c->description);
    r->has_system = r->system.id.len != 0;
    return arena_failed(r->arena) ? no_memory(e) : 0;
}

/* ---- packages ---- */

static str trivy_version(struct sbom_reader *r, const struct sbom_component *c)
{
    str v = c->source_version;
    if (c->source_release.len)
        v = arena_printf(r->arena, STR_FMT "-" STR_FMT, STR_ARG(v), STR_ARG(c->source_release));
    if (c->source_epoch.len && !str_eq(c->source_epoch, STR("0")))
        v = arena_printf(r->arena, STR_FMT ":" STR_FMT, STR_ARG(c->source_epoch), STR_ARG(v));
    return v;
}

static void apply_properties(struct sbom_reader *r, const struct sbom_component *c, struct package *p)
{
    bool system = purl_of_distribution(p->kind);
    if (c->kind.len && str_eq(purl_type(c->kind), purl_type(p->kind)) &&
        !str_eq(purl_type(c->kind), STR("generic")))
        p->kind = c->kind;
    if (system && c->source.len) {
        p->source = c->source;
        p->source_version = c->source_version.len ? trivy_version(r, c) : p->version;
    }
    if (system && c->module.len)
        p->module = c->module;
}

/* Whose package it says it is, until all are known. */
static int keep_said(struct sbom_reader *r, const struct purl *purl, bool system, struct err *e)
{
    if (system && !(str_eq(purl->distro, r->last_distro) && str_eq(purl->namespace, r->last_vendor))) {
        r->last = said_by(r->arena, purl);
        r->last_distro = purl->distro;
        r->last_vendor = purl->namespace;
    }
    struct distribution none = { 0 };
    struct distribution *more = arena_grow(r->arena, r->said, r->said_count, &r->said_cap, sizeof *more);
    if (!more)
        return no_memory(e);
    r->said = more;
    more[r->said_count++] = system ? r->last : none;
    return 0;
}

static int add_package(struct sbom_reader *r, const struct sbom_component *c, const struct purl *purl,
                       struct err *e)
{
    struct package p;
    size_t before = r->to->found.package_count;
    if (!purl_package(purl, r->arena, &p)) {
        leave_out(&r->unversioned, &r->unversioned_example, c->purl);
        return 0;
    }
    apply_properties(r, c, &p);
    if (before >= LAYER_PACKAGES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d packages", LAYER_PACKAGES_MAX);
    if (!detected_add(&r->to->found, &p) || arena_failed(r->arena))
        return no_memory(e);
    return r->to->found.package_count == before ? 0 : keep_said(r, purl, purl_of_distribution(p.kind), e);
}

int sbom_add(struct sbom_reader *r, const struct sbom_component *c, struct err *e)
{
    struct purl purl;
    if (c->system)
        return take_system(r, c, e);
    if (!c->purl.len) {
        if (!c->file)
            leave_out(&r->unnamed, &r->unnamed_example, c->name);
        return 0;
    }
    struct err bad = { 0 };
    if (purl_parse(c->purl, r->arena, &purl, &bad) < 0) {
        if (bad.kind != ERR_FORMAT) {
            *e = bad;
            return -1;
        }
        leave_out(&r->unnamed, &r->unnamed_example, c->name);
        return 0;
    }
    return str_eq(purl.type, STR("oci")) || str_eq(purl.type, STR("docker")) ? 0
                                                                             : add_package(r, c, &purl, e);
}

/* ---- when all is read ---- */

static void pick_system(struct sbom_reader *r)
{
    for (size_t i = 0; i < r->said_count && !r->has_system; i++) {
        const struct distribution *d = &r->said[i];
        if (d->namespace.len ? !r->system.namespace.len : !r->system.id.len)
            r->system = *d;
    }
}

static void add_note(struct sbom_reader *r, size_t count, const char *what, str example)
{
    if (!count)
        return;
    r->to->notes[r->to->note_count++] = arena_printf(
        r->arena, "%zu component%s of the list %s left out: %s (" STR_FMT "%s)", count, count == 1 ? "" : "s",
        count == 1 ? "was" : "were", what, STR_ARG(example), count == 1 ? "" : ", ...");
}

int sbom_place(struct sbom_reader *r, struct err *e)
{
    struct detected *found = &r->to->found;
    size_t kept = 0;
    pick_system(r);
    for (size_t i = 0; i < found->package_count; i++) {
        if (is_other(&r->system, &r->said[i]))
            leave_out(&r->strange, &r->strange_example, found->packages[i].name);
        else
            found->packages[kept++] = found->packages[i];
    }
    found->package_count = kept;
    found->distribution = r->system;
    r->to->notes = arena_array(r->arena, str, 4);
    if (!r->to->notes)
        return no_memory(e);
    add_note(r, r->unnamed, "no purl says what they are", r->unnamed_example);
    add_note(r, r->unversioned, "no version", r->unversioned_example);
    add_note(r, r->strange, "of another distribution than the rest", r->strange_example);
    if (found->note.len)
        r->to->notes[r->to->note_count++] = found->note;
    return arena_failed(r->arena) ? no_memory(e) : 0;
}

/* ---- properties ---- */

static int document_property(struct sbom_reader *r, str name, str value, struct err *e)
{
    str fact = STR("eclair:fact:");
    if (str_eq(name, STR("eclair:unreadable")))
        r->to->unreadable = str_eq(value, STR("true"));
    if (!str_starts(name, fact) || name.len == fact.len)
        return 0;
    if (r->to->found.fact_count >= LAYER_FACTS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d facts", LAYER_FACTS_MAX);
    return detected_fact(&r->to->found, str_skip(name, fact.len), value) ? 0 : no_memory(e);
}

int sbom_property(struct sbom_reader *r, struct sbom_component *c, str name, str value, struct err *e)
{
    if (!c)
        return document_property(r, name, value, e);
    const struct {
        const char *name;
        str *to;
    } known[] = {
        { "eclair:source", &c->source },
        { "eclair:source_version", &c->source_version },
        { "eclair:module", &c->module },
        { "eclair:kind", &c->kind },
        { "aquasecurity:trivy:SrcName", &c->source },
        { "aquasecurity:trivy:SrcVersion", &c->source_version },
        { "aquasecurity:trivy:SrcRelease", &c->source_release },
        { "aquasecurity:trivy:SrcEpoch", &c->source_epoch },
        { "aquasecurity:trivy:Modularitylabel", &c->module },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eq(name, str_from(known[i].name)))
            *known[i].to = value;
    return 0;
}
