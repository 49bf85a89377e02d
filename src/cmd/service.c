#include "cmd/service.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

static void tell(const char *text)
{
    const char *place = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t n = place ? strlen(place) : 0;
    if (n < 2 || n >= sizeof to.sun_path || (*place != '/' && *place != '@'))
        return;
    memcpy(to.sun_path, place, n);
    if (*place == '@') /* a name without a file */
        to.sun_path[0] = '\0';
    CLEANUP(close_fdp) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

void service_ready(void) { tell("READY=1\nSTATUS=the ports are open"); }
void service_stopping(void) { tell("STOPPING=1\nSTATUS=requests that run are finished"); }
void service_alive(void) { tell("WATCHDOG=1"); }

void service_reloading(void)
{
    char text[80];
    struct timespec now; /* by the microsecond: the manager compares it with when it sent the signal */
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    tell(text);
}

int64_t service_alive_ms(void)
{
    const char *every = getenv("WATCHDOG_USEC"), *who = getenv("WATCHDOG_PID");
    uint64_t us, pid;
    if (!str_to_u64(str_from(every), &us) || us > INT64_MAX)
        return 0;
    if (who && (!str_to_u64(str_from(who), &pid) || pid != (uint64_t)getpid()))
        return 0;
    return us < 2000 ? 1 : (int64_t)(us / 2000);
}
