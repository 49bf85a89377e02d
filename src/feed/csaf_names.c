/* The names that CSAF documents have for packages, modules (purl) and products (CPE). */
#include "feed/csaf_document.h"
#include "version/version.h"

static unsigned hex_digit(char c)
{
    return c >= '0' && c <= '9'                     ? (unsigned)(c - '0')
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (unsigned)((c | 0x20) - 'a' + 10)
                                                    : 16;
}

/* "%2B" is "+"; what is no escape stays. Too long a text stays too long. */
static str percent_decode(struct arena *a, str s)
{
    s = str_head(s, 3 * FEED_TEXT_MAX);
    char *out = arena_alloc(a, s.len, 1);
    size_t n = 0;
    if (!out)
        return (str){ 0 };
    for (size_t i = 0; i < s.len; i++) {
        unsigned high = s.ptr[i] == '%' && s.len - i > 2 ? hex_digit(s.ptr[i + 1]) : 16;
        unsigned low = high < 16 ? hex_digit(s.ptr[i + 2]) : 16;
        out[n++] = low < 16 ? (char)(high << 4 | low) : s.ptr[i];
        i += low < 16 ? 2 : 0;
    }
    return str_of(out, n < FEED_TEXT_MAX ? n : FEED_TEXT_MAX);
}

/* "nodejs:18:8090020240101:489197e6" -> "nodejs:18", as packages are labelled. */
static str module_of(str label)
{
    str rest = label, name = str_cut(&rest, ':'), stream = str_cut(&rest, ':');
    return str_head(label, name.len + (stream.len ? 1 + stream.len : 0));
}

static str evr_of(struct arena *a, str epoch, str version)
{
    while (epoch.len && *epoch.ptr == '0')
        epoch = str_skip(epoch, 1);
    return epoch.len && version.len ? arena_printf(a, STR_FMT ":" STR_FMT, STR_ARG(epoch), STR_ARG(version))
                                    : version;
}

static void read_qualifiers(struct arena *a, str text, struct csaf_package *p, str *epoch)
{
    while (text.len) {
        str value = str_cut(&text, '&'), key = str_cut(&value, '=');
        if (str_eq(key, STR("arch")))
            p->arch = percent_decode(a, value);
        else if (str_eq(key, STR("epoch")))
            *epoch = percent_decode(a, value);
        else if (str_eq(key, STR("rpmmod")))
            p->module = module_of(percent_decode(a, value));
    }
}

/* rpm/redhat/NAME@VERSION-RELEASE?arch=x86_64&epoch=1&rpmmod=NAME:STREAM:... */
static void read_rpm(struct arena *a, str path, str version, str qualifiers, struct csaf_package *p)
{
    str epoch = { 0 };
    p->name = percent_decode(a, str_skip(path, (size_t)(str_rfind(path, '/') + 1)));
    read_qualifiers(a, qualifiers, p, &epoch);
    p->evr = evr_of(a, epoch, percent_decode(a, version));
    p->unusable = p->evr.len && !version_rpm.valid(p->evr);
}

/* rpmmod/redhat/NAME@STREAM:VERSION:CONTEXT, or rpmmod/redhat/NAME/STREAM@VERSION */
static void read_module(struct arena *a, str path, str version, struct csaf_package *p)
{
    str name = str_cut(&path, '/'), stream = path;
    if (!stream.len)
        stream = percent_decode(a, version);
    stream = str_cut(&stream, ':');
    if (name.len && stream.len)
        p->module =
            percent_decode(a, arena_printf(a, STR_FMT ":" STR_FMT, STR_ARG(str_head(name, FEED_TEXT_MAX)),
                                           STR_ARG(str_head(stream, FEED_TEXT_MAX))));
}

struct csaf_package *csaf_package_of_purl(struct arena *a, str purl)
{
    static const str rpm = { "pkg:rpm/", 8 }, module = { "pkg:rpmmod/redhat/", 18 };
    bool is_rpm = str_starts(purl, rpm);
    if (!is_rpm && !str_starts(purl, module))
        return NULL;
    str rest = str_cut(&purl, '#'); /* the rest is a path inside the package */
    rest = str_skip(rest, is_rpm ? rpm.len : module.len);
    str version = str_cut(&rest, '?'), qualifiers = rest, path = str_cut(&version, '@');
    struct csaf_package *p = arena_alloc(a, 1, sizeof *p);
    if (!p)
        return NULL;
    if (is_rpm)
        read_rpm(a, path, version, qualifiers, p);
    else
        read_module(a, path, version, p);
    return p;
}

/* ---- CPE ---- */

/* "9", "9.2", "10.0" -> 9, 9, 10; 0: no release. */
static unsigned major_of(str version)
{
    uint64_t n;
    return str_to_u64(str_cut(&version, '.'), &n) && n <= 99 ? (unsigned)n : 0;
}

/* Whose versions are those of RHEL. Others with such names have their own: rhel_software_collections:3 is for RHEL 6 and 7. */
static bool has_rhel_version(str product)
{
    static const char *const names[] = { "enterprise_linux",   "rhel_eus",
                                         "rhel_eus_long_life", "rhel_aus",
                                         "rhel_e4s",           "rhel_tus",
                                         "rhel_els",           "rhel_mission_critical" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq(product, str_from(names[i])))
            return true;
    return str_starts(product, STR("rhel_extras"));
}

/* What follows "cpe:/a:redhat:" or "cpe:/o:redhat:"; empty: another CPE. */
static str behind_redhat(str cpe)
{
    str head = STR("cpe:/a:redhat:"), other = STR("cpe:/o:redhat:");
    return str_starts(cpe, head) || str_starts(cpe, other) ? str_skip(cpe, head.len) : (str){ 0 };
}

str csaf_namespace_of_cpe(struct arena *a, str cpe)
{
    str rest = behind_redhat(cpe), product = str_cut(&rest, ':'), version = str_cut(&rest, ':');
    unsigned major = has_rhel_version(product) ? major_of(version) : 0;
    while (rest.len) { /* an edition "el9" of a product that is laid over RHEL */
        str part = str_cut(&rest, ':');
        if (str_starts(part, STR("el")) && !str_contains(part, STR(".")) && major_of(str_skip(part, 2)))
            major = major_of(str_skip(part, 2));
    }
    return major ? arena_printf(a, "rhel:%u", major) : (str){ 0 };
}

bool csaf_cpe_is_plain(str cpe)
{
    str rest = behind_redhat(cpe), product = str_cut(&rest, ':');
    uint64_t n;
    return str_eq(product, STR("enterprise_linux")) && str_to_u64(rest, &n);
}
