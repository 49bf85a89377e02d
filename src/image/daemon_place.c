/* daemon_place.c - where people have their daemons, by what Docker's and Podman's own clients read. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "image/daemon.h"

#include <errno.h>

#define PODMAN_API "1.40"            /* what every Podman since 2.0 has of Docker's */
#define FILE_MAX   ((size_t)1 << 20) /* of config.json and meta.json */

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static unsigned idle(void)
{
    uint64_t seconds;
    const char *text = variable("ECLAIR_DAEMON_TIMEOUT");
    return text && str_to_u64(str_from(text), &seconds) && seconds < 86400 ? (unsigned)seconds * 1000 : 0;
}

/* ---- Docker's contexts ---- */

/* The value of `wanted`, a path of keys with "/" between them, if it is a string or a boolean. */
static int find_value(struct json *j, str wanted, struct arena *arena, str *ret, struct err *e)
{
    enum json_type type;
    str key, text, first = str_cut(&wanted, '/');
    int more;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        bool hit = str_eq(key, first);
        if (hit && wanted.len) {
            if (find_value(j, wanted, arena, ret, e) < 0)
                return -1;
            continue;
        }
        if (json_next(j, &type, &text, e) < 0)
            return -1;
        if (hit && (type == JSON_STRING || type == JSON_TRUE))
            *ret = type == JSON_TRUE ? STR("true") : arena_dup(arena, text);
        else if (json_skip_rest(j, type, e) < 0)
            return -1;
    }
    return more;
}

static int value_of(str file, const char *wanted, struct arena *arena, str *ret, struct err *e)
{
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(file, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, e) : NULL;
    *ret = STR("");
    return j ? find_value(j, str_from(wanted), arena, ret, e) : -1;
}

/* 1 read, 0 there is no such file. */
static int read_file(const char *path, struct buf *to, struct err *e)
{
    struct err found = { 0 };
    if (buf_read_file(to, path, &found) == 0)
        return 1;
    if (found.kind == ERR_NOT_FOUND)
        return 0;
    *e = found;
    return -1;
}

static const char *docker_folder(struct arena *arena)
{
    const char *folder = variable("DOCKER_CONFIG"), *home = variable("HOME");
    return folder ? folder : home ? arena_printf(arena, "%s/.docker", home).ptr : NULL;
}

static int current_context(const char *folder, struct arena *arena, str *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf file = { .max = FILE_MAX };
    const char *named = variable("DOCKER_CONTEXT"), *path;
    *ret = str_from(named);
    if (named)
        return 0;
    path = arena_printf(arena, "%s/config.json", folder).ptr;
    int found = path ? read_file(path, &file, e) : err_set(e, ERR_OOM, "docker client");
    if (found <= 0)
        return found;
    return value_of(buf_view(&file), "currentContext", arena, ret, e) < 0 ? err_wrap(e, "%s", path) : 0;
}

static int read_context(const char *folder, str name, struct arena *arena, struct daemon_options *ret,
                        struct err *e)
{
    CLEANUP(buf_done) struct buf file = { .max = FILE_MAX };
    uint8_t raw[32];
    char hex[65];
    str host, skip;
    if (sha256_of(name.ptr, name.len, raw, e) < 0)
        return -1;
    hex_encode(raw, sizeof raw, hex);
    const char *path = arena_printf(arena, "%s/contexts/meta/%s/meta.json", folder, hex).ptr;
    const char *tls = arena_printf(arena, "%s/contexts/tls/%s/docker", folder, hex).ptr;
    if (!path || !tls)
        return err_set(e, ERR_OOM, "docker client");
    int found = read_file(path, &file, e);
    if (found < 0)
        return -1;
    if (!found)
        return err_set(e, ERR_USAGE, "there is no Docker context '" STR_FMT "' (%s)", STR_ARG(name), path);
    if (value_of(buf_view(&file), "Endpoints/docker/Host", arena, &host, e) < 0 ||
        value_of(buf_view(&file), "Endpoints/docker/SkipTLSVerify", arena, &skip, e) < 0)
        return err_wrap(e, "%s", path);
    ret->host = arena_cstr(arena, host);
    if (access(tls, F_OK) == 0) {
        ret->certificates = tls;
        ret->verify = !str_eq(skip, STR("true"));
    }
    return arena_failed(arena) ? err_set(e, ERR_OOM, "docker client") : 0;
}

int daemon_place_docker(struct arena *arena, struct daemon_options *ret, struct err *e)
{
    const char *folder = docker_folder(arena);
    str context = STR("");
    *ret = daemon_options_from_environment();
    ret->idle_ms = idle();
    if ((ret->host && *ret->host) || !folder)
        return 0;
    if (current_context(folder, arena, &context, e) < 0)
        return -1;
    if (!context.len || str_eq(context, STR("default")))
        return 0;
    return read_context(folder, context, arena, ret, e);
}

/* ---- Podman ---- */

int daemon_place_podman(struct arena *arena, struct daemon_options *ret, struct err *e)
{
    const char *run = variable("XDG_RUNTIME_DIR"), *host = variable("CONTAINER_HOST");
    const char *own = run ? arena_printf(arena, "unix://%s/podman/podman.sock", run).ptr : NULL;
    const char *usual = "unix:///run/podman/podman.sock";
    size_t scheme = strlen("unix://");
    *ret = (struct daemon_options){
        .engine = "Podman", .api_version = PODMAN_API, .ping = true, .idle_ms = idle()
    };
    ret->host = host                                     ? host
                : own && access(own + scheme, F_OK) == 0 ? own
                : access(usual + scheme, F_OK) == 0      ? usual
                                                         : NULL;
    if (arena_failed(arena))
        return err_set(e, ERR_OOM, "podman client");
    if (ret->host)
        return 0;
    return err_set(e, ERR_NOT_FOUND, "no socket at %s%s%s (systemctl --user start podman.socket)",
                   own ? own + scheme : "", own ? " or " : "", usual + scheme);
}
