/*
 * grpc_peer.c - a server for clients of other makers (tests/server/test_grpc.py): it says back what it was asked.
 *
 * Use        grpc_peer IDLE_MS [CERTFILE KEYFILE CAFILE]; says its port on a line. On its input: "open" lets go what waits, "stop" stops it
 *            gracefully; it ends with its input.
 * Calls      /t/Echo; /t/Wait until "open"; /t/Fail "CODE TEXT" (a message that is a number and a text). Streams: /t/Chat says each message
 *            back, "bye" ends it with 9; /t/Watch says the first and goes on, /t/Tick the same and "tick" each second; /t/Much sends so many bytes as each message says.
 * HTTP       GET /now; GET /trailer with one.
 */
#include "base/cleanup.h"
#include "net/grpc.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open, stop, end;
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void set(bool *what)
{
    pthread_mutex_lock(&gate.lock);
    *what = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void say(const char *what)
{
    puts(what);
    fflush(stdout);
}

static void wait_for(const bool *what)
{
    pthread_mutex_lock(&gate.lock);
    while (!*what)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void *obey(void *ctx)
{
    char line[80];
    while (fgets(line, sizeof line, stdin))
        set(!strcmp(line, "open\n") ? &gate.open : &gate.stop);
    set(&gate.open);
    set(&gate.stop);
    set(&gate.end);
    return ctx;
}

static void stay(void)
{
    say("waits");
    wait_for(&gate.open);
    say("done");
}

static bool is(const struct request *r, const char *path) { return str_eq(r->path, str_from(path)); }

static enum service route(void *ctx, struct request *r)
{
    (void)ctx;
    if (!grpc_is(r))
        return SERVE_NOW;
    r->body_max = GRPC_MESSAGE_MAX + GRPC_PREFIX;
    r->timeout_ms = grpc_timeout(r);
    return is(r, "/t/Wait")                                                                ? SERVE_LONG
           : is(r, "/t/Echo") || is(r, "/t/Fail")                                          ? SERVE_READ
           : is(r, "/t/Chat") || is(r, "/t/Watch") || is(r, "/t/Tick") || is(r, "/t/Much") ? SERVE_STREAM
                                                                                           : SERVE_NOW;
}

static void handle_grpc(struct request *r, struct response *ret)
{
    enum grpc_code code;
    const char *why;
    uint64_t n;
    str message;
    if (is(r, "/t/Chat") || is(r, "/t/Watch") || is(r, "/t/Tick") || is(r, "/t/Much"))
        return grpc_end(r, ret, r->route ? GRPC_FAILED_PRECONDITION : GRPC_OK, str_from(r->route));
    if (!is(r, "/t/Wait") && !is(r, "/t/Echo") && !is(r, "/t/Fail"))
        return grpc_fail(r, ret, GRPC_UNIMPLEMENTED, STR("no such method"));
    if (is(r, "/t/Wait"))
        stay();
    if (grpc_message(r, &message, &code, &why) < 0)
        return grpc_fail(r, ret, code, str_from(why));
    str rest = message;
    if (is(r, "/t/Fail") && str_to_u64(str_cut(&rest, ' '), &n))
        return grpc_fail(r, ret, (enum grpc_code)n, rest);
    grpc_answer(r, ret, message);
}

static void handle(void *ctx, struct request *r, struct response *ret)
{
    (void)ctx;
    if (grpc_is(r))
        return handle_grpc(r, ret);
    ret->status = 200;
    response_header(ret, "Content-Type", STR("application/json"));
    if (is(r, "/trailer"))
        response_trailer(ret, "Grpc-Trailer-Content-Type", STR("application/grpc"));
    buf_str(&ret->body, STR("{}"));
}

static void timed_out(void *ctx, const struct request *r, struct response *ret)
{
    (void)ctx;
    grpc_fail(r, ret, GRPC_DEADLINE_EXCEEDED, STR(""));
}

static void answered(void *ctx, const struct request *r, unsigned status, int64_t elapsed_ns)
{
    (void)ctx, (void)elapsed_ns;
    printf("told " STR_FMT " %u\n", STR_ARG(r->path), status);
    fflush(stdout);
}

static bool talk(void *ctx, struct request *r, enum stream_event event, str text, struct buf *out)
{
    uint64_t n;
    (void)ctx;
    if (event == STREAM_ENDED)
        return !is(r, "/t/Chat") && !is(r, "/t/Much");
    if (event == STREAM_TICK)
        return !is(r, "/t/Tick") || grpc_frame(r, STR("tick"), out);
    if (str_eq(text, STR("bye"))) {
        r->route = "good bye";
        return false;
    }
    if (!is(r, "/t/Much") || !str_to_u64(text, &n) || n > 1 << 20)
        return grpc_frame(r, text, out);
    CLEANUP(freep) char *much = malloc(n + 1);
    if (!much)
        return false;
    memset(much, 'm', n);
    return grpc_frame(r, str_of(much, n), out);
}

int main(int argc, char **argv)
{
    const struct server_handler handler = { NULL, route, handle, timed_out, answered, talk };
    struct server_options o = { .address = "127.0.0.1:0" };
    struct err e = { 0 };
    pthread_t reader;
    signal(SIGPIPE, SIG_IGN);
    o.idle_ms = o.receive_ms = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    if (argc > 4)
        o.tls = (struct server_tls){ argv[2], argv[3], argv[4] };
    CLEANUP(server_freep) struct server *s = server_new(&o, &handler, &e);
    if (!s || server_start(s, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    printf("%u\n", server_port(s));
    fflush(stdout);
    if (pthread_create(&reader, NULL, obey, NULL))
        return 1;
    wait_for(&gate.stop);
    server_stop(s, -1);
    say("stopped");
    wait_for(&gate.end);
    pthread_join(reader, NULL);
    return 0;
}
