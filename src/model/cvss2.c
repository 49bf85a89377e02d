/*
 * cvss2.c - the base equation of CVSS 2.0.
 *
 * In whole numbers, for all of its constants are decimal fractions: what is rounded is the exact result.
 */
#include "model/cvss_metric.h"

enum { AV, AC, AU, CONF, INTEG, AVAIL };

const struct cvss_metric cvss2_metrics[] = {
    { "AV", "L A N" },
    { "AC", "H M L" },
    { "Au", "M S N" },
    { "C", "N P C" },
    { "I", "N P C" },
    { "A", "N P C" },
    /* temporal, environmental */
    { "E", "U POC F H ND" },
    { "RL", "OF TF W U ND" },
    { "RC", "UC UR C ND" },
    { "CDP", "N L LM MH H ND" },
    { "TD", "N L M H ND" },
    { "CR", "L M H ND" },
    { "IR", "L M H ND" },
    { "AR", "L M H ND" },
    { NULL, NULL },
};

/* Score = (0.6 Impact + 0.4 Exploitability - 1.5) f, to the nearest tenth, where Impact is 10.41 (1 - (1-C)(1-I)(1-A)), Exploitability is
 * 20 AV AC Au, and f is 1.176, or 0 without impact. */
uint16_t cvss2_base(const struct cvss_values *v)
{
    static const int64_t vector[] = { 395, 646, 1000 }, complexity[] = { 35, 61, 71 },
                         authentication[] = { 450, 560, 704 }, untouched[] = { 1000, 725, 340 };

    int64_t rest = untouched[v->at[CONF]] * untouched[v->at[INTEG]] * untouched[v->at[AVAIL]];
    if (rest == 1000000000)
        return 0;
    int64_t impact = 6246 * (1000000000 - rest); /* 0.6 * 10.41, and all, in 10^-12 */
    int64_t exploitability =
        8 * vector[v->at[AV]] * complexity[v->at[AC]] * authentication[v->at[AU]] * 10000;
    int64_t score = (impact + exploitability - 1500000000000) * 1176; /* in 10^-15 */
    return (uint16_t)((score + 50000000000000) / 100000000000000);
}
