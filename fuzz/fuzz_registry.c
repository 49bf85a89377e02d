/* fuzz_registry.c - what registries say of who may come in, and files of credentials, and names. The first byte chooses; "host\npath\n" goes before a
 * file. */
#include "base/cleanup.h"
#include "image/credentials.h"
#include "image/reference.h"
#include "image/registry_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is a name is one when it is put together again. */
static void check_name(str text, struct arena *arena)
{
    struct err e = { 0 };
    struct reference r, again;
    int result = reference_parse(text, arena, &r, &e);
    if ((result < 0) != (e.kind != ERR_NONE))
        abort();
    if (result < 0)
        return;
    str name =
        arena_printf(arena, STR_FMT "/" STR_FMT "%s" STR_FMT "%s" STR_FMT, STR_ARG(r.host), STR_ARG(r.path),
                     r.tag.len ? ":" : "", STR_ARG(r.tag), r.digest.len ? "@" : "", STR_ARG(r.digest));
    if (reference_parse(name, arena, &again, &e) < 0 || !str_eq(r.host, again.host) ||
        !str_eq(r.path, again.path) || !str_eq(r.tag, again.tag) || !str_eq(r.digest, again.digest))
        abort();
    reference_is_local(r.host);
}

static void check_file(str text, struct arena *arena)
{
    struct err e = { 0 };
    struct credentials_entry x;
    str host = str_line(&text), path = str_line(&text);
    int result = credentials_read(text, host, path, arena, &x, &e);
    if ((result < 0) != (e.kind != ERR_NONE) || (result == 0 && x.has != (x.length > 0)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(64 << 20);
    struct challenge c = { 0 };
    str text = size ? str_of(data + 1, size - 1) : (str){ 0 };
    if (!size || !arena)
        return 0;
    switch (data[0] % 3) {
    case 0:
        check_name(text, arena);
        break;
    case 1:
        check_file(text, arena);
        break;
    case 2:
        if (challenge_parse(text, arena, &c) == 0 && c.realm.len > size)
            abort();
    }
    return 0;
}
