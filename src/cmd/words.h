/* words.h - what values of several commands may be: see option.words. */
#pragma once
#include "cmd/command.h"

/* The i-th of a fixed list. */
#define WORD_OF(list, i) ((i) < sizeof(list) / sizeof *(list) ? (list)[i] : NULL)

words_of words_severities, words_table_json, words_feeds, words_log_levels, words_schemes;
words_of words_colour; /* auto, always, never */

/* Which of them it is, compared as it is; the last when none: options.c has refused that already. */
size_t words_index(words_of *words, const char *word);
