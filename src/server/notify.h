/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a supervisor such as systemd is told (sd_notify(3)): datagrams to the socket that NOTIFY_SOCKET names. Where it names none, nothing is told. */
#ifndef WARDMOTE_SERVER_NOTIFY_H
#define WARDMOTE_SERVER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

enum { NOTIFY_SPARE_US = 10000000 }; /* what a stop takes beside waiting */

struct notifier {
	int fd; /* -1: nobody is told */
	int64_t watchdog_us; /* how long the supervisor bears silence; 0: it does not watch */
	int64_t told_us; /* when it was last told that we live */
};

/* Never fails: a supervisor that cannot be reached is no reason not to serve. */
void notify_open(struct notifier *notifier);
void notify_close(struct notifier *notifier);
void notify_ready(const struct notifier *notifier, const char *status);
void notify_reloading(const struct notifier *notifier);
void notify_status(const struct notifier *notifier, const char *status);
/* A stop takes at most so long: the supervisor's own limit may be shorter than what the settings grant to requests under way. */
void notify_stopping(const struct notifier *notifier, int64_t most_us);
/* `oldest_beat_us`: when the least lively of our threads last went through its loop. One that has stood still for half of what the supervisor bears keeps the
 * word from being sent, and so ends the process in the end. */
void notify_alive(struct notifier *notifier, int64_t oldest_beat_us, int64_t now_us);

#endif
