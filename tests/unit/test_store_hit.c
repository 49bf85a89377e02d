/* The names that an advisory hits: pages against a plain list, whichever way they are found, while names come and go. */
#include "store_fixture.h"

#include "base/cleanup.h"
#include "store/sql_reverse.h"

#define NAMES    70
#define PACKAGES 6
#define SPACES   3

static const struct {
    const char *namespace, *kind;
} spaces[SPACES] = { { "debian:12", "dpkg" }, { "centos:9", "rpm" }, { "rhel:9", "rpm" } };

/* Below version 5 of p0; of rpm in images of both namespaces. */
static const struct {
    const char *key, *namespace;
    unsigned spaces; /* bits */
} advisories[] = { { "0", "debian:12", 1 }, { "1", "rhel:9", 6 } };

struct item {
    str name;
    int parent; /* -1: none */
    bool there;
    unsigned versions[SPACES][PACKAGES]; /* 0: not installed */
    int64_t id, views[SPACES];
    size_t view_count;
    int64_t ancestry;
    unsigned of; /* the ancestry's image is of that space */
};

struct registry {
    struct place *p;
    struct item items[NAMES];
    int count, images;
    unsigned chance;
};

static unsigned below(struct registry *r, unsigned n)
{
    r->chance = r->chance * 1103515245 + 12345;
    return (r->chance >> 8) % n;
}

static int by_package(const void *a, const void *b) { return package_cmp(a, b); }

static int64_t put_view(struct registry *r, const unsigned *versions, unsigned space)
{
    struct place *p = r->p;
    struct image_package rows[PACKAGES] = { 0 };
    static const struct layer_index *layers[] = { &layer_empty };
    struct image_index image = { .digest = arena_printf(p->arena, "sha256:%d", r->images++),
                                 .layers = layers,
                                 .layer_count = 1,
                                 .packages = rows };
    image.distribution.namespace = str_from(spaces[space].namespace);
    for (unsigned i = 0; i < PACKAGES; i++) {
        if (!versions[i])
            continue;
        struct package *k = &rows[image.package_count++].package;
        k->name = k->source = arena_printf(p->arena, "p%u", i);
        k->version = k->source_version = arena_printf(p->arena, "%u", versions[i]);
        k->kind = str_from(spaces[space].kind), k->arch = STR("amd64");
    }
    int64_t id = 0;
    qsort(rows, image.package_count, sizeof *rows, by_package);
    ok(p, store_image_put(p->store, &image, 1, &id, &p->e));
    return id;
}

static void put_views(struct registry *r, struct item *n)
{
    for (unsigned s = 0; s < SPACES; s++) {
        bool some = false;
        for (unsigned i = 0; i < PACKAGES; i++)
            some |= n->versions[s][i] > 0;
        if (some)
            n->views[n->view_count++] = put_view(r, n->versions[s], s), n->of = s;
    }
}

/* Most layers change nothing, or something that is no matter. */
static void change(struct registry *r, struct item *n)
{
    for (unsigned k = below(r, 4); k; k--)
        n->versions[below(r, SPACES)][below(r, PACKAGES)] = below(r, 9);
}

static void add(struct registry *r)
{
    struct place *p = r->p;
    struct item *n = &r->items[r->count];
    const struct item *parent = NULL;
    *n = (struct item){ .name = arena_printf(p->arena, "n%d", r->count), .parent = -1, .there = true };
    if (r->count && below(r, 4)) {
        int i = (int)below(r, (unsigned)r->count);
        parent = r->items[i].there ? &r->items[i] : NULL;
        n->parent = parent ? i : -1;
    }
    if (parent)
        memcpy(n->versions, parent->versions, sizeof n->versions);
    change(r, n);
    bool same = parent && !memcmp(n->versions, parent->versions, sizeof n->versions);
    if (same)
        memcpy(n->views, parent->views, sizeof n->views), n->view_count = parent->view_count,
                                                          n->of = parent->of;
    else
        put_views(r, n);
    struct named_layer l = { .name = n->name,
                             .parent = parent ? parent->name : STR(""),
                             .parent_chain = parent ? STR("c") : STR(""),
                             .digest = layer_empty.digest,
                             .chain = STR("c"),
                             .engine = 3,
                             .indexer = 1,
                             .views = n->views,
                             .view_count = n->view_count },
                       *got;
    ok(p, store_named_put(p->store, &l, &p->e));
    assert_int_equal(store_named_find(p->store, n->name, p->arena, &got, &p->e), 1);
    n->id = got->id;
    r->count++;
}

static void put_ancestry(struct registry *r, int i)
{
    struct place *p = r->p;
    struct item *n = &r->items[i];
    struct ancestry a = { .name = n->name, .indexer = 1 };
    a.image = n->view_count ? n->views[n->view_count - 1] : 0;
    ok(p, store_ancestry_put(p->store, &a, &p->e));
    assert_int_equal(store_ancestry_find(p->store, n->name, p->arena, &a, &p->e), 1);
    n->ancestry = a.id;
}

