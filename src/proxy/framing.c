#include "proxy/framing.h"

#include "base/cleanup.h"

#define LINE_MAX_BYTES 256
#define TRAILER_MAX    ((size_t)8 << 10)

enum { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER };

void framing_begin(struct framing *f, enum body_kind kind, uint64_t length, bool chunked)
{
    *f = (struct framing){ .kind = kind, .chunked = chunked, .trailer.max = TRAILER_MAX + 16 };
    f->left = kind == BODY_LENGTH ? length : 0;
    f->done = kind == BODY_NONE;
}

void framing_done(struct framing *f) { buf_done(&f->trailer); }

static int wrong(struct err *e, const char *what)
{
    return err_set(e, ERR_FORMAT, "HTTP: chunked body: %s", what);
}

static void put(const struct framing *f, str bytes, struct buf *out)
{
    if (!bytes.len)
        return;
    if (f->chunked)
        buf_printf(out, "%zx\r\n", bytes.len);
    buf_str(out, bytes);
    if (f->chunked)
        buf_str(out, STR("\r\n"));
}

static str most(str in, uint64_t left) { return left < in.len ? str_head(in, (size_t)left) : in; }

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static int step_size(struct framing *f, char c, struct err *e)
{
    int digit = f->state == SIZE ? hex(c) : -1;
    if (++f->line > LINE_MAX_BYTES)
        return wrong(e, "a line that is too long");
    if (digit >= 0) {
        if (f->left >> 56)
            return wrong(e, "a chunk that is too large");
        f->left = f->left << 4 | (unsigned)digit;
    } else if (f->line == 1) {
        return wrong(e, "a chunk without a size");
    } else if (c == '\r') {
        f->state = SIZE_LF;
    } else if (f->state == EXTENSION ? c == '\t' || (c >= ' ' && c != 0x7f)
                                     : c == ';' || c == ' ' || c == '\t') {
        f->state = EXTENSION;
    } else {
        return wrong(e, "a size that is no number");
    }
    return 0;
}

/* One byte that is not of the data. */
static int step(struct framing *f, char c, struct err *e)
{
    if (f->state == SIZE || f->state == EXTENSION)
        return step_size(f, c, e);
    if (c != (f->state == DATA_CR ? '\r' : '\n'))
        return wrong(e, "a line that does not end with CR LF");
    if (f->state == SIZE_LF)
        f->state = f->left ? DATA : TRAILER;
    else if (f->state == DATA_CR)
        f->state = DATA_LF;
    else
        f->state = SIZE, f->line = 0, f->left = 0;
    return 0;
}

/* What stands behind the last chunk: fields, none of which is of framing. */
static int put_trailer(struct framing *f, struct buf *out, struct err *e)
{
    str rest = buf_view(&f->trailer);
    if (f->chunked)
        buf_str(out, STR("0\r\n"));
    while (rest.len > 2) {
        ptrdiff_t end = str_find(rest, '\n');
        struct head_field field;
        str line = str_head(rest, end > 0 ? (size_t)end - 1 : 0);
        rest = str_skip(rest, (size_t)end + 1);
        if (!line.len || line.ptr[line.len] != '\r' || head_read_field(line, &field, e) < 0)
            return wrong(e, "a trailer that is none");
        if (f->chunked && !head_is_hop(field.name) && !head_is(field.name, "Host") &&
            !head_is(field.name, "Authorization"))
            buf_printf(out, STR_FMT ": " STR_FMT "\r\n", STR_ARG(field.name), STR_ARG(field.value));
    }
    if (f->chunked)
        buf_str(out, STR("\r\n"));
    f->done = true;
    return 0;
}

static int step_trailer(struct framing *f, char c, struct buf *out, struct err *e)
{
    buf_char(&f->trailer, c);
    str all = buf_view(&f->trailer);
    if (f->trailer.failed || all.len > TRAILER_MAX)
        return wrong(e, "trailers that are too long");
    bool ended = str_eq(all, STR("\r\n")) || str_ends(all, STR("\r\n\r\n"));
    return ended ? put_trailer(f, out, e) : 0;
}

static ptrdiff_t take_chunks(struct framing *f, str in, struct buf *out, struct err *e)
{
    str rest = in;
    while (rest.len && !f->done) {
        if (f->state == DATA) {
            str piece = most(rest, f->left);
            put(f, piece, out);
            rest = str_skip(rest, piece.len);
            f->left -= piece.len;
            f->state = f->left ? DATA : DATA_CR;
            continue;
        }
        int r = f->state == TRAILER ? step_trailer(f, rest.ptr[0], out, e) : step(f, rest.ptr[0], e);
        if (r < 0)
            return -1;
        rest = str_skip(rest, 1);
        if (!rest.len)
            break;
    }
    return (ptrdiff_t)(in.len - rest.len);
}

ptrdiff_t framing_take(struct framing *f, str in, struct buf *out, struct err *e)
{
    if (f->done || !in.len)
        return 0;
    if (f->kind == BODY_CHUNKED)
        return take_chunks(f, in, out, e);
    str piece = f->kind == BODY_LENGTH ? most(in, f->left) : in;
    put(f, piece, out);
    f->left -= f->kind == BODY_LENGTH ? piece.len : 0;
    f->done = f->kind == BODY_LENGTH && !f->left;
    if (f->done && f->chunked)
        buf_str(out, STR("0\r\n\r\n"));
    return (ptrdiff_t)piece.len;
}

int framing_end(struct framing *f, struct buf *out, struct err *e)
{
    if (f->done)
        return 0;
    if (f->kind != BODY_UNTIL_CLOSE)
        return err_set(e, ERR_NETWORK, "the connection ended within a body");
    f->done = true;
    if (f->chunked)
        buf_str(out, STR("0\r\n\r\n"));
    return 0;
}
