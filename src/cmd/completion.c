/* completion.c - what bash, zsh and fish offer behind "eclair": commands, options, and the words that values may be. */
#include "cmd/page.h"
#include "cmd/words.h"

#include <string.h>

bool option_wants_file(const struct option *o)
{
    static const char *const kinds[] = { "FILE", "DIR", "WHERE", "BUNDLE" };
    for (size_t i = 0; o->value && i < sizeof kinds / sizeof *kinds; i++)
        if (strstr(o->value, kinds[i]))
            return true;
    return false;
}

static void put_words(FILE *to, words_of *words, const char *before)
{
    const char *w;
    for (size_t i = 0; (w = words(i)); i++)
        fprintf(to, "%s%s", i ? " " : before, w);
}

static void put_commands(FILE *to)
{
    for (size_t i = 0; commands[i]; i++)
        fprintf(to, "%s%s", i ? " " : "", commands[i]->name);
}

/* Text between single quotes; `more`: bytes that want a backslash as well. */
static void put_quoted(FILE *to, const char *text, const char *more)
{
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", to);
        else
            fprintf(to, "%s%c", strchr(more, *text) ? "\\" : "", *text);
}

/* ---- bash ---- */

static void bash_patterns(FILE *to, const struct command *c, const struct option *o)
{
    if (o->letter)
        fprintf(to, "%s,-%c | ", c->name, o->letter);
    fprintf(to, "%s,--%s", c->name, o->name);
}

/* "case $command,$prev": what the value of an option may be; without words a file. */
static void bash_values(FILE *to)
{
    const struct option *o;
    for (size_t i = 0; commands[i]; i++)
        for (size_t k = 0; (o = command_option(commands[i], k)); k++) {
            if (!o->help || !option_takes_value(o))
                continue;
            fputs("        ", to);
            bash_patterns(to, commands[i], o);
            fputs(") ", to);
            if (o->words) {
                put_words(to, o->words, "words='");
                fputs("' ;;\n", to);
            } else {
                fputs("return ;;\n", to);
            }
        }
}

static void bash_options(FILE *to)
{
    const struct option *o;
    for (size_t i = 0; commands[i]; i++) {
        fprintf(to, "            %s) words='--help", commands[i]->name);
        for (size_t k = 0; (o = command_option(commands[i], k)); k++)
            if (o->help)
                fprintf(to, " --%s", o->name);
        fputs("' ;;\n", to);
    }
}

static void bash_arguments(FILE *to)
{
    for (size_t i = 0; commands[i]; i++) {
        if (!commands[i]->words)
            continue;
        fprintf(to, "            %s) words='", commands[i]->name);
        put_words(to, commands[i]->words, "");
        fputs("' ;;\n", to);
    }
}

static void bash(FILE *to)
{
    fputs("# bash completion of eclair, made by \"eclair completion bash\"\n"
          "_eclair() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=\n"
          "    COMPREPLY=()\n"
          "    if [[ $cur == = ]]; then\n"
          "        cur=\n"
          "    elif [[ $prev == = ]]; then\n"
          "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
          "    fi\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        COMPREPLY=($(compgen -W '",
          to);
    put_commands(to);
    fputs(" --help --version' -- \"$cur\"))\n"
          "        return\n"
          "    fi\n"
          "    case ${COMP_WORDS[1]},$prev in\n",
          to);
    bash_values(to);
    fputs("    esac\n"
          "    if [[ -z $words && $cur == -* ]]; then\n"
          "        case ${COMP_WORDS[1]} in\n",
          to);
    bash_options(to);
    fputs("        esac\n"
          "    elif [[ -z $words ]]; then\n"
          "        case ${COMP_WORDS[1]} in\n",
          to);
    bash_arguments(to);
    fputs("        esac\n"
          "    fi\n"
          "    [[ -z $words ]] || COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "}\n"
          "complete -o bashdefault -o default -F _eclair eclair\n",
          to);
}

/* ---- zsh ---- */

#define ZSH_SPECIAL ":[]\\"

static void zsh_value(FILE *to, const struct option *o)
{
    fputc(':', to);
    put_quoted(to, o->value, ZSH_SPECIAL);
    if (o->words) {
        put_words(to, o->words, ":(");
        fputc(')', to);
    } else {
        fputs(option_wants_file(o) ? ":_files" : ": ", to);
    }
}

static void zsh_option(FILE *to, const struct option *o, bool by_letter)
{
    bool value = option_takes_value(o);
    fprintf(to, "                    '%s-", o->type == OPT_LIST ? "*" : "");
    if (by_letter)
        fprintf(to, "%c%s[", o->letter, value ? "+" : "");
    else
        fprintf(to, "-%s%s[", o->name, value ? "=" : "");
    put_quoted(to, o->help, ZSH_SPECIAL);
    fputc(']', to);
    if (value)
        zsh_value(to, o);
    fputs("' \\\n", to);
}

