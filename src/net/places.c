#include "net/places.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>
#include <strings.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

bool places_address_of(str text, uint8_t ret[16])
{
    char plain[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    if (str_starts(text, STR("[")) && str_ends(text, STR("]")))
        text = str_head(str_skip(text, 1), text.len - 2);
    if (text.len >= sizeof plain || !text.len)
        return false;
    memcpy(plain, text.ptr, text.len);
    plain[text.len] = '\0';
    plain[strcspn(plain, "%")] = '\0'; /* a zone */
    memcpy(ret, mapped, 12);
    return inet_pton(AF_INET, plain, ret + 12) == 1 || inet_pton(AF_INET6, plain, ret) == 1;
}

void places_plain(uint8_t a[16])
{
    static const uint8_t nat64[12] = { 0, 0x64, 0xff, 0x9b }, nothing[16];
    static const uint8_t here4[4] = { 127, 0, 0, 1 };
    if (!memcmp(a, nat64, 12))
        memcpy(a, mapped, 12);
    if (!memcmp(a, mapped, 12) && !memcmp(a + 12, nothing, 4))
        memcpy(a + 12, here4, 4);
    if (!memcmp(a, nothing, 16))
        a[15] = 1;
}

bool places_link_local(const uint8_t a[16])
{
    static const uint8_t metadata[16] = { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54 };
    if (!memcmp(a, mapped, 12))
        return a[12] == 169 && a[13] == 254;
    return (a[0] == 0xfe && (a[1] & 0xc0) == 0x80) || !memcmp(a, metadata, 16);
}

/* ---- rules ---- */

/* "[::1]:80" and "host:80"; several ":" without brackets are an IPv6 address. */
static bool split_port(str *text, unsigned *port)
{
    uint64_t n;
    ptrdiff_t colon = str_rfind(*text, ':'), bracket = str_rfind(*text, ']');
    bool none = colon < 0 || (bracket < 0 && str_find(*text, ':') != colon) || colon < bracket;
    *port = 0;
    if (none)
        return true;
    if (!str_to_u64(str_skip(*text, (size_t)colon + 1), &n) || !n || n > 65535)
        return false;
    *port = (unsigned)n;
    *text = str_head(*text, (size_t)colon);
    return true;
}

static bool read_network(str text, struct place_rule *ret)
{
    uint64_t bits = 128;
    if (str_starts(text, STR("[")) && str_ends(text, STR("]")))
        text = str_head(str_skip(text, 1), text.len - 2);
    bool sized = str_find(text, '/') >= 0;
    str address = str_cut(&text, '/');
    if (!places_address_of(address, ret->net))
        return false;
    unsigned before = str_find(address, ':') < 0 ? 96 : 0;
    if (sized && (!str_to_u64(text, &bits) || (bits += before) > 128))
        return false;
    ret->bits = (unsigned)bits;
    return true;
}

static bool is_name(str name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] <= ' ' || memchr("/:*[]@", name.ptr[i], 6))
            return false;
    return name.len > 0;
}

static bool read_rule(str text, struct place_rule *ret)
{
    *ret = (struct place_rule){ .itself = true };
    text = str_trim(text);
    if (!split_port(&text, &ret->port))
        return false;
    if (read_network(text, ret))
        return true;
    ret->below = str_starts(text, STR("*."));
    ret->itself = !ret->below;
    ret->name = ret->below ? str_skip(text, 2) : text;
    return is_name(ret->name);
}

int places_read(const str *texts, size_t count, struct arena *arena, struct place_rules *ret, struct err *e)
{
    struct place_rule *rules = arena_array(arena, struct place_rule, count + 1);
    if (!rules)
        return err_set(e, ERR_OOM, "out of memory");
    for (size_t i = 0; i < count; i++)
        if (!read_rule(texts[i], &rules[i]))
            return err_set(e, ERR_USAGE,
                           "'" STR_FMT "' is no host (example.com, *.example.com, 10.0.0.0/8, [::1]:443)",
                           STR_ARG(texts[i]));
    *ret = (struct place_rules){ rules, count };
    return 0;
}

/* "host." is "host" to a resolver. */
static str without_dot(str host) { return str_ends(host, STR(".")) ? str_head(host, host.len - 1) : host; }

static bool has_name(const struct place_rule *r, str host)
{
    if (!r->name.len || host.len < r->name.len)
        return false;
    size_t before = host.len - r->name.len;
    if (strncasecmp(host.ptr + before, r->name.ptr, r->name.len))
        return false;
    return before ? r->below && host.ptr[before - 1] == '.' : r->itself;
}

bool places_have_name(const struct place_rules *r, str host, unsigned port)
{
    host = without_dot(host);
    for (size_t i = 0; i < r->count; i++)
        if (has_name(&r->rules[i], host) && (!r->rules[i].port || r->rules[i].port == port))
            return true;
    return false;
}

static bool is_in(const struct place_rule *r, const uint8_t a[16])
{
    unsigned bytes = r->bits / 8, rest = r->bits % 8;
    if (r->name.len || memcmp(a, r->net, bytes))
        return false;
    return !rest || (a[bytes] ^ r->net[bytes]) >> (8 - rest) == 0;
}

bool places_have_address(const struct place_rules *r, const uint8_t address[16], unsigned port)
{
    for (size_t i = 0; i < r->count; i++)
        if (is_in(&r->rules[i], address) && (!r->rules[i].port || r->rules[i].port == port))
            return true;
    return false;
}

/* ---- verdicts ---- */

bool places_address(const struct places *p, const uint8_t plain[16], unsigned port, bool name_allowed)
{
    if (places_link_local(plain) || places_have_address(&p->deny, plain, port))
        return false;
    return name_allowed || !p->allow.count || places_have_address(&p->allow, plain, port);
}

enum place_verdict places_name(const struct places *p, str host, unsigned port)
{
    uint8_t address[16];
    if (places_address_of(without_dot(host), address)) {
        places_plain(address);
        return places_address(p, address, port, false) ? PLACE_ALLOWED : PLACE_REFUSED;
    }
    if (places_have_name(&p->deny, host, port))
        return PLACE_REFUSED;
    if (!p->allow.count || places_have_name(&p->allow, host, port))
        return PLACE_ALLOWED;
    for (size_t i = 0; i < p->allow.count; i++)
        if (!p->allow.rules[i].name.len)
            return PLACE_BY_ADDRESS;
    return PLACE_REFUSED;
}
