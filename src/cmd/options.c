/* options.c - one parser and one help for every command's table. */
#include "cmd/command.h"

#include <string.h>

/* What is being read, and what of it comes next. */
struct parse {
    const struct command *c;
    const struct program *program;
    char **words;
    int left;
    void *ret;
};

static int usage(const struct parse *p, const char *what, str word, struct err *e)
{
    if (p->program)
        return err_set(e, ERR_USAGE, "%s '" STR_FMT "'", what, STR_ARG(word));
    return err_set(e, ERR_USAGE, "%s: %s '" STR_FMT "' (eclair %s --help lists them)", p->c->name, what,
                   STR_ARG(word), p->c->name);
}

static const struct option *by_name(const struct command *c, str name)
{
    for (const struct option *o = c->options; o->name; o++)
        if (str_eq(str_from(o->name), name))
            return o;
    return NULL;
}

static const struct option *by_letter(const struct command *c, char letter)
{
    for (const struct option *o = c->options; o->name; o++)
        if (o->letter && o->letter == letter)
            return o;
    return NULL;
}

/* As strconv.ParseBool, which the old programs use: 1 true, -1 false, 0 neither. */
static int truth(str word)
{
    static const struct {
        const char *word;
        int value;
    } words[] = { { "1", 1 },  { "t", 1 },  { "T", 1 },  { "true", 1 },   { "TRUE", 1 },   { "True", 1 },
                  { "0", -1 }, { "f", -1 }, { "F", -1 }, { "false", -1 }, { "FALSE", -1 }, { "False", -1 } };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_eq(word, str_from(words[i].word)))
            return words[i].value;
    return 0;
}

static int add(const struct option *o, const char *value, struct option_list *list, struct err *e)
{
    size_t most = sizeof list->items / sizeof *list->items;
    if (list->count == most)
        return err_set(e, ERR_USAGE, "--%s: given more than %zu times", o->name, most);
    list->items[list->count++] = value;
    return 0;
}

/* `value` is NULL when none was given. */
static int set(const struct option *o, const char *value, void *ret, struct err *e)
{
    void *field = (char *)ret + o->field;
    uint64_t number;
    int yes = value ? truth(str_from(value)) : 1;
    switch (o->type) {
    case OPT_FLAG:
        *(bool *)field = true;
        return 0;
    case OPT_BOOL:
        if (!yes)
            return err_set(e, ERR_USAGE, "--%s: '%s' is neither true nor false", o->name, value);
        *(int *)field = yes;
        return 0;
    case OPT_TEXT:
        *(const char **)field = value;
        return 0;
    case OPT_NUMBER:
        if (!str_to_u64(str_from(value), &number) || number > 255)
            return err_set(e, ERR_USAGE, "--%s: '%s' is not a number from 0 to 255", o->name, value);
        *(int *)field = (int)number;
        return 0;
    case OPT_LIST:
        return add(o, value, field, e);
    }
    return err_set(e, ERR_INTERNAL, "--%s: no type", o->name);
}

static bool takes_word(const struct option *o)
{
    return o->type == OPT_TEXT || o->type == OPT_NUMBER || o->type == OPT_LIST;
}

static void next_word(struct parse *p) { p->words++, p->left--; }

/* The value of an option whose own word ended without one. */
static int set_from_next_word(struct parse *p, const struct option *o, struct err *e)
{
    if (!takes_word(o))
        return set(o, NULL, p->ret, e);
    if (!p->left)
        return err_set(e, ERR_USAGE, "--%s needs a value: %s", o->name, o->value);
    const char *value = p->words[0];
    next_word(p);
    return set(o, value, p->ret, e);
}

/* "--name", "--name=value" or "--name value"; `text` is what follows the dashes. */
static int take_long(struct parse *p, str text, struct err *e)
{
    bool inline_value = str_find(text, '=') >= 0;
    str name = str_cut(&text, '=');
    const struct option *o = by_name(p->c, name);
    if (!o) {
        char word[256];
        snprintf(word, sizeof word, "--%.250s", name.ptr);
        return usage(p, "unknown option", str_head(str_from(word), 2 + name.len), e);
    }
    if (o->type == OPT_FLAG && inline_value)
        return err_set(e, ERR_USAGE, "--%s takes no value", o->name);
    return inline_value ? set(o, text.ptr, p->ret, e) : set_from_next_word(p, o, e);
}

