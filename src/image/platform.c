#include "image/platform.h"

static const struct alias {
    str says, architecture, variant;
} aliases[] = {
    { { "x86_64", 6 }, { "amd64", 5 }, { "", 0 } },
    { { "aarch64", 7 }, { "arm64", 5 }, { "", 0 } },
    { { "armhf", 5 }, { "arm", 3 }, { "v7", 2 } },
};

static const struct {
    str architecture, variant;
} usual[] = { { { "arm", 3 }, { "v7", 2 } },
              { { "arm64", 5 }, { "v8", 2 } },
              { { "amd64", 5 }, { "v1", 2 } } };

static bool plain_word(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
            return false;
    }
    return s.len > 0 && s.len <= 64;
}

int image_platform_parse(str text, struct image_platform *ret, struct err *e)
{
    str rest = text, os = str_cut(&rest, '/'), architecture = str_cut(&rest, '/'), variant = rest;
    bool slash = text.len && text.ptr[text.len - 1] == '/';
    if (slash || !plain_word(os) || !plain_word(architecture) || (variant.len && !plain_word(variant)))
        return err_set(e, ERR_USAGE,
                       "'" STR_FMT "' is not OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, as linux/arm64",
                       STR_ARG(text));
    *ret = (struct image_platform){ os, architecture, variant, true };
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (str_eq(aliases[i].says, architecture)) {
            ret->architecture = aliases[i].architecture;
            ret->variant = variant.len ? variant : aliases[i].variant;
        }
    return 0;
}

static str variant_or_usual(const struct image_platform *p)
{
    for (size_t i = 0; !p->variant.len && i < sizeof usual / sizeof *usual; i++)
        if (str_eq(usual[i].architecture, p->architecture))
            return usual[i].variant;
    return p->variant;
}

bool image_platform_fits(const struct image_platform *wish, const struct image_platform *is)
{
    if (!str_eq(wish->architecture, is->architecture) || (is->os.len && !str_eq(wish->os, is->os)))
        return false;
    return !wish->variant.len || str_eq(variant_or_usual(wish), variant_or_usual(is));
}

struct image_platform image_platform_here(void)
{
#if defined __x86_64__
    str architecture = STR("amd64");
#elif defined __aarch64__
    str architecture = STR("arm64");
#elif defined __riscv
    str architecture = STR("riscv64");
#elif defined __powerpc64__
    str architecture = STR("ppc64le");
#elif defined __s390x__
    str architecture = STR("s390x");
#else
    str architecture = STR("unknown");
#endif
    return (struct image_platform){ .os = STR("linux"), .architecture = architecture };
}
