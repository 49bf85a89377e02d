/*
 * secret.h - text for logs and screens without what nobody should read there: the one place that knows what a secret looks like.
 *
 * Masked     the password of a URL ("https://user:***@host/"), its query (it may be signed; a connection string's is not), values of password keywords
 *            ("password=***") and what follows "Bearer " and "Basic ".
 * Errors     none: the function is total, and what it does not know stays.
 */
#pragma once
#include "base/buf.h"

#define SECRET_MASK "***"

bool secret_suspected(str text); /* false: secret_mask() would copy it as it is */
void secret_mask(str text, struct buf *ret);
/* In a time that does not tell where they differ (only whether their lengths do). */
bool secret_equal(str a, str b);
