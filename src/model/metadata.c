#include "model/metadata.h"

bool metadata_empty(const struct metadata *m)
{
    return !m->has_severity && !m->score_count && !m->link_count && !m->alias_count && !m->cpe_count &&
           !m->has_epss && !m->kev.added.len && !m->client.metadata.len && !m->client.gone.len;
}

static const char *const versions[CVSS_VERSIONS] = { "2.0", "3.0", "3.1", "4.0" };

int cvss_version(str name)
{
    for (int i = 0; i < CVSS_VERSIONS; i++)
        if (str_eq(name, str_from(versions[i])))
            return i;
    return -1;
}

str cvss_version_name(int place) { return str_from(versions[place]); }

enum severity cvss_severity(str version, uint16_t base)
{
    bool two = cvss_version(version) == 0;
    if (base >= 70)
        return two || base < 90 ? SEVERITY_HIGH : SEVERITY_CRITICAL;
    if (base >= 40)
        return SEVERITY_MEDIUM;
    return base || two ? SEVERITY_LOW : SEVERITY_NEGLIGIBLE;
}

bool date_valid(str s)
{
    static const char form[] = "0000-00-00";
    if (s.len != sizeof form - 1)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (form[i] == '-' ? s.ptr[i] != '-' : s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return true;
}
