#include "detect/rpm_header.h"

#include <stdio.h>

enum {
    TAG_REGION_FIRST = 61, /* HEADERIMAGE, HEADERSIGNATURES, HEADERIMMUTABLE */
    TAG_REGION_LAST = 63,
    TAG_NAME = 1000,
    TAG_VERSION = 1001,
    TAG_RELEASE = 1002,
    TAG_EPOCH = 1003,
    TAG_VENDOR = 1011,
    TAG_ARCH = 1022,
    TAG_SOURCERPM = 1044,
    TAG_MODULARITYLABEL = 5096,
};
enum { TYPE_INT32 = 4, TYPE_STRING = 6, TYPE_BIN = 7, TYPE_STRING_ARRAY = 8, TYPE_I18NSTRING = 9 };
enum { ENTRY_SIZE = 16 };

struct entry {
    uint32_t tag, type, offset, count;
};

struct blob {
    const char *entries;
    uint32_t count, region; /* entries before `region` are signed; those from there on replace them */
    str data;
};

static uint32_t be32(const char *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static struct entry entry_at(const char *p)
{
    return (struct entry){ be32(p), be32(p + 4), be32(p + 8), be32(p + 12) };
}

/* How many entries the region has says the entry at its end, by a negative offset. */
static int read_region(struct blob *b, struct err *e)
{
    struct entry first = entry_at(b->entries);
    b->region = b->count;
    if (first.tag < TAG_REGION_FIRST || first.tag > TAG_REGION_LAST || !first.offset)
        return 0; /* none, or all is inside */
    if (first.type != TYPE_BIN || first.count != ENTRY_SIZE || first.offset > b->data.len ||
        b->data.len - first.offset < ENTRY_SIZE)
        return err_set(e, ERR_FORMAT, "the end of region %u lies outside the header", first.tag);
    uint32_t size = 0u - entry_at(b->data.ptr + first.offset).offset;
    if (!size || size % ENTRY_SIZE || size / ENTRY_SIZE > b->count)
        return err_set(e, ERR_FORMAT, "region %u claims %u bytes of entries", first.tag, size);
    b->region = size / ENTRY_SIZE;
    return 0;
}

static int read_blob(str bytes, struct blob *b, struct err *e)
{
    if (bytes.len < 8)
        return err_set(e, ERR_FORMAT, "a header of %zu bytes", bytes.len);
    uint32_t entries = be32(bytes.ptr), data = be32(bytes.ptr + 4);
    if (!entries || entries > RPM_ENTRIES_MAX)
        return err_set(e, ERR_FORMAT, "a header with %u entries", entries);
    if (8 + (uint64_t)entries * ENTRY_SIZE + data != bytes.len)
        return err_set(e, ERR_FORMAT, "a header of %u entries and %u bytes of data in %zu bytes", entries,
                       data, bytes.len);
    *b = (struct blob){ .entries = bytes.ptr + 8, .count = entries };
    b->data = str_skip(bytes, 8 + (size_t)entries * ENTRY_SIZE);
    return read_region(b, e);
}

static int read_text(const struct blob *b, struct entry x, str *ret, struct err *e)
{
    if ((x.type != TYPE_STRING && x.type != TYPE_STRING_ARRAY && x.type != TYPE_I18NSTRING) || !x.count)
        return err_set(e, ERR_FORMAT, "tag %u is not a text but of type %u, count %u", x.tag, x.type,
                       x.count);
    str text = str_skip(b->data, x.offset);
    ptrdiff_t end = x.offset < b->data.len ? str_find(text, '\0') : -1;
    if (end < 0)
        return err_set(e, ERR_FORMAT, "tag %u: its text at %u does not end in the header", x.tag, x.offset);
    *ret = str_head(text, (size_t)end);
    return 0;
}

static int read_epoch(const struct blob *b, struct entry x, struct rpm_header *h, struct err *e)
{
    if (x.type != TYPE_INT32 || !x.count || x.offset > b->data.len || b->data.len - x.offset < 4)
        return err_set(e, ERR_FORMAT, "tag %u is not a number but of type %u, count %u, at %u", x.tag, x.type,
                       x.count, x.offset);
    h->has_epoch = true;
    h->epoch = be32(b->data.ptr + x.offset);
    return 0;
}

static str *text_of(struct rpm_header *h, uint32_t tag)
{
    switch (tag) {
    case TAG_NAME:
        return &h->name;
    case TAG_VERSION:
        return &h->version;
    case TAG_RELEASE:
        return &h->release;
    case TAG_VENDOR:
        return &h->vendor;
    case TAG_ARCH:
        return &h->arch;
    case TAG_SOURCERPM:
        return &h->source_rpm;
    case TAG_MODULARITYLABEL:
        return &h->label;
    default:
        return NULL;
    }
}

/* The first entry of a tag counts, as rpm finds it. */
static int read_entries(const struct blob *b, uint32_t from, uint32_t to, struct rpm_header *h, struct err *e)
{
    for (uint32_t i = from; i < to; i++) {
        struct entry x = entry_at(b->entries + (size_t)i * ENTRY_SIZE);
        str *text = text_of(h, x.tag);
        if (x.tag == TAG_EPOCH && !h->has_epoch && read_epoch(b, x, h, e) < 0)
            return -1;
        if (text && !text->ptr && read_text(b, x, text, e) < 0)
            return -1;
    }
    return 0;
}

/* rpm prints "(none)" for what is missing, and some builders stored just that. */
static void drop_none(str *s)
{
    if (str_eq(*s, STR("(none)")))
        *s = (str){ 0 };
}

int rpm_header_read(str blob, struct rpm_header *ret, struct err *e)
{
    struct blob b;
    struct rpm_header h = { 0 };
    if (read_blob(blob, &b, e) < 0 || read_entries(&b, b.region, b.count, &h, e) < 0 ||
        read_entries(&b, 0, b.region, &h, e) < 0)
        return -1;
    if (!h.name.len || !h.version.len || !h.release.len)
        return err_set(e, ERR_FORMAT, "a header without %s",
                       !h.name.len      ? "NAME"
                       : !h.version.len ? "VERSION"
                                        : "RELEASE");
    drop_none(&h.arch);
    drop_none(&h.source_rpm);
    drop_none(&h.label);
    drop_none(&h.vendor);
    *ret = h;
    return 0;
}

/* "name-version-release.src.rpm", split from the right: names have dashes, versions and releases have none. */
static bool split_source(str file, str *name, str *version, str *release)
{
    if (!str_ends(file, STR(".rpm")))
        return false;
    file.len -= STR(".rpm").len;
    ptrdiff_t dot = str_rfind(file, '.');
    str kind = str_skip(file, (size_t)(dot + 1));
    if (dot < 0 || (!str_eq(kind, STR("src")) && !str_eq(kind, STR("nosrc"))))
        return false;
    file.len = (size_t)dot;
    ptrdiff_t dash = str_rfind(file, '-');
    if (dash <= 0)
        return false;
    *release = str_skip(file, (size_t)dash + 1);
    file.len = (size_t)dash;
    dash = str_rfind(file, '-');
    if (dash <= 0)
        return false;
    *version = str_skip(file, (size_t)dash + 1);
    *name = str_head(file, (size_t)dash);
    return version->len && release->len && name->len;
}

/* "nodejs:18:9000020220101:abc" is a build of the stream "nodejs:18". */
static str stream_of(str label)
{
    str rest = label, name = str_cut(&rest, ':'), stream = str_cut(&rest, ':');
    return name.len && stream.len ? str_head(label, name.len + 1 + stream.len) : (str){ 0 };
}

/* [epoch:]version-release; `room` has space for both and an epoch. */
static str evr(char *room, size_t size, bool has_epoch, uint32_t epoch, str version, str release)
{
    int n = has_epoch ? snprintf(room, size, "%u:", epoch) : 0;
    memcpy(room + n, version.ptr, version.len);
    room[(size_t)n + version.len] = '-';
    memcpy(room + n + version.len + 1, release.ptr, release.len);
    return str_of(room, (size_t)n + version.len + 1 + release.len);
}

bool rpm_header_add(const struct rpm_header *h, struct detected *out)
{
    enum { ROOM = 2 * PACKAGE_TEXT_MAX + 16 };
    char own[ROOM], source[ROOM];
    if (str_eq(h->name, STR("gpg-pubkey")))
        return true; /* no package: rpm keeps the keys that it trusts among them */
    struct package p = { .kind = STR("rpm"), .name = h->name, .arch = h->arch, .source = h->name };
    if (h->version.len > PACKAGE_TEXT_MAX || h->release.len > PACKAGE_TEXT_MAX)
        p.version = h->version.len > PACKAGE_TEXT_MAX ? h->version : h->release; /* let it be refused */
    else
        p.version = evr(own, ROOM, h->has_epoch, h->epoch, h->version, h->release);
    p.source_version = p.version;
    p.module = stream_of(h->label);

    str name, version, release;
    if (split_source(h->source_rpm, &name, &version, &release) && h->source_rpm.len <= PACKAGE_TEXT_MAX) {
        bool same = str_eq(version, h->version) && str_eq(release, h->release);
        p.source = name;
        if (!same) /* the file name tells no epoch, and the binary's may be another */
            p.source_version = evr(source, ROOM, false, 0, version, release);
    }
    return detected_add(out, &p);
}

bool rpm_vendors_add(struct rpm_vendors *v, str vendor, struct detected *out)
{
    for (size_t i = 0; i < v->count; i++)
        if (str_eq(v->seen[i], vendor))
            return true;
    if (!vendor.len || vendor.len > PACKAGE_TEXT_MAX || v->count == RPM_VENDORS_MAX)
        return true;
    if (!detected_fact(out, STR("rpm-vendor"), vendor))
        return false;
    v->seen[v->count++] = out->facts[out->fact_count - 1].value;
    return true;
}
