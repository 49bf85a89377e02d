/* listen_socket.h - listening sockets of one address: "host:port", ":port", "unix:PATH". */
#pragma once
#include "base/err.h"

#define LISTENERS 8

struct sockets {
    const char *address;  /* borrowed */
    unsigned permissions; /* of a Unix socket */
    int fds[LISTENERS], count;
    unsigned port; /* 0 of a Unix socket */
    char *path;    /* of a Unix socket, else NULL */
};
/* "listen tcp :6060: bind: address already in use". What was opened before it failed is left to sockets_close(). */
int sockets_open(struct sockets *s, struct err *e);
void sockets_close(struct sockets *s); /* a Unix socket's path goes too */
