#include "keys/file.h"

#include "base/cleanup.h"
#include "base/log.h"

#define TEXT_MAX ((size_t)128 << 10)

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           same_time(a->st_mtim, b->st_mtim) && same_time(a->st_ctim, b->st_ctim);
}

void key_file_warn(const char *path, const struct stat *st)
{
    if (st->st_mode & (S_IRWXO | S_IWGRP))
        log_warning("a private key can be read by others: chmod 0600", LOG_TEXT("file", str_from(path)));
}

static struct jwt_key *read_key(const struct key_file *f, struct err *e)
{
    CLEANUP(buf_done) struct buf text = { .max = TEXT_MAX };
    str kid = str_from(f->kid);
    if (buf_read_file(&text, f->path, e) < 0)
        return NULL;
    struct jwt_key *k = f->private ? jwt_key_read_private(buf_view(&text), kid, e)
                                   : jwt_key_read_public(buf_view(&text), kid, e);
    if (f->private && text.ptr)
        explicit_bzero(text.ptr, text.len);
    if (!k)
        err_wrap(e, "%s", f->path);
    return k;
}

int key_file_read(struct key_file *f, struct err *e)
{
    struct stat now = { 0 };
    struct err why = { 0 };
    bool there = stat(f->path, &now) == 0;
    if (f->key && same_file(&now, &f->seen))
        return 0;
    struct jwt_key *k = there ? read_key(f, &why) : NULL;
    if (!there)
        err_errno(&why, "open %s", f->path);
    if (!k && !f->key) {
        *e = why;
        return -1;
    }
    f->seen = now;
    if (!k) {
        log_warning("a key cannot be read any more: the one before is used on",
                    LOG_TEXT("error", str_from(why.text)));
        return 0;
    }
    if (f->private)
        key_file_warn(f->path, &now);
    jwt_key_freep(&f->key);
    f->key = k;
    return 0;
}

void key_file_done(struct key_file *f) { jwt_key_freep(&f->key); }
