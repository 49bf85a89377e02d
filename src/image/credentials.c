#include "image/credentials.h"
#include "base/buf.h"
#include "base/cleanup.h"

#include <errno.h>

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static str hub_or(str host)
{
    return str_eq(host, STR("docker.io")) ? STR("https://index.docker.io/v1/") : host;
}

/* The order of Docker's client: a helper of the registry, the helper of all, what stands in the file. */
static int from_entry(const struct credentials_entry *x, str host, struct arena *arena,
                      struct credentials *ret, struct err *e)
{
    if (x->helper.len)
        return credentials_ask(x->helper, str_eq(host, STR("docker.io")) ? hub_or(host) : x->helper_key,
                               arena, ret, e);
    int found = x->store.len ? credentials_ask(x->store, hub_or(host), arena, ret, e) : 0;
    if (found)
        return found;
    *ret = x->given;
    return x->has;
}

struct search {
    str host, path;
    struct arena *arena;
    struct credentials *ret;
};

static int look_in(const struct search *s, str file, bool must, struct err *e)
{
    CLEANUP(buf_done) struct buf content = { .max = CREDENTIALS_FILE_MAX + (32 << 10) };
    struct credentials_entry entry;
    char *name = arena_cstr(s->arena, file);
    struct err none = { 0 };
    if (!name)
        return err_set(e, ERR_OOM, "credentials");
    if (buf_read_file(&content, name, &none) < 0) {
        if (none.kind == ERR_NOT_FOUND && !must)
            return 0;
        *e = none;
        return -1;
    }
    /* Podman takes an empty file for one that says nothing */
    if (!str_trim(buf_view(&content)).len)
        return 0;
    int found = credentials_read(buf_view(&content), s->host, s->path, s->arena, &entry, e);
    if (found == 0)
        found = from_entry(&entry, s->host, s->arena, s->ret, e);
    if (found < 0)
        return err_wrap(e, "%s", name);
    if (found && !s->ret->from.len)
        s->ret->from = str_from(name);
    return found;
}

static int from_environment(const struct search *s, struct err *e)
{
    const char *user = variable("ECLAIR_REGISTRY_USER"), *password = variable("ECLAIR_REGISTRY_PASSWORD");
    if (!user && !password)
        return 0;
    if (!user || !password)
        return err_set(e, ERR_USAGE, "of ECLAIR_REGISTRY_USER and ECLAIR_REGISTRY_PASSWORD only one is set");
    s->ret->user = arena_dup(s->arena, str_from(user));
    s->ret->password = arena_dup(s->arena, str_from(password));
    s->ret->from = STR("ECLAIR_REGISTRY_USER");
    return arena_failed(s->arena) ? err_set(e, ERR_OOM, "credentials") : 1;
}

/* Relative to the folder that a variable names, or to another one below HOME. */
static int look_below(const struct search *s, const char *name, const char *file, const char *at_home,
                      struct err *e)
{
    const char *folder = variable(name), *home = variable("HOME");
    if (folder)
        return look_in(s, arena_printf(s->arena, "%s/%s", folder, file), false, e);
    if (!at_home || !home)
        return 0;
    return look_in(s, arena_printf(s->arena, "%s/%s/%s", home, at_home, file), false, e);
}

int credentials_find(str host, str path, bool own, struct arena *arena, struct credentials *ret,
                     struct err *e)
{
    *ret = (struct credentials){ 0 };
    const struct search s = { host, path, arena, ret };
    const char *named = variable("REGISTRY_AUTH_FILE");
    int found = own ? from_environment(&s, e) : 0;
    if (!found && named)
        found = look_in(&s, str_from(named), true, e);
    if (!found)
        found = look_below(&s, "DOCKER_CONFIG", "config.json", NULL, e);
    if (!found)
        found = look_below(&s, "XDG_RUNTIME_DIR", "containers/auth.json", NULL, e);
    if (!found)
        found = look_below(&s, "XDG_CONFIG_HOME", "containers/auth.json", ".config", e);
    if (!found && !variable("DOCKER_CONFIG"))
        found = look_below(&s, "DOCKER_CONFIG", "config.json", ".docker", e);
    return found;
}
