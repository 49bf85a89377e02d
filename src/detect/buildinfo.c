#include "detect/buildinfo.h"

#include "base/cleanup.h"

int buildinfo_json(str content, void *ctx,
                   int (*read)(void *ctx, struct json *j, struct detected *out, struct err *e),
                   struct detected *out, struct err *e)
{
    static const struct json_limits limits = { .max_depth = 16, .max_text = 64 << 10 };
    struct err odd = { 0 };
    if (content.len > BUILDINFO_MAX) {
        detected_note(out, "it has %zu bytes, more than %u, and was not read", content.len, BUILDINFO_MAX);
        return 0;
    }
    CLEANUP(stream_freep) struct stream *in = stream_from_mem(content, &odd);
    CLEANUP(json_freep) struct json *j = in ? json_new(in, &limits, &odd) : NULL;
    size_t facts = out->fact_count;
    if (j && read(ctx, j, out, &odd) == 0)
        return 1;
    if (odd.kind == ERR_OOM)
        return err_set(e, ERR_OOM, "%s", odd.text);
    out->fact_count = facts;
    detected_note(out, "%.200s", odd.text);
    return 0;
}

static const char *const labels[BUILDINFO_LABELS] = {
    "name",    "architecture", "org.opencontainers.image.created", "cpe", "com.redhat.component",
    "version", "release",
};

bool buildinfo_label_set(struct buildinfo_labels *l, str name, str value, struct detected *out)
{
    for (size_t i = 0; i < BUILDINFO_LABELS; i++)
        if (str_eq(name, str_from(labels[i])))
            l->value[i] = arena_dup(out->arena, value);
    return !arena_failed(out->arena);
}

bool buildinfo_labels_tell(const struct buildinfo_labels *l, struct detected *out)
{
    for (size_t i = 0; i < BUILDINFO_LABELS; i++)
        if (l->value[i].len &&
            !detected_fact(out, arena_printf(out->arena, "label:%s", labels[i]), l->value[i]))
            return false;
    return !arena_failed(out->arena);
}
