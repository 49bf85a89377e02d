/* The reader must say the same however the bytes come, and what it read must survive being written and read
 * again. */
#include "base/cleanup.h"
#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct pieces {
    struct stream stream;
    str rest;
    size_t size;
    char block[4096]; /* overwritten by the next piece: a view that outlives its time shows */
};

static int next_piece(struct stream *s, str *ret, struct err *e)
{
    struct pieces *p = (struct pieces *)s;
    str piece = str_head(p->rest, p->size);
    if (!piece.len)
        return 0;
    memset(p->block, '#', sizeof p->block);
    memcpy(p->block, piece.ptr, piece.len);
    p->rest = str_skip(p->rest, piece.len);
    *ret = str_of(p->block, piece.len);
    return 1;
}

static void write_event(struct json_writer *w, enum json_type type, str text)
{
    switch (type) {
    case JSON_OBJECT:
        json_w_object(w);
        break;
    case JSON_OBJECT_END:
        json_w_object_end(w);
        break;
    case JSON_ARRAY:
        json_w_array(w);
        break;
    case JSON_ARRAY_END:
        json_w_array_end(w);
        break;
    case JSON_KEY: { /* keys of the writer are C strings */
        CLEANUP(freep) char *key = strndup(text.len ? text.ptr : "", text.len);
        json_w_key(w, key);
        break;
    }
    case JSON_STRING:
    case JSON_NUMBER:
        json_w_str(w, text);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        json_w_bool(w, type == JSON_TRUE);
        break;
    case JSON_NULL:
        json_w_null(w);
        break;
    case JSON_END:
        break;
    }
}

static int rewrite(str doc, size_t piece, struct buf *out, struct err *e)
{
    struct pieces in = { .stream.next = next_piece, .rest = doc, .size = piece };
    CLEANUP(json_freep) struct json *j = json_new(&in.stream, &(struct json_limits){ 16, 256 }, e);
    struct json_writer w = { .out = out };
    enum json_type type = JSON_NULL;
    str text;
    while (type != JSON_END) {
        if (json_next(j, &type, &text, e) < 0)
            return -1;
        if (json_offset(j) > doc.len)
            abort();
        write_event(&w, type, text);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = { 4096, 1, 5 };
    CLEANUP(buf_done) struct buf first = { 0 };
    struct err e = { 0 };
    int r = rewrite(str_of(data, size), pieces[0], &first, &e);
    if ((r < 0) != (e.kind != ERR_NONE))
        abort();
    for (size_t i = 1; i < sizeof pieces / sizeof *pieces; i++) {
        CLEANUP(buf_done) struct buf other = { 0 };
        struct err why = { 0 };
        if (rewrite(str_of(data, size), pieces[i], &other, &why) != r || strcmp(e.text, why.text) != 0 ||
            !str_eq(buf_view(&first), buf_view(&other)))
            abort();
    }
    if (r < 0)
        return 0;
    CLEANUP(buf_done) struct buf again = { 0 };
    r = rewrite(buf_view(&first), 4096, &again,
                &e); /* U+FFFD is longer than what it stands for: ERR_LIMIT may come */
    if (r < 0 ? e.kind != ERR_LIMIT : !str_eq(buf_view(&first), buf_view(&again)))
        abort();
    return 0;
}
