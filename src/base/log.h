/*
 * log.h - what a server tells its operator: one JSON object a line on standard output, in Clair's words (spec/server.md 5).
 *
 * Shape      {"Event":"...","Level":"info","Location":"file.c:12","Time":"2006-01-02 15:04:05.000000", fields...}, keys sorted by
 *            bytes. Only cmd/ and api/ log; everything below returns errors.
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

void log_set_level(
    enum log_level level); /* those above it are not written [LOG_INFO]; before the first thread */
bool log_level_parse(str name,
                     enum log_level *ret); /* Clair's names, any letter case: "PANIC", "WARN", ... */
void log_line(enum log_level level, const char *file, int line, const char *event,
              const struct log_field *fields, size_t count);

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
