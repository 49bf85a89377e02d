#include "model/advisory.h"

const char *fix_state_name(enum fix_state s)
{
    switch (s) {
    case FIX_AFFECTED:
        return "affected";
    case FIX_FIXED:
        return "fixed";
    case FIX_WILL_NOT_FIX:
        return "will_not_fix";
    case FIX_END_OF_LIFE:
        return "end_of_life";
    case FIX_UNDER_INVESTIGATION:
        return "under_investigation";
    }
    return "affected"; /* a number that a newer release has stored */
}
