/*
 * log.h - what a server tells its operator: a line an event on standard output, in Clair's words (spec/server.md 5), or as text for people.
 *
 * Shape      {"Event":"...","Level":"info","Location":"file.c:12","Time":"2006-01-02 15:04:05.000000", fields...}, keys sorted by
 *            bytes. As text: "15:04:05.000 INFO  event  key=value". Only cmd/, api/ and keys/ log; everything below returns errors.
 * Secrets    are masked in every value (secret.h).
 * Threads    any; a line is written whole.
 */
#pragma once
#include "base/str.h"

enum log_level { LOG_FATAL, LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct log_field {
    const char *key; /* "layer"; NULL ends a list */
    str text;
    int64_t number;
    bool is_number;
};
#define LOG_TEXT(k, v)                                                                                       \
    {                                                                                                        \
        .key = (k), .text = (v)                                                                              \
    }
#define LOG_NUM(k, v)                                                                                        \
    {                                                                                                        \
        .key = (k), .number = (v), .is_number = true                                                         \
    }

enum log_form { LOG_JSON, LOG_PLAIN, LOG_COLOURED };

void log_set_level(enum log_level level); /* those above it are not written [LOG_INFO] */
void log_set_form(enum log_form form);    /* [LOG_JSON] */
bool log_level_parse(str name,
                     enum log_level *ret); /* Clair's names, any letter case: "PANIC", "WARN", ... */
void log_line(enum log_level level, const char *file, int line, const char *event,
              const struct log_field *fields, size_t count);
/* The last words of a server that does not start, as the old one's before it had a log: one line on standard error,
 * time="..." level=fatal msg="..." error="..." */
void log_fatal_text(const char *event, const char *error);

/* log_info("starting main API", LOG_NUM("port", 6060)) */
#define LOG(level, event, ...)                                                                               \
    do {                                                                                                     \
        const struct log_field log_fields[] = { { 0 }, ##__VA_ARGS__ };                                      \
        log_line(level, __FILE__, __LINE__, event, log_fields + 1,                                           \
                 sizeof log_fields / sizeof *log_fields - 1);                                                \
    } while (0)
#define log_error(event, ...)   LOG(LOG_ERROR, event, ##__VA_ARGS__)
#define log_warning(event, ...) LOG(LOG_WARNING, event, ##__VA_ARGS__)
#define log_info(event, ...)    LOG(LOG_INFO, event, ##__VA_ARGS__)
#define log_debug(event, ...)   LOG(LOG_DEBUG, event, ##__VA_ARGS__)