static void delete (struct registry *r, int i)
{
    if (!r->items[i].there)
        return;
    ok(r->p, store_named_delete(r->p->store, r->items[i].name, &r->p->e));
    r->items[i].there = false;
    for (int k = i + 1; k < r->count; k++) /* and what stands on it */
        r->items[k].there &= r->items[k].parent < 0 || r->items[r->items[k].parent].there;
}

/* ---- what is to be found ---- */

static bool is_affected(unsigned version, unsigned package) { return version && version < 5 && package < 1; }

/* A feature of that kind which a view of the parent has. */
static bool had(const struct registry *r, const struct item *n, unsigned space, unsigned package)
{
    for (unsigned s = 0; n->parent >= 0 && s < SPACES; s++)
        if (!strcmp(spaces[s].kind, spaces[space].kind) &&
            r->items[n->parent].versions[s][package] == n->versions[space][package])
            return true;
    return false;
}

static bool is_hit(const struct registry *r, const struct item *n, const struct names_question *q,
                   unsigned bits)
{
    bool layer = q->what == NAMES_INTRODUCING, hit = false;
    for (unsigned s = 0; s < SPACES; s++)
        for (unsigned i = 0; i < PACKAGES; i++)
            hit |= bits >> s & 1 && (layer || (s == n->of && n->view_count)) &&
                   is_affected(n->versions[s][i], i) && (!layer || !had(r, n, s, i));
    return hit && (layer ? n->there : n->ancestry > 0);
}

static int by_id(const void *a, const void *b)
{
    const struct affected_name *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static size_t expect(const struct registry *r, const struct names_question *q, unsigned bits,
                     struct affected_name ret[NAMES])
{
    size_t n = 0;
    for (int i = 0; i < r->count; i++) {
        const struct item *one = &r->items[i];
        int64_t id = q->what == NAMES_INTRODUCING ? one->id : one->ancestry;
        if (id >= q->from && is_hit(r, one, q, bits))
            ret[n++] = (struct affected_name){ id, one->name };
    }
    qsort(ret, n, sizeof *ret, by_id);
    return n < q->limit ? n : q->limit;
}

static int compare_page(struct registry *r, struct names_question *q, unsigned bits)
{
    struct place *p = r->p;
    struct affected_name want[NAMES], *got;
    size_t count, wanted = expect(r, q, bits, want);
    int more = sql_names_hit((struct sql *)p->store, q, p->arena, &got, &count, &p->e);
    ok(p, more);
    if (count != wanted)
        fail_msg("walk %lld, from %lld, limit %zu: %zu names, not %zu", (long long)q->walk,
                 (long long)q->from, q->limit, count, wanted);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(got[i].id, want[i].id);
        same(got[i].name, want[i].name);
        q->from = got[i].id + 1;
    }
    assert_true(more || count < q->limit);
    return more;
}

static void disturb(struct registry *r)
{
    if (r->count < NAMES)
        add(r);
    put_ancestry(r, (int)below(r, (unsigned)r->count));
    if (!below(r, 6))
        delete (r, (int)below(r, (unsigned)r->count));
}

static void start(struct registry *r, struct place *p, unsigned chance)
{
    struct tidy_counts n;
    const struct tidy_options whole = { .whole = true, .now = 1 };
    *r = (struct registry){ .p = p, .chance = chance };
    ok(p, store_layer_put(p->store, &layer_empty, 1, &p->e));
    load(p, "f C0 S p0 - 5 - - debian:12 dpkg;h C1 B p0 - 5 - - rhel:9 rpm");
    while (r->count < NAMES / 2) {
        add(r);
        if (r->count % 3)
            put_ancestry(r, r->count - 1);
        if (r->count == NAMES / 4)
            assert_int_equal(store_tidy(p->store, &whole, &n, &p->e), 0);
    }
}

static void test_pages(void **state)
{
    static const int64_t walks[] = { 0, 1, 4, 17, 1000, INT64_MAX };
    static const size_t limits[] = { 1, 3, 100 };
    struct registry *r = calloc(1, sizeof *r);
    start(r, *state, 7);
    for (size_t w = 0; w < 6; w++)
        for (size_t l = 0; l < 3; l++)
            for (unsigned a = 0; a < 2; a++)
                for (int what = NAMES_INTRODUCING; what <= NAMES_OF_ANCESTRIES; what++) {
                    struct names_question q = { what, 0,         str_from(advisories[a].namespace),
                                                0,    limits[l], walks[w] };
                    struct place *p = r->p;
                    assert_int_equal(store_advisory_find(p->store, a ? STR("h") : STR("f"),
                                                         str_from(advisories[a].key), &q.advisory, &p->e),
                                     1);
                    while (compare_page(r, &q, advisories[a].spaces))
                        disturb(r);
                }
    free(r);
}

int store_hit_tests(void)
{
    const struct CMUnitTest tests[] = { CASE(test_pages) };
    return cmocka_run_group_tests_name("store: names that are hit", tests, NULL, NULL);
}
