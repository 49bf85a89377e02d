/* man.c - man pages from the same tables as --help, in man(7)'s language. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "cmd/page.h"

#include <ctype.h>
#include <string.h>

#define INPUT_WIDTH 72
#define PAGE_DATE   "2026-11-28" /* of what the pages tell */

/* ---- text ---- */

static void put_text(FILE *to, str s)
{
    if (s.len && (*s.ptr == '.' || *s.ptr == '\''))
        fputs("\\&", to);
    for (size_t i = 0; i < s.len; i++)
        switch (s.ptr[i]) {
        case '\\':
            fputs("\\e", to);
            break;
        case '-':
            fputs("\\-", to);
            break;
        case '`':
            fputs("\\(ga", to);
            break;
        case '~':
            fputs("\\(ti", to);
            break;
        case '^':
            fputs("\\(ha", to);
            break;
        case '\'':
            fputs("\\(aq", to);
            break;
        default:
            fputc(s.ptr[i], to);
        }
}

/* Broken where it is long; the reader fills it again. */
static void put_line(FILE *to, str s)
{
    while (s.len > INPUT_WIDTH) {
        ptrdiff_t blank = str_rfind(str_head(s, INPUT_WIDTH), ' ');
        if (blank < 0)
            break;
        put_text(to, str_head(s, (size_t)blank));
        fputc('\n', to);
        s = str_trim(str_skip(s, (size_t)blank));
    }
    put_text(to, s);
    fputc('\n', to);
}

static void put_sentence(FILE *to, const char *text)
{
    CLEANUP(buf_done) struct buf line = { 0 };
    size_t n = strlen(text);
    buf_printf(&line, "%s%s", text, n && strchr(".!?", text[n - 1]) ? "" : ".");
    put_line(to, buf_view(&line));
}

static size_t indent_of(str line)
{
    size_t n = 0;
    while (n < line.len && line.ptr[n] == ' ')
        n++;
    return n;
}

/* "term  what it means": where the term ends; 0: it is no row. */
static size_t term_end(str text)
{
    for (size_t i = 1; i + 1 < text.len; i++)
        if (text.ptr[i] == ' ' && text.ptr[i + 1] == ' ')
            return i;
    return 0;
}

struct filling {
    FILE *to;
    bool begun, paragraph, verbatim, row; /* a paragraph is wanted; within .EX; the last was a row */
};

static void end_verbatim(struct filling *f)
{
    if (f->verbatim)
        fputs(".EE\n", f->to);
    f->verbatim = false;
}

static void paragraph(struct filling *f)
{
    if (f->paragraph && f->begun)
        fputs(".PP\n", f->to);
    f->paragraph = false;
}

static void put_row(struct filling *f, str text, size_t end)
{
    fputs(".TP\n.B ", f->to);
    put_text(f->to, str_head(text, end));
    fputc('\n', f->to);
    put_line(f->to, str_trim(str_skip(text, end)));
    f->row = true;
}

/* The shape is told in page.h. */
static void put_plain_line(struct filling *f, str line)
{
    size_t indent = indent_of(line), end;
    str text = str_trim(line);
    if (!text.len) {
        f->paragraph = true;
        return;
    }
    bool example = indent == 4 && *text.ptr == '$';
    if (f->verbatim && indent < 4)
        end_verbatim(f);
    if (example && !f->verbatim) {
        paragraph(f);
        fputs(".EX\n", f->to);
        f->verbatim = true;
    }
    if (f->verbatim) {
        put_text(f->to, str_skip(line, 4));
        fputc('\n', f->to);
    } else if (indent <= 2 && (indent == 2 || term_end(text)) && (end = term_end(text))) {
        put_row(f, text, end);
        f->paragraph = false;
    } else {
        if (f->row && indent < 3)
            f->paragraph = true, f->row = false;
        paragraph(f);
        put_line(f->to, text);
    }
    f->begun = true;
}

/* `begun`: something stands there already. */
static void put_plain(FILE *to, str text, bool begun)
{
    struct filling f = { .to = to, .begun = begun, .paragraph = begun };
    while (text.len)
        put_plain_line(&f, str_line(&text));
    end_verbatim(&f);
}

static void put_written(FILE *to, void (*write)(FILE *to))
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (!memory)
        return;
    write(memory);
    fclose(memory);
    put_plain(to, str_of(text, size), false);
    free(text);
}

/* ---- parts ---- */

static void section(FILE *to, const char *name) { fprintf(to, ".SH %s\n", name); }

static void head(FILE *to, const char *name, char number, const char *summary)
{
    fprintf(to, ".TH \"");
    for (const char *c = name; *c; c++)
        fputc(toupper((unsigned char)*c), to);
    fprintf(to, "\" \"%c\" \"" PAGE_DATE "\" \"eclair " ECLAIR_VERSION "\" \"eclair\"\n", number);
    section(to, "NAME");
    put_text(to, str_from(name));
    fputs(" \\- ", to);
    put_text(to, str_from(summary));
    fputc('\n', to);
}

