/* notify.c - notifications for people: which there are, what came of them, and whether the senders work. */
#include "cmd/notify.h"

#include "base/cleanup.h"
#include "cmd/command.h"
#include "cmd/words.h"
#include "net/http.h"
#include "store/store.h"

#include <sys/random.h>

static const struct option options[] = {
    { "config", "FILE", OPT_TEXT, offsetof(struct notify_command, serve.config), "as of serve", 'c' },
    { "db", "WHERE", OPT_TEXT, offsetof(struct notify_command, serve.db), "as of serve" },
    { "format", "NAME", OPT_TEXT, offsetof(struct notify_command, format), "table (default) or json",
      .words = words_table_json },
    { "all", NULL, OPT_FLAG, offsetof(struct notify_command, all), "of list: deleted ones, too" },
    { 0 },
};
_Static_assert(sizeof(struct notify_command) <= OPTIONS_SIZE_MAX, "options");

static int retry(const struct notify_command *o, struct settings *s, const char *name, struct err *e)
{
    (void)o;
    CLEANUP(store_freep) struct store *store = store_open(settings_view(s)->database, STORE_WRITE, e);
    int found = store ? store_notification_retry(store, str_from(name), e) : -1;
    if (found == 0)
        return err_set(e, ERR_NOT_FOUND,
                       "%s: no such notification, or a deleted one, or it is being told now", name);
    if (found > 0)
        printf("due now\n");
    return found < 0 ? -1 : 0;
}

/* ---- test ---- */

/* A random UUID: nobody has it. */
static int make_name(char ret[40], struct err *e)
{
    uint8_t r[16];
    if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r)
        return err_errno(e, "random bytes");
    r[6] = (uint8_t)((r[6] & 15) | 0x40);
    r[8] = (uint8_t)((r[8] & 63) | 0x80);
    size_t at = 0;
    for (size_t i = 0; i < sizeof r; i++)
        at += (size_t)snprintf(ret + at, 40 - at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                               r[i]);
    return 0;
}

static int test(const struct notify_command *o, struct settings *s, const char *none, struct err *e)
{
    const struct notify_options *n = &settings_view(s)->notify;
    const char *names[NOTIFY_SENDERS];
    char name[40];
    size_t count = notify_senders(n, names), failed = 0;
    (void)o, (void)none;
    if (!count)
        return err_set(e, ERR_USAGE, "nobody is told: there is no notifier.http.endpoint, amqp or stomp");
    if (make_name(name, e) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct err why = { 0 };
        bool ok = notify_send(n, names[i], str_from(name), &why) == 0;
        failed += !ok;
        if (ok)
            printf("%s: it was told of %s, which is not there\n", names[i], name);
        else
            complain(err_wrap(&why, "%s", names[i]) < 0 ? why.text : "");
    }
    return failed ? 1 : 0;
}

/* ---- the table ---- */

static const struct action {
    const char *name;
    int (*run)(const struct notify_command *o, struct settings *s, const char *name, struct err *e);
    bool wants_name, wants_database;
} actions[] = {
    { "list", notify_list, false, true },
    { "show", notify_show, true, true },
    { "retry", retry, true, true },
    { "test", test, false, false },
};

#define ACTIONS (sizeof actions / sizeof *actions)

static const char *action_words(size_t i) { return i < ACTIONS ? actions[i].name : NULL; }

static int run(const void *opts, char **args, int count, struct err *e)
{
    const struct notify_command *o = opts;
    const struct action *a = &actions[words_index(action_words, args[0])];
    if (count != 1 + a->wants_name)
        return err_set(e, ERR_USAGE, "notify: usage: eclair notify %s%s", a->name,
                       a->wants_name ? " NAME" : "");
    CLEANUP(settings_freep) struct settings *s = settings_load(&o->serve, e);
    if (!s)
        return -1;
    const char *place = settings_view(s)->database;
    if (a->wants_database && !store_is_server(place) && access(place, F_OK) < 0)
        return err_set(e, ERR_NOT_FOUND, "%s: no database yet (eclair update makes it)", place);
    return http_init(e) < 0 ? -1 : a->run(o, s, count > 1 ? args[1] : NULL, e);
}

const struct command command_notify = {
    .name = "notify",
    .arguments = "ACTION [NAME]",
    .summary = "Tells which notifications there are, and whether they arrive",
    .details = "Of the server whose configuration it reads. ACTION is one of\n"
               "  list           notifications that no client has deleted: told or waiting, tries that "
               "failed, when the next one is\n"
               "  show NAME      one of them, with the vulnerability before and after the change\n"
               "  retry NAME     makes it due now, whatever came of earlier tries\n"
               "  test           tells all senders of a notification that is not there; 1 if one could not",
    .options = options,
    .words = action_words,
    .own_config = true,
    .args_min = 1,
    .args_max = 2,
    .run = run,
};
