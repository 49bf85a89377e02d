/* db_clair.c - `eclair db import-clair`: what a database of Clair 2 holds, into ours. */
#include "cmd/db.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd/command.h"
#include "import/clair2.h"

#include <unistd.h>

#define TOLD_MAX 20 /* lines; the rest is counted */
#define KEYS_MAX 32

struct telling {
    int64_t told;
    bool progress;
};

static void on_told(void *ctx, const char *text)
{
    struct telling *t = ctx;
    if (t->told++ < TOLD_MAX)
        warn("%s", text);
}

static void on_progress(void *ctx, const struct import_clair2_counts *n)
{
    struct telling *t = ctx;
    t->progress = true;
    fprintf(stderr, "\r%lld layers, %lld vulnerabilities, %lld notifications ", (long long)n->layers.taken,
            (long long)n->vulnerabilities.taken, (long long)n->notifications.taken);
}

static void print_counts(const struct import_clair2_counts *n, bool dry)
{
    const struct import_clair2_layers *l = &n->layers;
    const struct import_clair2_vulnerabilities *v = &n->vulnerabilities;
    const struct import_clair2_notifications *x = &n->notifications;
    const char *taken = dry ? "to import" : "imported";
    printf("layers: %lld %s, %lld imported before, %lld kept as they are here, %lld left out\n",
           (long long)l->taken, taken, (long long)l->there, (long long)l->kept, (long long)l->left_out);
    if (l->packages)
        printf("packages of these layers: %lld left out\n", (long long)l->packages);
    printf("vulnerabilities: %lld %s, %lld kept as they are here, %lld left out, %lld taken for those of "
           "Clair's updaters, or not asked for\n",
           (long long)v->taken, taken, (long long)v->kept, (long long)v->left_out, (long long)v->updaters);
    if (v->fixes)
        printf("fixes of these vulnerabilities: %lld left out, without a version that is one\n",
               (long long)v->fixes);
    printf("notifications: %lld %s, %lld imported before, %lld older than %d days, %lld of which nothing is "
           "known here, %lld left out\n",
           (long long)x->taken, taken, (long long)x->there, (long long)x->old, IMPORT_NOTIFICATION_DAYS,
           (long long)x->unknown, (long long)x->left_out);
    if (x->unknown)
        warn("of what nothing is known no notification can be imported: load feeds (eclair update), and "
             "import again");
}

/* They tell Clair's updaters where to go on: ours begin anew. */
static int print_keys(struct clair2 *from, struct err *e)
{
    str *keys;
    size_t count;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    if (!arena)
        return err_set(e, ERR_OOM, "out of memory");
    if (clair2_keys(from, KEYS_MAX + 1, arena, &keys, &count, e) < 0)
        return -1;
    bool more = count > KEYS_MAX;
    count -= more;
    printf("key-values: none imported; found: %s", count ? "" : "none");
    for (size_t i = 0; i < count; i++) {
        char clean[256];
        err_clean(clean, sizeof clean, arena_cstr(arena, keys[i]));
        printf("%s%s", i ? ", " : "", clean);
    }
    printf("%s\n", more ? ", ..." : "");
    return 0;
}

/* Dry it may be that there is nothing yet: *ret NULL. */
static int open_ours(const struct db_options *o, const char *place, struct store **ret, struct err *e)
{
    struct err why = { 0 };
    if (!o->dry_run)
        return (*ret = store_open(place, STORE_WRITE, e)) ? 0 : -1;
    if (!store_is_server(place) && access(place, F_OK) < 0)
        return 0;
    *ret = store_open(place, STORE_READ, &why);
    if (*ret || why.kind == ERR_READONLY)
        return 0;
    *e = why;
    return -1;
}

int db_import_clair(const struct db_options *o, const char *place, const char *source, struct err *e)
{
    struct import_clair2_counts n;
    struct telling telling = { 0 };
    const struct import_clair2_options how = { .dry = o->dry_run,
                                               .vulnerabilities = o->vulnerabilities.values,
                                               .vulnerability_count = o->vulnerabilities.count,
                                               .now = clock_now(),
                                               .told = on_told,
                                               .progress = isatty(STDERR_FILENO) ? on_progress : NULL,
                                               .ctx = &telling };
    if (!store_is_server(source))
        return err_set(e, ERR_USAGE, "db: import-clair wants the connection string of Clair's PostgreSQL");
    CLEANUP(clair2_freep) struct clair2 *from = clair2_open(source, e);
    CLEANUP(store_freep) struct store *to = NULL;
    if (!from || open_ours(o, place, &to, e) < 0)
        return -1;
    int r = import_clair2(from, to, &how, &n, e);
    if (telling.progress)
        fprintf(stderr, "\r\033[K");
    if (telling.told > TOLD_MAX)
        warn("and %lld more that are left out", (long long)(telling.told - TOLD_MAX));
    if (r < 0)
        return -1;
    if (o->dry_run)
        printf("dry run: nothing is written\n");
    print_counts(&n, o->dry_run);
    return print_keys(from, e);
}
