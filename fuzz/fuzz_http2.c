/* What a client sends behind the preface of HTTP/2, to a server with routes of each kind: it answers or closes, and serves the next one. */
#include "net/grpc.h"
#include "net/server.h"

#include "base/cleanup.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static enum service route(void *ctx, struct request *r)
{
    (void)ctx;
    r->body_max = 4096;
    r->timeout_ms = grpc_timeout(r);
    return grpc_is(r) ? (str_starts(r->path, STR("/s")) ? SERVE_STREAM : SERVE_READ) : SERVE_NOW;
}

static void handle(void *ctx, struct request *r, struct response *ret)
{
    enum grpc_code code;
    const char *why;
    str message;
    (void)ctx;
    if (!r->http2 || !grpc_is(r)) {
        ret->status = 200;
        buf_str(&ret->body, r->target);
    } else if (grpc_message(r, &message, &code, &why) < 0) {
        grpc_fail(r, ret, code, str_from(why));
    } else {
        grpc_answer(r, ret, message);
    }
}

static bool message(void *ctx, struct request *r, enum stream_event event, str bytes, struct buf *out)
{
    static const char much[70000]; /* more than waits for a client that takes nothing */
    (void)ctx;
    if (event == STREAM_MESSAGE)
        grpc_frame(r, str_starts(bytes, STR("m")) ? str_of(much, sizeof much) : bytes, out);
    return event != STREAM_ENDED && !str_eq(bytes, STR("e"));
}

static struct server *serve(void)
{
    static const struct server_handler handler = { .route = route, .handle = handle, .message = message };
    const struct server_options o = { .address = "127.0.0.1:0", .idle_ms = 2000, .receive_ms = 2000 };
    struct err e = { 0 };
    signal(SIGPIPE, SIG_IGN);
    struct server *s = server_new(&o, &handler, &e);
    if (!s || server_start(s, &e) < 0)
        abort();
    return s;
}

static int dial(const struct server *s)
{
    const struct sockaddr_in at = { .sin_family = AF_INET,
                                    .sin_addr = { htonl(INADDR_LOOPBACK) },
                                    .sin_port = htons((uint16_t)server_port(s)) };
    const struct linger none = { 1, 0 };             /* thousands of them: none is to stay in TIME_WAIT */
    const struct timeval patience = { .tv_sec = 5 }; /* more than the server's limits */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof at) < 0)
        abort();
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    static struct server *s;
    char room[4096];
    ssize_t n;
    if (!s)
        s = serve();
    int fd = dial(s);
    if (send(fd, preface, sizeof preface - 1, MSG_NOSIGNAL) == (ssize_t)sizeof preface - 1)
        for (size_t at = 0; at < size && (n = send(fd, data + at, size - at, MSG_NOSIGNAL)) > 0;)
            at += (size_t)n;
    shutdown(fd, SHUT_WR);
    while ((n = recv(fd, room, sizeof room, 0)) > 0)
        ;
    close(fd);
    return 0;
}
