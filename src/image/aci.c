#include "image/aci.h"

#include "base/cleanup.h"
#include "codec/json.h"

#define LABELS_MAX 1024

static int keep(struct json *j, struct arena *arena, str *ret, struct err *e)
{
    str s;
    if (json_string(j, &s, e) < 0)
        return -1;
    *ret = arena_dup(arena, s);
    return arena_failed(arena) ? err_set(e, ERR_OOM, "manifest") : 0;
}

/* {"name": "os", "value": "linux"}; the object was entered. */
static int label(struct json *j, struct arena *arena, struct aci *ret, struct err *e)
{
    str key, name = { 0 }, value = { 0 };
    int more;
    while ((more = json_key(j, &key, e)) > 0)
        if ((str_eq(key, STR("name"))    ? keep(j, arena, &name, e)
             : str_eq(key, STR("value")) ? keep(j, arena, &value, e)
                                         : json_skip(j, e)) < 0)
            return -1;
    if (str_eq(name, STR("os")))
        ret->os = value;
    else if (str_eq(name, STR("arch")))
        ret->architecture = value;
    else if (str_eq(name, STR("version")))
        ret->version = value;
    return more;
}

/* A list of objects: labels are read, of others only the number counts. */
static int list(struct json *j, struct arena *arena, struct aci *ret, bool labels, struct err *e)
{
    enum json_type type;
    str text;
    int more = json_enter_or_null(j, JSON_ARRAY, e);
    if (more <= 0)
        return more;
    for (size_t n = 0; (more = json_element(j, &type, &text, e)) > 0; n++) {
        if (type != JSON_OBJECT)
            return err_set(e, ERR_FORMAT, "byte %llu: not an object", (unsigned long long)json_offset(j));
        if (n >= LABELS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d labels or dependencies", LABELS_MAX);
        if ((labels ? label(j, arena, ret, e) : json_skip_rest(j, type, e)) < 0)
            return -1;
        ret->dependencies += !labels;
    }
    return more;
}

static int members(struct json *j, struct arena *arena, struct aci *ret, str *kind, struct err *e)
{
    str key;
    int more;
    if (json_enter(j, JSON_OBJECT, e) < 0)
        return -1;
    while ((more = json_key(j, &key, e)) > 0) {
        int r = str_eq(key, STR("acKind"))         ? keep(j, arena, kind, e)
                : str_eq(key, STR("name"))         ? keep(j, arena, &ret->name, e)
                : str_eq(key, STR("labels"))       ? list(j, arena, ret, true, e)
                : str_eq(key, STR("dependencies")) ? list(j, arena, ret, false, e)
                                                   : json_skip(j, e);
        if (r < 0)
            return -1;
    }
    return more < 0 ? -1 : json_finish(j, e);
}

int aci_read(str content, struct arena *arena, struct aci *ret, struct err *e)
{
    str kind = { 0 };
    *ret = (struct aci){ 0 };
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(content, e);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, NULL, e) : NULL;
    if (!j || members(j, arena, ret, &kind, e) < 0)
        return err_wrap(e, "manifest");
    if (!str_eq(kind, STR("ImageManifest")))
        return err_set(e, ERR_FORMAT, "manifest: acKind is '" STR_FMT "', not ImageManifest", STR_ARG(kind));
    return ret->name.len ? 0 : err_set(e, ERR_FORMAT, "manifest: no name");
}
