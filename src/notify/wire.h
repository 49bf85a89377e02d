/*
 * wire.h - a TCP connection, in TLS or not, each call with an end in time.
 *
 * Units      milliseconds of clock_ms() for ends.
 * Errors     ERR_NETWORK "connect: ...", ERR_BUSY when the time is up, ERR_DENIED a certificate that is not believed, ERR_IO a PEM file.
 */
#pragma once
#include "notify/notify.h"

struct wire;
/* place: "host:port", "[::1]:port". */
struct wire *wire_open(const char *place, const struct notify_tls *tls, int64_t end_ms, struct err *e);
int wire_write(struct wire *w, str bytes, int64_t end_ms, struct err *e);
/* At least one byte, at most `room`: their number; -1, also at the end of the connection. */
ptrdiff_t wire_read(struct wire *w, void *to, size_t room, int64_t end_ms, struct err *e);
void wire_freep(struct wire **w); /* NULL is fine */
/* "host", of a place: in brackets or not. The rest: the port. false: it is none. */
bool wire_split(const char *place, char host[256], char port[8]);
