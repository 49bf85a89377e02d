/* update.c - feeds once: each source by itself, so that one that fails leaves the others alone. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "cage/cage.h"
#include "cmd/command.h"
#include "cmd/load.h"
#include "cmd/words.h"
#include "config/duration.h"
#include "feed/feed.h"
#include "feed/update.h"
#include "net/http.h"
#include "store/store.h"

#define TIDY_MS        2000
#define TIMEOUT_MS_MAX 3600000

struct update_command {
    const char *db, *mirror, *idle_timeout, *timeout;
    bool quiet, verbose, no_progress, accept_shrunk;
};

static const struct option options[] = {
    { "db", "WHERE", OPT_TEXT, offsetof(struct update_command, db), DATABASE_HELP },
    { "mirror", "DIR_OR_URL", OPT_TEXT, offsetof(struct update_command, mirror),
      "take every source from DIR_OR_URL/SOURCE instead of its own place" },
    { "accept-shrunk", NULL, OPT_FLAG, offsetof(struct update_command, accept_shrunk),
      "take a source too that says less than half of what it said" },
    { "idle-timeout", "DURATION", OPT_TEXT, offsetof(struct update_command, idle_timeout),
      "give up a try after so long without a byte [60s]" },
    { "timeout", "DURATION", OPT_TEXT, offsetof(struct update_command, timeout),
      "give up all of it after so long (30s, 10m) [never]; what was loaded by then stays" },
    { "quiet", NULL, OPT_FLAG, offsetof(struct update_command, quiet), "print nothing but errors" },
    { "verbose", NULL, OPT_FLAG, offsetof(struct update_command, verbose),
      "how long each source took, on standard error" },
    { "no-progress", NULL, OPT_FLAG, offsetof(struct update_command, no_progress),
      "no line that tells how far it is" },
    { 0 },
};
_Static_assert(sizeof(struct update_command) <= OPTIONS_SIZE_MAX, "options");

static const struct cage_task *const tasks[] = { &feed_task, NULL };

static void tell(const struct feed *f, const struct update_result *r)
{
    if (r->shrunk)
        warn("%s: it says less than half of what it said before, and was taken", f->name);
    switch (r->outcome) {
    case UPDATE_LOADED:
        printf("%s: %lld advisories new, %lld changed, %lld withdrawn, %lld as before\n", f->name,
               (long long)r->counts.added, (long long)r->counts.changed, (long long)r->counts.withdrawn,
               (long long)r->counts.unchanged);
        break;
    case UPDATE_UNCHANGED:
        printf("%s: nothing new\n", f->name);
        break;
    case UPDATE_NOT_MIRRORED:
        printf("%s: not mirrored\n", f->name);
        break;
    }
    fflush(stdout);
}

static bool wanted(const struct feed *f, char **args, int count)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(args[i], f->name))
            return true;
    return count == 0;
}

/* Where no server runs nobody else does; what is left waits for the next time. */
static void tidy(struct store *store)
{
    const struct tidy_options o = { .ms = TIDY_MS, .now = clock_now() };
    struct tidy_counts counts;
    struct err e = { 0 };
    if (store_tidy(store, &o, &counts, &e) < 0 && e.kind != ERR_BUSY)
        warn("%s", e.text);
}

static int read_idle_timeout(const struct update_command *o, unsigned *ret_ms, struct err *e)
{
    int64_t ns = 0;
    if (o->idle_timeout &&
        (!duration_parse(str_from(o->idle_timeout), &ns) || ns < 1000000 || ns / 1000000 > TIMEOUT_MS_MAX))
        return err_set(e, ERR_USAGE, "--idle-timeout: '%s' is no duration of 1ms to 1h", o->idle_timeout);
    *ret_ms = (unsigned)(ns / 1000000);
    return 0;
}

/* The exit code. */
static int load_one(const struct update_command *o, const struct feed *f, struct store *store,
                    struct cage *cage, const struct update_options *how, struct watch *watch)
{
    struct update_result result = { 0 };
    struct err failure = { 0 };
    int64_t since = clock_ms();
    int r = load_feed(store, cage, f, how, watch, &result, &failure);
    if (r < 0)
        complain(failure.text);
    else if (!o->quiet)
        tell(f, &result);
    if (o->verbose)
        tell_step(since, "%s: %u documents read", f->name, result.documents);
    return r < 0 ? err_exit_code(failure.kind) : 0;
}

static int load_all(const struct update_command *o, char **args, int count, const char *place,
                    struct cage *cage, const struct update_options *how, struct watch *watch, struct err *e)
{
    int code = 0;
    CLEANUP(store_freep) struct store *store = store_open(place, STORE_WRITE, e);
    if (!store)
        return -1;
    for (size_t i = 0; feeds[i]; i++) {
        int failed = wanted(feeds[i], args, count) ? load_one(o, feeds[i], store, cage, how, watch) : 0;
        code = failed ? failed : code;
    }
    if (!code) /* what kept a source from being written would only be told twice */
        tidy(store);
    return code;
}

static int run(const void *opts, char **args, int count, struct err *e)
{
    const struct update_command *o = opts;
    char place[4096];
    struct update_options how = { .mirror = o->mirror, .accept_shrunk = o->accept_shrunk };
    struct watch_options beside = { .shows = !o->quiet && !o->no_progress && watch_can_show(),
                                    .what = "update" };
    if (read_idle_timeout(o, &how.idle_ms, e) < 0 ||
        watch_read_timeout(o->timeout, &beside.timeout_ms, e) < 0 ||
        database_place(o->db, place, sizeof place, e) < 0)
        return -1;
    watch_block(&beside.before);
    CLEANUP(cage_freep) struct cage *cage = cage_new(tasks, NULL, e);
    CLEANUP(watch_freep) struct watch *watch = cage ? watch_start(&beside, e) : NULL;
    if (!watch || http_init(e) < 0)
        return -1;
    return load_all(o, args, count, place, cage, &how, watch, e);
}

static void list_sources(FILE *to)
{
    int width = 0;
    for (size_t i = 0; feeds[i]; i++) {
        int n = (int)strlen(feeds[i]->name);
        width = n > width ? n : width;
    }
    fputs("\nsources, and about how much a first load transfers:\n", to);
    for (size_t i = 0; feeds[i]; i++)
        fprintf(to, "  %-*s  %5u MB  %s\n", width, feeds[i]->name, feeds[i]->megabytes, feeds[i]->about);
}

const struct command command_update = {
    .name = "update",
    .arguments = "[SOURCE...]",
    .summary = "Brings the vulnerability data up to date",
    .details = "Without SOURCE all of those below. Only differences are written; a source that cannot be "
               "read, or is broken,\n"
               "changes nothing and leaves the others alone. Exit code 1 when one failed.",
    .more = list_sources,
    .options = options,
    .args_max = 64,
    .words = words_feeds,
    .words_all = true,
    .run = run,
};
