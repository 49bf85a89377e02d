/* internal.h - what the three files of the cage share: parent (cage.c), zygote (zygote.c), worker (worker.c). */
#pragma once
#include "cage/cage.h"

#define CAGE_PARAMS_MAX 65536

/* One message on the control socket. START carries three descriptors: input (read end), frames (write end),
 * status (write end), and is followed by the params. */
struct cage_message {
    enum { CAGE_START = 1, CAGE_KILL = 2 } what;
    unsigned task;
    uint64_t job;
};

/* Takes the file system and the network from this process and all that it forks, by Landlock or by leaving for an empty place; once, and
 * before the first thread. Returns the walls that stand. */
enum { WALL_FILES = 1, WALL_NETWORK = 2, WALL_ALL = 3 };
unsigned cage_isolate(bool landlock);

/* Never returns: serves the control socket until the parent is gone. The first message on it is the walls. */
_Noreturn void zygote_main(int control, const struct cage_task *const tasks[],
                           const struct cage_limits *limits);

/* Never returns: shuts the cage around this process and runs the task. */
struct seccomp_program;
struct seccomp_program *
seccomp_program_new(void); /* the filter, compiled once in the zygote; NULL on failure */
struct worker_world {
    const struct seccomp_program *filter;
    const struct cage_limits *limits;
    int null; /* a descriptor of /dev/null, which cannot be opened any more */
};
uint64_t worker_address_space(void); /* of this process now, in bytes */
_Noreturn void worker_main(const struct cage_task *task, str params, int in_fd, int out_fd,
                           const struct worker_world *world);
