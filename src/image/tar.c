#include "image/tar.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "image/tar_sparse.h"

#define MAX_MEMBERS 10000000
#define MAX_PATH    4096
#define MAX_RECORD  ((size_t)1 << 20)
#define FREE_HOLES  ((uint64_t)1 << 30)
#define MAX_HOLES   ((uint64_t)64 << 30)
#define HOLES_RATIO 200

/* What the extended headers in front of a member say about it. */
struct meta {
    bool pending;           /* there was one: the member must follow */
    str pax_path, pax_link; /* into tar.pax; empty when not said */
    str gnu_path, gnu_link; /* into tar.gnu_path, tar.gnu_link */
    bool has_size;
    uint64_t size; /* as stored */
    struct {
        str name;
        str major, minor;
        bool has_size, has_map, has_offset;
        uint64_t size;   /* expanded */
        uint64_t offset; /* 0.0: of the segment whose size comes next */
    } sparse;
};

struct tar {
    struct stream content; /* first, so that the content's stream is the tar itself */
    struct stream *in;
    struct tar_limits limits;
    str chunk;       /* not yet used bytes of the input */
    uint64_t at;     /* offset of the chunk's first byte */
    uint64_t header; /* offset of the header that was read last */
    uint64_t left;   /* stored bytes of the current content, then `pad` to the next block */
    size_t pad;
    uint64_t members;
    struct meta meta;
    struct buf pax, gnu_path, gnu_link, path;
    bool done;
    struct err failed;

    enum tar_type type; /* of the current member */
    bool sparse, map_in_data;
    uint64_t size, pos; /* of a sparse file: expanded size, and how far it was read */
    size_t segment;
    struct tar_map map;
    uint64_t holes; /* bytes of the holes of all sparse files that were read */
    bool spoiled;   /* the current file cannot be read, but those behind it can */
    char block[TAR_BLOCK];
};

/* ---- bytes ---- */

static int broken(const struct tar *t, const char *what, struct err *e)
{
    return err_set(e, ERR_FORMAT, "tar: %s (header at byte %llu)", what, (unsigned long long)t->header);
}

static int more(struct tar *t, struct err *e) /* 1 when the chunk has bytes, 0 at the end */
{
    return t->chunk.len ? 1 : stream_next(t->in, &t->chunk, e);
}

static void advance(struct tar *t, size_t n)
{
    t->chunk = str_skip(t->chunk, n);
    t->at += n;
}

/* Copies up to n bytes; fewer only at the end of the input. `to` may be NULL: then they are skipped. */
static int take(struct tar *t, char *to, uint64_t n, uint64_t *got, struct err *e)
{
    int r = 1;
    for (*got = 0; *got < n && (r = more(t, e)) > 0;) {
        str part = str_head(t->chunk, n - *got);
        if (to)
            memcpy(to + *got, part.ptr, part.len);
        *got += part.len;
        advance(t, part.len);
    }
    return r < 0 ? -1 : 0;
}

static int take_all(struct tar *t, char *to, uint64_t n, struct err *e)
{
    uint64_t got;
    if (take(t, to, n, &got, e) < 0)
        return -1;
    return got == n ? 0 : broken(t, "truncated member", e);
}

static void set_left(struct tar *t, uint64_t n)
{
    t->left = n;
    t->pad = (size_t)(-n % TAR_BLOCK);
}

/* A tar that ends inside the padding behind a whole content is accepted, as by Go's archive/tar. */
static int skip_rest(struct tar *t, struct err *e)
{
    uint64_t got, left = t->left, pad = t->pad;
    t->left = t->pad = 0;
    return take_all(t, NULL, left, e) < 0 ? -1 : take(t, NULL, pad, &got, e);
}

static int read_block(struct tar *t, struct err *e) /* 1, or 0 at the end */
{
    uint64_t got;
    t->header = t->at;
    if (take(t, t->block, TAR_BLOCK, &got, e) < 0)
        return -1;
    if (got && got < TAR_BLOCK)
        return t->header ? broken(t, "truncated header", e) : err_set(e, ERR_FORMAT, "not a tar (byte 0)");
    return got != 0;
}

static int read_header(struct tar *t, struct err *e) /* 1, or 0 at the end */
{
    int r = read_block(t, e);
    if (r > 0 && tar_is_zero(t->block)) {
        r = read_block(t, e);
        if (r > 0 && !tar_is_zero(t->block))
            return broken(t, "one zero block before it: neither the end nor a member", e);
        if (r > 0)
            r = t->limits.leave_rest ? 0 : stream_drain(t->in, e); /* which gives 0 */
    } else if (r > 0 && !tar_checksum_ok(t->block)) {
        return t->header ? broken(t, "wrong checksum", e) : err_set(e, ERR_FORMAT, "not a tar (byte 0)");
    }
    t->done = r == 0;
    return r;
}

