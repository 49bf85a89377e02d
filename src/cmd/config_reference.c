/* config_reference.c - docs/configuration.md, from the table of keys. */
#include "cmd/config_reference.h"

#include "config/config.h"

/* In a cell of a Markdown table. */
static void cell(struct buf *out, const char *text)
{
    for (; *text; text++)
        buf_printf(out, *text == '|' || *text == '<' ? "\\%c" : "%c", *text);
}

static void row(const struct config_key *k, struct arena *arena, struct buf *out)
{
    buf_printf(out, "| `%s` | ", k->key);
    if (*k->fallback)
        buf_printf(out, "`%s`", k->fallback);
    buf_printf(out, " | %s | ", k->live ? "yes" : "");
    cell(out, k->help);
    buf_printf(out, "<br>`" STR_FMT "` |\n", STR_ARG(config_variable(k, arena)));
}

void config_reference(struct arena *arena, struct buf *out)
{
    buf_str(
        out,
        STR("# Configuration\n\n"
            "Made by `eclair config reference` from the table of keys in `src/config/config.c`.\n\n"
            "`eclair serve` reads the file that `-config` names, else `ECLAIR_CONFIG`, else "
            "`/etc/clair/config.yaml` if it is\n"
            "there: a `config.yaml` of Clair 2 or Clair 3. Keys stand below `clair:`. A variable of the "
            "environment wins over the\n"
            "file (lists with commas; an empty one counts as absent), a flag over both. `eclair config "
            "check` tells what is in force and\n"
            "from where.\n\n"
            "What says *yes* under *reload* is taken over by a running server on SIGHUP; the rest after a "
            "restart.\n\n"
            "| key | default | reload | meaning, variable |\n| --- | --- | --- | --- |\n"));
    for (size_t i = 0; config_key(i); i++)
        if (!config_key(i)->inert)
            row(config_key(i), arena, out);
    buf_str(out, STR("\n## Keys of Clair without effect\n\n"
                     "They may stay in the file.\n\n| key | instead |\n| --- | --- |\n"));
    for (size_t i = 0; config_key(i); i++) {
        const struct config_key *k = config_key(i);
        if (!k->inert)
            continue;
        buf_printf(out, "| `%s` | ", k->key);
        cell(out, k->help ? k->help : "");
        buf_str(out, STR(" |\n"));
    }
}
