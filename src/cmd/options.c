/* options.c - one parser for every command's table. What a line does not say: options_elsewhere.c. */
#include "cmd/options.h"

#include "cmd/nearest.h"

#include <string.h>

/* Those of every command that has options; below --help. */
static const struct option common[] = {
    { "config", "FILE", OPT_TEXT, offsetof(struct common_options, config),
      "options from there (eclair help config) [.eclair.yaml, else ~/.config/eclair/config.yaml]" },
    { 0 },
};

/* What is being read, and what of it comes next. */
struct parse {
    const struct command *c;
    const struct program *program;
    char **words;
    int left;
    struct options_found found;
};

bool option_is_common(const struct option *o)
{
    return o >= common && o < common + sizeof common / sizeof *common;
}

bool option_takes_value(const struct option *o)
{
    return o->type == OPT_TEXT || o->type == OPT_NUMBER || o->type == OPT_LIST;
}

const struct option *command_option(const struct command *c, size_t i)
{
    size_t own = 0;
    while (own < i && c->options[own].name)
        own++;
    if (c->options[own].name)
        return &c->options[own];
    bool has_common = own && !c->own_config && i - own < sizeof common / sizeof *common - 1;
    return has_common ? &common[i - own] : NULL;
}

/* ---- what cannot be ---- */

static const char *nearest_option(const struct parse *p, str name)
{
    struct nearest n = { .word = name };
    const struct option *o;
    for (size_t i = 0; (o = command_option(p->c, i)); i++)
        if (o->help)
            nearest_try(&n, o->name);
    return n.best;
}

static int usage(const struct parse *p, const char *what, str word, struct err *e)
{
    const char *near = nearest_option(p, str_skip(word, strspn(word.ptr, "-")));
    if (p->program)
        return err_set(e, ERR_USAGE, "%s '" STR_FMT "'", what, STR_ARG(word));
    if (near)
        return err_set(e, ERR_USAGE, "%s: %s '" STR_FMT "' (did you mean --%s? eclair %s --help lists them)",
                       p->c->name, what, STR_ARG(word), near, p->c->name);
    return err_set(e, ERR_USAGE, "%s: %s '" STR_FMT "' (eclair %s --help lists them)", p->c->name, what,
                   STR_ARG(word), p->c->name);
}

/* ---- a line ---- */

static const struct option *by_name(const struct parse *p, str name)
{
    const struct option *o;
    for (size_t i = 0; (o = command_option(p->c, i)); i++)
        if (str_eq(str_from(o->name), name) && !(p->program && option_is_common(o)))
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

/* `value` is NULL when none was given. */
static int set(struct parse *p, const struct option *o, const char *value, struct err *e)
{
    option_note(&p->found, o, "command line");
    return option_set(&p->found, o, value, e) < 0 ? err_wrap(e, "--%s", o->name) : 0;
}

static void next_word(struct parse *p) { p->words++, p->left--; }

/* The value of an option whose own word ended without one. */
static int set_from_next_word(struct parse *p, const struct option *o, struct err *e)
{
    if (!option_takes_value(o))
        return set(p, o, NULL, e);
    if (!p->left)
        return err_set(e, ERR_USAGE, "--%s needs a value: %s", o->name, o->value);
    const char *value = p->words[0];
    next_word(p);
    return set(p, o, value, e);
}

/* "--name", "--name=value" or "--name value"; `text` is what follows the dashes. */
static int take_long(struct parse *p, str text, struct err *e)
{
    bool inline_value = str_find(text, '=') >= 0;
    str name = str_cut(&text, '=');
    const struct option *o = by_name(p, name);
    if (!o) {
        char word[256];
        snprintf(word, sizeof word, "--%.250s", name.ptr);
        return usage(p, "unknown option", str_head(str_from(word), 2 + name.len), e);
    }
    return inline_value ? set(p, o, text.ptr, e) : set_from_next_word(p, o, e);
}

/* "-x", "-xVALUE", "-x=VALUE", "-x VALUE", and switches in front of them. 0, -1, or -2 when help is asked for. */
static int take_letters(struct parse *p, const char *word, struct err *e)
{
    for (const char *at = word + 1; *at; at++) {
        const struct option *o = by_letter(p->c, *at);
        bool inline_value = at[1] == '=' || (o && option_takes_value(o) && at[1]);
        if (!o)
            return *at == 'h' ? -2 : usage(p, "unknown option", str_from(word), e);
        if (inline_value)
            return set(p, o, at + 1 + (at[1] == '='), e);
        if (option_takes_value(o) || !at[1])
            return set_from_next_word(p, o, e);
        if (set(p, o, NULL, e) < 0)
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

/* All words; the number of arguments, -1, -2 help. */
static int take_words(struct parse *p, char **argv, struct err *e)
{
    int args = 0;
    bool only_args = false;
    while (p->left) {
        if (!only_args && !strcmp(p->words[0], "--")) {
            only_args = true;
            next_word(p);
            continue;
        }
        int r = only_args ? 0 : take_option(p, e);
        if (r < 0)
            return r;
        if (r > 0)
            continue;
        only_args |= p->program || p->c->go_flags;
        argv[args++] = p->words[0];
        next_word(p);
    }
    return args;
}

static int check_arguments(const struct parse *p, char **args, int count, struct err *e)
{
    for (int i = 0; p->c->words && i < count && (!i || p->c->words_all); i++) {
        const char *word;
        if (option_check_word(p->c->words, str_from(args[i]), &word, e) < 0)
            return err_wrap(e, "%s", p->c->name);
        args[i] = (char *)(uintptr_t)word;
    }
    return 0;
}

static int take_elsewhere(struct parse *p, struct arena *arena, struct err *e)
{
    struct options_found *f = &p->found;
    f->arena = arena;
    return options_from_environment(f, e) < 0 || options_from_file(f, e) < 0 ? -1 : 0;
}

int options_parse(const struct command *c, const struct program *program, int argc, char **argv,
                  struct arena *arena, void *ret, struct option_origins *origins, struct err *e)
{
    struct option_origins unasked = { 0 };
    struct parse p = { .c = c, .program = program, .words = argv, .left = argc };
    p.found = (struct options_found){
        .c = c, .ret = ret, .origins = origins ? origins : &unasked, .as_old_program = program || c->go_flags
    };
    int args = take_words(&p, argv, e);
    if (args >= 0)
        args = check_count(&p, args, e);
    if (args >= 0 && !p.found.as_old_program && check_arguments(&p, argv, args, e) < 0)
        return -1;
    if (args >= 0 && arena && !program && take_elsewhere(&p, arena, e) < 0)
        return -1;
    return args;
}

int options_hold(const struct command *c, struct arena *arena, void *ret, struct option_origins *origins,
                 struct err *e)
{
    struct parse p = { .c = c,
                       .found = { .c = c, .ret = ret, .origins = origins, .as_old_program = c->go_flags } };
    return take_elsewhere(&p, arena, e);
}