static void synopsis(FILE *to, const struct command *c)
{
    section(to, "SYNOPSIS");
    fprintf(to, ".B eclair ");
    put_line(to, str_from(c->name));
    fputs("[\\fIOPTION\\fR...]", to);
    fputs(*c->arguments ? " " : "", to);
    put_line(to, str_from(c->arguments));
}

static void put_words(FILE *to, words_of *words)
{
    char line[640] = "One of ";
    const char *w;
    for (size_t i = 0; (w = words(i)); i++) {
        size_t used = strlen(line);
        snprintf(line + used, sizeof line - used, "%s%s", i ? ", " : "", w);
    }
    put_sentence(to, line);
}

static void put_option(FILE *to, const struct command *c, const struct option *o)
{
    char variable[OPTION_VARIABLE_MAX];
    fputs(".TP\n", to);
    if (o->letter)
        fprintf(to, "\\fB\\-%c\\fR, ", o->letter);
    fputs(c->go_flags ? "\\fB\\-" : "\\fB\\-\\-", to);
    put_text(to, str_from(o->name));
    fputs("\\fR", to);
    if (o->value) {
        fputs(" \\fI", to);
        put_text(to, str_from(o->value));
        fputs("\\fR", to);
    }
    fputc('\n', to);
    put_sentence(to, o->help);
    if (o->words)
        put_words(to, o->words);
    if (option_variable(c, o, variable))
        fprintf(to, "Environment: %s.\n", variable);
}

static void put_options(FILE *to, const struct command *c)
{
    const struct option *o;
    if (!c->options->name)
        return;
    section(to, "OPTIONS");
    for (size_t i = 0; (o = command_option(c, i)); i++)
        if (o->help)
            put_option(to, c, o);
}

static void see_also(FILE *to, const char *except)
{
    section(to, "SEE ALSO");
    fputs(strcmp(except, "eclair") ? ".BR eclair (1)" : ".BR eclair\\-scan (1)", to);
    for (size_t i = 0; topics[i].name; i++) {
        if (!strcmp(topics[i].name, except))
            continue;
        fputs(",\n.BR eclair\\-", to);
        put_text(to, str_from(topics[i].name));
        fprintf(to, " (%c)", topics[i].section);
    }
    fputc('\n', to);
}

/* ---- pages ---- */

static void page_of_command(FILE *to, const struct command *c)
{
    char name[64], summary[256];
    snprintf(name, sizeof name, "eclair-%s", c->name);
    snprintf(summary, sizeof summary, "%s", c->summary);
    summary[0] = (char)tolower((unsigned char)summary[0]);
    head(to, name, '1', summary);
    synopsis(to, c);
    section(to, "DESCRIPTION");
    put_sentence(to, c->summary);
    if (c->details)
        put_plain(to, str_from(c->details), true);
    put_options(to, c);
    if (c->more) {
        section(to, "TABLES");
        put_written(to, c->more);
    }
    section(to, "EXIT STATUS");
    fputs("See\n.BR eclair\\-exit\\-codes (7).\n", to);
    see_also(to, c->name);
}

static void page_of_topic(FILE *to, const struct topic *t)
{
    char name[64];
    snprintf(name, sizeof name, "eclair-%s", t->name);
    head(to, name, t->section, t->summary);
    section(to, "DESCRIPTION");
    put_written(to, t->write);
    see_also(to, t->name);
}

static void row_of(FILE *to, const char *name, char number, const char *summary)
{
    fputs(".TP\n.BR eclair\\-", to);
    put_text(to, str_from(name));
    fprintf(to, " (%c)\n", number);
    put_line(to, str_from(summary));
}

static void page_of_all(FILE *to)
{
    head(to, "eclair", '1', "finds known vulnerabilities in container images");
    section(to, "SYNOPSIS");
    fputs(".B eclair\n\\fICOMMAND\\fR [\\fIOPTION\\fR...]\n", to);
    section(to, "COMMANDS");
    for (size_t i = 0; commands[i]; i++)
        row_of(to, commands[i]->name, '1', commands[i]->summary);
    section(to, "TOPICS");
    for (size_t i = 0; topics[i].name; i++)
        row_of(to, topics[i].name, topics[i].section, topics[i].summary);
    section(to, "EXIT STATUS");
    fputs("See\n.BR eclair\\-exit\\-codes (7).\n", to);
    see_also(to, "eclair");
}

/* "eclair-NAME.N"? */
static bool is_page(const char *page, const char *name, char number)
{
    char is[64];
    snprintf(is, sizeof is, "eclair-%s.%c", name, number);
    return !strcmp(page, is);
}

bool man_write(const char *page, FILE *to)
{
    if (!strcmp(page, "eclair.1")) {
        page_of_all(to);
        return true;
    }
    for (size_t i = 0; commands[i]; i++)
        if (is_page(page, commands[i]->name, '1')) {
            page_of_command(to, commands[i]);
            return true;
        }
    for (size_t i = 0; topics[i].name; i++)
        if (is_page(page, topics[i].name, topics[i].section)) {
            page_of_topic(to, &topics[i]);
            return true;
        }
    return false;
}
