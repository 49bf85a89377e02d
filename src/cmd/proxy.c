/* proxy.c - the proxies alone: what `jwtproxy` was. */
#include "base/cleanup.h"
#include "base/log.h"
#include "cmd/command.h"
#include "cmd/proxies.h"
#include "cmd/service.h"
#include "net/http.h"
#include "net/trust.h"

#include <signal.h>

#define TRUST_LOOK_S 5

struct proxy_options {
    const char *config, *log_level;
};

static const struct option options[] = {
    { "config", "FILE", OPT_TEXT, offsetof(struct proxy_options, config),
      "the file with a section jwtproxy" },
    { "c", "FILE", OPT_TEXT, offsetof(struct proxy_options, config), NULL },
    { "log-level", "LEVEL", OPT_TEXT, offsetof(struct proxy_options, log_level),
      "panic, fatal, error, warning, info (default) or debug" },
    { "loglevel", "LEVEL", OPT_TEXT, offsetof(struct proxy_options, log_level), NULL },
    { 0 },
};
_Static_assert(sizeof(struct proxy_options) <= OPTIONS_SIZE_MAX, "options");

/* Until a signal: 0, or -1 when it wants the file read again. */
static int wait_for_signal(const sigset_t *set, struct trust *trust)
{
    const struct timespec look = { .tv_sec = TRUST_LOOK_S };
    for (;;) {
        int which = sigtimedwait(set, NULL, &look);
        if (trust_look(trust))
            log_info("authorities were read again", LOG_NUM("own", (int64_t)trust_count(trust)));
        if (which == SIGHUP)
            return -1;
        if (which == SIGTERM || which == SIGINT)
            return 0;
    }
}

/* What stays over all restarts. */
struct running {
    const struct proxy_options *o;
    const sigset_t *set;
    struct trust *trust;
    struct nonces *used;
};

static int load(const struct proxy_options *o, struct arena *arena, struct jwtproxy_file *ret, struct err *e)
{
    return jwtproxy_load(o->config && *o->config ? o->config : NULL, arena, ret, e);
}

/* The same text means the same proxies. */
static str describe(const struct jwtproxy_file *file, struct arena *arena)
{
    str proxies = file->proxy ? jwtproxy_describe(file->proxy, arena) : STR("");
    return arena_printf(arena, STR_FMT "\n" STR_FMT, STR_ARG(proxies), STR_ARG(file->database));
}

static struct proxies *start(const struct running *r, struct arena *arena, str *text, bool *bad,
                             struct err *e)
{
    struct jwtproxy_file file;
    *bad = load(r->o, arena, &file, e) < 0;
    if (*bad)
        return NULL;
    *text = describe(&file, arena);
    for (size_t i = 0; i < file.warning_count; i++)
        log_warning("configuration", LOG_TEXT("note", file.warnings[i]));
    const struct proxies_options with = { .config = file.proxy,
                                          .database =
                                              file.database.len ? arena_cstr(arena, file.database) : NULL,
                                          .used = r->used,
                                          .arena = arena };
    return proxies_start(&with, e);
}

static int fail(const char *what, const struct err *e)
{
    log_fatal_text(what, e->text);
    return 1;
}

/* The old file is gone on when the new one does not do, or says the same: so it is looked at before anything is stopped. */
static bool is_other(const struct proxy_options *o, str text)
{
    struct err e = { 0 };
    struct jwtproxy_file file;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    if (!arena || load(o, arena, &file, &e) < 0) {
        log_error("the configuration stays as it was", LOG_TEXT("error", str_from(e.text)));
        return false;
    }
    log_info("configuration read again");
    return !str_eq(describe(&file, arena), text);
}

/* 1 again, with the file as it is then; else the exit code is in *code. */
static int run_once(const struct running *r, int *code, struct err *e)
{
    bool bad;
    str text = STR("");
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    struct proxies *p = arena ? start(r, arena, &text, &bad, e) : NULL;
    int again = 0;
    if (!p && (!arena || bad)) {
        *code = fail("Failed to load configuration", e);
        return 0;
    }
    if (!p) { /* as of old: a supervisor starts it again */
        log_error("a proxy could not be started: all end", LOG_TEXT("error", str_from(e->text)));
        *code = 0;
        return 0;
    }
    *code = 0;
    if (!proxies_count(p)) {
        log_error("No proxy is enabled. Terminating.");
    } else {
        service_ready();
        do
            again = wait_for_signal(r->set, r->trust) < 0;
        while (again && !is_other(r->o, text));
        if (!again)
            log_info("Received stop signal. Stopping gracefully...");
    }
    proxies_stop(&p);
    return again;
}

static int run(const void *opts, char **args, int count, struct err *e)
{
    const struct proxy_options *o = opts;
    enum log_level level;
    sigset_t set;
    int code = 0;
    (void)args, (void)count;
    if (o->log_level) {
        if (!log_level_parse(str_from(o->log_level), &level))
            return err_set(e, ERR_USAGE, "--log-level: '%s' is no level", o->log_level);
        log_set_level(level);
    }
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    CLEANUP(trust_freep) struct trust *trust = trust_new(NULL, e);
    if (!trust || http_init(e) < 0)
        return -1;
    CLEANUP(nonces_freep) struct nonces *used = nonces_new(NULL, e);
    const struct running r = { .o = o, .set = &set, .trust = trust, .used = used };
    if (!used)
        return -1;
    while (run_once(&r, &code, e))
        ;
    service_stopping();
    return code;
}

const struct command command_proxy = {
    .name = "proxy",
    .arguments = "",
    .summary = "Runs the proxies of a file alone, as jwtproxy did: they verify what is signed, and sign",
    .details =
        "`eclair serve` runs them beside the API when its file has a section jwtproxy; this is for a machine "
        "without the server. SIGHUP lets it read its file again.",
    .options = options,
    .args_max = 0,
    .own_config = true,
    .go_flags = true,
    .run = run,
};
