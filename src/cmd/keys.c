/* keys.c - keys of services for people: which there are, and which may be used. */
#include "cmd/keys.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "cmd/words.h"
#include "codec/json.h"

static const struct option options[] = {
    { "config", "FILE", OPT_TEXT, offsetof(struct keys_command, serve.config), "as of serve", 'c' },
    { "db", "WHERE", OPT_TEXT, offsetof(struct keys_command, serve.db), "as of serve" },
    { "service", "NAME", OPT_TEXT, offsetof(struct keys_command, service),
      "keys of this service alone; of generate: the key is stored for it, approved" },
    { "format", "NAME", OPT_TEXT, offsetof(struct keys_command, format), "of list: table (default) or json",
      .words = words_table_json },
    { "out", "FILE", OPT_TEXT, offsetof(struct keys_command, out),
      "where the private key goes, with mode 0600; without it to standard output" },
    { "force", NULL, OPT_FLAG, offsetof(struct keys_command, force), "replaces a file that is there" },
    { "jwk", NULL, OPT_FLAG, offsetof(struct keys_command, jwk), "the private key as JWK, not as PEM" },
    { "expires", "TIME", OPT_TEXT, offsetof(struct keys_command, expires),
      "for how long a new key is good (\"720h\"); without it for ever" },
    { "overlap", "TIME", OPT_TEXT, offsetof(struct keys_command, overlap),
      "of rotate: how long the old key stays good [1h]" },
    { 0 },
};
_Static_assert(sizeof(struct keys_command) <= OPTIONS_SIZE_MAX, "options");

const char *keys_state(const struct service_key *k, int64_t now)
{
    if (k->expires && k->expires <= now)
        return "expired";
    if (!k->approved)
        return "pending";
    return k->replaced_by.len ? "replaced" : "approved";
}

/* ---- list ---- */

static void put_time(struct json_writer *w, const char *key, int64_t t)
{
    char text[CLOCK_TEXT] = "";
    if (t)
        clock_format(t, text);
    json_w_text_or_null(w, key, str_from(text));
}

static void put_json(struct json_writer *w, const struct service_key *k, int64_t now)
{
    json_w_object(w);
    json_w_text(w, "kid", k->kid);
    json_w_text(w, "service", k->service);
    json_w_text(w, "state", str_from(keys_state(k, now)));
    put_time(w, "created", k->created);
    put_time(w, "approved", k->approved);
    put_time(w, "expires", k->expires);
    json_w_number(w, "rotation_s", k->rotation_s);
    json_w_text_or_null(w, "replaced_by", k->replaced_by);
    json_w_object_end(w);
}

/* Names come from whoever wrote to the registry. */
static void put_clean(struct buf *out, str s, int width)
{
    char copy[1024], clean[1024];
    snprintf(copy, sizeof copy, STR_FMT, STR_ARG(s));
    err_clean(clean, sizeof clean, copy);
    buf_printf(out, "%-*s  ", width, clean);
}

static void put_row(struct buf *out, const struct service_key *k, int64_t now)
{
    char created[CLOCK_TEXT], expires[CLOCK_TEXT] = "never";
    clock_format(k->created, created);
    if (k->expires)
        clock_format(k->expires, expires);
    put_clean(out, k->kid, 44);
    put_clean(out, k->service, 20);
    buf_printf(out, "%-8s  %-20s  %s\n", keys_state(k, now), created, expires);
}

int keys_list(const struct keys_command *o, struct store *store, const char *none, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(buf_done) struct buf out = { 0 };
    struct json_writer w = { .out = &out, .indent = 2 };
    struct service_key *list;
    size_t count;
    bool json = o->format && !strcmp(o->format, "json");
    int64_t now = clock_now();
    (void)none;
    if (!arena)
        return err_set(e, ERR_OOM, "out of memory");
    if (store_key_list(store, str_from(o->service), arena, &list, &count, e) < 0)
        return -1;
    if (json)
        json_w_array(&w);
    else
        buf_printf(&out, "%-44s  %-20s  %-8s  %-20s  %s\n", "KID", "SERVICE", "STATE", "CREATED", "EXPIRES");
    for (size_t i = 0; i < count; i++) {
        if (json)
            put_json(&w, &list[i], now);
        else
            put_row(&out, &list[i], now);
    }
    if (json) {
        json_w_array_end(&w);
        buf_char(&out, '\n');
    }
    return out.failed ? err_set(e, ERR_OOM, "out of memory") : output_write("", NULL, buf_view(&out), e);
}

/* ---- approve, revoke ---- */

