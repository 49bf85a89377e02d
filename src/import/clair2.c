#include "import/clair2_internal.h"

#include "detect/distro.h"
#include "model/distribution.h"

#include <stdarg.h>
#include <stdio.h>

void taking_tell(struct taking *t, const char *what, str name, const char *fmt, ...)
{
    char why[256], text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    str shown = str_head(name, 150);
    snprintf(text, sizeof text, "%s " STR_FMT "%s is left out: %s", what, STR_ARG(shown),
             shown.len < name.len ? "..." : "", why);
    if (t->o->told && !t->quiet)
        t->o->told(t->o->ctx, text);
}

void taking_progress(struct taking *t)
{
    if (t->o->progress)
        t->o->progress(t->o->ctx, t->n);
}

int taking_oom(struct err *e) { return err_set(e, ERR_OOM, "import: out of memory"); }

bool name_fits(str name) { return name.len && name.len <= CLAIR2_NAME_MAX; }

/* As the last migration of Clair 2.0 took namespaces without a format. */
static bool is_rpm(str namespace)
{
    static const char *const heads[] = { "rhel", "centos", "fedora", "amzn", "scientific", "ol", "oracle" };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (str_starts(namespace, str_from(heads[i])))
            return true;
    return false;
}

str namespace_scheme(str namespace, str format)
{
    str known = distribution_scheme(namespace); /* Clair has dpkg for Alpine */
    if (known.len)
        return known;
    if (str_eq(format, STR("rpm")) || (!format.len && is_rpm(namespace)))
        return STR("rpm");
    return STR("dpkg");
}

int namespace_place(struct store *s, str shown, struct arena *arena, struct stored_namespace *ret,
                    struct err *e)
{
    int found = s ? store_namespace_find(s, shown, arena, ret, e) : 0;
    str other = found == 0 ? distribution_of_v1_name(arena, shown) : STR("");
    if (found > 0 && !str_eq(ret->data, ret->name))
        other = ret->data;
    if (s && found >= 0 && other.len)
        found = store_namespace_find(s, other, arena, ret, e);
    if (found == 0)
        *ret = (struct stored_namespace){ .name = shown, .data = shown };
    return found < 0 ? -1 : 0;
}

int import_clair2(struct clair2 *from, struct store *to, const struct import_clair2_options *o,
                  struct import_clair2_counts *ret, struct err *e)
{
    struct taking t = { .from = from, .to = to, .o = o, .n = ret };
    *ret = (struct import_clair2_counts){ 0 };
    return take_layers(&t, e) < 0 || take_vulnerabilities(&t, e) < 0 || take_notifications(&t, e) < 0 ? -1
                                                                                                      : 0;
}
