/* maker.h - the thread that makes notifications of changes: notify.h's first half. */
#pragma once
#include "base/err.h"

struct maker;
/* `made` is called from the thread when there may be new ones. */
struct maker *maker_start(const char *database, void (*made)(void *ctx), void *ctx, struct err *e);
void maker_stop(struct maker **m); /* NULL is fine */
