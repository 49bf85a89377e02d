/*
 * service.h - what a service manager wants to be told, by systemd's protocol: datagrams to $NOTIFY_SOCKET (sd_notify(3)).
 *
 * Without that variable nothing happens. Nothing fails: a manager that does not listen is not our trouble.
 */
#pragma once
#include <stdint.h>

void service_ready(void);
void service_reloading(void); /* until service_ready() */
void service_stopping(void);
void service_alive(void);
/* How often service_alive() is wanted: half of what the manager waits. 0: not at all. */
int64_t service_alive_ms(void);
