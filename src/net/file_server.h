/*
 * file_server.h - serves ranges of open files under fixed paths over HTTP/1.1, and nothing else.
 *
 * Shape      GET of a row's path gives its bytes (application/x-tar, Content-Length) straight from the file; any other path is 404,
 *            any other method 405. Answers come from a thread of its own.
 * Units      bytes; a port of 0 is any free one.
 * Ownership  rows and their descriptors are the caller's and must outlive the server.
 * Limits     64 connections, 5 minutes without progress.
 * Errors     ERR_BUSY when the port is taken, else ERR_IO.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct file_range {
    str path; /* "/ID/layer.tar" */
    int fd;   /* of a regular file; its position is neither used nor moved */
    uint64_t offset, size;
};

struct file_server;
/* Listens on all addresses, IPv6 and IPv4. NULL on error. */
struct file_server *file_server_new(unsigned port, const struct file_range *rows, size_t count,
                                    struct err *e);
unsigned file_server_port(const struct file_server *s);
bool file_server_was_asked(struct file_server *s, str path); /* for that path, by anybody */
void file_server_freep(struct file_server **s); /* breaks off what is still being sent; NULL is fine */
