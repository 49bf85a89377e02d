#include "index/sbom.h"
#include "base/cleanup.h"
#include "codec/inflate.h"
#include "image/tar.h"
#include "index/layer.h"
#include "index/sbom_reader.h"
#include "model/purl.h"

#define MEMORY_MAX ((size_t)320 << 20) /* of what is kept of one, in the worker */

/* ---- which it is ---- */

static str without_mark(str s) { return str_starts(s, STR("\xef\xbb\xbf")) ? str_skip(s, 3) : s; }

/* The first line that is none of blanks or a comment. */
static str first_line(str s)
{
    str line = STR("");
    while (s.len && (!line.len || line.ptr[0] == '#'))
        line = str_trim(str_line(&s));
    return line.len && line.ptr[0] == '#' ? STR("") : line;
}

bool sbom_begins(str head)
{
    if (tar_begins(head))
        return false;
    str line = first_line(without_mark(head));
    return line.len && (strchr("{[<", line.ptr[0]) || purl_is(line) || str_starts(line, STR("SPDXVersion:")));
}

/* ---- a purl a line ---- */

static int read_purls(struct sbom_reader *r, str content, struct err *e)
{
    for (size_t number = 1; content.len; number++) {
        str line = str_trim(str_line(&content));
        struct purl p;
        if (!line.len || line.ptr[0] == '#')
            continue;
        if (purl_parse(line, r->arena, &p, e) < 0)
            return err_wrap(e, "line %zu", number);
        struct sbom_component c = { .name = line, .purl = line };
        if (sbom_add(r, &c, e) < 0)
            return err_wrap(e, "line %zu", number);
    }
    return 0;
}

static int read_any(struct sbom_reader *r, str content, struct err *e)
{
    str line = first_line(content);
    if (!line.len)
        return err_set(e, ERR_FORMAT, "is empty");
    if (line.ptr[0] == '{' || line.ptr[0] == '[')
        return sbom_json(r, content, e);
    if (line.ptr[0] == '<')
        return sbom_xml(r, content, e);
    if (str_starts(line, STR("SPDXVersion:")))
        return sbom_tag_value(r, content, e);
    if (purl_is(line))
        return read_purls(r, content, e);
    return err_set(e, ERR_FORMAT, "neither CycloneDX nor SPDX nor a list of purls");
}

int sbom_parse(str content, struct sbom *ret, struct err *e)
{
    struct sbom_reader r = { .to = ret, .arena = ret->found.arena };
    return read_any(&r, without_mark(content), e) < 0 ? -1 : sbom_place(&r, e);
}

/* ---- inside the cage: an entry for the packages, then one for each note ---- */

static int read_all(struct stream *in, struct buf *to, struct err *e)
{
    str chunk;
    int more;
    while ((more = stream_next(in, &chunk, e)) > 0) {
        if (to->len + chunk.len > SBOM_MAX)
            return err_set(e, ERR_LIMIT, "larger than %zu MiB", SBOM_MAX >> 20);
        buf_str(to, chunk);
        if (to->failed)
            return err_set(e, ERR_OOM, "SBOM");
    }
    return more;
}

static int put(const struct sbom *s, const struct layer_sums *sums, struct frame_writer *out, struct err *e)
{
    CLEANUP(buf_done) struct buf work = { 0 };
    const struct err none = { 0 };
    struct layer_entry list = { .kind = ENTRY_FILE,
                                .path = s->unreadable ? STR("unreadable") : STR("packages"),
                                .distribution = s->found.distribution };
    if (layer_put_entry(&list, &work, out, e) < 0 || layer_put_found(&s->found, &work, out, e) < 0)
        return -1;
    for (size_t i = 0; i < s->note_count; i++) {
        char name[] = { (char)('0' + i) };
        struct layer_entry note = { .kind = ENTRY_OTHER, .path = str_of(name, 1), .note = s->notes[i] };
        if (layer_put_entry(&note, &work, out, e) < 0)
            return -1;
    }
    return layer_put_sums(sums, &none, out, e);
}

