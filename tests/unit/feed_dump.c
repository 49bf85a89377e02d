/*
 * feed_dump DATABASE FEED: what the database has of a feed, a line for each affected range, fields separated by tabs, for tests that hold it
 * against their own reading:
 *
 *     key id aliases namespace package source|binary introduced end negative arch module cpe severity state
 *
 * aliases: separated by commas. An advisory without ranges: key id aliases severity scores epss percentile kev-added kev-due cpes.
 */
#include "base/cleanup.h"
#include "store/store.h"

#include <stdio.h>

#define PAGE 1000

static void put(str s)
{
    putchar('\t');
    for (size_t i = 0; i < s.len; i++)
        putchar(s.ptr[i] == '\t' || s.ptr[i] == '\n' ? ' ' : s.ptr[i]);
}

static void put_list(const str *list, size_t count)
{
    putchar('\t');
    for (size_t i = 0; i < count; i++)
        printf("%s" STR_FMT, i ? "," : "", STR_ARG(list[i]));
}

static void put_head(const struct advisory *a)
{
    printf(STR_FMT, STR_ARG(a->key));
    put(a->id);
    put_list(a->meta.aliases, a->meta.alias_count);
}

static void put_metadata(const struct metadata *m)
{
    printf("\t%s\t", m->has_severity ? severity_name(m->severity) : "");
    for (size_t i = 0; i < m->score_count; i++)
        printf("%s" STR_FMT ":%u:" STR_FMT, i ? "," : "", STR_ARG(m->scores[i].version), m->scores[i].base,
               STR_ARG(m->scores[i].vector));
    if (m->has_epss)
        printf("\t%u\t%u", m->epss, m->epss_percentile);
    else
        printf("\t\t");
    put(m->kev.added);
    put(m->kev.due);
    put_list(m->cpes, m->cpe_count);
    putchar('\n');
}

static void put_range(const struct affected_range *r)
{
    put(r->namespace);
    put(r->package);
    printf("\t%s", r->kind == AFFECTS_SOURCE ? "source" : "binary");
    put(r->introduced);
    char room[RANGE_END_ROOM];
    put(range_end(r, room));
    printf("\t%d", r->negative);
    put(r->arch);
    put(r->module);
    put(r->cpe);
    printf("\t%s\t%s\n", r->negative ? "" : severity_name(r->severity),
           r->negative ? "" : fix_state_name(r->state));
}

int main(int argc, char **argv)
{
    struct err e = { 0 };
    CLEANUP(store_freep) struct store *s = argc == 3 ? store_open(argv[1], STORE_WRITE, &e) : NULL;
    int64_t after = 0;
    for (size_t count = PAGE; s && count == PAGE && !e.kind;) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(0);
        struct stored_entry *list;
        if (!arena || store_advisories_after(s, str_from(argv[2]), after, PAGE, arena, &list, &count, &e) < 0)
            break;
        for (size_t i = 0; i < count; i++) {
            const struct advisory *a = &list[i].advisory;
            after = list[i].id;
            for (size_t k = 0; k < a->range_count; k++) {
                put_head(a);
                put_range(&a->ranges[k]);
            }
            if (!a->range_count) {
                put_head(a);
                put_metadata(&a->meta);
            }
        }
    }
    if (!s || e.kind)
        fprintf(stderr, "feed_dump: %s\n", argc == 3 ? e.text : "DATABASE FEED");
    return !s || e.kind;
}
