#include "codec/archive.h"
#include "base/cleanup.h"

#include <archive.h>
#include <archive_entry.h>

#define DEFAULT_FILES ((uint64_t)2000000)
#define DEFAULT_FILE  ((uint64_t)256 << 20)
#define NAME_ROOM     1024
#define SHOWN         100 /* bytes of a name in an error: the reason must fit too */

/* The end of a zip: its last record with a comment of any length, before it those of zip64 (APPNOTE 4.3.14 to 4.3.16). */
#define END_SIZE     22
#define LOCATOR_SIZE 20
#define END64_SIZE   56
#define COMMENT_MAX  65535
#define TAIL_MAX     ((size_t)END64_SIZE + LOCATOR_SIZE + END_SIZE + COMMENT_MAX)
#define TAR_BLOCK    512

/* What libarchive reads, and what has to be known of it at the end. */
struct source {
    struct stream *in;  /* a peekable one */
    struct err failure; /* of the stream */
    bool keep_tail;
    uint64_t size, zeros; /* bytes so far; how many of them are zeros at the end */
    size_t tail_len;
    char tail[2 * TAIL_MAX]; /* the last bytes, TAIL_MAX at least if there were so many */
};

/* libarchive's own reader is called `struct archive`, too: the public one is only ever a pointer to this. */
struct reader {
    struct stream file; /* first: what archive_next() gives is the reader itself */
    struct archive *lib;
    struct archive_limits limits;
    bool zip, done;
    uint64_t entries, files; /* all of them; the regular files */
    uint64_t position;       /* bytes of the current file so far */
    bool touched, ended;     /* of the current file: read from, read to its end */
    struct err failure;      /* after an error every call fails alike */
    size_t name_len;
    char name[NAME_ROOM];
    struct source source;
};

static struct reader *reader_of(struct archive *a) { return (struct reader *)(void *)a; }

/* ---- the bytes below ---- */

/* What was kept is moved only when there is no room behind it: chunks may be small. */
static void keep_tail(struct source *s, str chunk)
{
    if (chunk.len > TAIL_MAX)
        chunk = str_skip(chunk, chunk.len - TAIL_MAX);
    if (s->tail_len + chunk.len > sizeof s->tail) {
        size_t old = s->tail_len < TAIL_MAX ? s->tail_len : TAIL_MAX;
        memmove(s->tail, s->tail + s->tail_len - old, old);
        s->tail_len = old;
    }
    memcpy(s->tail + s->tail_len, chunk.ptr, chunk.len);
    s->tail_len += chunk.len;
}

static void count_zeros(struct source *s, str chunk)
{
    size_t n = chunk.len;
    while (n && !chunk.ptr[n - 1])
        n--;
    s->zeros = (n ? 0 : s->zeros) + chunk.len - n;
}

static int source_next(struct source *s, str *ret)
{
    if (s->failure.kind)
        return -1;
    int r = stream_next(s->in, ret, &s->failure);
    if (r <= 0)
        return r;
    if (s->keep_tail)
        keep_tail(s, *ret);
    else
        count_zeros(s, *ret);
    s->size += ret->len;
    return 1;
}

static la_ssize_t lib_read(struct archive *lib, void *ctx, const void **bytes)
{
    str chunk = { 0 };
    int r = source_next(ctx, &chunk);
    if (r < 0)
        archive_set_error(lib, -1, "the input cannot be read");
    *bytes = chunk.ptr;
    return r < 0 ? -1 : (la_ssize_t)chunk.len;
}

/* ---- errors ---- */

/* "zip: entry 17 (npm/GHSA-1.json): what" */
static int fail(struct reader *r, enum err_kind kind, const char *what, struct err *e)
{
    r->failure = r->source.failure;
    if (!r->failure.kind) {
        err_set(&r->failure, kind, "%s", what);
        if (r->name_len)
            err_wrap(&r->failure, "%s: entry %llu (" STR_FMT ")", r->zip ? "zip" : "tar",
                     (unsigned long long)r->entries, STR_ARG(str_head(str_of(r->name, r->name_len), SHOWN)));
        else
            err_wrap(&r->failure, "%s: entry %llu", r->zip ? "zip" : "tar", (unsigned long long)r->entries);
    }
    *e = r->failure;
    return -1;
}

