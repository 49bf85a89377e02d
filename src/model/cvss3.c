/* cvss3.c - the base equation of CVSS 3.0 and 3.1, which differ in how they say "rounded up" alone; 3.1's way holds here for both. */
#include "model/cvss_metric.h"

enum { AV, AC, PR, UI, SCOPE, CONF, INTEG, AVAIL };

const struct cvss_metric cvss3_metrics[] = {
    { "AV", "N A L P" },
    { "AC", "L H" },
    { "PR", "N L H" },
    { "UI", "N R" },
    { "S", "U C" },
    { "C", "N L H" },
    { "I", "N L H" },
    { "A", "N L H" },
    /* temporal, environmental */
    { "E", "X H F P U" },
    { "RL", "X U W T O" },
    { "RC", "X C R U" },
    { "CR", "X H M L" },
    { "IR", "X H M L" },
    { "AR", "X H M L" },
    { "MAV", "X N A L P" },
    { "MAC", "X L H" },
    { "MPR", "X N L H" },
    { "MUI", "X N R" },
    { "MS", "X U C" },
    { "MC", "X N L H" },
    { "MI", "X N L H" },
    { "MA", "X N L H" },
    { NULL, NULL },
};

/* Up to the next tenth, but for what only the inexactness of binary fractions adds (3.1, appendix A). x is 0 to 10. */
static uint16_t round_up(double x)
{
    unsigned n = (unsigned)(x * 100000 + 0.5);
    return (uint16_t)((n + 9999) / 10000);
}

static double power15(double x)
{
    double x3 = x * x * x, x5 = x3 * x * x;
    return x5 * x5 * x5;
}

static double impact_of(const struct cvss_values *v)
{
    static const double untouched[] = { 1, 1 - 0.22, 1 - 0.56 };
    double iss = 1 - untouched[v->at[CONF]] * untouched[v->at[INTEG]] * untouched[v->at[AVAIL]];
    return v->at[SCOPE] ? 7.52 * (iss - 0.029) - 3.25 * power15(iss - 0.02) : 6.42 * iss;
}

uint16_t cvss3_base(const struct cvss_values *v)
{
    static const double vector[] = { 0.85, 0.62, 0.55, 0.2 }, complexity[] = { 0.77, 0.44 },
                        privileges[2][3] = { { 0.85, 0.62, 0.27 }, { 0.85, 0.68, 0.5 } },
                        interaction[] = { 0.85, 0.62 };

    double impact = impact_of(v);
    if (impact <= 0)
        return 0;
    double exploitability = 8.22 * vector[v->at[AV]] * complexity[v->at[AC]] *
                            privileges[v->at[SCOPE]][v->at[PR]] * interaction[v->at[UI]];
    double sum = v->at[SCOPE] ? 1.08 * (impact + exploitability) : impact + exploitability;
    return round_up(sum < 10 ? sum : 10);
}
