#include "store/postgres.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>

#define PING_MS 5000

void postgres_give_up(struct postgres *p)
{
    PQfinish(p->conn); /* the socket does not block: neither does its farewell */
    p->conn = NULL;
}

int64_t postgres_limit_ms(const struct postgres *p)
{
    return p->patient ? -1 : p->pinging && p->response_ms > PING_MS ? PING_MS : p->response_ms;
}

static int left_ms(const struct postgres *p, int64_t since)
{
    int64_t limit = postgres_limit_ms(p), left = since + limit - clock_ms();
    return limit < 0 ? -1 : left > 0 ? (int)left : 0;
}

/* Which of `events` are there; -1: the connection is lost, or was given up. */
static int wait_for(struct postgres *p, short events)
{
    struct pollfd f = { .fd = PQsocket(p->conn), .events = events };
    int64_t since = clock_ms();
    if (f.fd < 0)
        return -1;
    int n;
    do {
        n = poll(&f, 1, left_ms(p, since));
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n > 0)
        return f.revents;
    p->silent = n == 0;
    postgres_give_up(p);
    return -1;
}

/* While much is sent the server may have something to say, and might not read on before it has (libpq, 34.4). */
static int flush(struct postgres *p)
{
    int r;
    while ((r = PQflush(p->conn)) > 0) {
        int ready = wait_for(p, POLLIN | POLLOUT);
        if (ready < 0 || ((ready & POLLIN) && !PQconsumeInput(p->conn)))
            return -1;
    }
    return r;
}

/* Reads twice: one call may leave the rest of a TLS record where poll() does not see it. */
static bool consume(PGconn *conn)
{
    return PQconsumeInput(conn) && (!PQisBusy(conn) || PQconsumeInput(conn));
}

/* NULL: there is no other, or nothing more will come. */
static PGresult *next_result(struct postgres *p)
{
    bool good = true;
    while (good && PQisBusy(p->conn)) {
        if (wait_for(p, POLLIN) < 0)
            break;
        good = consume(p->conn);
    }
    return PQgetResult(p->conn);
}

static PGresult *results(struct postgres *p, int sent)
{
    PGresult *ret = NULL;
    if (sent != 1)
        return NULL;
    flush(p); /* if it failed, the server's last words tell more */
    for (PGresult *r; (r = next_result(p));) {
        bool ends = PQresultStatus(r) == PGRES_COPY_IN || PQstatus(p->conn) != CONNECTION_OK;
        if (ret && PQresultStatus(ret) == PGRES_FATAL_ERROR) {
            PQclear(r);
        } else {
            PQclear(ret);
            ret = r;
        }
        if (ends)
            break;
    }
    if (!p->conn) {
        PQclear(ret);
        ret = NULL;
    }
    return ret;
}

PGresult *postgres_query(struct postgres *p, const char *sql)
{
    return results(p, PQsendQuery(p->conn, sql));
}

PGresult *postgres_query_with(struct postgres *p, const char *sql, const struct postgres_parameters *a)
{
    return results(p,
                   PQsendQueryParams(p->conn, sql, a->count, a->types, a->values, a->lengths, a->formats, 1));
}

PGresult *postgres_prepare(struct postgres *p, const char *name, const char *sql,
                           const struct postgres_parameters *a)
{
    return results(p, PQsendPrepare(p->conn, name, sql, a->count, a->types));
}

PGresult *postgres_run(struct postgres *p, const char *name, const struct postgres_parameters *a)
{
    return results(p, PQsendQueryPrepared(p->conn, name, a->count, a->values, a->lengths, a->formats, 1));
}

int postgres_copy_put(struct postgres *p, str bytes)
{
    return PQputCopyData(p->conn, bytes.ptr, (int)bytes.len) == 1 ? flush(p) : -1;
}

PGresult *postgres_copy_end(struct postgres *p, const char *problem)
{
    return results(p, PQputCopyEnd(p->conn, problem));
}

/* Health checks of load balancers have an end. */
int postgres_ping(struct store *store, struct err *e)
{
    struct postgres *p = (struct postgres *)store;
    p->pinging = true;
    int r = sql_ping(store, e);
    p->pinging = false;
    return r;
}

/* ---- being told ---- */

#define DEAF_MS 1000

static bool is_told(PGconn *conn)
{
    bool told = false;
    for (PGnotify *n; (n = PQnotifies(conn)); told = true)
        PQfreemem(n);
    return told;
}

/* A standby refuses; a lost connection is found by whoever asks next. */
static void start_listening(struct postgres *p)
{
    PGresult *r = postgres_query(p, "LISTEN eclair_generation");
    p->listening = PQresultStatus(r) == PGRES_COMMAND_OK;
    p->deaf = !p->listening;
    PQclear(r);
}

int postgres_doze(struct store *store, int timeout_ms, struct err *e)
{
    struct postgres *p = (struct postgres *)store;
    if (PQstatus(p->conn) != CONNECTION_OK && postgres_connect(p, e) < 0)
        return -1;
    if (!p->listening && !p->deaf) {
        start_listening(p);
        return 1; /* before that nobody told */
    }
    if (is_told(p->conn))
        return 1;
    struct pollfd f = { .fd = PQsocket(p->conn), .events = POLLIN };
    if (poll(&f, 1, p->deaf && timeout_ms > DEAF_MS ? DEAF_MS : timeout_ms) <= 0)
        return p->deaf;
    return !PQconsumeInput(p->conn) || is_told(p->conn);
}
