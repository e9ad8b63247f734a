/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wardmote/clock.h"

/* Variables are ours alone, or nobody's: WATCHDOG_PID says whose. */
static int64_t watchdog_of(const char *microseconds, const char *pid)
{
	if (microseconds == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	long long value = strtoll(microseconds, NULL, 10);
	return value > 0 ? value : 0;
}

void notify_open(struct notifier *notifier)
{
	*notifier = (struct notifier){ .fd = -1 };
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = path == NULL ? 0 : strlen(path);
	if (len < 2 || len >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	notifier->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (notifier->fd >= 0 && connect(notifier->fd, (const struct sockaddr *)&address, size) != 0)
		notify_close(notifier);
	if (notifier->fd >= 0)
		notifier->watchdog_us = watchdog_of(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"));
}

void notify_close(struct notifier *notifier)
{
	if (notifier->fd >= 0)
		close(notifier->fd);
	notifier->fd = -1;
}

static bool tell(const struct notifier *notifier, const char *text)
{
	return notifier->fd >= 0 && send(notifier->fd, text, strlen(text), MSG_NOSIGNAL) >= 0;
}

void notify_ready(const struct notifier *notifier, const char *status)
{
	char text[256];
	snprintf(text, sizeof text, "READY=1\nSTATUS=%s", status);
	tell(notifier, text);
}

void notify_reloading(const struct notifier *notifier)
{
	char text[80];
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_monotonic_us());
	tell(notifier, text);
}

void notify_status(const struct notifier *notifier, const char *status)
{
	char text[256];
	snprintf(text, sizeof text, "STATUS=%s", status);
	tell(notifier, text);
}

void notify_stopping(const struct notifier *notifier, int64_t most_us)
{
	char text[96];
	snprintf(text, sizeof text, "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=%lld", (long long)(most_us + NOTIFY_SPARE_US));
	tell(notifier, text);
}

void notify_alive(struct notifier *notifier, int64_t oldest_beat_us, int64_t now_us)
{
	if (notifier->watchdog_us == 0 || now_us - notifier->told_us < notifier->watchdog_us / 4)
		return;
	if (now_us - oldest_beat_us < notifier->watchdog_us / 2 && tell(notifier, "WATCHDOG=1"))
		notifier->told_us = now_us;
}