static void zsh_command(FILE *to, const struct command *c)
{
    const struct option *o;
    fprintf(to, "            %s)\n                _arguments -s \\\n", c->name);
    for (size_t k = 0; (o = command_option(c, k)); k++) {
        if (!o->help)
            continue;
        zsh_option(to, o, false);
        if (o->letter)
            zsh_option(to, o, true);
    }
    fputs("                    '--help[more about it]'", to);
    if (c->words) {
        fprintf(to, " \\\n                    '%s:argument:(", c->words_all ? "*" : "1");
        put_words(to, c->words, "");
        fputs(")'", to);
    }
    if (c->args_max && !c->words_all && (!c->words || c->args_max > 1))
        fputs(" \\\n                    '*:file:_files'", to);
    fputs(" ;;\n", to);
}

static void zsh(FILE *to)
{
    fputs("#compdef eclair\n"
          "# zsh completion of eclair, made by \"eclair completion zsh\"\n"
          "_eclair() {\n"
          "    local curcontext=$curcontext state line\n"
          "    local -a commands\n"
          "    commands=(\n",
          to);
    for (size_t i = 0; commands[i]; i++) {
        fprintf(to, "        '%s:", commands[i]->name);
        put_quoted(to, commands[i]->summary, ":\\");
        fputs("'\n", to);
    }
    fputs("    )\n"
          "    _arguments -C '1:command:->command' '*::argument:->argument' '--help[the commands]' "
          "'--version[the version]'\n"
          "    case $state in\n"
          "    command) _describe command commands ;;\n"
          "    argument)\n"
          "        case $words[1] in\n",
          to);
    for (size_t i = 0; commands[i]; i++)
        zsh_command(to, commands[i]);
    fputs("        esac ;;\n"
          "    esac\n"
          "}\n"
          "if [[ $funcstack[1] == _eclair ]]; then\n"
          "    _eclair \"$@\"\n"
          "else\n"
          "    compdef _eclair eclair\n"
          "fi\n",
          to);
}

/* ---- fish ---- */

#define FISH_SPECIAL "\\"

static void fish_option(FILE *to, const struct command *c, const struct option *o)
{
    fprintf(to, "complete -c eclair -n '__eclair_is %s' -l %s", c->name, o->name);
    if (o->letter)
        fprintf(to, " -s %c", o->letter);
    if (option_takes_value(o))
        fputs(o->words || !option_wants_file(o) ? " -x" : " -r -F", to);
    if (o->words) {
        put_words(to, o->words, " -a '");
        fputc('\'', to);
    }
    fputs(" -d '", to);
    put_quoted(to, o->help, FISH_SPECIAL);
    fputs("'\n", to);
}

static void fish_command(FILE *to, const struct command *c)
{
    const struct option *o;
    fprintf(to, "complete -c eclair -n __eclair_bare -a %s -d '", c->name);
    put_quoted(to, c->summary, FISH_SPECIAL);
    fputs("'\n", to);
    for (size_t k = 0; (o = command_option(c, k)); k++)
        if (o->help)
            fish_option(to, c, o);
    if (c->words) {
        fprintf(to, "complete -c eclair -n '__eclair_is %s' -a '", c->name);
        put_words(to, c->words, "");
        fputs("'\n", to);
    }
    if (c->args_max && !c->words_all && (!c->words || c->args_max > 1))
        fprintf(to, "complete -c eclair -n '__eclair_is %s' -F\n", c->name);
}

static void fish(FILE *to)
{
    fputs("# fish completion of eclair, made by \"eclair completion fish\"\n"
          "function __eclair_bare\n"
          "    test (count (commandline -opc)) -eq 1\n"
          "end\n"
          "function __eclair_is\n"
          "    set -l words (commandline -opc)\n"
          "    test (count $words) -ge 2; and test $words[2] = $argv[1]\n"
          "end\n"
          "complete -c eclair -f\n"
          "complete -c eclair -n __eclair_bare -l help -d 'the commands'\n"
          "complete -c eclair -n __eclair_bare -l version -d 'the version'\n",
          to);
    for (size_t i = 0; commands[i]; i++)
        fish_command(to, commands[i]);
}

/* ---- the command ---- */

static const struct {
    const char *name;
    void (*write)(FILE *to);
} shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
#define SHELLS (sizeof shells / sizeof *shells)

static const char *shell_words(size_t i) { return i < SHELLS ? shells[i].name : NULL; }

static int run(const void *options, char **args, int count, struct err *e)
{
    (void)options, (void)count;
    for (size_t i = 0; i < SHELLS; i++)
        if (!strcmp(args[0], shells[i].name)) {
            shells[i].write(stdout);
            return 0;
        }
    return err_set(e, ERR_USAGE, "completion: '%s' is none of bash, zsh, fish", args[0]);
}

const struct command command_completion = {
    .name = "completion",
    .arguments = "SHELL",
    .summary = "Writes what a shell needs to complete command lines of eclair",
    .details = "SHELL is one of\n"
               "  bash           source <(eclair completion bash)\n"
               "  zsh            source <(eclair completion zsh), behind compinit; or as _eclair in a folder "
               "of $fpath\n"
               "  fish           eclair completion fish | source",
    .options = (const struct option[]){ { 0 } },
    .args_min = 1,
    .args_max = 1,
    .words = shell_words,
    .own_config = true,
    .run = run,
};