static int run_sbom(str params, struct stream *in, struct frame_writer *out, struct buf *summary,
                    struct err *e)
{
    static const struct inflate_limits limits = { .max_out = SBOM_MAX + (1 << 20), .max_window = 8 << 20 };
    struct layer_sums sums = { 0 };
    (void)params, (void)summary;
    CLEANUP(buf_done) struct buf content = { 0 };
    CLEANUP(arena_freep) struct arena *arena = arena_new(MEMORY_MAX);
    struct sbom s = { .found.arena = arena };
    CLEANUP(stream_freep) struct stream *tap = stream_sha256(in, NULL, e);
    CLEANUP(stream_freep) struct stream *plain = tap ? stream_inflate(tap, &limits, NULL, e) : NULL;
    if (!plain || !arena)
        return plain ? err_set(e, ERR_OOM, "SBOM") : -1;
    if (read_all(plain, &content, e) < 0 || stream_drain(tap, e) < 0)
        return -1;
    stream_sha256_hex(tap, sums.stored);
    sums.size = stream_sha256_size(tap);
    return sbom_parse(buf_view(&content), &s, e) < 0 ? -1 : put(&s, &sums, out, e);
}

const struct cage_task index_sbom_task = { .name = "sbom", .run = run_sbom };

/* ---- outside: an image of one layer ---- */

static int on_frame(void *ctx, unsigned type, str body, struct err *e)
{
    return layer_builder_frame(ctx, type, body, e);
}

static int by_package(const void *a, const void *b)
{
    const struct image_package *x = a, *y = b;
    return package_cmp(&x->package, &y->package);
}

/* Sorted, each once. */
static int take_packages(const struct layer_entry *x, struct arena *arena, struct image_index *ret)
{
    struct image_package *all = arena_array(arena, struct image_package, x->package_count + 1);
    size_t n = 0;
    if (!all)
        return -1;
    for (size_t i = 0; i < x->package_count; i++)
        all[i].package = x->packages[i];
    qsort(all, x->package_count, sizeof *all, by_package);
    for (size_t i = 0; i < x->package_count; i++)
        if (!n || !package_same(&all[n - 1].package, &all[i].package))
            all[n++] = all[i];
    ret->packages = all;
    ret->package_count = n;
    return 0;
}

static int take_facts(const struct layer_entry *x, struct arena *arena, struct image_index *ret)
{
    ret->facts = arena_array(arena, struct image_fact, x->fact_count + 1);
    for (size_t i = 0; ret->facts && i < x->fact_count; i++)
        ret->facts[ret->fact_count++] = (struct image_fact){ .fact = x->facts[i] };
    return ret->facts ? 0 : -1;
}

static int take(const struct layer_builder *b, struct arena *arena, struct image_index *ret)
{
    ret->notes = arena_array(arena, str, b->layer.entry_count + 1);
    for (size_t i = 0; ret->notes && i < b->layer.entry_count; i++) {
        const struct layer_entry *x = &b->layer.entries[i];
        if (x->kind != ENTRY_FILE) {
            ret->notes[ret->note_count++] = x->note;
            continue;
        }
        ret->distribution = x->distribution;
        ret->unreadable = str_eq(x->path, STR("unreadable"));
        if (take_packages(x, arena, ret) < 0 || take_facts(x, arena, ret) < 0)
            return -1;
    }
    return ret->notes ? 0 : -1;
}

static int take_layer(const struct layer_builder *b, struct arena *arena, struct image_index *ret)
{
    struct layer_index *layer = arena_alloc(arena, 1, sizeof *layer);
    ret->layers = arena_array(arena, const struct layer_index *, 1);
    ret->digest = arena_printf(arena, "sha256:%s", b->sums.stored);
    if (!layer || !ret->layers || !ret->digest.len)
        return -1;
    layer->digest = ret->digest;
    layer->size = b->sums.size;
    ret->layers[0] = layer;
    ret->layer_count = 1;
    return 0;
}

int index_sbom(struct cage *c, const struct cage_input *in, struct arena *arena, struct image_index *ret,
               struct err *e)
{
    CLEANUP(layer_builder_done) struct layer_builder b = { .arena = arena };
    *ret = (struct image_index){ 0 };
    if (cage_run(c, &index_sbom_task, STR(""), in, on_frame, &b, NULL, e) < 0)
        return -1;
    if (!b.ended || !*b.sums.stored || !b.layer.entry_count || b.layer.entries[0].kind != ENTRY_FILE)
        return err_set(e, ERR_CAGE, "worker sent no list");
    return take(&b, arena, ret) < 0 || take_layer(&b, arena, ret) < 0 ? layer_memory_error(e) : 0;
}
