#include "report/text.h"

void text_clean(struct buf *out, str s)
{
    bool utf8 = str_utf8(s);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool c1 = c == 0xc2 && i + 1 < s.len && (unsigned char)s.ptr[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || c1 || (c >= 0x80 && !utf8)) {
            buf_char(out, '?');
            i += c1;
        } else {
            buf_char(out, (char)c);
        }
    }
}
