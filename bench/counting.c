/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Preloaded into what bench/instructions counts: at a signal the thread that waits in epoll_wait starts the counting, or has written what was counted since
 * the last time. vgdb could tell the server the same, but not the backends that a valgrind has forked; and callgrind does not bear it in a handler. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>

#include <valgrind/callgrind.h>

enum { SIGNAL_START = 40, SIGNAL_TAKE = 41 };

static volatile sig_atomic_t wanted;
static int (*wait_in_libc)(int epoll, struct epoll_event *events, int most, int timeout_ms);

static void on_signal(int number)
{
	wanted = number;
}

__attribute__((constructor)) static void prepare(void)
{
	*(void **)&wait_in_libc = dlsym(RTLD_NEXT, "epoll_wait");
	struct sigaction action = { .sa_handler = on_signal };
	sigemptyset(&action.sa_mask);
	sigaction(SIGNAL_START, &action, NULL);
	sigaction(SIGNAL_TAKE, &action, NULL);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms)
{
	int n = wait_in_libc(epoll, events, most, timeout_ms), number = wanted;
	if (number == 0)
		return n;
	wanted = 0;
	if (number == SIGNAL_START)
		CALLGRIND_START_INSTRUMENTATION;
	CALLGRIND_DUMP_STATS;
	return n;
}
