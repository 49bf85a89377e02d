/* glob.c - patterns of package names and of paths. Time: pattern times text, whatever stands in them. */
#include "policy/ignore.h"

#define PATH_BYTES 4096u /* a longer path fits nothing */

bool glob_fits(str pattern, str text)
{
    bool star = false; /* the last one: what follows it, and what of the text it has not eaten yet */
    str after = pattern, left = text;
    for (;;) {
        if (str_starts(pattern, STR("*"))) {
            pattern = after = str_skip(pattern, 1);
            left = text;
            star = true;
        } else if (pattern.len && text.len && pattern.ptr[0] == text.ptr[0]) {
            pattern = str_skip(pattern, 1);
            text = str_skip(text, 1);
        } else if (!pattern.len && !text.len) {
            return true;
        } else if (star && left.len) {
            text = left = str_skip(left, 1);
            pattern = after;
        } else {
            return false;
        }
    }
}

/* The next part of a pattern: one of these, and its length. */
enum part { PART_BYTE, PART_ONE, PART_STAR, PART_FOLDERS, PART_ANY };

static enum part part_of(str pattern, size_t *len)
{
    *len = str_starts(pattern, STR("**/")) ? 3 : str_starts(pattern, STR("**")) ? 2 : 1;
    if (*len > 1)
        return *len == 3 ? PART_FOLDERS : PART_ANY;
    return pattern.ptr[0] == '*' ? PART_STAR : pattern.ptr[0] == '?' ? PART_ONE : PART_BYTE;
}

/* fits[j]: the pattern up to here fits the first j bytes of the text. */
static void step(bool *fits, str text, enum part part, char c)
{
    bool before = fits[0], some = fits[0]; /* fits[j - 1], and any up to there, as they were */
    if (part == PART_BYTE || part == PART_ONE)
        fits[0] = false;
    for (size_t j = 1; j <= text.len; j++) {
        bool was = fits[j], slash = text.ptr[j - 1] == '/';
        if (part == PART_BYTE)
            fits[j] = before && text.ptr[j - 1] == c;
        else if (part == PART_ONE)
            fits[j] = before && !slash;
        else if (part == PART_STAR)
            fits[j] = was || (fits[j - 1] && !slash);
        else if (part == PART_FOLDERS)
            fits[j] = was || (some && slash);
        else
            fits[j] = was || some;
        before = was;
        some |= was;
    }
}

static str relative(str path)
{
    while (str_starts(path, STR("/")) || str_starts(path, STR("./")))
        path = str_skip(path, path.ptr[0] == '/' ? 1 : 2);
    return path;
}

bool glob_fits_path(str pattern, str path)
{
    bool fits[PATH_BYTES + 1] = { true };
    pattern = relative(pattern);
    path = relative(path);
    if (path.len > PATH_BYTES)
        return false;
    while (pattern.len) {
        size_t len;
        enum part part = part_of(pattern, &len);
        step(fits, path, part, pattern.ptr[0]);
        pattern = str_skip(pattern, len);
    }
    return fits[path.len];
}
