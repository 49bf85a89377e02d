#include "net/grpc.h"

#include "base/cleanup.h"
#include "codec/gzip.h"
#include "codec/inflate.h"
#include "codec/stream.h"

#include <strings.h>

#define PACK_ABOVE  1024 /* bytes: less is not worth packing */
#define MESSAGE_MAX 2048 /* bytes of grpc-message before they are encoded: clients bound what headers take */

const char *grpc_code_name(enum grpc_code code)
{
    static const char *const names[GRPC_CODES] = {
        [GRPC_OK] = "OK",
        [GRPC_CANCELLED] = "Canceled",
        [GRPC_UNKNOWN] = "Unknown",
        [GRPC_INVALID_ARGUMENT] = "InvalidArgument",
        [GRPC_DEADLINE_EXCEEDED] = "DeadlineExceeded",
        [GRPC_NOT_FOUND] = "NotFound",
        [GRPC_ALREADY_EXISTS] = "AlreadyExists",
        [GRPC_PERMISSION_DENIED] = "PermissionDenied",
        [GRPC_RESOURCE_EXHAUSTED] = "ResourceExhausted",
        [GRPC_FAILED_PRECONDITION] = "FailedPrecondition",
        [GRPC_ABORTED] = "Aborted",
        [GRPC_OUT_OF_RANGE] = "OutOfRange",
        [GRPC_UNIMPLEMENTED] = "Unimplemented",
        [GRPC_INTERNAL] = "Internal",
        [GRPC_UNAVAILABLE] = "Unavailable",
        [GRPC_DATA_LOSS] = "DataLoss",
        [GRPC_UNAUTHENTICATED] = "Unauthenticated",
    };
    return code < GRPC_CODES ? names[code] : "Unknown";
}

/* ---- what its headers say ---- */

bool grpc_is(const struct request *r)
{
    str type = request_header(r, "content-type"), rest = type;
    str name = str_trim(str_cut(&rest, ';'));
    static const char *const names[] = { "application/grpc", "application/grpc+proto" };
    for (size_t i = 0; r->http2 && i < sizeof names / sizeof *names; i++)
        if (name.len == strlen(names[i]) && !strncasecmp(name.ptr, names[i], name.len))
            return str_eq(r->method, STR("POST"));
    return false;
}

/* At most eight digits and a unit (PROTOCOL-HTTP2, "Timeout"). */
int64_t grpc_timeout(const struct request *r)
{
    static const struct {
        char unit;
        int64_t ms, of; /* so many milliseconds are so many of the unit */
    } units[] = { { 'H', 3600000, 1 }, { 'M', 60000, 1 }, { 'S', 1000, 1 },
                  { 'm', 1, 1 },       { 'u', 1, 1000 },  { 'n', 1, 1000000 } };
    str text = request_header(r, "grpc-timeout");
    uint64_t n;
    if (text.len < 2 || text.len > 9 || !str_to_u64(str_head(text, text.len - 1), &n))
        return 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (text.ptr[text.len - 1] == units[i].unit) {
            int64_t ms = (int64_t)n * units[i].ms / units[i].of;
            return ms ? ms : 1;
        }
    return 0;
}

/* Is the word in a list with commas? */
static bool lists(str list, str word)
{
    while (list.len)
        if (str_eq(str_trim(str_cut(&list, ',')), word))
            return true;
    return false;
}

bool grpc_packs(const struct request *r)
{
    return lists(request_header(r, "grpc-accept-encoding"), STR("gzip"));
}

/* ---- messages ---- */

static int refuse(enum grpc_code code, const char *why, enum grpc_code *ret_code, const char **ret_why)
{
    *ret_code = code;
    *ret_why = why;
    return -1;
}

static int too_large(enum grpc_code *ret_code, const char **ret_why)
{
    return refuse(GRPC_RESOURCE_EXHAUSTED, "grpc: received message larger than max", ret_code, ret_why);
}

static int inflate_message(str packed, size_t max, struct arena *arena, str *ret, enum grpc_code *ret_code,
                           const char **ret_why)
{
    struct err e = { 0 };
    const struct inflate_limits limits = { .max_out = max + 1 };
    const char *name = NULL;
    CLEANUP(buf_done) struct buf out = { .max = max };
    CLEANUP(stream_freep) struct stream *bytes = stream_from_mem(packed, &e);
    CLEANUP(stream_freep) struct stream *in = bytes ? stream_inflate(bytes, &limits, &name, &e) : NULL;
    str chunk;
    int more = in && !strcmp(name, "gzip") ? 1 : -1;
    while (!out.failed && more > 0 && (more = stream_next(in, &chunk, &e)) > 0)
        buf_str(&out, chunk);
    if (out.failed || e.kind == ERR_LIMIT)
        return too_large(ret_code, ret_why);
    if (more < 0)
        return refuse(GRPC_INTERNAL, "grpc: failed to decompress the received message", ret_code, ret_why);
    *ret = arena_dup(arena, buf_view(&out));
    return arena_failed(arena) ? too_large(ret_code, ret_why) : 0;
}

