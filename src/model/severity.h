/* severity.h - the seven names of Clair 2, in their order (design.md 9). Stored as their number: never reorder. */
#pragma once
#include "base/str.h"

enum severity {
    SEVERITY_UNKNOWN,
    SEVERITY_NEGLIGIBLE,
    SEVERITY_LOW,
    SEVERITY_MEDIUM,
    SEVERITY_HIGH,
    SEVERITY_CRITICAL,
    SEVERITY_DEFCON1,
    SEVERITIES
};
const char *severity_name(enum severity s);        /* "Unknown", ... */
bool severity_parse(str name, enum severity *ret); /* any letter case */
/* What vendors call it ("Moderate", "important", "none"), in any letter case; Unknown for all other words (spec/feeds.md 3, 5, 9, 10). */
enum severity severity_of_word(str word);
