/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Children of `wardmote dev`. Each runs in a session of its own, so that Ctrl-C reaches it only through us, and is told to end when we die. Every wait
 * is for an event: the child's end, a signal to stop, or a deadline. */
#ifndef WARDMOTE_SERVER_PROCESS_H
#define WARDMOTE_SERVER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process_options {
	const char *const *argv; /* argv[0] is a path, or a name to be found in PATH */
	const char *user; /* become this user (only root can); NULL: stay who we are */
	const char *input; /* text for its standard input; NULL: /dev/null */
	int output; /* descriptor for its standard output and error; -1: ours */
	const char *const *environment; /* NAME=VALUE to set, NAME to unset; NULL-terminated; NULL: none */
	const int *
	    listeners; /* two listening sockets that it gets as descriptors 3 and 4, and is told of by LISTEN_FDS and LISTEN_PID; NULL: none */
	int end_signal; /* sent to it when we die */
};

/* 0, or a negative errno. A child that cannot be started ends with status 127 after a message on its standard error. */
int process_start(const struct process_options *options, pid_t *ret_pid);
/* Waits for its end until the deadline (monotonic microseconds) or until `stop_fd` (-1: none) is readable. 0 with the exit status (128 + signal for a
 * killed one), -ETIMEDOUT, or -EINTR when told to stop; then it still runs. */
int process_wait(pid_t pid, int stop_fd, int64_t deadline_us, int *ret_status);
/* Starts, waits for the end (no longer than five minutes), and kills it when that does not come or we are told to stop. 0 when it ended with status 0,
 * -EINTR when told to stop, -EIO otherwise. */
int process_run(const struct process_options *options, int stop_fd);
/* Sends the signal and waits; after `patience_ms` kills. */
void process_end(pid_t pid, int end_signal, long patience_ms);
/* A descriptor that is readable when one of SIGINT, SIGTERM, SIGHUP came; they are blocked from then on (children start with a clean mask). */
int process_stop_fd(void);

#endif