/* ---- extended headers ---- */

static int read_record(struct tar *t, struct buf *to, struct err *e)
{
    uint64_t n;
    if (!tar_number(TAR_SIZE(t->block), &n))
        return broken(t, "bad size", e);
    if (n > MAX_RECORD)
        return err_set(e, ERR_LIMIT, "tar: extended header of more than 1 MiB (at byte %llu)",
                       (unsigned long long)t->header);
    set_left(t, n);
    buf_clear(to);
    char *p = buf_reserve(to, (size_t)n + 1); /* + 1: never a NULL view */
    if (!p)
        return err_set(e, ERR_OOM, "out of memory");
    if (take_all(t, p, n, e) < 0)
        return -1;
    to->len = (size_t)n;
    t->left = 0;
    return 0;
}

static int read_long(struct tar *t, struct buf *to, str *ret, struct err *e)
{
    if (read_record(t, to, e) < 0)
        return -1;
    *ret = tar_field(to->ptr, 0, to->len);
    return 0;
}

static bool sparse_record(struct tar *t, str key, str value)
{
    struct meta *m = &t->meta;
    if (str_eq(key, STR("name")))
        m->sparse.name = value;
    else if (str_eq(key, STR("major")))
        m->sparse.major = value;
    else if (str_eq(key, STR("minor")))
        m->sparse.minor = value;
    else if (str_eq(key, STR("size")) || str_eq(key, STR("realsize")))
        m->sparse.has_size = str_to_u64(value, &m->sparse.size);
    else if (str_eq(key, STR("map"))) {
        tar_map_clear(&t->map);
        m->sparse.has_map = true;
        return tar_map_text(&t->map, value);
    } else if (str_eq(key, STR("offset"))) {
        m->sparse.has_map = true;
        m->sparse.has_offset = str_to_u64(value, &m->sparse.offset);
        return m->sparse.has_offset;
    } else if (str_eq(key, STR("numbytes"))) {
        uint64_t n;
        bool ok = m->sparse.has_offset && str_to_u64(value, &n) && tar_map_add(&t->map, m->sparse.offset, n);
        m->sparse.has_offset = false;
        return ok;
    }
    return true;
}

static bool pax_record(struct tar *t, str key, str value)
{
    str sparse = STR("GNU.sparse.");
    if (str_eq(key, STR("path")))
        t->meta.pax_path = value;
    else if (str_eq(key, STR("linkpath")))
        t->meta.pax_link = value;
    else if (str_eq(key, STR("size")))
        return t->meta.has_size = str_to_u64(value, &t->meta.size);
    else if (str_starts(key, sparse))
        return sparse_record(t, str_skip(key, sparse.len), value);
    return true;
}

/* A second header in front of the same member replaces the first, as in Go's archive/tar. */
static void forget_pax(struct tar *t)
{
    t->meta = (struct meta){ .gnu_path = t->meta.gnu_path, .gnu_link = t->meta.gnu_link };
    tar_map_clear(&t->map);
}

static int read_pax(struct tar *t, struct err *e)
{
    forget_pax(t);
    if (read_record(t, &t->pax, e) < 0)
        return -1;
    str rest = buf_view(&t->pax), key, value;
    int r;
    while ((r = tar_pax_record(&rest, &key, &value)) > 0)
        if (!pax_record(t, key, value))
            return broken(t, "bad pax value", e);
    return r < 0 ? broken(t, "malformed pax record", e) : 0;
}

static int read_meta(struct tar *t, struct err *e) /* 1 it was one, 0 it is a member */
{
    int r;
    switch (t->block[156]) {
    case 'x':
        r = read_pax(t, e);
        break;
    case 'g': /* docker, containerd and libarchive give a global header no effect: an image holds what they see */
        t->meta = (struct meta){ 0 };
        r = read_record(t, &t->pax, e);
        break;
    case 'L':
        r = read_long(t, &t->gnu_path, &t->meta.gnu_path, e);
        break;
    case 'K':
        r = read_long(t, &t->gnu_link, &t->meta.gnu_link, e);
        break;
    default:
        return 0;
    }
    t->meta.pending = t->block[156] != 'g';
    return r < 0 ? -1 : 1;
}

