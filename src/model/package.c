#include "model/package.h"

int package_cmp(const struct package *a, const struct package *b)
{
    /* package_same()'s fields come first, so that equal packages are neighbours */
    int r = str_cmp(a->name, b->name);
    r = r ? r : str_cmp(a->version, b->version);
    r = r ? r : str_cmp(a->arch, b->arch);
    r = r ? r : str_cmp(a->kind, b->kind);
    r = r ? r : str_cmp(a->source, b->source);
    r = r ? r : str_cmp(a->source_version, b->source_version);
    return r ? r : str_cmp(a->module, b->module);
}

bool package_same(const struct package *a, const struct package *b)
{
    return str_eq(a->kind, b->kind) && str_eq(a->name, b->name) && str_eq(a->version, b->version) &&
           str_eq(a->arch, b->arch);
}

void package_feature(const struct package *p, str *name, str *version)
{
    bool by_source = str_eq(p->kind, STR("dpkg"));
    *name = by_source ? p->source : p->name;
    *version = by_source ? p->source_version : p->version;
}
