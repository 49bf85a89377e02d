/* ignore_match.c - which rule holds for which finding. */
#include "base/clock.h"
#include "model/cpe.h"
#include "model/purl.h"
#include "policy/ignore.h"

#include <stdlib.h>

struct applying {
    struct ignore_list *list;
    const struct ignore_image *image;
    struct report *r;
    struct arena *arena;
    str *cpes; /* what the image's distribution goes by */
    size_t cpe_count;
};

/* ---- the image ---- */

/* "host:5000/team/app:1.0@sha256:..." -> "host:5000/team/app"; *tag: "1.0"; *digest: "sha256:..." */
static str repository_of(str name, str *tag, str *digest)
{
    *digest = *tag = STR("");
    ptrdiff_t at = str_find(name, '@');
    if (at >= 0) {
        *digest = str_skip(name, (size_t)at + 1);
        name = str_head(name, (size_t)at);
    }
    at = str_rfind(name, ':');
    if (at >= 0 && at > str_rfind(name, '/')) {
        *tag = str_skip(name, (size_t)at + 1);
        name = str_head(name, (size_t)at);
    }
    return name;
}

/* As it is written, without its tag, without all behind the first colon (as clair-scanner had it), or its digest. */
static bool image_fits(const struct applying *a, str key)
{
    str name = a->image->name, tag, digest, old = name;
    return glob_fits(key, name) || glob_fits(key, repository_of(name, &tag, &digest)) ||
           str_eq(key, str_cut(&old, ':')) || str_eq(key, a->r->image->digest) ||
           (digest.len && str_eq(key, digest));
}

/* A digest tells alone. */
static bool image_purl_fits(const struct applying *a, const struct purl *p)
{
    str tag, digest, repository = repository_of(a->image->name, &tag, &digest);
    if (str_starts(p->version, STR("sha256:")))
        return str_eq(p->version, a->r->image->digest) || str_eq(p->version, digest);
    str said = p->tag.len ? p->tag : p->version;
    ptrdiff_t slash = str_rfind(repository, '/');
    if (said.len && !str_eq(said, tag))
        return false;
    if (p->repository_url.len && str_eq(p->repository_url, repository))
        return true;
    return str_eq(p->name, str_skip(repository, (size_t)(slash + 1))) &&
           (!p->repository_url.len || str_starts(repository, p->repository_url));
}

static bool cpe_fits(const struct applying *a, str cpe)
{
    for (size_t i = 0; i < a->cpe_count; i++)
        if (cpe_covers(cpe, a->cpes[i]))
            return true;
    return false;
}

/* ---- the finding ---- */

static bool namespace_fits(const struct applying *a, str said, const struct finding *f)
{
    const struct distribution *d = &a->r->image->distribution;
    return str_eq(said, f->namespace) || str_eq(said, d->namespace);
}

static bool package_fits(const struct applying *a, const struct ignore_rule *r, const struct finding *f)
{
    const struct package *p = &a->r->image->packages[f->package].package;
    return (!r->package.len || glob_fits(r->package, p->name)) &&
           (!r->source.len || glob_fits(r->source, p->source)) &&
           (!r->version.len || str_eq(r->version, p->version)) &&
           (!r->type.len || str_eq(r->type, purl_type(p->kind))) &&
           (!r->purl || purl_holds(r->purl, p, &a->r->image->distribution));
}

static bool path_fits(const struct applying *a, str pattern, const struct finding *f)
{
    return a->image->paths && glob_fits_path(pattern, a->image->paths[f->package]);
}

static bool holds(const struct applying *a, const struct ignore_rule *r, const struct finding *f)
{
    return package_fits(a, r, f) && (!r->states || r->states >> f->state & 1) &&
           (!r->namespace.len || namespace_fits(a, r->namespace, f)) &&
           (!r->image.len || image_fits(a, r->image)) &&
           (!r->image_purl || image_purl_fits(a, r->image_purl)) && (!r->cpe.len || cpe_fits(a, r->cpe)) &&
           (!r->path.len || path_fits(a, r->path, f));
}

static void warn(struct applying *a, str text)
{
    struct report *r = a->r;
    str *all = arena_array(a->arena, str, r->warning_count + 1);
    if (!all)
        return;
    if (r->warning_count)
        memcpy(all, r->warnings, r->warning_count * sizeof *all);
    all[r->warning_count++] = text;
    r->warnings = all;
}

static bool is_over(struct applying *a, struct ignore_rule *r)
{
    if (!r->until || a->r->now < r->until)
        return false;
    if (!r->expired) {
        char when[CLOCK_TEXT];
        clock_format(r->until, when);
        warn(a, arena_printf(a->arena, STR_FMT ": the rule for " STR_FMT " ended on %.10s and does not hold",
                             STR_ARG(r->by), STR_ARG(r->id.len ? r->id : STR("any id")), when));
    }
    r->expired = true;
    return true;
}

/* What rules say of one finding: the list that ignores it, and the last word of VEX documents. Rules that need that word are asked after it. */
struct opinion {
    struct ignore_rule *ignored, *vex;
};