/* ---- members ---- */

static enum tar_type type_of(char flag, str path)
{
    switch (flag) {
    case '\0':
        return str_ends(path, STR("/")) ? TAR_FOLDER : TAR_FILE;
    case '0':
    case '7': /* contiguous */
    case 'S': /* GNU sparse */
        return TAR_FILE;
    case '1':
        return TAR_HARDLINK;
    case '2':
        return TAR_SYMLINK;
    case '5':
    case 'D': /* GNU: a folder with the list of its files */
        return TAR_FOLDER;
    default: /* devices, pipes, and what others invented */
        return TAR_OTHER;
    }
}

/* These have no content whatever their size says: old tars put the size of the target there. As Go's archive/tar. */
static bool header_only(char flag) { return flag >= '1' && flag <= '6'; }

static str first_of(str a, str b, str c) { return a.len ? a : b.len ? b : c; }

static int set_path(struct tar *t, str raw, struct tar_member *ret, struct err *e)
{
    if (str_find(raw, '\0') >= 0 || str_find(ret->link, '\0') >= 0)
        return broken(t, "NUL in a path", e);
    if (raw.len > t->limits.max_path || ret->link.len > t->limits.max_path)
        return err_set(e, ERR_LIMIT, "tar: path of more than %zu bytes (header at byte %llu)",
                       t->limits.max_path, (unsigned long long)t->header);
    buf_clear(&t->path);
    for (str rest = raw; rest.len;) {
        str part = str_cut(&rest, '/');
        if (!part.len || str_eq(part, STR(".")))
            continue;
        ret->escapes |= str_eq(part, STR(".."));
        if (t->path.len)
            buf_char(&t->path, '/');
        buf_str(&t->path, part);
    }
    if (t->path.failed)
        return err_set(e, ERR_OOM, "out of memory");
    ret->path = t->path.len ? buf_view(&t->path) : STR("");
    return 0;
}

/* POSIX splits a long path in two; GNU keeps times in the prefix's place. */
static str header_path(const struct tar *t, char joined[260])
{
    str name = TAR_NAME(t->block), prefix = TAR_PREFIX(t->block);
    if (!prefix.len || !tar_is_ustar(t->block))
        return name;
    memcpy(joined, prefix.ptr, prefix.len);
    joined[prefix.len] = '/';
    memcpy(joined + prefix.len + 1, name.ptr, name.len);
    return str_of(joined, prefix.len + 1 + name.len);
}

static int add_gnu_segments(struct tar *t, const char *from, size_t n, struct err *e)
{
    for (size_t i = 0; i < n && from[24 * i] && from[24 * i + 12]; i++) {
        uint64_t offset, size;
        if (!tar_number(str_of(from + 24 * i, 12), &offset) ||
            !tar_number(str_of(from + 24 * i + 12, 12), &size) || !tar_map_add(&t->map, offset, size))
            return broken(t, "bad sparse map", e);
    }
    return 0;
}

/* Four segments in the header, then blocks of 21 as long as the last one says so. */
static int read_gnu_map(struct tar *t, struct err *e)
{
    tar_map_clear(&t->map);
    if (!tar_number(TAR_REALSIZE(t->block), &t->size))
        return broken(t, "bad sparse size", e);
    if (add_gnu_segments(t, t->block + 386, 4, e) < 0)
        return -1;
    char extra[TAR_BLOCK];
    for (bool go_on = t->block[482]; go_on; go_on = extra[504])
        if (take_all(t, extra, TAR_BLOCK, e) < 0 || add_gnu_segments(t, extra, 21, e) < 0)
            return -1;
    return 0;
}

static bool map_fits(const struct tar *t, uint64_t stored)
{
    return t->map.end <= t->size && t->map.stored == stored;
}

/* GNU tar's four ways to write a sparse file: type 'S', and pax 0.0, 0.1 (map in the header) and 1.0 (in the content). */
static bool is_sparse(const struct tar *t)
{
    const struct meta *m = &t->meta;
    bool version_0 = !m->sparse.major.len || str_eq(m->sparse.major, STR("0"));
    return t->block[156] == 'S' || t->map_in_data || (m->sparse.has_map && m->sparse.has_size && version_0);
}

