/* help.c - the texts of --help, of `eclair help`, and what man pages share with them. */
#include "cmd/page.h"

#include <string.h>

#define TERM_WIDTH 24

static void put_filled(FILE *to, str line, size_t *used)
{
    for (str word; (word = str_word(&line)).len;) {
        bool over = *used && *used + 1 + word.len > PAGE_WIDTH;
        fputs(over ? "\n" : *used ? " " : "", to);
        *used = (over || !*used ? 0 : *used + 1) + word.len;
        fwrite(word.ptr, 1, word.len, to);
    }
}

void page_text(FILE *to, const char *text)
{
    size_t used = 0;
    for (str rest = str_from(text); rest.len;) {
        str line = str_line(&rest);
        bool as_it_is = !line.len || *line.ptr == ' ';
        if (as_it_is && used)
            fputc('\n', to);
        if (as_it_is)
            fprintf(to, STR_FMT "\n", STR_ARG(line));
        else
            put_filled(to, line, &used);
        used = as_it_is ? 0 : used;
    }
    if (used)
        fputc('\n', to);
}

void page_row(FILE *to, size_t width, const char *term, const char *text)
{
    size_t used = (size_t)fprintf(to, "  %-*s  ", (int)width, term);
    str rest = str_from(text), word;
    for (bool first = true; (word = str_word(&rest)).len; first = false) {
        if (!first && used + 1 + word.len > PAGE_WIDTH) {
            fprintf(to, "\n%*s", (int)width + 4, "");
            used = width + 4;
        } else if (!first) {
            fputc(' ', to);
            used++;
        }
        fwrite(word.ptr, 1, word.len, to);
        used += word.len;
    }
    fputc('\n', to);
}

void page_option_term(const struct command *c, const struct option *o, char *ret, size_t size)
{
    char letter[8] = "";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(ret, size, "%s%s%s%s%s", letter, c->go_flags ? "-" : "--", o->name, o->value ? " " : "",
             o->value ? o->value : "");
}

static void rows_of_commands(FILE *to)
{
    for (size_t i = 0; commands[i]; i++)
        page_row(to, 16, commands[i]->name, commands[i]->summary);
}

void help_overview(void)
{
    printf("eclair " ECLAIR_VERSION
           " - finds known vulnerabilities in container images\n\nusage: eclair COMMAND [OPTION...]\n\n");
    rows_of_commands(stdout);
    printf("\neclair help COMMAND tells more about one, eclair help TOPIC about\n");
    for (size_t i = 0; topics[i].name; i++)
        page_row(stdout, 16, topics[i].name, topics[i].summary);
    printf("\neclair --version prints the version.\n");
}

static void help_option(const struct command *c, const struct option *o, bool letters, FILE *to)
{
    char term[80], padded[88];
    page_option_term(c, o, term, sizeof term);
    snprintf(padded, sizeof padded, "%s%s", letters && !o->letter ? "    " : "", term);
    page_row(to, TERM_WIDTH, padded, o->help);
}

void help_command(const struct command *c, const struct program *program, FILE *to)
{
    bool letters = false;
    const struct option *o;
    fprintf(to, "usage: %s%s [OPTION...]%s%s\n\n%s.\n", program ? "" : "eclair ",
            program ? program->name : c->name, *c->arguments ? " " : "", c->arguments, c->summary);
    if (c->details)
        fprintf(to, "\n%s\n", c->details);
    if (c->options->name)
        fprintf(to, "\n");
    for (o = c->options; o->name; o++)
        letters |= o->letter != 0;
    for (size_t i = 0; (o = command_option(c, i)); i++)
        if (o->help && !(program && option_is_common(o)))
            help_option(c, o, letters, to);
    if (c->more)
        c->more(to);
}

/* ---- the command ---- */

struct help_options {
    const char *man;
};

static const struct option options[] = {
    { "man", "PAGE", OPT_TEXT, offsetof(struct help_options, man),
      "write a man page: eclair.1, eclair-COMMAND.1, eclair-TOPIC.7 or eclair-config.5" },
    { 0 },
};

static int run(const void *opts, char **args, int count, struct err *e)
{
    const struct help_options *o = opts;
    if (o->man)
        return man_write(o->man, stdout)
                   ? 0
                   : err_set(
                         e, ERR_USAGE,
                         "--man: '%s' is none of eclair.1, eclair-COMMAND.1, eclair-TOPIC.7, eclair-config.5",
                         o->man);
    if (!count) {
        help_overview();
        return 0;
    }
    const struct topic *t = topic_by_name(args[0]);
    const struct command *c = command_by_name(args[0]);
    if (t)
        t->write(stdout);
    else if (c)
        help_command(c, NULL, stdout);
    else
        return command_unknown(args[0], true, e);
    return 0;
}

const struct command command_help = {
    .name = "help",
    .arguments = "[COMMAND|TOPIC]",
    .summary = "Lists the commands and topics, or tells about one",
    .options = options,
    .args_max = 1,
    .words = topic_words,
    .own_config = true,
    .run = run,
};
