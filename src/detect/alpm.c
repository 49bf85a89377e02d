/* alpm.c - pacman's database of Arch Linux and its kin: a folder for each package, in it "desc", blocks of "%NAME%" and lines
 * up to an empty one (pacman's lib/libalpm/be_local.c is who writes them). */
#include "detect/detector.h"

/* The newest layout of the folder that pacman knows, and the one there has been since 2013. */
#define LAYOUT "9"

/* The field of the package that a block tells; NULL: none of ours. */
static str *field_of(struct package *p, str heading)
{
    const struct {
        str heading;
        str *field;
    } fields[] = {
        { STR("%NAME%"), &p->name },
        { STR("%VERSION%"), &p->version },
        { STR("%ARCH%"), &p->arch },
        { STR("%BASE%"), &p->source },
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (str_eq(heading, fields[i].heading))
            return fields[i].field;
    return NULL;
}

static void read_blocks(str content, struct package *p)
{
    str *field = NULL;
    bool inside = false; /* a block: what looks like a heading there is a value */
    while (content.len) {
        str line = str_trim(str_line(&content));
        if (!line.len) {
            inside = false;
        } else if (!inside) {
            inside = true;
            field = field_of(p, line);
        } else if (field) {
            *field = line;
            field = NULL; /* the first line is the value */
        }
    }
}

/* A word about the layout, no packages. It is read so that it does not stand there as a package without a description. */
static void read_layout(str content, struct detected *out)
{
    str layout = str_trim(content);
    if (!str_eq(layout, STR(LAYOUT)))
        detected_note(out, "the layout of this package database is " STR_FMT ", not " LAYOUT,
                      STR_ARG(str_head(layout, 40)));
}

static int alpm_scan(const struct detect_file *file, struct detected *out, struct err *e)
{
    struct package p = { .kind = STR("alpm") };
    if (str_ends(file->path, STR("/ALPM_DB_VERSION"))) {
        read_layout(file->content, out);
        return 0;
    }
    read_blocks(file->content, &p);
    if (!p.name.len || !p.version.len) { /* pacman itself skips such a package, with a warning */
        detected_note(out, "a package without %%%s%% was skipped", p.name.len ? "VERSION" : "NAME");
        return 0;
    }
    if (!p.source.len)
        p.source = p.name;
    p.source_version = p.version; /* what is built together has one version */
    return detected_add(out, &p) ? 0 : err_set(e, ERR_OOM, "no memory for the package");
}

const struct detector detector_alpm = {
    .name = "alpm",
    .version = 1,
    .paths = "var/lib/pacman/local/*/desc var/lib/pacman/local/ALPM_DB_VERSION",
    .scan = alpm_scan,
};
