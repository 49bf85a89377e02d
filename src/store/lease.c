#include "store/rows.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>

/* The first line of a small file of /proc; empty where there is no /proc. */
static void read_line(const char *path, char *ret, size_t room)
{
    ret[0] = '\0';
    CLEANUP(fclosep) FILE *f = fopen(path, "re");
    if (f && fgets(ret, (int)room, f))
        ret[strcspn(ret, "\n")] = '\0';
}

/* Process numbers mean something only in this boot and this pid namespace. */
static void home(char ret[96])
{
    char boot[40], pid_namespace[40];
    read_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    ssize_t n = readlink("/proc/self/ns/pid", pid_namespace, sizeof pid_namespace - 1);
    pid_namespace[n < 0 ? 0 : n] = '\0';
    if (boot[0] && n > 0)
        snprintf(ret, 96, "%s/%s", boot, pid_namespace);
    else
        snprintf(ret, 96, "unknown");
}

/* Clock ticks between boot and the start of a process: field 22 of proc(5) stat, after the name in
 * parentheses. Numbers of processes are reused, the pair is not. 0 when it is not there. */
static unsigned long long start_of(unsigned long pid)
{
    char path[40], line[512];
    unsigned long long start = 0;
    snprintf(path, sizeof path, "/proc/%lu/stat", pid);
    read_line(path, line, sizeof line);
    const char *p = strrchr(line, ')');
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p && sscanf(p, "%llu", &start) == 1 ? start : 0;
}

void store_owner(char ret[STORE_OWNER])
{
    char place[96];
    uint32_t random = 0;
    unsigned long pid = (unsigned long)getpid();
    home(place);
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
        random = (uint32_t)(uintptr_t)ret;
    snprintf(ret, STORE_OWNER, "%s %lu %llu %08x", place, pid, start_of(pid), random);
}

bool lease_owner_dead(str owner)
{
    char place[96];
    uint64_t pid, start;
    home(place);
    if (!str_eq(str_cut(&owner, ' '), str_from(place)) || !str_to_u64(str_cut(&owner, ' '), &pid) ||
        !str_to_u64(str_cut(&owner, ' '), &start) || str_eq(str_from(place), STR("unknown")) ||
        pid > INT32_MAX)
        return false;
    if (kill((pid_t)pid, 0) < 0 && errno == ESRCH)
        return true;
    unsigned long long now = start_of(pid);
    return start && now && now != start;
}
