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
    const char *db, *mirror, *timeout;
    bool quiet, accept_shrunk;
};

static const struct option options[] = {
    { "db", "WHERE", OPT_TEXT, offsetof(struct update_command, db), DATABASE_HELP },
    { "mirror", "DIR_OR_URL", OPT_TEXT, offsetof(struct update_command, mirror),
      "take every source from DIR_OR_URL/SOURCE instead of its own place" },
    { "accept-shrunk", NULL, OPT_FLAG, offsetof(struct update_command, accept_shrunk),
      "take a source too that says less than half of what it said" },
    { "timeout", "DURATION", OPT_TEXT, offsetof(struct update_command, timeout),
      "give up a try after so long without a byte (default 60s)" },
    { "quiet", NULL, OPT_FLAG, offsetof(struct update_command, quiet), "print nothing but errors" },
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

static int check_names(char **args, int count, struct err *e)
{
    for (int i = 0; i < count; i++)
        if (!feed_by_name(str_from(args[i])))
            return err_set(e, ERR_USAGE, "update: unknown source '%s' (eclair feed list names them)",
                           args[i]);
    return 0;
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

static int read_timeout(const struct update_command *o, unsigned *ret_ms, struct err *e)
{
    int64_t ns = 0;
    if (o->timeout &&
        (!duration_parse(str_from(o->timeout), &ns) || ns < 1000000 || ns / 1000000 > TIMEOUT_MS_MAX))
        return err_set(e, ERR_USAGE, "--timeout: '%s' is no duration of 1ms to 1h", o->timeout);
    *ret_ms = (unsigned)(ns / 1000000);
    return 0;
}

static int run(const void *opts, char **args, int count, struct err *e)
{
    const struct update_command *o = opts;
    char place[4096];
    int code = 0;
    struct update_options how = { .mirror = o->mirror, .accept_shrunk = o->accept_shrunk };
    bool shows = !o->quiet && isatty(STDERR_FILENO);
    if (check_names(args, count, e) < 0 || read_timeout(o, &how.idle_ms, e) < 0 ||
        database_place(o->db, place, sizeof place, e) < 0)
        return -1;
    CLEANUP(cage_freep) struct cage *cage = cage_new(tasks, NULL, e);
    if (cage && http_init(e) < 0)
        return -1;
    CLEANUP(store_freep) struct store *store = cage ? store_open(place, STORE_WRITE, e) : NULL;
    if (!store)
        return -1;
    for (size_t i = 0; feeds[i]; i++) {
        struct update_result result = { 0 };
        struct err failure = { 0 };
        if (!wanted(feeds[i], args, count))
            continue;
        if (load_feed(store, cage, feeds[i], &how, shows, &result, &failure) < 0) {
            fprintf(stderr, "eclair: %s\n", failure.text);
            code = err_exit_code(failure.kind);
        } else if (!o->quiet) {
            tell(feeds[i], &result);
        }
    }
    if (!code) /* what kept a source from being written would only be told twice */
        tidy(store);
    return code;
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
