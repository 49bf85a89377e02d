#include "model/finding.h"

const struct metadata *finding_epss(const struct finding *f)
{
    for (size_t i = 0; f->meta && i < f->meta->source_count; i++)
        if (f->meta->sources[i].meta.has_epss)
            return &f->meta->sources[i].meta;
    return NULL;
}

const struct metadata *finding_kev(const struct finding *f)
{
    for (size_t i = 0; f->meta && i < f->meta->source_count; i++)
        if (f->meta->sources[i].meta.kev.added.len)
            return &f->meta->sources[i].meta;
    return NULL;
}
