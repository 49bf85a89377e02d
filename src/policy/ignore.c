/* ignore.c - a file of whatever kind becomes rules. */
#include "policy/ignore.h"
#include "base/cleanup.h"
#include "policy/ignore_reader.h"

#define LIST_MEMORY ((size_t)512 << 20)

static const char *const status_names[] = { [VEX_NONE] = "",
                                            [VEX_NOT_AFFECTED] = "not_affected",
                                            [VEX_FIXED] = "fixed",
                                            [VEX_AFFECTED] = "affected",
                                            [VEX_UNDER_INVESTIGATION] = "under_investigation" };

const char *vex_status_name(enum vex_status s) { return status_names[s]; }

static bool same_word(str a, str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if ((a.ptr[i] == '-' ? '_' : a.ptr[i]) != b.ptr[i])
            return false;
    return true;
}

enum vex_status vex_status_of(str name)
{
    for (unsigned s = VEX_NOT_AFFECTED; s <= VEX_UNDER_INVESTIGATION; s++)
        if (same_word(name, str_from(status_names[s])))
            return s;
    return VEX_NONE;
}

struct ignore_list *ignore_list_new(struct err *e)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(LIST_MEMORY);
    struct ignore_list *l = calloc(1, sizeof *l);
    if (!arena || !l) {
        free(l);
        err_set(e, ERR_OOM, "ignore list");
        return NULL;
    }
    l->arena = arena;
    arena = NULL;
    return l;
}

void ignore_list_freep(struct ignore_list **l)
{
    if (!*l)
        return;
    strmap_done(&(*l)->by_id);
    arena_freep(&(*l)->arena);
    free(*l);
    *l = NULL;
}

enum kind { KIND_WHITELIST, KIND_TRIVY_LINES, KIND_TRIVY_YAML, KIND_GRYPE, KIND_OPENVEX, KIND_CSAF };
static const struct {
    const char *name;
    enum ignore_source source;
    int (*tree)(const struct reader *r, const struct yaml *top, struct err *e);
    int (*bytes)(const struct reader *r, str bytes, struct err *e); /* NULL: `tree` */
} kinds[] = {
    [KIND_WHITELIST] = { "a whitelist of clair-scanner", IGNORE_LISTS, NULL, read_whitelist },
    [KIND_TRIVY_LINES] = { "a list of ids", IGNORE_LISTS, NULL, read_trivy_lines },
    [KIND_TRIVY_YAML] = { "an ignore file of Trivy", IGNORE_LISTS, read_trivy_yaml, NULL },
    [KIND_GRYPE] = { "a configuration of grype", IGNORE_LISTS, read_grype, NULL },
    [KIND_OPENVEX] = { "an OpenVEX document", IGNORE_VEX, read_openvex, NULL },
    [KIND_CSAF] = { "a CSAF document", IGNORE_VEX, read_csaf, NULL },
};

static bool kind_by_name(const char *file, enum kind *ret)
{
    static const struct {
        str end;
        enum kind kind;
    } ends[] = { { { ".trivyignore", 12 }, KIND_TRIVY_LINES },
                 { { ".trivyignore.yaml", 17 }, KIND_TRIVY_YAML },
                 { { ".trivyignore.yml", 16 }, KIND_TRIVY_YAML },
                 { { ".grype.yaml", 11 }, KIND_GRYPE },
                 { { ".grype.yml", 10 }, KIND_GRYPE } };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (str_ends(str_from(file), ends[i].end)) {
            *ret = ends[i].kind;
            return true;
        }
    return false;
}

/* The first line that is neither blank nor a comment; empty: there is none. */
static str first_line(str bytes)
{
    while (bytes.len) {
        str line = str_trim(str_line(&bytes));
        if (line.len && line.ptr[0] != '#')
            return line;
    }
    return STR("");
}

/* "key:" or "key: value", or the beginning of a document. */
static bool looks_like_yaml(str line)
{
    ptrdiff_t colon = str_find(line, ':');
    if (str_starts(line, STR("---")) || str_starts(line, STR("{")))
        return true;
    return colon > 0 && ((size_t)colon + 1 == line.len || line.ptr[colon + 1] == ' ');
}

static bool kind_by_keys(const struct yaml *top, enum kind *ret)
{
    static const struct {
        const char *key;
        enum kind kind;
    } keys[] = { { "generalwhitelist", KIND_WHITELIST },
                 { "images", KIND_WHITELIST },
                 { "ignore", KIND_GRYPE },
                 { "vulnerabilities", KIND_TRIVY_YAML },
                 { "misconfigurations", KIND_TRIVY_YAML } };
    if (yaml_get(top, STR("@context")) || yaml_get(top, STR("statements")))
        return *ret = KIND_OPENVEX, true;
    if (yaml_get(top, STR("document")))
        return *ret = KIND_CSAF, true;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (yaml_get(top, str_from(keys[i].key)))
            return *ret = keys[i].kind, true;
    return false;
}

static int tree_of(const struct reader *r, str bytes, struct yaml **ret, struct err *e)
{
    bool json = str_starts(first_line(bytes), STR("{"));
    *ret = json ? ignore_json(bytes, r->list->arena, e) : yaml_read(bytes, r->list->arena, e);
    return *ret ? 0 : err_wrap(e, "%.200s", r->file);
}

static int find_kind(const struct reader *r, str bytes, enum kind *ret, struct yaml **tree, struct err *e)
{
    bool named = kind_by_name(r->file, ret);
    if (!named && !looks_like_yaml(first_line(bytes)))
        return *ret = KIND_TRIVY_LINES, 0;
    if (named && !kinds[*ret].tree)
        return 0;
    if (tree_of(r, bytes, tree, e) < 0)
        return -1;
    if (named || kind_by_keys(*tree, ret))
        return 0;
    return reader_fail(r, 0, e,
                       "neither a list of ids nor has it a key of a file that is known "
                       "(generalwhitelist, images, ignore, vulnerabilities, statements, document)");
}

int ignore_read(struct ignore_list *l, enum ignore_source source, const char *file, str bytes, struct err *e)
{
    struct reader r = { l, file };
    struct yaml *tree = NULL;
    enum kind kind = KIND_TRIVY_LINES;
    if (bytes.len > IGNORE_FILE_MAX)
        return err_set(e, ERR_LIMIT, "%.200s: more than %zu MiB", file, IGNORE_FILE_MAX >> 20);
    bytes = arena_dup(l->arena, bytes);
    if (str_starts(bytes, STR("\xef\xbb\xbf")))
        bytes = str_skip(bytes, 3);
    if (arena_failed(l->arena))
        return err_set(e, ERR_OOM, "%s", file);
    if (find_kind(&r, bytes, &kind, &tree, e) < 0)
        return -1;
    if (kinds[kind].source != source)
        return err_set(e, ERR_USAGE, "%.200s: is %s, which is read with %s", file, kinds[kind].name,
                       source == IGNORE_VEX ? "--ignore-file" : "--vex");
    if ((kinds[kind].bytes ? kinds[kind].bytes(&r, bytes, e) : kinds[kind].tree(&r, tree, e)) < 0)
        return -1;
    return arena_failed(l->arena) ? err_set(e, ERR_OOM, "%s", file) : 0;
}
