/* duration.h - times as Go's time.ParseDuration reads them: "900s", "1h30m", "1.5h", "250ms". */
#pragma once
#include "base/str.h"

bool duration_parse(str s, int64_t *ret_ns); /* nanoseconds; false: no duration, or one that does not fit */
