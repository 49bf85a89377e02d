/*
 * scan_data.h - the data that a scan needs: fetched when there is none of it, told when it is old.
 *
 * Auto       only when no feed that covers the image's distribution was ever loaded, and none of them was tried within the last hour: those feeds,
 *            and what tells severities. Always: those feeds and these, each time. A failure is a warning: the report then says
 *            what is not covered.
 * Source     design.md 9 "Not covered is not clean".
 */
#pragma once
#include "match/match.h"

struct watch;
enum scan_update { SCAN_UPDATE_AUTO, SCAN_UPDATE_ALWAYS, SCAN_UPDATE_NEVER };

struct scan_data {
    enum scan_update update;
    const char *mirror; /* update_options.mirror */
    int64_t max_age_s;  /* 0: any */
    bool quiet, verbose;
    struct watch *watch; /* NULL: none */
};

const char *scan_update_words(size_t i); /* auto, always, never: see option.words */
/* `update`: one of them; NULL: auto. `max_age`: NULL for a week. */
int scan_data_read(const char *update, const char *max_age, struct scan_data *ret, struct err *e);

struct cage; /* with feed_task */
void scan_data_load(const struct scan_data *d, struct store *store, struct cage *cage,
                    const struct image_index *image);
/* A warning in the report for each feed that is older. */
int scan_data_warn(const struct scan_data *d, struct arena *arena, struct report *report, struct err *e);
