/* replay.c - main() for fuzz targets without libFuzzer: runs every file of the folders and files named, and every prefix
 * of the small ones, so that a corpus is a regression test under any compiler. */
#include "base/cleanup.h"

#include <dirent.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned run_file(const char *path)
{
    CLEANUP(fclosep) FILE *in = fopen(path, "rb");
    CLEANUP(freep) uint8_t *data = malloc(64 << 20);
    if (!in || !data)
        return 0;
    size_t size = fread(data, 1, 64 << 20, in);
    LLVMFuzzerTestOneInput(data, size);
    for (size_t n = 0; n < size && size <= 512; n++) {
        uint8_t *copy = malloc(n + 1); /* its own block, so that a sanitizer sees a read past the end */
        if (!copy)
            return 0;
        memcpy(copy, data, n);
        LLVMFuzzerTestOneInput(copy, n);
        free(copy);
    }
    return 1;
}

static unsigned run(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return 0;
    if (!S_ISDIR(st.st_mode))
        return run_file(path);
    unsigned count = 0;
    DIR *d = opendir(path);
    for (struct dirent *f; d && (f = readdir(d));) {
        char name[4096];
        if (f->d_name[0] != '.' && snprintf(name, sizeof name, "%s/%s", path, f->d_name) < (int)sizeof name)
            count += run(name);
    }
    if (d)
        closedir(d);
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++)
        count += run(argv[i]);
    printf("%u inputs\n", count);
    return count ? 0 : 1; /* an empty corpus must not pass */
}
