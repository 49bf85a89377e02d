#include "cmd/words.h"

#include "feed/feed.h"
#include "model/severity.h"
#include "version/version.h"

#include <string.h>

size_t words_index(words_of *words, const char *word)
{
    size_t i = 0;
    while (words(i + 1) && strcmp(word, words(i)) != 0)
        i++;
    return i;
}

const char *words_severities(size_t i) { return i < SEVERITIES ? severity_name((enum severity)i) : NULL; }

const char *words_table_json(size_t i)
{
    static const char *const words[] = { "table", "json" };
    return WORD_OF(words, i);
}

const char *words_colour(size_t i)
{
    static const char *const words[] = { "auto", "always", "never" };
    return WORD_OF(words, i);
}

const char *words_feeds(size_t i) { return feeds[i] ? feeds[i]->name : NULL; }

const char *words_log_levels(size_t i)
{
    static const char *const words[] = { "panic", "fatal", "error", "warn", "info", "debug", "trace" };
    return WORD_OF(words, i);
}

const char *words_schemes(size_t i) { return version_schemes[i] ? version_schemes[i]->name : NULL; }
