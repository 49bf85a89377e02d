#include "net/proxy.h"

#include "base/cleanup.h"
#include "net/places.h"

#include <stdlib.h>
#include <strings.h>

static const char *variable(const char *small, const char *large)
{
    const char *value = getenv(small);
    if (!value || !*value)
        value = getenv(large);
    return value && *value ? value : NULL;
}

static bool is_here(str host)
{
    uint8_t a[16];
    static const uint8_t loop6[16] = { [15] = 1 };
    if (host.len == 9 && !strncasecmp(host.ptr, "localhost", 9))
        return true;
    return places_address_of(host, a) && (!memcmp(a, loop6, 16) || (!a[0] && a[10] == 0xff && a[12] == 127));
}

/* One entry of NO_PROXY; what is no rule names nothing. */
static bool entry_has(str entry, str host, unsigned port, struct arena *arena)
{
    struct err ignored = { 0 };
    struct place_rules r;
    uint8_t address[16];
    if (str_starts(entry, STR("*.")) || str_starts(entry, STR(".")))
        entry = str_skip(entry, (size_t)str_find(entry, '.') + 1);
    if (places_read(&entry, 1, arena, &r, &ignored) < 0)
        return false;
    struct place_rule rule = r.rules[0];
    rule.below = true;
    r.rules = &rule;
    if (places_address_of(host, address))
        return places_have_address(&r, address, port);
    return places_have_name(&r, host, port);
}

static bool is_exempt(str host, unsigned port)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    str list = str_from(variable("no_proxy", "NO_PROXY"));
    while (arena && list.len) {
        str entry = str_trim(str_cut(&list, ','));
        if (str_eq(entry, STR("*")) || (entry.len && entry_has(entry, host, port, arena)))
            return true;
    }
    return is_here(host);
}

const char *proxy_of(const char *scheme, str host, unsigned port)
{
    const char *proxy = !strcmp(scheme, "https") ? variable("https_proxy", "HTTPS_PROXY")
                                                 : variable("http_proxy", "HTTP_PROXY");
    if (!proxy)
        proxy = variable("all_proxy", "ALL_PROXY");
    return proxy && !is_exempt(host, port) ? proxy : NULL;
}
