#include "feed/updateinfo.h"

#include "base/cleanup.h"
#include "codec/xml.h"

#include <stdlib.h>

#define UPDATE_LIMIT ((size_t)8 << 20)
#define PACKAGES_MAX 20000u
#define CVES_MAX     METADATA_ALIASES
#define SHOWN        100 /* bytes of a name in an error: the reason must fit too */

struct reading {
    struct xml *x;
    struct arena *arena; /* of one update */
    struct updateinfo update;
    str *cves;
    struct updateinfo_package *packages;
    size_t cve_cap, package_cap;
};

static int too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "an update with more than %zu bytes", UPDATE_LIMIT);
}

static str keep(struct reading *r, str s) { return arena_dup(r->arena, s); }

static int content(struct reading *r, str *to, struct err *e)
{
    str text;
    if (xml_content(r->x, &text, e) < 0)
        return -1;
    *to = keep(r, text);
    return arena_failed(r->arena) ? too_much(e) : 0;
}

/* ---- references ---- */

static int add_cve(struct reading *r, str id, struct err *e)
{
    for (size_t i = 0; i < r->update.cve_count; i++)
        if (str_eq(r->cves[i], id))
            return 0;
    if (r->update.cve_count == CVES_MAX)
        return err_set(e, ERR_LIMIT, "an update with more than %u CVEs", CVES_MAX);
    r->cves = arena_grow(r->arena, r->cves, r->update.cve_count, &r->cve_cap, sizeof *r->cves);
    if (!r->cves)
        return too_much(e);
    r->cves[r->update.cve_count++] = keep(r, str_head(id, FEED_TEXT_MAX));
    return arena_failed(r->arena) ? too_much(e) : 0;
}

static int read_references(struct reading *r, struct err *e)
{
    str name;
    int found;
    while ((found = xml_child(r->x, &name, e)) > 0) {
        str id = xml_attribute(r->x, "id");
        if (str_eq(xml_attribute(r->x, "type"), STR("cve")) && id_is_cve(id) && add_cve(r, id, e) < 0)
            return -1;
        if (xml_skip(r->x, e) < 0)
            return -1;
    }
    return found;
}

/* ---- packages ---- */

static str evr_of(struct reading *r)
{
    str epoch = xml_attribute(r->x, "epoch"), version = xml_attribute(r->x, "version"),
        release = xml_attribute(r->x, "release");
    bool zero = !epoch.len || str_eq(epoch, STR("0"));
    return arena_printf(r->arena, STR_FMT "%s" STR_FMT "%s" STR_FMT, STR_ARG(zero ? (str){ 0 } : epoch),
                        zero ? "" : ":", STR_ARG(version), release.len ? "-" : "", STR_ARG(release));
}

static int add_package(struct reading *r, struct err *e)
{
    struct updateinfo *u = &r->update;
    str name = xml_attribute(r->x, "name"), arch = xml_attribute(r->x, "arch");
    if (!name.len || !xml_attribute(r->x, "version").len)
        return err_set(e, ERR_FORMAT, "xml: byte %llu: a package without a name or version",
                       (unsigned long long)xml_offset(r->x));
    if (str_eq(arch, STR("src")))
        return 0;
    if (u->package_count == PACKAGES_MAX)
        return err_set(e, ERR_LIMIT, "an update with more than %u packages", PACKAGES_MAX);
    r->packages = arena_grow(r->arena, r->packages, u->package_count, &r->package_cap, sizeof *r->packages);
    if (!r->packages)
        return too_much(e);
    r->packages[u->package_count++] = (struct updateinfo_package){
        .name = keep(r, str_head(name, FEED_TEXT_MAX)),
        .evr = str_head(evr_of(r), FEED_TEXT_MAX),
        .arch = str_eq(arch, STR("noarch")) ? (str){ 0 } : keep(r, str_head(arch, FEED_TEXT_MAX)),
    };
    return arena_failed(r->arena) ? too_much(e) : 0;
}

/* pkglist, its collections and their packages: the elements between tell nothing. */
static int read_packages(struct reading *r, struct err *e)
{
    str name;
    int found;
    while ((found = xml_child(r->x, &name, e)) > 0) {
        if (str_eq(name, STR("collection"))) {
            if (read_packages(r, e) < 0)
                return -1;
            continue;
        }
        if (str_eq(name, STR("package")) && add_package(r, e) < 0)
            return -1;
        if (xml_skip(r->x, e) < 0)
            return -1;
    }
    return found;
}

static int by_package(const void *pa, const void *pb)
{
    const struct updateinfo_package *a = pa, *b = pb;
    int r = str_cmp(a->name, b->name);
    r = r ? r : str_cmp(a->arch, b->arch);
    return r ? r : str_cmp(a->evr, b->evr);
}