static int set_sparse(struct tar *t, struct err *e)
{
    const struct meta *m = &t->meta;
    t->pos = t->segment = 0;
    t->map_in_data =
        t->block[156] != 'S' && str_eq(m->sparse.major, STR("1")) && str_eq(m->sparse.minor, STR("0"));
    t->sparse = is_sparse(t);
    if (!t->sparse)
        return 0;
    t->size = m->sparse.size;
    if (t->block[156] == 'S' && read_gnu_map(t, e) < 0)
        return -1;
    if (t->size > INT64_MAX || (t->map_in_data && !m->sparse.has_size))
        return broken(t, "bad sparse size", e);
    return t->map_in_data || map_fits(t, t->left) ? 0 : broken(t, "sparse map does not fit its file", e);
}

static int set_content(struct tar *t, struct tar_member *ret, struct err *e)
{
    uint64_t stored;
    if (!tar_number(TAR_SIZE(t->block), &stored))
        return broken(t, "bad size", e);
    if (t->meta.has_size)
        stored = t->meta.size;
    if (stored > INT64_MAX)
        return broken(t, "bad size", e);
    set_left(t, header_only(t->block[156]) ? 0 : stored);
    if (ret->type == TAR_FILE) {
        if (set_sparse(t, e) < 0)
            return -1;
        ret->size = t->sparse ? t->size : stored;
        ret->sparse = t->sparse;
    }
    ret->offset = t->at;
    ret->stored = t->left;
    t->type = ret->type;
    return 0;
}

static int set_member(struct tar *t, struct tar_member *ret, struct err *e)
{
    if (++t->members > t->limits.max_members)
        return err_set(e, ERR_LIMIT, "tar: more than %llu members",
                       (unsigned long long)t->limits.max_members);
    char joined[260];
    const struct meta *m = &t->meta;
    str path = first_of(m->gnu_path, m->pax_path, header_path(t, joined));
    struct tar_member made = { .type = type_of(t->block[156], path) };
    if (made.type == TAR_HARDLINK || made.type == TAR_SYMLINK)
        made.link = first_of(m->gnu_link, m->pax_link, TAR_LINK(t->block));
    if (set_content(t, &made, e) < 0)
        return -1;
    if (made.type == TAR_FILE && t->sparse && m->sparse.name.len)
        path = m->sparse.name;
    if (set_path(t, path, &made, e) < 0)
        return -1;
    *ret = made;
    return 1;
}

static int next_member(struct tar *t, struct tar_member *ret, struct err *e)
{
    t->type = TAR_OTHER;
    t->spoiled = false;
    t->meta = (struct meta){ 0 };
    tar_map_clear(&t->map);
    int r;
    do {
        if (skip_rest(t, e) < 0)
            return -1;
        r = read_header(t, e);
        if (r == 0 && t->meta.pending)
            return broken(t, "extended header without its member", e);
        if (r <= 0)
            return r;
        r = read_meta(t, e);
    } while (r > 0);
    return r < 0 ? -1 : set_member(t, ret, e);
}

/* ---- content ---- */

static int stored_bytes(struct tar *t, uint64_t max, str *ret, struct err *e)
{
    uint64_t n = t->left < max ? t->left : max;
    if (!n)
        return 0;
    int r = more(t, e);
    if (r <= 0)
        return r < 0 ? -1 : broken(t, "truncated member", e);
    *ret = str_head(t->chunk, n);
    advance(t, ret->len);
    t->left -= ret->len;
    return 1;
}

static int map_number(struct tar *t, uint64_t *read, uint64_t *ret, struct err *e)
{
    uint64_t n = 0;
    for (unsigned digits = 0;; digits++) {
        str byte = { 0 };
        int r = stored_bytes(t, 1, &byte, e);
        if (r < 0)
            return -1;
        ++*read;
        if (r > 0 && *byte.ptr == '\n' && digits) {
            *ret = n;
            return 0;
        }
        if (r == 0 || *byte.ptr < '0' || *byte.ptr > '9' || digits > 18)
            return broken(t, "bad sparse map", e);
        n = 10 * n + (uint64_t)(*byte.ptr - '0');
    }
}

/* pax 1.0: the content begins with the number of segments, their offsets and sizes, a line each, up to a full block.
 * It is read late, so that nothing is read of files that nobody wants. */
static int read_map(struct tar *t, struct err *e)
{
    uint64_t count, offset, size, read = 0;
    t->map_in_data = false;
    tar_map_clear(&t->map);
    if (map_number(t, &read, &count, e) < 0)
        return -1;
    for (; count; count--) {
        if (map_number(t, &read, &offset, e) < 0 || map_number(t, &read, &size, e) < 0)
            return -1;
        if (!tar_map_add(&t->map, offset, size))
            return broken(t, "bad sparse map", e);
    }
    for (uint64_t pad = -read % TAR_BLOCK; pad;) {
        str part;
        int r = stored_bytes(t, pad, &part, e);
        if (r <= 0)
            return r < 0 ? -1 : broken(t, "bad sparse map", e);
        pad -= part.len;
    }
    return map_fits(t, t->left) ? 0 : broken(t, "sparse map does not fit its file", e);
}

