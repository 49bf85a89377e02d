#include "model/severity.h"

#include <strings.h>

static const char *const names[SEVERITIES] = {
    [SEVERITY_UNKNOWN] = "Unknown", [SEVERITY_NEGLIGIBLE] = "Negligible",
    [SEVERITY_LOW] = "Low",         [SEVERITY_MEDIUM] = "Medium",
    [SEVERITY_HIGH] = "High",       [SEVERITY_CRITICAL] = "Critical",
    [SEVERITY_DEFCON1] = "Defcon1",
};

const char *severity_name(enum severity s) { return names[(unsigned)s < SEVERITIES ? s : SEVERITY_UNKNOWN]; }

static bool same_word(str a, const char *b) { return a.len == strlen(b) && !strncasecmp(a.ptr, b, a.len); }

bool severity_parse(str name, enum severity *ret)
{
    for (unsigned s = 0; s < SEVERITIES; s++) {
        if (!same_word(name, names[s]))
            continue;
        *ret = (enum severity)s;
        return true;
    }
    return false;
}

enum severity severity_of_word(str word)
{
    static const struct {
        const char *word;
        enum severity severity;
    } words[] = {
        { "negligible", SEVERITY_NEGLIGIBLE },
        { "none", SEVERITY_NEGLIGIBLE },
        { "low", SEVERITY_LOW },
        { "moderate", SEVERITY_MEDIUM },
        { "medium", SEVERITY_MEDIUM },
        { "important", SEVERITY_HIGH },
        { "high", SEVERITY_HIGH },
        { "critical", SEVERITY_CRITICAL },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (same_word(word, words[i].word))
            return words[i].severity;
    return SEVERITY_UNKNOWN;
}
