/* db.c - the database as such: what is in it, and what keeps it well. */
#include "cmd/db.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd/command.h"
#include "cmd/words.h"

#define UNUSED_DAYS 30
#define DAY_S       86400
#define DAYS_MAX    36500
#define PATIENCE_MS 30000 /* with another process that tidies up */

static const struct option options[] = {
    { "db", "WHERE", OPT_TEXT, offsetof(struct db_options, db), DATABASE_HELP },
    { "format", "NAME", OPT_TEXT, offsetof(struct db_options, format), "of status: table (default) or json",
      .words = words_table_json },
    { "unused", "DAYS", OPT_TEXT, offsetof(struct db_options, unused),
      "of vacuum: images without a name that nobody asked for in DAYS go [30]" },
    { "full", NULL, OPT_FLAG, offsetof(struct db_options, full), "of check: all postings, not only some" },
    { "force", NULL, OPT_FLAG, offsetof(struct db_options, force),
      "of export and backup: FILE may be there already; of import: a bundle may be older than what is here" },
    { "feeds", NULL, OPT_FLAG, offsetof(struct db_options, feeds),
      "of export: only what feeds say, as a bundle; so are the next two, and naming a SOURCE" },
    { "since", "BUNDLE", OPT_TEXT, offsetof(struct db_options, since),
      "of export: leave out sources that are as they were in that bundle" },
    { "key", "FILE", OPT_TEXT, offsetof(struct db_options, key),
      "PEM, Ed25519: of export the private key that signs, of import the public key that must have signed" },
    { "dry-run", NULL, OPT_FLAG, offsetof(struct db_options, dry_run),
      "of import-clair: say what would be imported, and write nothing" },
    { "vulnerabilities", "NAME", OPT_LIST, offsetof(struct db_options, vulnerabilities),
      "of import-clair: take all of namespace NAME (again and again), \"all\" or \"none\" [those that no "
      "updater "
      "of Clair's can have written]" },
    { 0 },
};
_Static_assert(sizeof(struct db_options) <= OPTIONS_SIZE_MAX, "options");

static int migrate(const struct db_options *o, const char *place, const char *file, struct err *e)
{
    struct store_counts n;
    (void)o, (void)file;
    CLEANUP(store_freep) struct store *s = store_open(place, STORE_WRITE, e);
    if (!s || store_count(s, &n, e) < 0)
        return -1;
    int64_t before = store_schema_before(s);
    if (!before)
        printf("made, schema %lld\n", (long long)n.schema);
    else if (before < n.schema)
        printf("migrated from schema %lld to %lld\n", (long long)before, (long long)n.schema);
    else
        printf("nothing to do: schema %lld\n", (long long)n.schema);
    return 0;
}

/* ---- vacuum ---- */

static int unused_seconds(const struct db_options *o, int64_t *ret, struct err *e)
{
    uint64_t days = UNUSED_DAYS;
    if (o->unused && (!str_to_u64(str_from(o->unused), &days) || days > DAYS_MAX))
        return err_set(e, ERR_USAGE, "--unused: '%s' is not a number of days from 0 to %d", o->unused,
                       DAYS_MAX);
    *ret = days ? (int64_t)days * DAY_S : 1; /* 0 would be the store's own choice */
    return 0;
}

static void add_counts(struct tidy_counts *to, const struct tidy_counts *n)
{
    to->steps += n->steps;
    to->advisories += n->advisories;
    to->changes += n->changes;
    to->images += n->images;
    to->layers += n->layers;
    to->sets += n->sets;
    to->packages += n->packages;
}

/* A server does it now and then for a moment. */
static int tidy_round(struct store *s, const struct tidy_options *how, struct tidy_counts *ret, struct err *e)
{
    int64_t until = clock_ms() + PATIENCE_MS;
    for (;;) {
        int more = store_tidy(s, how, ret, e);
        if (more >= 0 || e->kind != ERR_BUSY || clock_ms() > until)
            return more;
        *e = (struct err){ 0 };
        usleep(100000);
    }
}

/* What went may have been the last that needed something else: until a round finds nothing. */
static int tidy(struct store *s, int64_t unused_s, struct tidy_counts *ret, struct err *e)
{
    const struct tidy_options how = { .whole = true, .unused_s = unused_s, .now = clock_now() };
    for (int more = 1; more;) {
        struct tidy_counts n = { 0 };
        more = tidy_round(s, &how, &n, e);
        if (more < 0)
            return -1;
        add_counts(ret, &n);
        more = more || n.advisories + n.images + n.layers + n.sets + n.packages;
    }
    return 0;
}

