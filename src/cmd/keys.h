/* keys.h - what `eclair keys` was asked, and its actions. */
#pragma once
#include "cmd/settings.h"
#include "store/store.h"

struct keys_command {
    struct serve_options serve;
    const char *format, *service, *out, *expires, *overlap;
    bool jwk, force;
};

/* `store`: NULL where the action needs none. `name`: the key id, or what it begins with. */
int keys_list(const struct keys_command *o, struct store *store, const char *none, struct err *e);
int keys_approve(const struct keys_command *o, struct store *store, const char *name, struct err *e);
int keys_revoke(const struct keys_command *o, struct store *store, const char *name, struct err *e);
int keys_generate(const struct keys_command *o, struct store *store, const char *none, struct err *e);
int keys_rotate(const struct keys_command *o, struct store *store, const char *name, struct err *e);

/* Which state a key is in: one word. */
const char *keys_state(const struct service_key *k, int64_t now);
/* The one key of that id, or else that begins with it, for which `may` is true. ERR_NOT_FOUND, ERR_USAGE: there are several. */
int keys_pick(const struct keys_command *o, struct store *store, const char *name,
              bool (*may)(const struct service_key *k, int64_t now), struct arena *arena,
              struct service_key *ret, struct err *e);
