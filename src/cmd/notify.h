/* notify.h - what `eclair notify` was asked, and its actions that show something. */
#pragma once
#include "cmd/settings.h"

struct notify_command {
    struct serve_options serve;
    const char *format;
    bool all;
};

int notify_list(const struct notify_command *o, struct settings *s, const char *none, struct err *e);
int notify_show(const struct notify_command *o, struct settings *s, const char *name, struct err *e);
