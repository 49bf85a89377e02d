#include "feed/bundle_tar.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define SIZE_MAX_OCTAL ((UINT64_C(1) << 33) - 1) /* eleven digits */

struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6],
        version[2], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "a tar header");

int bundle_put(int fd, str bytes, struct err *e)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno != EINTR)
            return err_errno(e, "write");
        bytes = str_skip(bytes, n < 0 ? 0 : (size_t)n);
    }
    return 0;
}

int bundle_pread(int fd, void *to, size_t n, uint64_t offset, struct err *e)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, (char *)to + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno != EINTR)
            return err_errno(e, "read");
        if (got == 0)
            return err_set(e, ERR_FORMAT, "tar: truncated at byte %llu", (unsigned long long)(offset + done));
        done += got < 0 ? 0 : (size_t)got;
    }
    return 0;
}

static unsigned checksum(const struct header *h)
{
    const unsigned char *p = (const unsigned char *)h;
    unsigned sum = 0;
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += i >= offsetof(struct header, checksum) && i < offsetof(struct header, type) ? ' ' : p[i];
    return sum;
}

static bool read_octal(const char *digits, size_t n, uint64_t *ret)
{
    size_t i = 0;
    *ret = 0;
    for (; i < n && digits[i] >= '0' && digits[i] <= '7'; i++)
        *ret = *ret << 3 | (uint64_t)(digits[i] - '0');
    return i && (i == n || digits[i] == '\0' || digits[i] == ' ');
}

static bool is_zero(const struct header *h)
{
    const char *p = (const char *)h;
    for (size_t i = 0; i < TAR_BLOCK; i++)
        if (p[i])
            return false;
    return true;
}

int bundle_tar_next(int fd, uint64_t file_size, uint64_t *offset, struct bundle_member *ret, struct err *e)
{
    struct header h;
    uint64_t sum;
    if (bundle_pread(fd, &h, sizeof h, *offset, e) < 0)
        return -1;
    if (is_zero(&h))
        return 0;
    *ret = (struct bundle_member){ .offset = *offset + TAR_BLOCK };
    memcpy(ret->name, h.name, TAR_NAME);
    if (!read_octal(h.checksum, sizeof h.checksum, &sum) || sum != checksum(&h) ||
        memcmp(h.magic, "ustar", 5) != 0 || (h.type != '0' && h.type != '\0') || h.prefix[0] ||
        !read_octal(h.size, sizeof h.size, &ret->size))
        return err_set(e, ERR_FORMAT, "tar: byte %llu: no header of a regular file",
                       (unsigned long long)*offset);
    if (ret->size > file_size || ret->offset > file_size - ret->size)
        return err_set(e, ERR_FORMAT, "tar: truncated within '%s'", ret->name);
    *offset = ret->offset + (ret->size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    return 1;
}

int bundle_tar_head(int fd, const char *name, uint64_t size, int64_t mtime, struct err *e)
{
    struct header h = { .type = '0', .magic = "ustar", .version = { '0', '0' } };
    if (strlen(name) > TAR_NAME || size > SIZE_MAX_OCTAL)
        return err_set(e, ERR_LIMIT, "%s: too large for a tar", name);
    memcpy(h.name, name, strlen(name));
    memcpy(h.mode, "0000644", 8);
    memcpy(h.uid, "0000000", 8);
    memcpy(h.gid, "0000000", 8);
    snprintf(h.size, sizeof h.size, "%011llo", (unsigned long long)size);
    snprintf(h.mtime, sizeof h.mtime, "%011llo", (unsigned long long)mtime & 077777777777);
    snprintf(h.checksum, sizeof h.checksum, "%06o", checksum(&h) & 0777777);
    h.checksum[7] = ' ';
    return bundle_put(fd, str_of(&h, sizeof h), e);
}

int bundle_tar_pad(int fd, uint64_t size, struct err *e)
{
    static const char zeros[TAR_BLOCK];
    return bundle_put(fd, str_of(zeros, (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK)), e);
}

int bundle_tar_end(int fd, struct err *e)
{
    static const char zeros[2 * TAR_BLOCK];
    return bundle_put(fd, str_of(zeros, sizeof zeros), e);
}
