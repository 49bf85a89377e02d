/* fuzz_policy.c - any bytes as an ignore file or VEX document; the first line is its name. What is read is applied to a small report. */
#include "base/cleanup.h"
#include "policy/ignore.h"

#include <stdint.h>

#define TEXT(s)                                                                                              \
    {                                                                                                        \
        s, sizeof(s) - 1                                                                                     \
    }

static struct image_package packages[] = {
    { .package = { TEXT("dpkg"), TEXT("libssl3"), TEXT("3.0.11-1"), TEXT("amd64"), TEXT("openssl"),
                   TEXT("3.0.11-1") } },
    { .package = { TEXT("rpm"), TEXT("openssl"), TEXT("1:3.0.7-1.el9"), TEXT("x86_64"), TEXT("openssl"),
                   TEXT("1:3.0.7-1.el9") } },
};
static const str paths[] = { TEXT("var/lib/dpkg/status"), TEXT("var/lib/rpm/rpmdb.sqlite") };
static const struct image_index image = {
    .name = TEXT("host:5000/team/app:1.0"),
    .digest = TEXT("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
    .distribution = { TEXT("debian"), TEXT("12"), TEXT("Debian"), TEXT("debian:12") },
    .packages = packages,
    .package_count = 2,
};

static void apply(struct ignore_list *l, struct arena *arena)
{
    struct finding findings[] = {
        { .package = 0, .id = TEXT("CVE-2024-1"), .state = FIX_FIXED, .namespace = TEXT("debian:12") },
        { .package = 1,
          .id = TEXT("CVE-2024-2"),
          .advisory = TEXT("RHSA-2024:1"),
          .state = FIX_AFFECTED,
          .namespace = TEXT("rhel:9") },
    };
    struct report r = { .image = &image, .match = { .findings = findings, .finding_count = 2 } };
    struct ignore_image named = { image.name, paths };
    struct err e = { 0 };
    if (ignore_apply(l, &named, &r, arena, &e) == 0 && r.suppressed_count + r.match.finding_count != 2)
        abort();
    for (size_t i = 0; i < r.suppressed_count; i++)
        if (!r.suppressed[i].by.len)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(64 << 20);
    str rest = str_of(data, size), line = str_head(str_line(&rest), 100);
    char *name = arena ? arena_cstr(arena, line) : NULL;
    for (int source = IGNORE_LISTS; name && source <= IGNORE_VEX; source++) {
        struct err e = { 0 };
        CLEANUP(ignore_list_freep) struct ignore_list *l = ignore_list_new(&e);
        if (l && ignore_read(l, source, name, rest, &e) == 0)
            apply(l, arena);
        else if (!e.kind)
            abort();
    }
    return 0;
}