static void sort_packages(struct reading *r)
{
    struct updateinfo *u = &r->update;
    size_t kept = 0;
    if (u->package_count)
        qsort(r->packages, u->package_count, sizeof *r->packages, by_package);
    for (size_t i = 0; i < u->package_count; i++)
        if (!kept || by_package(&r->packages[kept - 1], &r->packages[i]))
            r->packages[kept++] = r->packages[i];
    u->package_count = kept;
}

/* ---- one update ---- */

static int read_member(struct reading *r, str name, struct err *e)
{
    struct updateinfo *u = &r->update;
    if (str_eq(name, STR("id")))
        return content(r, &u->id, e);
    if (str_eq(name, STR("title")))
        return content(r, &u->title, e);
    if (str_eq(name, STR("severity")))
        return content(r, &u->severity, e);
    if (str_eq(name, STR("description")))
        return content(r, &u->description, e);
    if (str_eq(name, STR("references")))
        return read_references(r, e);
    if (str_eq(name, STR("pkglist")))
        return read_packages(r, e);
    return xml_skip(r->x, e);
}

static int read_members(struct reading *r, struct err *e)
{
    str name;
    int found;
    r->update.type = keep(r, xml_attribute(r->x, "type"));
    while ((found = xml_child(r->x, &name, e)) > 0)
        if (read_member(r, name, e) < 0)
            return -1;
    if (found == 0 && !r->update.id.len)
        return err_set(e, ERR_FORMAT, "xml: byte %llu: an update without an id",
                       (unsigned long long)xml_offset(r->x));
    return found;
}

static int read_update(struct reading *r, updateinfo_each *each, void *ctx, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(UPDATE_LIMIT);
    if (!arena)
        return err_set(e, ERR_OOM, "updateinfo: out of memory");
    *r = (struct reading){ .x = r->x, .arena = arena, .update = { .arena = arena } };
    int result = read_members(r, e);
    if (result == 0) {
        sort_packages(r);
        r->update.cves = r->cves;
        r->update.packages = r->packages;
        result = each(ctx, &r->update, e);
    }
    return result < 0 && r->update.id.len ? err_wrap(e, STR_FMT, STR_ARG(str_head(r->update.id, SHOWN)))
                                          : result;
}

int updateinfo_read(struct stream *in, updateinfo_each *each, void *ctx, struct err *e)
{
    CLEANUP(xml_freep) struct xml *x = xml_new(in, e);
    struct reading r = { .x = x };
    str name;
    int found;
    if (!x || xml_root(x, &name, e) < 0)
        return -1;
    if (!str_eq(name, STR("updates")))
        return err_set(e, ERR_FORMAT, "xml: byte 0: '" STR_FMT "' instead of 'updates'",
                       STR_ARG(str_head(name, SHOWN)));
    while ((found = xml_child(x, &name, e)) > 0)
        if ((str_eq(name, STR("update")) ? read_update(&r, each, ctx, e) : xml_skip(x, e)) < 0)
            return -1;
    return found < 0 ? -1 : xml_finish(x, e);
}

/* ---- repomd.xml ---- */

static int read_data(struct xml *x, struct arena *arena, str *href, str *checksum, struct err *e)
{
    str name, text;
    int found;
    while ((found = xml_child(x, &name, e)) > 0) {
        if (str_eq(name, STR("location")))
            *href = arena_dup(arena, xml_attribute(x, "href"));
        bool sum = str_eq(name, STR("checksum"));
        if (xml_content(x, &text, e) < 0)
            return -1;
        if (sum)
            *checksum = arena_dup(arena, text);
    }
    if (found == 0 && (!href->len || !checksum->len))
        return err_set(e, ERR_FORMAT, "xml: byte %llu: updateinfo without location or checksum",
                       (unsigned long long)xml_offset(x));
    return found < 0 ? -1 : arena_failed(arena) ? err_set(e, ERR_OOM, "repomd: out of memory") : 1;
}

int repomd_read(struct stream *in, struct arena *arena, str *href, str *checksum, struct err *e)
{
    CLEANUP(xml_freep) struct xml *x = xml_new(in, e);
    str name;
    int found, seen = 0;
    if (!x || xml_root(x, &name, e) < 0)
        return -1;
    if (!str_eq(name, STR("repomd")))
        return err_set(e, ERR_FORMAT, "xml: byte 0: '" STR_FMT "' instead of 'repomd'",
                       STR_ARG(str_head(name, SHOWN)));
    *href = *checksum = (str){ 0 };
    while ((found = xml_child(x, &name, e)) > 0) {
        bool wanted = str_eq(name, STR("data")) && str_eq(xml_attribute(x, "type"), STR("updateinfo"));
        int r = wanted ? read_data(x, arena, href, checksum, e) : xml_skip(x, e);
        if (r < 0)
            return -1;
        seen |= r;
    }
    return found < 0 || xml_finish(x, e) < 0 ? -1 : seen;
}
