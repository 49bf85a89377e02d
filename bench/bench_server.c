/* bench_server.c - bench_server BYTES: the HTTP server alone, on a free port that it prints; every request gets the same answer of that size. */
#include "base/cleanup.h"
#include "net/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum service route(void *ctx, struct request *r)
{
    (void)ctx, (void)r;
    return SERVE_NOW;
}

static void handle(void *ctx, struct request *r, struct response *ret)
{
    const str *body = ctx;
    (void)r;
    ret->status = 200;
    response_header(ret, "Content-Type", STR("application/json;charset=utf-8"));
    response_header(ret, "Server", STR("clair"));
    buf_reserve(&ret->body, body->len);
    buf_str(&ret->body, *body);
}

int main(int argc, char **argv)
{
    struct err e = { 0 };
    size_t size = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    char *bytes = size ? malloc(size) : NULL;
    if (!bytes) {
        fprintf(stderr, "usage: bench_server BYTES\n");
        return 2;
    }
    memset(bytes, 'x', size);
    str body = str_of(bytes, size);
    const struct server_options options = { .address = "127.0.0.1:0" };
    const struct server_handler handler = { .ctx = &body, .route = route, .handle = handle };
    CLEANUP(server_freep) struct server *s = server_new(&options, &handler, &e);
    if (!s || server_start(s, &e) < 0) {
        fprintf(stderr, "bench_server: %s\n", e.text);
        return 1;
    }
    printf("%u\n", server_port(s));
    fflush(stdout);
    while (getchar() != EOF)
        ;
    free(bytes);
    return 0;
}
