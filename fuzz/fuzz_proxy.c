/* Heads and bodies that go through the proxies: the first byte tells which. What was taken is written again, and must then be read as the same; a body
 * that was framed anew has the same bytes however it came. */
#include "proxy/framing.h"

#include "base/cleanup.h"

/* A head of ours, out of what was read. */
static void write_again(const struct head *h, struct buf *out)
{
    buf_printf(out, STR_FMT " ", STR_ARG(h->method));
    buf_str(out, h->target);
    buf_str(out, STR(" HTTP/1.1\r\n"));
    if (!head_field(h, "Host").ptr)
        buf_str(out, STR("Host: \r\n"));
    head_put_fields(h, out);
    buf_str(out, STR("\r\n"));
}

static void try_request(str bytes)
{
    static struct head once, again;
    struct err e = { 0 };
    CLEANUP(buf_done) struct buf out = { 0 };
    if (head_read_request(bytes, &once, &e) < 0)
        return;
    write_again(&once, &out);
    if (head_read_request(buf_view(&out), &again, &e) < 0 || !str_eq(once.target, again.target) ||
        again.body != BODY_NONE ||
        !str_eq(head_field(&once, "Authorization"), head_field(&again, "Authorization")))
        abort();
}

/* In pieces of `step`; what comes out, or nothing. */
static bool run(str in, size_t step, enum body_kind kind, bool chunked, struct buf *out)
{
    struct framing f;
    struct err e = { 0 };
    framing_begin(&f, kind, 40, chunked);
    while (in.len && !f.done) {
        ptrdiff_t n = framing_take(&f, str_head(in, step), out, &e);
        if (n < 0)
            break;
        in = str_skip(in, (size_t)n);
        if (!n)
            abort(); /* it would never end */
    }
    bool good = f.done || (!in.len && framing_end(&f, out, &e) == 0);
    framing_done(&f);
    return good;
}

static void try_body(str in, enum body_kind kind)
{
    CLEANUP(buf_done) struct buf whole = { 0 }, pieces = { 0 }, chunks = { 0 }, back = { 0 };
    bool good = run(in, in.len, kind, false, &whole);
    if (run(in, 3, kind, false, &pieces) != good || (good && !str_eq(buf_view(&whole), buf_view(&pieces))))
        abort();
    if (run(in, 5, kind, true, &chunks) != good)
        abort();
    if (good && (!run(buf_view(&chunks), 7, BODY_CHUNKED, false, &back) ||
                 !str_eq(buf_view(&back), buf_view(&whole))))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct head response;
    struct err e = { 0 };
    str bytes = str_of((const char *)data, size);
    if (size < 2)
        return 0;
    str rest = str_skip(bytes, 1);
    switch (bytes.ptr[0] & 3) {
    case 0:
        try_request(rest);
        break;
    case 1:
        head_read_response(rest, STR("GET"), &response, &e);
        break;
    case 2:
        try_body(rest, BODY_CHUNKED);
        break;
    default:
        try_body(rest, BODY_UNTIL_CLOSE);
    }
    return 0;
}