/* "-x", "-xVALUE", "-x=VALUE", "-x VALUE", and switches in front of them. 0, -1, or -2 when help is asked for. */
static int take_letters(struct parse *p, const char *word, struct err *e)
{
    for (const char *at = word + 1; *at; at++) {
        const struct option *o = by_letter(p->c, *at);
        bool inline_value = at[1] == '=' || (o && takes_word(o) && at[1]);
        if (!o)
            return *at == 'h' ? -2 : usage(p, "unknown option", str_from(word), e);
        if (o->type == OPT_FLAG && inline_value)
            return err_set(e, ERR_USAGE, "-%c takes no value", o->letter);
        if (inline_value)
            return set(o, at + 1 + (at[1] == '='), p->ret, e);
        if (takes_word(o) || !at[1])
            return set_from_next_word(p, o, e);
        if (set(o, NULL, p->ret, e) < 0)
            return -1;
    }
    return 0;
}

static bool asks_for_help(const struct command *c, const char *word)
{
    return !strcmp(word, "--help") || (!strcmp(word, "-h") && !by_letter(c, 'h')) ||
           (c->go_flags && (!strcmp(word, "-help") || !strcmp(word, "--h")));
}

/* One option and its value, if the next word is one: 1, 0 it is an argument, -1, -2 help. */
static int take_option(struct parse *p, struct err *e)
{
    const char *word = p->words[0];
    if (word[0] != '-' || !word[1])
        return 0;
    if (asks_for_help(p->c, word))
        return -2;
    next_word(p);
    int r;
    if (word[1] == '-' || p->c->go_flags)
        r = take_long(p, str_from(word + 1 + (word[1] == '-')), e);
    else
        r = take_letters(p, word, e);
    return r < 0 ? r : 1;
}

static int check_count(const struct parse *p, int args, struct err *e)
{
    const struct command *c = p->c;
    if (c->go_flags && args > c->args_max)
        args = c->args_max;
    if (args >= c->args_min && args <= c->args_max)
        return args;
    const char *what = args < c->args_min ? "an argument is missing" : "too many arguments";
    if (p->program)
        return err_set(e, ERR_USAGE, "%s (options stand before %s)", what, c->arguments);
    return err_set(e, ERR_USAGE, "%s: %s (usage: eclair %s [OPTION...]%s%s)", c->name, what, c->name,
                   *c->arguments ? " " : "", c->arguments);
}

int options_parse(const struct command *c, const struct program *program, int argc, char **argv, void *ret,
                  struct err *e)
{
    struct parse p = { .c = c, .program = program, .words = argv, .left = argc, .ret = ret };
    int args = 0;
    bool only_args = false;
    while (p.left) {
        if (!only_args && !strcmp(p.words[0], "--")) {
            only_args = true;
            next_word(&p);
            continue;
        }
        int r = only_args ? 0 : take_option(&p, e);
        if (r < 0)
            return r;
        if (r > 0)
            continue;
        only_args |= program || c->go_flags;
        argv[args++] = p.words[0];
        next_word(&p);
    }
    return check_count(&p, args, e);
}

void help_overview(void)
{
    printf("eclair " ECLAIR_VERSION
           " - finds known vulnerabilities in container images\n\nusage: eclair COMMAND [OPTION...]\n\n");
    for (size_t i = 0; commands[i]; i++)
        printf("  %-16s %s\n", commands[i]->name, commands[i]->summary);
    printf("\neclair COMMAND --help tells more about one; eclair --version prints the version.\n");
}

static void help_option(const struct command *c, const struct option *o, bool letters, FILE *to)
{
    char left[80], letter[8] = "";
    if (letters)
        snprintf(letter, sizeof letter, o->letter ? "-%c, " : "    ", o->letter);
    snprintf(left, sizeof left, "%s%s%s%s%s", letter, c->go_flags ? "-" : "--", o->name, o->value ? " " : "",
             o->value ? o->value : "");
    fprintf(to, "  %-24s %s\n", left, o->help);
}

void help_command(const struct command *c, const struct program *program, FILE *to)
{
    bool letters = false;
    fprintf(to, "usage: %s%s [OPTION...]%s%s\n\n%s.\n", program ? "" : "eclair ",
            program ? program->name : c->name, *c->arguments ? " " : "", c->arguments, c->summary);
    if (c->details)
        fprintf(to, "\n%s\n", c->details);
    if (c->options->name)
        fprintf(to, "\n");
    for (const struct option *o = c->options; o->name; o++)
        letters |= o->letter != 0;
    for (const struct option *o = c->options; o->name; o++)
        if (o->help)
            help_option(c, o, letters, to);
    if (c->more)
        c->more(to);
}
