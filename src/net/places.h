/*
 * places.h - to which hosts a request may go: rules of names, addresses and networks, and addresses to which none may.
 *
 * Rules      "host", "*.example.com" (what is below, not itself), "10.1.2.3", "10.0.0.0/8", "fd00::/8"; each with ":port" behind it,
 *            then an IPv6 one in brackets: "[fd00::/8]:443". Letter case is ignored.
 * Addresses  16 bytes, IPv4 as ::ffff:a.b.c.d, see places_plain(). Link-local ones and a cloud's metadata service (169.254.0.0/16,
 *            fe80::/10, fd00:ec2::254) are refused whatever the rules say. A rule that denies wins over one that allows.
 * Use        a name is asked about before it is resolved, its address when it is connected to (design.md 9): a name may lead anywhere.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#include <stdint.h>

struct place_rule {
    str name;    /* empty: a network */
    bool below;  /* what is below the name */
    bool itself; /* the name */
    uint8_t net[16];
    unsigned bits; /* of 128 */
    unsigned port; /* 0: any */
};

struct place_rules {
    const struct place_rule *rules;
    size_t count;
};

struct places {
    struct place_rules allow; /* none: all */
    struct place_rules deny;
};

enum place_verdict { PLACE_REFUSED, PLACE_BY_ADDRESS, PLACE_ALLOWED };

/* ERR_USAGE: a text is no rule. The rules live in the arena and refer to the texts. */
int places_read(const str *texts, size_t count, struct arena *arena, struct place_rules *ret, struct err *e);
bool places_have_name(const struct place_rules *r, str host, unsigned port);
bool places_have_address(const struct place_rules *r, const uint8_t address[16], unsigned port);

/* "10.1.2.3", "::1", "[fe80::1%eth0]"; false: none. */
bool places_address_of(str text, uint8_t ret[16]);
/* Where a connection to it ends: NAT64 is undone, and the unspecified address is this machine. */
void places_plain(uint8_t address[16]);
bool places_link_local(const uint8_t plain[16]);

/* PLACE_BY_ADDRESS: only if one of the name's addresses is allowed as such. */
enum place_verdict places_name(const struct places *p, str host, unsigned port);
bool places_address(const struct places *p, const uint8_t plain[16], unsigned port, bool name_allowed);
