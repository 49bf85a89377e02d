/*
 * notify.h - turns what changed into notifications, within a second or two of each new generation, in a thread of its own. Several servers on
 *            one database may do so: of each change one makes it (store_notifications_make()). A database that is away is tried again.
 */
#pragma once
#include "base/err.h"

struct notify;
struct notify *notify_start(const char *database, struct err *e); /* copies the text */
void notify_stop(struct notify **n);                              /* NULL is fine */
