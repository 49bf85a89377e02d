/* Whom a connection comes from, how many there are, and what protocol it opens with. */
#include "net/server_internal.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define PREFACE "PRI * HTTP/2.0\r\n\r\n" /* RFC 9113 3.4; nothing of HTTP/1.1 begins so */

static void name_peer(struct conn *c, const struct sockaddr *addr)
{
    char text[INET6_ADDRSTRLEN] = "?";
    bool v4 = true;
    unsigned port = 0;
    if (addr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
        memcpy(c->host, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
        memcpy(c->host + 12, &in->sin_addr, 4);
        port = ntohs(in->sin_port);
    } else if (addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)addr;
        memcpy(c->host, &in->sin6_addr, 16);
        port = ntohs(in->sin6_port);
        v4 = IN6_IS_ADDR_V4MAPPED(&in->sin6_addr);
        c->loopback = IN6_IS_ADDR_LOOPBACK(&in->sin6_addr);
    }
    if (v4)
        c->loopback = c->host[12] == 127;
    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? c->host + 12 : c->host, text, sizeof text);
    snprintf(c->peer, sizeof c->peer, v4 ? "%s:%u" : "[%s]:%u", text, port);
    if (!v4)
        memset(c->host + 8, 0, 8);
}

/* The last eighth of the places is for others. server.lock is held. */
static bool has_its_share(const struct server *s, const struct conn *c)
{
    unsigned share = s->o.connections - s->o.connections / 8, count = 0;
    if (s->conn_count < share)
        return false;
    for (size_t i = 0; i < CONN_LISTS; i++)
        for (const struct conn *o = s->conns[i]; o; o = o->next)
            count += o->counted && !memcmp(o->host, c->host, sizeof c->host);
    return count >= share;
}

static void unlink_conn(struct conn *c)
{
    if (!c->self)
        return;
    *c->self = c->next;
    if (c->next)
        c->next->self = c->self;
}

static void link_conn(struct server *s, struct conn *c, enum conn_list to)
{
    c->next = s->conns[to];
    c->self = &s->conns[to];
    if (c->next)
        c->next->self = &c->next;
    s->conns[to] = c;
}

struct conn *conn_new(struct server *s, int fd, const struct sockaddr *addr)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->fd = fd;
    c->counted = true;
    c->cut_ms = INT64_MAX;
    name_peer(c, addr);
    pthread_mutex_lock(&s->lock);
    bool welcome = !has_its_share(s, c);
    if (welcome) {
        s->conn_count++;
        link_conn(s, c, CONN_HANDED);
    }
    pthread_mutex_unlock(&s->lock);
    if (welcome)
        return c;
    free(c);
    return NULL;
}

struct conn *conn_inner(struct server *s, int fd, const struct conn *outer)
{
    struct conn *c = malloc(sizeof *c);
    if (!c)
        return NULL;
    pthread_mutex_lock(&s->lock);
    *c = *outer;
    c->fd = fd;
    c->counted = false;
    link_conn(s, c, CONN_HANDED);
    pthread_mutex_unlock(&s->lock);
    return c;
}

void conn_move(struct server *s, struct conn *c, enum conn_list to)
{
    pthread_mutex_lock(&s->lock);
    unlink_conn(c);
    link_conn(s, c, to);
    pthread_mutex_unlock(&s->lock);
}

void conn_freep(struct server *s, struct conn **cp)
{
    struct conn *c = *cp;
    bool was_full = false;
    if (!c)
        return;
    pthread_mutex_lock(&s->lock);
    unlink_conn(c);
    if (c->counted)
        was_full = s->conn_count-- >= s->o.connections;
    pthread_mutex_unlock(&s->lock);
    free(c);
    *cp = NULL;
    if (was_full)
        server_wake(s);
}

enum opening conn_opening(int fd)
{
    char got[sizeof PREFACE - 1];
    ssize_t n = recv(fd, got, sizeof got, MSG_PEEK | MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? OPENING_UNCLEAR : OPENING_GONE;
    if (memcmp(got, PREFACE, (size_t)n))
        return OPENING_HTTP1;
    return (size_t)n == sizeof got ? OPENING_HTTP2 : OPENING_UNCLEAR;
}