static int fail_lib(struct reader *r, struct err *e)
{
    const char *what = archive_error_string(r->lib);
    return fail(r, ERR_FORMAT, what ? what : "damaged", e);
}

/* ---- one file ---- */

static int file_next(struct stream *s, str *ret, struct err *e)
{
    struct reader *r = (struct reader *)s;
    const void *bytes;
    size_t size;
    la_int64_t offset;
    if (r->failure.kind)
        return *e = r->failure, -1;
    r->touched = true;
    while (!r->ended) {
        int got = archive_read_data_block(r->lib, &bytes, &size, &offset);
        if (got == ARCHIVE_EOF) {
            r->ended = true;
            break;
        }
        if (got != ARCHIVE_OK)
            return fail_lib(r, e);
        if (!size)
            continue;
        if (offset < 0 || (uint64_t)offset != r->position)
            return fail(r, ERR_FORMAT, "a file with holes", e);
        if (size > r->limits.max_file - r->position)
            return fail(r, ERR_LIMIT, "a file larger than what is read of one", e);
        r->position += size;
        *ret = str_of(bytes, size);
        return 1;
    }
    return 0;
}

static void file_free(struct stream *s) { (void)s; /* it is the archive's */ }

/* A file that was begun is read to its end: only there its checksum is compared. */
static int leave_file(struct reader *r, struct err *e)
{
    str rest;
    int got = 1;
    while (got > 0 && r->touched && !r->ended)
        got = file_next(&r->file, &rest, e);
    return got < 0 ? -1 : 0;
}

/* ---- the end ---- */

static uint64_t little_endian(const char *p, unsigned bytes)
{
    uint64_t v = 0;
    while (bytes)
        v = v << 8 | (uint8_t)p[--bytes];
    return v;
}

/* How many entries the zip says it has; the end of the archive must be the end of the bytes. */
static bool entries_told(const struct source *s, uint64_t *ret)
{
    for (size_t comment = 0; comment <= COMMENT_MAX && comment + END_SIZE <= s->tail_len; comment++) {
        size_t at = s->tail_len - END_SIZE - comment;
        const char *end = s->tail + at;
        if (memcmp(end, "PK\5\6", 4) != 0 || little_endian(end + 20, 2) != comment)
            continue;
        *ret = little_endian(end + 10, 2);
        if (at >= LOCATOR_SIZE + END64_SIZE && memcmp(end - LOCATOR_SIZE, "PK\6\7", 4) == 0) {
            const char *end64 = end - LOCATOR_SIZE - END64_SIZE;
            if (memcmp(end64, "PK\6\6", 4) != 0)
                return false;
            *ret = little_endian(end64 + 32, 8);
        }
        return true;
    }
    return false;
}

/* libarchive is content with less than a whole archive: it looks for the next header of a zip wherever it may be, and takes the end of
 * the bytes for that of a tar. */
static int check_end(struct reader *r, struct err *e)
{
    struct source *s = &r->source;
    str chunk;
    uint64_t told;
    int got;
    while ((got = source_next(s, &chunk)) > 0) {
    }
    r->name_len = 0;
    if (got < 0)
        return fail(r, ERR_IO, "", e);
    if (!r->zip) {
        uint64_t end = (uint64_t)archive_read_header_position(r->lib);
        bool whole = s->size >= end + TAR_BLOCK && s->zeros >= s->size - end;
        return whole ? 0 : fail(r, ERR_FORMAT, "the archive ends early", e);
    }
    if (!entries_told(s, &told))
        return fail(r, ERR_FORMAT, "the archive ends early: no list of its entries", e);
    if (told == r->entries)
        return 0;
    char what[128];
    snprintf(what, sizeof what, "the archive lists %llu entries", (unsigned long long)told);
    return fail(r, ERR_FORMAT, what, e);
}

/* ---- from file to file ---- */

static int set_name(struct reader *r, struct archive_entry *entry, struct err *e)
{
    str name = str_from(archive_entry_pathname(entry));
    if (!name.ptr) /* UTF-8 by its flag, and the locale cannot have it; worse names never come so far */
        name = STR(ARCHIVE_NO_NAME);
    while (str_starts(name, STR("./")))
        name = str_skip(name, 2);
    r->name_len = 0;
    if (!name.len)
        return fail(r, ERR_FORMAT, "a file without a name", e);
    if (name.len > NAME_ROOM)
        return fail(r, ERR_LIMIT, "a name of more than 1024 bytes", e);
    memcpy(r->name, name.ptr, name.len);
    r->name_len = name.len;
    return 0;
}

