/* bench_report.c - bench_report DB IMAGE_DIGEST N: milliseconds of one report from a stored image, as JSON, N times. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "index/index.h"
#include "match/match.h"
#include "report/report.h"

#include <time.h>

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int once(struct store *s, const char *digest, struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    CLEANUP(buf_done) struct buf out = { 0 };
    struct image_index *image;
    struct report report;
    int64_t id;
    double start = now_ms();
    int found = arena ? store_image_find(s, str_from(digest), indexer_version(), arena, &image, &id, e) : -1;
    if (found <= 0)
        return found < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "%s: not stored", digest);
    if (match_image(s, image, clock_now(), arena, &report, e) < 0)
        return -1;
    report_json.write(&report, &(struct report_options){ 0 }, &out);
    printf("%.3f ms, %zu packages, %zu findings, %zu bytes\n", now_ms() - start, image->package_count,
           report.match.finding_count, out.len);
    return 0;
}

int main(int argc, char **argv)
{
    struct err e = { 0 };
    CLEANUP(store_freep) struct store *s = argc == 4 ? store_open(argv[1], STORE_WRITE, &e) : NULL;
    for (int i = 0; s && !e.kind && i < atoi(argv[3]); i++)
        once(s, argv[2], &e);
    if (!s || e.kind)
        fprintf(stderr, "bench_report: %s\n", e.kind ? e.text : "usage: bench_report DB IMAGE_DIGEST N");
    return !s || e.kind;
}
