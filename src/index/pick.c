#include "index/pick.h"

#include "detect/distro.h"

struct pick {
    const struct told *files;
    size_t count;
    struct arena *arena;
};

static bool is_from(const struct told *t, str detector)
{
    return str_eq(str_from(t->detector->name), detector);
}

/* The place of a file among its detector's patterns: the one named first speaks first. */
static size_t rank(const struct told *t)
{
    const char *paths = t->detector->paths, *at = memmem(paths, strlen(paths), t->path.ptr, t->path.len);
    return at ? (size_t)(at - paths) : SIZE_MAX;
}

static bool before(const struct told *a, const struct told *b)
{
    unsigned x = a->detector->priority, y = b->detector->priority;
    return x != y ? x < y : rank(a) < rank(b);
}

/* The file that speaks next after `last` (NULL: first). */
static const struct told *next_speaker(const struct pick *p, const struct told *last)
{
    const struct told *best = NULL;
    for (size_t i = 0; i < p->count; i++) {
        const struct told *t = &p->files[i];
        if ((!last || before(last, t)) && (!best || before(t, best)))
            best = t;
    }
    return best;
}

/* Debian testing and unstable: the file itself cannot tell which, apt's sources can. */
static struct distribution settle_debian(const struct pick *p, const struct distribution *guess)
{
    for (const struct told *t = NULL; (t = next_speaker(p, t));) {
        if (is_from(t, STR("apt-sources")) && t->says->namespace.len && str_eq(t->says->id, guess->id)) {
            struct distribution ret = *t->says;
            ret.name = ret.name.len ? ret.name : guess->name;
            return ret;
        }
    }
    struct distribution ret = *guess;
    ret.namespace = arena_printf(p->arena, "debian:" STR_FMT, STR_ARG(guess->version));
    return ret;
}

/* A machine on edge keeps the release files of the last release until that package is upgraded. */
static struct distribution settle_alpine(const struct pick *p, const struct distribution *alpine)
{
    for (size_t i = 0; i < p->count; i++)
        if (is_from(&p->files[i], STR("apk-repositories")))
            return *p->files[i].says;
    return *alpine;
}

/* A derivative keeps the release file of its parent, but says in os-release who it is. */
static bool is_parents(const struct pick *p, const struct told *t)
{
    for (size_t i = 0; i < p->count && is_from(t, STR("alpine-release")); i++)
        if (is_from(&p->files[i], STR("os-release")) && !distribution_known(p->files[i].says->id))
            return true;
    return false;
}

static struct distribution by_priority(const struct pick *p)
{
    const struct distribution *first = NULL; /* for its id, when none has a namespace */
    const struct distribution *suite = NULL; /* "stable" and the like in apt's sources */
    for (const struct told *t = NULL; (t = next_speaker(p, t));) {
        const struct distribution *d = t->says;
        bool debian = str_eq(d->id, STR("debian"));
        if (is_from(t, STR("apk-repositories")) || is_parents(p, t))
            continue;
        if (!first)
            first = d;
        if (d->namespace.len) {
            struct distribution ret = *d;
            if (!ret.name.len && str_eq(first->id, ret.id))
                ret.name = first->name;
            return ret;
        }
        if (!distribution_known(d->id))
            return *d; /* a derivative: what its other files say of its parent is not for us to believe */
        if (debian && d->version.len && !is_from(t, STR("apt-sources")))
            return settle_debian(p, d);
        if (debian && d->version.len)
            suite = d;
    }
    if (suite)
        return settle_debian(p, suite);
    return first ? *first : (struct distribution){ 0 };
}

struct distribution pick_distribution(const struct told *files, size_t count, struct arena *arena)
{
    const struct pick p = { files, count, arena };
    struct distribution ret = by_priority(&p);
    return str_eq(ret.id, STR("alpine")) ? settle_alpine(&p, &ret) : ret;
}