/* One frame's content as it is meant. */
int grpc_unpack(const struct request *r, bool packed, str bytes, size_t max, str *ret,
                enum grpc_code *ret_code, const char **ret_why)
{
    str encoding = request_header(r, "grpc-encoding");
    if (bytes.len > max)
        return too_large(ret_code, ret_why);
    *ret = bytes;
    if (!packed)
        return 0;
    if (str_eq(encoding, STR("gzip")))
        return inflate_message(bytes, max, r->arena, ret, ret_code, ret_why);
    if (!encoding.len || str_eq(encoding, STR("identity")))
        return refuse(GRPC_INTERNAL, "grpc: compressed flag set with identity or empty encoding", ret_code,
                      ret_why);
    return refuse(GRPC_UNIMPLEMENTED, "grpc: Decompressor is not installed for that grpc-encoding", ret_code,
                  ret_why);
}

size_t grpc_size(str head)
{
    const uint8_t *b = (const uint8_t *)head.ptr;
    return (size_t)b[1] << 24 | (size_t)b[2] << 16 | (size_t)b[3] << 8 | b[4];
}

int grpc_next(const struct request *r, size_t *at, str *ret, enum grpc_code *ret_code, const char **ret_why)
{
    str rest = str_skip(r->body, *at);
    if (!rest.len)
        return 0;
    size_t n = rest.len < GRPC_PREFIX ? 0 : grpc_size(rest);
    if (n > GRPC_MESSAGE_MAX || r->body_cut)
        return too_large(ret_code, ret_why);
    if (rest.len < GRPC_PREFIX + n)
        return refuse(GRPC_INTERNAL, "grpc: the message is cut off", ret_code, ret_why);
    if ((uint8_t)*rest.ptr > 1)
        return refuse(GRPC_INTERNAL, "grpc: received unexpected payload format", ret_code, ret_why);
    *at += GRPC_PREFIX + n;
    str bytes = str_head(str_skip(rest, GRPC_PREFIX), n);
    return grpc_unpack(r, *rest.ptr, bytes, GRPC_MESSAGE_MAX, ret, ret_code, ret_why) < 0 ? -1 : 1;
}

int grpc_message(const struct request *r, str *ret, enum grpc_code *ret_code, const char **ret_why)
{
    size_t at = 0;
    int some = grpc_next(r, &at, ret, ret_code, ret_why);
    if (some < 0)
        return -1;
    if (!some || at != r->body.len)
        return refuse(GRPC_INTERNAL,
                      some ? "grpc: more than one message for a unary call" : "grpc: no message", ret_code,
                      ret_why);
    return 0;
}

/* ---- answers ---- */

static void add_prefix(struct buf *out, bool packed, size_t n)
{
    const uint8_t head[GRPC_PREFIX] = { packed, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
                                        (uint8_t)n };
    buf_add(out, head, sizeof head);
}

bool grpc_frame(const struct request *r, str message, struct buf *out)
{
    CLEANUP(buf_done) struct buf packed = { 0 };
    if (message.len > PACK_ABOVE && grpc_packs(r))
        gzip_pack(message, &packed);
    bool pays = !packed.failed && packed.len && packed.len < message.len;
    add_prefix(out, pays, pays ? packed.len : message.len);
    buf_str(out, pays ? buf_view(&packed) : message);
    return !out->failed;
}

/* All but printable ASCII and the percent sign as it is. */
static str encode(str text, struct arena *arena)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_alloc(arena, 3 * text.len + 1, 1), *to = out;
    for (size_t i = 0; out && i < text.len; i++) {
        uint8_t c = (uint8_t)text.ptr[i];
        if (c >= ' ' && c <= '~' && c != '%') {
            *to++ = (char)c;
            continue;
        }
        *to++ = '%';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    return str_of(out, out ? (size_t)(to - out) : 0);
}

static const char *const code_texts[GRPC_CODES] = { "0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                                    "9", "10", "11", "12", "13", "14", "15", "16" };

void grpc_begin(const struct request *r, struct response *ret)
{
    ret->status = 200;
    response_header(ret, "content-type", STR("application/grpc"));
    response_header(ret, "grpc-accept-encoding", STR("gzip,identity"));
    if (grpc_packs(r)) /* each message says for itself whether it is */
        response_header(ret, "grpc-encoding", STR("gzip"));
}

void grpc_end(const struct request *r, struct response *ret, enum grpc_code code, str why)
{
    code = code < GRPC_CODES ? code : GRPC_UNKNOWN;
    if (!ret->status)
        grpc_begin(r, ret);
    response_trailer(ret, "grpc-status", str_from(code_texts[code]));
    if (why.len)
        response_trailer(ret, "grpc-message", encode(str_head(why, MESSAGE_MAX), r->arena));
}

void grpc_answer(const struct request *r, struct response *ret, str message)
{
    grpc_frame(r, message, &ret->body);
    grpc_end(r, ret, GRPC_OK, STR(""));
}

void grpc_fail(const struct request *r, struct response *ret, enum grpc_code code, str why)
{
    buf_clear(&ret->body);
    grpc_end(r, ret, code, why);
}