/* ARCHIVE_WARN tells of names that the locale does not have. */
static int step(struct reader *r, struct archive_entry **entry, struct err *e)
{
    int got = archive_read_next_header(r->lib, entry);
    if (got == ARCHIVE_EOF)
        return 0;
    r->entries++;
    r->name_len = 0;
    return got == ARCHIVE_OK || got == ARCHIVE_WARN ? 1 : fail_lib(r, e);
}

int archive_next(struct archive *a, str *name, struct stream **file, struct err *e)
{
    struct reader *r = reader_of(a);
    struct archive_entry *entry;
    int got;
    if (r->failure.kind)
        return *e = r->failure, -1;
    if (r->done)
        return 0;
    if (leave_file(r, e) < 0)
        return -1;
    do {
        r->touched = r->ended = false;
        r->position = 0;
        if ((got = step(r, &entry, e)) <= 0)
            break;
    } while (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry));
    if (got < 0 || (got == 0 && check_end(r, e) < 0))
        return -1;
    r->done = !got;
    if (r->done)
        return 0;
    if (r->files++ == r->limits.max_files)
        return fail(r, ERR_LIMIT, "more files than what is read of an archive", e);
    if (set_name(r, entry, e) < 0)
        return -1;
    *name = str_of(r->name, r->name_len);
    *file = &r->file;
    return 1;
}

static int open_lib(struct reader *r, struct err *e)
{
    str head;
    if (stream_peek(r->source.in, 4, &head, e) < 0)
        return -1;
    r->zip =
        str_starts(head, STR("PK\3\4")) || str_starts(head, STR("PK\5\6")) || str_starts(head, STR("PK\6\6"));
    r->source.keep_tail = r->zip;
    r->lib = archive_read_new();
    if (!r->lib)
        return err_set(e, ERR_OOM, "archive: out of memory");
    int got =
        r->zip ? archive_read_support_format_zip_streamable(r->lib) : archive_read_support_format_tar(r->lib);
    if (got == ARCHIVE_OK)
        got = archive_read_open(r->lib, &r->source, NULL, lib_read, NULL);
    if (got == ARCHIVE_OK)
        return 0;
    return r->source.failure.kind ? fail(r, ERR_IO, "", e)
                                  : err_set(e, ERR_FORMAT, "archive: neither a zip nor a tar");
}

struct archive *archive_new(struct stream *in, const struct archive_limits *limits, struct err *e)
{
    struct reader *r = calloc(1, sizeof *r);
    if (!r) {
        err_set(e, ERR_OOM, "archive: out of memory");
        return NULL;
    }
    struct archive *a = (struct archive *)(void *)r;
    r->file = (struct stream){ file_next, file_free, false };
    r->limits = limits ? *limits : (struct archive_limits){ 0 };
    r->limits.max_files = r->limits.max_files ? r->limits.max_files : DEFAULT_FILES;
    r->limits.max_file = r->limits.max_file ? r->limits.max_file : DEFAULT_FILE;
    r->source.in = stream_peekable(in, e);
    if (!r->source.in || open_lib(r, e) < 0)
        archive_freep(&a);
    return a;
}

void archive_freep(struct archive **a)
{
    if (!*a)
        return;
    struct reader *r = reader_of(*a);
    if (r->lib)
        archive_read_free(r->lib);
    stream_freep(&r->source.in);
    free(r);
    *a = NULL;
}

int archive_each(struct stream *in, archive_file *each, void *ctx, size_t *ret_count, struct err *e)
{
    CLEANUP(archive_freep) struct archive *a = archive_new(in, NULL, e);
    str name;
    struct stream *file;
    int got = a ? 0 : -1, r;
    *ret_count = 0;
    while (a && (got = archive_next(a, &name, &file, e)) > 0) {
        if ((r = each(ctx, name, file, e)) < 0)
            return err_wrap(e, STR_FMT, STR_ARG(str_head(name, SHOWN)));
        *ret_count += (size_t)r;
    }
    return got;
}
