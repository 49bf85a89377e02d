/*
 * proxy.h - the proxy that the environment names for a host: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY in both letter cases, the
 *           small one first. As in Go's client, this machine is never asked for by way of a proxy, and NO_PROXY holds names (with all
 *           that is below them), addresses and networks, each perhaps with a port, or "*".
 */
#pragma once
#include "base/str.h"

/* NULL: none. The text belongs to the environment. */
const char *proxy_of(const char *scheme, str host, unsigned port);