static void ask(struct applying *a, struct ignore_rule *r, const struct finding *f, struct opinion *o,
                bool needing)
{
    for (; r; r = r->next) {
        if ((r->needs != VEX_NONE) != needing || !holds(a, r, f) || is_over(a, r))
            continue;
        if (r->is) {
            if (!o->vex || r->said > o->vex->said)
                o->vex = r;
        } else if (!needing || (o->vex && o->vex->is == r->needs)) {
            o->ignored = o->ignored ? o->ignored : r;
            r->hits++;
        }
    }
}

static struct ignore_rule *of_id(const struct applying *a, str id) { return strmap_get(&a->list->by_id, id); }

/* One name of a flaw among several of an update is not another name for the update. */
static bool names_one(const struct metadata *m)
{
    size_t flaws = 0;
    for (size_t i = 0; i < m->alias_count; i++)
        flaws += id_is_cve(m->aliases[i]);
    return flaws <= 1;
}

static void ask_all(struct applying *a, const struct finding *f, struct opinion *o, bool needing)
{
    ask(a, a->list->any, f, o, needing);
    ask(a, of_id(a, f->id), f, o, needing);
    if (f->advisory.len && !str_eq(f->advisory, f->id))
        ask(a, of_id(a, f->advisory), f, o, needing);
    for (size_t i = 0; f->meta && i < f->meta->source_count; i++) {
        const struct metadata *m = &f->meta->sources[i].meta;
        for (size_t k = 0; k < m->alias_count && (id_is_cve(f->id) || names_one(m)); k++)
            if (!str_eq(m->aliases[k], f->id) && !str_eq(m->aliases[k], f->advisory))
                ask(a, of_id(a, m->aliases[k]), f, o, needing);
    }
}

static const struct ignore_rule *suppressor(struct applying *a, const struct finding *f)
{
    struct opinion o = { 0 };
    ask_all(a, f, &o, false);
    ask_all(a, f, &o, true);
    if (o.vex)
        o.vex->hits++;
    if (o.vex && (o.vex->is == VEX_NOT_AFFECTED || o.vex->is == VEX_FIXED))
        return o.vex;
    return o.ignored;
}

static int apply(struct applying *a, struct err *e)
{
    struct report *r = a->r;
    struct match *m = &r->match;
    size_t kept = 0, cap = 0;
    for (size_t i = 0; i < m->finding_count; i++) {
        const struct ignore_rule *rule = suppressor(a, &m->findings[i]);
        if (!rule) {
            m->findings[kept++] = m->findings[i];
            continue;
        }
        r->suppressed = arena_grow(a->arena, r->suppressed, r->suppressed_count, &cap, sizeof *r->suppressed);
        if (!r->suppressed)
            return err_set(e, ERR_OOM, "report");
        r->suppressed[r->suppressed_count++] =
            (struct suppressed){ .finding = m->findings[i],
                                 .by = rule->by,
                                 .reason = rule->reason,
                                 .status = str_from(vex_status_name(rule->is)) };
    }
    m->finding_count = kept;
    return 0;
}

/* "cpe:/o:debian:debian_linux:12": what a document may call the image's distribution. */
static int find_cpes(struct applying *a, struct err *e)
{
    static const struct {
        const char *id, *vendor_product;
    } names[] = { { "debian", "debian:debian_linux" },
                  { "ubuntu", "canonical:ubuntu_linux" },
                  { "alpine", "alpinelinux:alpine_linux" },
                  { "almalinux", "almalinux:almalinux" },
                  { "rocky", "rocky:rocky" },
                  { "ol", "oracle:linux" },
                  { "fedora", "fedoraproject:fedora" } };
    const struct distribution *d = &a->r->image->distribution;
    str version = str_starts(d->version, STR("v")) ? str_skip(d->version, 1) : d->version;
    a->cpe_count = cpe_defaults(d->namespace, a->arena, &a->cpes);
    for (size_t i = 0; i < sizeof names / sizeof *names && !a->cpe_count; i++)
        if (str_eq(d->id, str_from(names[i].id))) {
            a->cpes = arena_array(a->arena, str, 1);
            a->cpe_count = a->cpes != NULL;
            if (a->cpes)
                a->cpes[0] =
                    arena_printf(a->arena, "cpe:/o:%s:" STR_FMT, names[i].vendor_product, STR_ARG(version));
        }
    return arena_failed(a->arena) ? err_set(e, ERR_OOM, "report") : 0;
}

int ignore_apply(struct ignore_list *l, const struct ignore_image *image, struct report *r,
                 struct arena *arena, struct err *e)
{
    struct applying a = { .list = l, .image = image, .r = r, .arena = arena };
    if (find_cpes(&a, e) < 0)
        return -1;
    for (size_t i = 0; i < l->warning_count; i++)
        warn(&a, l->warnings[i]);
    if (l->warnings_left_out)
        warn(&a, arena_printf(arena, "%zu more warnings about files of --ignore-file and --vex",
                              l->warnings_left_out));
    if (apply(&a, e) < 0)
        return -1;
    return arena_failed(arena) ? err_set(e, ERR_OOM, "report") : 0;
}
