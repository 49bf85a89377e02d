/* settings_notifier.h - the part of settings that tells notifications: section notifier into what notify/ takes. */
#pragma once
#include "base/arena.h"
#include "config/config.h"
#include "notify/notify.h"

#define NOTIFIER_NOTES 1 /* at most */

struct settings_notifier {
    str hmac, jwt_secret; /* of the file or the configuration */
    str *note;            /* empty, or what is odd */
};
/* Files that are named must be readable. An endpoint that is no URL is a note, and nobody is told (spec/server.md 2.1). */
int settings_notifier(const struct config *c, const struct settings_notifier *n, struct arena *arena,
                      struct notify_options *ret, struct err *e);
