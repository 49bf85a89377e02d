#include "model/severity.h"

#include <strings.h>

static const char *const names[SEVERITIES] = {
    [SEVERITY_UNKNOWN] = "Unknown", [SEVERITY_NEGLIGIBLE] = "Negligible",
    [SEVERITY_LOW] = "Low",         [SEVERITY_MEDIUM] = "Medium",
    [SEVERITY_HIGH] = "High",       [SEVERITY_CRITICAL] = "Critical",
    [SEVERITY_DEFCON1] = "Defcon1",
};

const char *severity_name(enum severity s) { return names[(unsigned)s < SEVERITIES ? s : SEVERITY_UNKNOWN]; }

bool severity_parse(str name, enum severity *ret)
{
    for (unsigned s = 0; s < SEVERITIES; s++) {
        if (name.len != strlen(names[s]) || strncasecmp(name.ptr, names[s], name.len))
            continue;
        *ret = (enum severity)s;
        return true;
    }
    return false;
}