static int spoiled(struct tar *t, const char *what, struct err *e)
{
    t->spoiled = true;
    return err_set(e, ERR_LIMIT, "tar: sparse file with %s (header at byte %llu)", what,
                   (unsigned long long)t->header);
}

/* Holes cost time but no bytes: they are bounded by what is stored, as the output of a decompressor is by its input. */
static bool is_bomb(const struct tar *t, uint64_t holes)
{
    return holes > MAX_HOLES || (holes > FREE_HOLES && holes / HOLES_RATIO > t->at + t->left);
}

/* Once for each sparse file, when its first byte is asked for. */
static int begin_sparse(struct tar *t, struct err *e)
{
    if (t->map_in_data && read_map(t, e) < 0)
        return -1;
    if (t->map.over)
        return spoiled(t, "too many segments", e);
    uint64_t holes = t->holes + (t->size - t->map.stored);
    if (is_bomb(t, holes))
        return spoiled(t, "holes of many times the size of the tar: refused as a bomb", e);
    t->holes = holes;
    return 0;
}

static int sparse_bytes(struct tar *t, str *ret, struct err *e)
{
    static const char hole[16384];
    if (t->pos == 0 && begin_sparse(t, e) < 0)
        return -1;
    bool stored;
    uint64_t n = tar_map_run(&t->map, &t->segment, t->pos, t->size, &stored);
    if (!n)
        return 0;
    if (!stored)
        *ret = str_of(hole, n < sizeof hole ? (size_t)n : sizeof hole);
    else if (stored_bytes(t, n, ret, e) < 0)
        return -1;
    t->pos += ret->len;
    return 1;
}

/* ---- the interface ---- */

static int keep_failure(struct tar *t, int r, const struct err *e)
{
    if (r < 0 && !t->spoiled)
        t->failed = *e;
    return r;
}

static int failed_before(const struct tar *t, struct err *e)
{
    if (t->failed.kind)
        *e = t->failed;
    return t->failed.kind ? -1 : 0;
}

int tar_next(struct tar *t, struct tar_member *ret, struct err *e)
{
    if (failed_before(t, e) < 0)
        return -1;
    return t->done ? 0 : keep_failure(t, next_member(t, ret, e), e);
}

int tar_chunk(struct tar *t, str *ret, struct err *e)
{
    if (failed_before(t, e) < 0)
        return -1;
    if (t->type != TAR_FILE)
        return 0;
    return keep_failure(t, t->sparse ? sparse_bytes(t, ret, e) : stored_bytes(t, UINT64_MAX, ret, e), e);
}

static int content_next(struct stream *s, str *ret, struct err *e)
{
    return tar_chunk((struct tar *)s, ret, e);
}

static void content_free(struct stream *s) {} /* it is a part of the tar */

struct stream *tar_stream(struct tar *t, struct err *e)
{
    if (t->type == TAR_FILE)
        return &t->content;
    err_set(e, ERR_INTERNAL, "tar: no file to read");
    return NULL;
}

bool tar_begins(str head)
{
    return head.len >= TAR_BLOCK && !tar_is_zero(head.ptr) && tar_checksum_ok(head.ptr);
}

struct tar *tar_new(struct stream *in, const struct tar_limits *limits, struct err *e)
{
    struct tar *t = calloc(1, sizeof *t);
    if (!t) {
        err_set(e, ERR_OOM, "out of memory");
        return NULL;
    }
    t->content = (struct stream){ content_next, content_free };
    t->in = in;
    t->chunk = STR("");
    t->type = TAR_OTHER;
    if (limits)
        t->limits = *limits;
    t->limits.max_members = t->limits.max_members ? t->limits.max_members : MAX_MEMBERS;
    t->limits.max_path = t->limits.max_path ? t->limits.max_path : MAX_PATH;
    t->at = t->limits.start;
    return t;
}

void tar_freep(struct tar **t)
{
    if (!*t)
        return;
    buf_done(&(*t)->pax);
    buf_done(&(*t)->gnu_path);
    buf_done(&(*t)->gnu_link);
    buf_done(&(*t)->path);
    tar_map_done(&(*t)->map);
    freep(t);
}
