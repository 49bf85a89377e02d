/* db_copy.c - a database in one file, to be kept or carried elsewhere: it gets its name when it is whole. */
#include "cmd/db.h"

#include "base/cleanup.h"
#include "cmd/command.h"
#include "cmd/new_file.h"
#include "cmd/watch.h"

#include <unistd.h>

/* ---- what is told ---- */

static void on_progress(void *ctx, const struct copy_counts *n)
{
    watch_label(ctx, "%lld advisories, %lld layers, %lld images, %lld named layers, %lld ancestries",
                (long long)n->advisories, (long long)n->layers, (long long)n->images, (long long)n->named,
                (long long)n->ancestries);
}

static int copy(struct store *from, struct store *to, struct watch *watch, struct err *e)
{
    struct copy_counts n;
    int r = store_copy(from, to, on_progress, watch, &n, e);
    watch_hide(watch);
    if (r < 0)
        return -1;
    printf("%lld advisories, %lld layers, %lld images, %lld named layers, %lld ancestries\n",
           (long long)n.advisories, (long long)n.layers, (long long)n.images, (long long)n.named,
           (long long)n.ancestries);
    if (n.left_out)
        warn("%lld named layers or ancestries are left out: others have their names, or those of their "
             "parents",
             (long long)n.left_out);
    return 0;
}

/* ---- the actions ---- */

int db_export(const struct db_options *o, const char *place, const char *file, struct err *e)
{
    if (o->feeds || o->since || o->key || o->source_count)
        return bundle_export(o, place, file, e);
    CLEANUP(new_file_done) struct new_file f = { 0 };
    CLEANUP(store_freep) struct store *from = store_open(place, STORE_READ, e);
    if (!from || new_file_begin(&f, file, place, o->force, e) < 0)
        return -1;
    CLEANUP(store_freep) struct store *to = store_open(f.temp, STORE_WRITE, e);
    if (!to || copy(from, to, f.watch, e) < 0)
        return -1;
    store_freep(&to); /* the last one out writes the log into the file */
    return new_file_commit(&f, e);
}

int db_import(const struct db_options *o, const char *place, const char *file, struct err *e)
{
    if (store_is_server(file))
        return err_set(e, ERR_USAGE, "db: import wants a file");
    int is = bundle_is_file(file, e);
    if (is)
        return is < 0 ? -1 : bundle_import_file(o, place, file, e);
    if (o->key)
        return err_set(e, ERR_USAGE, "%s: is no bundle: it has no signature that --key could check", file);
    if (!store_is_server(place) && file_is_same(file, place))
        return err_set(e, ERR_USAGE, "%s: is the database itself", file);
    CLEANUP(store_freep) struct store *from = store_open(file, STORE_READ, e);
    CLEANUP(store_freep) struct store *to = from ? store_open(place, STORE_WRITE, e) : NULL;
    struct watch_options beside = { .what = "db import", .shows = watch_can_show() };
    if (!to)
        return -1;
    watch_block(&beside.before);
    CLEANUP(watch_freep) struct watch *watch = watch_start(&beside, e);
    return watch ? copy(from, to, watch, e) : -1;
}

int db_backup(const struct db_options *o, const char *place, const char *file, struct err *e)
{
    CLEANUP(new_file_done) struct new_file f = { 0 };
    CLEANUP(store_freep) struct store *s = store_open(place, STORE_READ, e);
    if (!s || new_file_begin(&f, file, place, o->force, e) < 0 || store_backup(s, f.temp, e) < 0)
        return -1;
    return new_file_commit(&f, e);
}
