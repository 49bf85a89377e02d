#include "model/cpe.h"

#include <strings.h>

/* Without what names the form. */
static bool begin(str *cpe, bool *quoted)
{
    *quoted = str_starts(*cpe, STR("cpe:2.3:"));
    if (!*quoted && !str_starts(*cpe, STR("cpe:/")))
        return false;
    *cpe = str_skip(*cpe, *quoted ? STR("cpe:2.3:").len : STR("cpe:/").len);
    return true;
}

/* The next part. A colon behind a backslash is one of the text, in the newer form. */
static str part(str *rest, bool quoted)
{
    size_t n = 0;
    while (n < rest->len && rest->ptr[n] != ':')
        n += quoted && rest->ptr[n] == '\\' && n + 1 < rest->len ? 2 : 1;
    str head = str_head(*rest, n);
    *rest = str_skip(*rest, n < rest->len ? n + 1 : n);
    return head;
}

static bool any(str s) { return !s.len || str_eq(s, STR("*")); }

static bool same(str a, str b) { return a.len == b.len && (!a.len || !strncasecmp(a.ptr, b.ptr, a.len)); }

bool cpe_covers(str row, str repository)
{
    bool row_quoted, quoted, said = false;
    if (same(row, repository))
        return true;
    if (!begin(&row, &row_quoted) || !begin(&repository, &quoted))
        return false;
    while (row.len) {
        str wanted = part(&row, row_quoted), got = part(&repository, quoted);
        if (any(wanted))
            continue;
        if (!same(wanted, got))
            return false;
        said = true;
    }
    return said; /* one that says nothing is none */
}

/* Red Hat's repositories of a minor or extended release have CPEs of their own; who has them says so. */
static const char *const before_8[] = { "::server", "::computenode", "::client", "::workstation", "" };
static const char *const since_8[] = { "::baseos", "", "::appstream" /* an application: see below */ };

size_t cpe_defaults(str namespace, struct arena *a, str **ret)
{
    uint64_t major;
    if (!str_starts(namespace, STR("rhel:")) || !str_to_u64(str_skip(namespace, STR("rhel:").len), &major))
        return 0;
    const char *const *tails = major < 8 ? before_8 : since_8;
    size_t count = major < 8 ? sizeof before_8 / sizeof *before_8 : sizeof since_8 / sizeof *since_8;
    str *list = arena_array(a, str, count);
    if (!list)
        return 0;
    for (size_t i = 0; i < count; i++)
        list[i] =
            arena_printf(a, "cpe:/%s:redhat:enterprise_linux:%llu%s",
                         strcmp(tails[i], "::appstream") ? "o" : "a", (unsigned long long)major, tails[i]);
    *ret = list;
    return arena_failed(a) ? 0 : count;
}
