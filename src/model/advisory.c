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

#define UP_TO STR("<=") /* begins no version of any scheme */

str range_end(const struct affected_range *r, char room[RANGE_END_ROOM])
{
    if (!r->last_affected.len)
        return r->fixed_version;
    str last = str_head(r->last_affected, RANGE_END_ROOM - UP_TO.len);
    memcpy(room, UP_TO.ptr, UP_TO.len);
    memcpy(room + UP_TO.len, last.ptr, last.len);
    return str_of(room, UP_TO.len + last.len);
}

void range_end_read(str end, struct affected_range *ret)
{
    bool last = str_starts(end, UP_TO);
    ret->fixed_version = last ? STR("") : end;
    ret->last_affected = last ? str_skip(end, UP_TO.len) : STR("");
}
