/* isolate.c - the walls around the zygote and so around every worker, beside seccomp: no file system, no network. */
#include "cage/internal.h"
#include "base/cleanup.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* As linux/landlock.h of a recent kernel has it: ours may be built with older headers. Rights that an older kernel does not know are
 * left out by its ABI number (landlock(7)). */
struct rules {
    uint64_t files, network, scope;
};
#define FILE_RIGHTS_1 ((1u << 13) - 1)
#define FILE_REFER    (1u << 13) /* ABI 2 */
#define FILE_TRUNCATE (1u << 14) /* ABI 3 */
#define FILE_IOCTL    (1u << 15) /* ABI 5 */
#define NETWORK_TCP   3u         /* ABI 4: bind and connect */
#define SCOPE_ALL     3u         /* ABI 6: abstract sockets, signals */

static long landlock_abi(void) { return syscall(SYS_landlock_create_ruleset, NULL, 0, 1u); }

static unsigned restrict_self(void)
{
    long abi = landlock_abi();
    if (abi < 1)
        return 0;
    struct rules r = { .files = FILE_RIGHTS_1 | (abi >= 2 ? FILE_REFER : 0) | (abi >= 3 ? FILE_TRUNCATE : 0) |
                                (abi >= 5 ? FILE_IOCTL : 0),
                       .network = abi >= 4 ? NETWORK_TCP : 0,
                       .scope = abi >= 6 ? SCOPE_ALL : 0 };
    size_t size = abi >= 6 ? sizeof r : abi >= 4 ? 2 * sizeof r.files : sizeof r.files;
    CLEANUP(close_fdp) int fd = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0u);
    if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0u) != 0) /* no rule: nothing is allowed */
        return 0;
    return WALL_FILES | (abi >= 4 ? WALL_NETWORK : 0);
}

/* A folder that has no name any more, and in which nothing can be made. */
static bool enter_nowhere(void)
{
    static const char *const places[] = { "/tmp/eclair.XXXXXX", "/dev/shm/eclair.XXXXXX",
                                          "/run/eclair.XXXXXX" };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char path[32];
        strcpy(path, places[i]);
        if (!mkdtemp(path))
            continue;
        CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        rmdir(path);
        if (fd >= 0 && fchdir(fd) == 0 && chroot(".") == 0)
            return true;
    }
    return false;
}

/* Root may leave; anybody else may where a user namespace can be had. */
static unsigned leave(unsigned missing)
{
    int as_root = geteuid() == 0 ? 0 : CLONE_NEWUSER;
    if (unshare(CLONE_NEWNET | as_root) != 0)
        return 0;
    return WALL_NETWORK | ((missing & WALL_FILES) && enter_nowhere() ? WALL_FILES : 0);
}

unsigned cage_isolate(bool landlock)
{
    unsigned walls = 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && landlock)
        walls = restrict_self();
    if (walls !=
        WALL_ALL) /* Landlock would not let us in: so this comes second only where it is old or missing */
        walls |= leave(WALL_ALL & ~walls);
    return walls;
}