static int vacuum(const struct db_options *o, const char *place, const char *file, struct err *e)
{
    (void)file;
    int64_t unused_s = 0, before, after;
    struct tidy_counts n = { 0 };
    if (unused_seconds(o, &unused_s, e) < 0)
        return -1;
    CLEANUP(store_freep) struct store *s = store_open(place, STORE_WRITE, e);
    if (!s || store_size(s, &before, e) < 0 || tidy(s, unused_s, &n, e) < 0 || store_compact(s, e) < 0 ||
        store_size(s, &after, e) < 0)
        return -1;
    printf("deleted: images %lld, layers %lld, package sets %lld, packages %lld; old advisories %lld, "
           "changes %lld\n",
           (long long)n.images, (long long)n.layers, (long long)n.sets, (long long)n.packages,
           (long long)n.advisories, (long long)n.changes);
    printf("merged in %lld steps; %lld bytes before, %lld now\n", (long long)n.steps, (long long)before,
           (long long)after);
    return 0;
}

/* ---- check ---- */

static void tell_problem(void *ctx, const char *text)
{
    int64_t *count = ctx;
    char clean[2048];
    err_clean(clean, sizeof clean, text);
    printf("%s\n", clean);
    ++*count;
}

static int check(const struct db_options *o, const char *place, const char *file, struct err *e)
{
    (void)file;
    int64_t problems = 0;
    CLEANUP(store_freep) struct store *s = store_open(place, STORE_READ, e);
    if (!s || store_check(s, o->full, tell_problem, &problems, e) < 0)
        return -1;
    if (!problems)
        printf("ok\n");
    return problems ? 1 : 0;
}

/* ---- the table ---- */

static const struct action {
    const char *name;
    int (*run)(const struct db_options *o, const char *place, const char *file, struct err *e);
    bool makes; /* a database that is not there */
    bool wants_file;
} actions[] = {
    { "status", db_status, false, false }, { "migrate", migrate, true, false },
    { "check", check, false, false },      { "vacuum", vacuum, false, false },
    { "export", db_export, false, true },  { "import", db_import, true, true },
    { "backup", db_backup, false, true },  { "import-clair", db_import_clair, true, true },
};
#define ACTIONS (sizeof actions / sizeof *actions)

static const char *action_words(size_t i) { return i < ACTIONS ? actions[i].name : NULL; }

static int run(const void *opts, char **args, int count, struct err *e)
{
    struct db_options with = *(const struct db_options *)opts, *o = &with;
    char place[4096];
    int64_t ignored;
    const struct action *a = &actions[words_index(action_words, args[0])];
    bool exports = a->run == db_export;
    if (count < 1 + a->wants_file || (count > 1 + a->wants_file && !exports))
        return err_set(e, ERR_USAGE, "db: usage: eclair db %s%s%s", a->name,
                       a->run == db_import_clair ? " SOURCE"
                       : a->wants_file           ? " FILE"
                                                 : "",
                       exports ? " [SOURCE...]" : "");
    o->sources = args + 2;
    o->source_count = count > 2 ? count - 2 : 0;
    if (unused_seconds(o, &ignored, e) < 0)
        return -1;
    if (database_place(o->db, place, sizeof place, e) < 0)
        return -1;
    if (!a->makes && !store_is_server(place) && access(place, F_OK) < 0)
        return err_set(e, ERR_NOT_FOUND, "%s: no database yet (eclair update makes it)", place);
    return a->run(o, place, count > 1 ? args[1] : NULL, e);
}

const struct command command_db = {
    .name = "db",
    .arguments = "ACTION [FILE [SOURCE...]]",
    .summary = "Tells what the database holds, and keeps it well",
    .details =
        "ACTION is one of\n"
        "  status         what it holds and how old it is\n"
        "  migrate        makes it, or brings it from an older schema to that of this program\n"
        "  check          holds it against itself while others use it: \"ok\", or a line for each fault "
        "and exit code 1\n"
        "  vacuum         deletes what nobody needs any more, and gives the space back\n"
        "  export FILE    all of it, from either engine, into a new SQLite database; with --feeds, or "
        "SOURCEs, a "
        "bundle\n"
        "                 of what these say, for machines without a network (docs/bundles.md)\n"
        "  import FILE    all that is in such a file, into either engine; feeds become what they are there\n"
        "  backup FILE    an exact copy of an SQLite database while others use it\n"
        "  import-clair SOURCE\n"
        "                 layers, what clients posted, and notifications of the Clair 2 whose PostgreSQL is "
        "at the\n"
        "                 connection string SOURCE; nothing is changed there, and it may be ours, too. Load "
        "feeds\n"
        "                 first. A layer keeps what Clair saw until it is posted again",
    .options = options,
    .args_min = 1,
    .words = action_words,
    .args_max = 66,
    .run = run,
};