int keys_pick(const struct keys_command *o, struct store *store, const char *name,
              bool (*may)(const struct service_key *k, int64_t now), struct arena *arena,
              struct service_key *ret, struct err *e)
{
    struct service_key *list, *found = NULL;
    size_t count, fits = 0, exact = 0;
    int64_t now = clock_now();
    if (store_key_list(store, str_from(o->service), arena, &list, &count, e) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (!*name || !str_starts(list[i].kid, str_from(name)) || !may(&list[i], now))
            continue;
        bool same = str_eq(list[i].kid, str_from(name));
        if (same || !exact)
            found = &list[i];
        fits++;
        exact += same;
    }
    if (exact > 1 || (!exact && fits > 1))
        return err_set(e, ERR_NOT_FOUND, "%s: several keys %s (--service, or more of the id)", name,
                       exact ? "have that id" : "begin with that");
    if (!found)
        return err_set(e, ERR_NOT_FOUND, "%s: no key of that id for which that can be done", name);
    *ret = *found;
    return 0;
}

static bool is_pending(const struct service_key *k, int64_t now)
{
    return !strcmp(keys_state(k, now), "pending");
}
static bool is_alive(const struct service_key *k, int64_t now)
{
    return strcmp(keys_state(k, now), "expired") != 0;
}

static void tell(const char *what, const struct service_key *k)
{
    CLEANUP(buf_done) struct buf out = { 0 };
    put_clean(&out, k->kid, 0);
    out.len = out.len > 2 ? out.len - 2 : 0;
    buf_str(&out, STR(" of "));
    put_clean(&out, k->service, 0);
    printf("%s " STR_FMT "\n", what, STR_ARG(str_trim(buf_view(&out))));
}

int keys_approve(const struct keys_command *o, struct store *store, const char *name, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct service_key k;
    if (!arena)
        return err_set(e, ERR_OOM, "out of memory");
    if (keys_pick(o, store, name, is_pending, arena, &k, e) < 0)
        return -1;
    k.approved = clock_now();
    if (store_key_put(store, &k, e) < 0)
        return -1;
    tell("approved", &k);
    return 0;
}

/* One that was approved stays as an expired one for a while, so that readers learn why. */
int keys_revoke(const struct keys_command *o, struct store *store, const char *name, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct service_key k;
    if (!arena)
        return err_set(e, ERR_OOM, "out of memory");
    if (keys_pick(o, store, name, is_alive, arena, &k, e) < 0)
        return -1;
    bool pending = !k.approved;
    k.expires = clock_now();
    if ((pending ? store_key_delete(store, k.service, k.kid, e) : store_key_put(store, &k, e)) < 0)
        return -1;
    tell("revoked", &k);
    return 0;
}

/* ---- the table ---- */

static const struct action {
    const char *name;
    int (*run)(const struct keys_command *o, struct store *store, const char *name, struct err *e);
    bool wants_name;
    enum { OF_SERVICE, READS, WRITES } store; /* OF_SERVICE: with --service, and it may be new */
} actions[] = {
    { "generate", keys_generate, false, OF_SERVICE }, { "list", keys_list, false, READS },
    { "approve", keys_approve, true, WRITES },        { "revoke", keys_revoke, true, WRITES },
    { "rotate", keys_rotate, true, WRITES },
};

#define ACTIONS (sizeof actions / sizeof *actions)

static const char *action_words(size_t i) { return i < ACTIONS ? actions[i].name : NULL; }

static int run_with_store(const struct keys_command *o, const struct action *a, const char *name,
                          struct err *e)
{
    CLEANUP(settings_freep) struct settings *s = settings_load(&o->serve, e);
    if (!s)
        return -1;
    const char *place = settings_view(s)->database;
    if (a->store != OF_SERVICE && !store_is_server(place) && access(place, F_OK) < 0)
        return err_set(e, ERR_NOT_FOUND, "%s: no database yet", place);
    CLEANUP(store_freep)
    struct store *store = store_open(place, a->store == READS ? STORE_READ : STORE_WRITE, e);
    return store ? a->run(o, store, name, e) : -1;
}

static int run(const void *opts, char **args, int count, struct err *e)
{
    const struct keys_command *o = opts;
    const struct action *a = &actions[words_index(action_words, args[0])];
    if (count != 1 + a->wants_name)
        return err_set(e, ERR_USAGE, "keys: usage: eclair keys %s%s", a->name, a->wants_name ? " KID" : "");
    const char *name = count > 1 ? args[1] : NULL;
    return a->store == OF_SERVICE && !o->service ? a->run(o, NULL, name, e) : run_with_store(o, a, name, e);
}

const struct command command_keys = {
    .name = "keys",
    .arguments = "ACTION [KID]",
    .summary = "Makes keys of services, and says which of them may be used",
    .details =
        "Of the registry that `eclair serve` has with keys.registry. KID is a key id, or what it begins "
        "with. ACTION is one of\n"
        "  generate       a new key (RSA, 2048 bits, PKCS#1): its id first, then the private key\n"
        "  list           keys that were made, sent, approved or replaced\n"
        "  approve KID    one that a service has sent: compare its id with what the service says\n"
        "  revoke KID     ends a key; readers may keep one for as long as they were told, a day at most\n"
        "  rotate KID     a new key in place of that one, which stays good for --overlap",
    .options = options,
    .words = action_words,
    .own_config = true,
    .args_min = 1,
    .args_max = 2,
    .run = run,
};
