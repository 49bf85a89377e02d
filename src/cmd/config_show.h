/* config_show.h - `eclair config show`: what variables and the configuration file say of options, and where. */
#pragma once
#include "base/err.h"

#include <stdbool.h>

int config_show(const char *command, bool json, struct err *e); /* NULL: all of them */
