/*
 * cvss4.c - the base score (CVSS-B) of CVSS 4.0.
 *
 * A vector belongs to a MacroVector: six classes EQ1 to EQ6, 0 the most severe. Its score is that of the MacroVector's most severe vectors
 * (a table of the specification, section 8.2), less the mean of how far it has gone, on each class, towards the score of the next less
 * severe MacroVector. Without threat and environmental metrics EQ5 is always 0 and EQ4 never; EQ3 and EQ6 go together, and EQ6 is 0 unless EQ3
 * is 2. The most severe vectors of a class all have the same sum of steps, so that distances are differences of sums.
 *
 * In whole numbers: what is rounded (half up) is the exact result.
 */
#include "model/cvss_metric.h"

enum { AV, AC, AT, PR, UI, VC, VI, VA, SC, SI, SA };

/* The values of a base metric from the most severe on: a place is a number of steps. */
const struct cvss_metric cvss4_metrics[] = {
    { "AV", "N A L P" },
    { "AC", "L H" },
    { "AT", "N P" },
    { "PR", "N L H" },
    { "UI", "N P A" },
    { "VC", "H L N" },
    { "VI", "H L N" },
    { "VA", "H L N" },
    { "SC", "H L N" },
    { "SI", "H L N" },
    { "SA", "H L N" },
    /* threat, environmental, supplemental */
    { "E", "X A P U" },
    { "CR", "X H M L" },
    { "IR", "X H M L" },
    { "AR", "X H M L" },
    { "MAV", "X N A L P" },
    { "MAC", "X L H" },
    { "MAT", "X N P" },
    { "MPR", "X N L H" },
    { "MUI", "X N P A" },
    { "MVC", "X H L N" },
    { "MVI", "X H L N" },
    { "MVA", "X H L N" },
    { "MSC", "X H L N" },
    { "MSI", "X S H L N" },
    { "MSA", "X S H L N" },
    { "S", "X N P" },
    { "AU", "X N Y" },
    { "R", "X A U I" },
    { "V", "X D C" },
    { "RE", "X L M H" },
    { "U", "X Clear Green Amber Red" },
    { NULL, NULL },
};

/* EQ3 and EQ6 as one: 00, 01, 10, 11, 21. Base vectors have the first, third and last; the others are next to them. */
enum { EQ36_00, EQ36_01, EQ36_10, EQ36_11, EQ36_21, EQ36_COUNT };
#define NONE UINT8_MAX /* no less severe MacroVector */

struct macro {
    uint8_t eq1, eq2, eq36, eq4; /* eq4: EQ4 less 1 */
};

/* Scores in tenths, by EQ1, EQ2, EQ3 with EQ6, EQ4 less 1; EQ5 is 0. */
static const uint8_t scores[3][2][EQ36_COUNT][2] = {
    { { { 100, 93 }, { 96, 90 }, { 93, 88 }, { 92, 80 }, { 79, 69 } },
      { { 95, 92 }, { 91, 81 }, { 92, 84 }, { 82, 70 }, { 71, 63 } } },
    { { { 94, 87 }, { 89, 75 }, { 86, 72 }, { 76, 57 }, { 65, 53 } },
      { { 90, 77 }, { 77, 66 }, { 74, 61 }, { 59, 52 }, { 58, 23 } } },
    { { { 86, 70 }, { 74, 54 }, { 72, 53 }, { 57, 36 }, { 47, 24 } },
      { { 73, 54 }, { 55, 43 }, { 61, 46 }, { 51, 18 }, { 24, 10 } } },
};

static uint8_t score_of(struct macro m) { return scores[m.eq1][m.eq2][m.eq36][m.eq4]; }

static struct macro macro_of(const int8_t *at)
{
    int none = !at[AV] + !at[PR] + !at[UI];
    bool high = !at[VC] || !at[VI] || !at[VA];
    return (struct macro){
        .eq1 = none == 3            ? 0
               : none && at[AV] < 3 ? 1
                                    : 2,
        .eq2 = at[AC] || at[AT],
        .eq36 = !at[VC] && !at[VI] ? EQ36_00
                : high             ? EQ36_10
                                   : EQ36_21,
        .eq4 = at[SC] && at[SI] && at[SA],
    };
}

/* The score of the next less severe MacroVector on each class, or NONE. */
static uint8_t below_eq1(struct macro m)
{
    if (m.eq1 == 2)
        return NONE;
    m.eq1++;
    return score_of(m);
}

static uint8_t below_eq2(struct macro m)
{
    if (m.eq2 == 1)
        return NONE;
    m.eq2++;
    return score_of(m);
}

static uint8_t below_eq36(struct macro m)
{
    if (m.eq36 == EQ36_21)
        return NONE;
    struct macro left = m, right = m;
    left.eq36 = m.eq36 == EQ36_00 ? EQ36_01 : EQ36_11;
    right.eq36 = m.eq36 == EQ36_00 ? EQ36_10 : EQ36_11;
    return score_of(left) > score_of(right) ? score_of(left) : score_of(right);
}

static uint8_t below_eq4(struct macro m)
{
    if (m.eq4 == 1)
        return NONE;
    m.eq4++;
    return score_of(m);
}

/* A class of the vector: how many steps it is below the most severe of its MacroVector, of how many that are possible, and what is next. */
struct distance {
    int steps, depth;
    uint8_t below;
};

#define UNIT (4 * 5 * 2 * 7) /* a multiple of every depth */

uint16_t cvss4_base(const struct cvss_values *v)
{
    const int8_t *at = v->at;
    static const int top1[] = { 0, 1, 3 }, depth1[] = { 1, 4, 5 };
    static const int top36[] = { 0, 0, 1, 1, 3 }, depth36[] = { 7, 6, 8, 8, 10 };

    struct macro m = macro_of(at);
    int impact = at[VC] + at[VI] + at[VA], subsequent = at[SC] + at[SI] + at[SA];
    if (impact + subsequent == 2 * 6)
        return 0;
    const struct distance distances[] = {
        { at[AV] + at[PR] + at[UI] - top1[m.eq1], depth1[m.eq1], below_eq1(m) },
        { at[AC] + at[AT] - m.eq2, m.eq2 ? 2 : 1, below_eq2(m) },
        { impact - top36[m.eq36], depth36[m.eq36], below_eq36(m) },
        { subsequent - (m.eq4 ? 3 : 0), m.eq4 ? 4 : 5, below_eq4(m) },
    };

    int score = score_of(m), sum = 0, count = 1; /* EQ5 has a next one too, and no distance */
    for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
        const struct distance *d = &distances[i];
        if (d->below == NONE)
            continue;
        sum += (score - d->below) * d->steps * (UNIT / d->depth);
        count++;
    }
    int unit = UNIT * count, exact = score * unit - sum;
    return (uint16_t)(exact > 0 ? (2 * exact + unit) / (2 * unit) : 0);
}
