/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wardmote/clock.h"

enum { RUN_MAX_SECONDS = 300, END_MS = 5000, CANNOT_START = 127 };

/* A descriptor to read the text from, without a file and without a second process that writes. */
static int open_input(const char *text)
{
	if (text == NULL)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fd = memfd_create("input", MFD_CLOEXEC);
	size_t len = strlen(text);
	if (fd >= 0 && (write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0)) {
		close(fd);
		errno = EIO;
		return -1;
	}
	return fd;
}

static bool become(const char *user)
{
	const struct passwd *entry = user == NULL ? NULL : getpwnam(user);
	if (user == NULL)
		return true;
	return entry != NULL && initgroups(user, entry->pw_gid) == 0 && setgid(entry->pw_gid) == 0 && setuid(entry->pw_uid) == 0;
}

static void set_environment(const char *const *environment)
{
	for (; environment != NULL && *environment != NULL; environment++) {
		if (strchr(*environment, '=') != NULL)
			putenv((char *)(uintptr_t)*environment); /* putenv keeps the pointer and does not write through it */
		else
			unsetenv(*environment);
	}
}

/* By way of copies, since each may stand where the other has to go. */
static bool hand_over(const int *listeners)
{
	enum { FIRST = 3, ASIDE = 10 };
	char pid[16];
	if (listeners == NULL)
		return true;
	int first = fcntl(listeners[0], F_DUPFD_CLOEXEC, ASIDE), second = fcntl(listeners[1], F_DUPFD_CLOEXEC, ASIDE);
	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	return dup2(first, FIRST) >= 0 && dup2(second, FIRST + 1) >= 0 && setenv("LISTEN_FDS", "2", 1) == 0 &&
	       setenv("LISTEN_PID", pid, 1) == 0;
}

/* In the child; does not return. */
static void become_child(const struct process_options *options, int input, pid_t parent)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	bool ready = become(options->user) && dup2(input, STDIN_FILENO) >= 0;
	if (options->output >= 0)
		ready = ready && dup2(options->output, STDOUT_FILENO) >= 0 && dup2(options->output, STDERR_FILENO) >= 0;
	ready = ready && hand_over(options->listeners);
	/* After the change of user, which would clear it. The parent may have died before it was set. */
	prctl(PR_SET_PDEATHSIG, options->end_signal);
	if (getppid() != parent)
		_exit(CANNOT_START);
	set_environment(options->environment);
	if (ready)
		execvp(options->argv[0], (char *const *)(uintptr_t)options->argv);
	fprintf(stderr, "wardmote: cannot run %s: %s\n", options->argv[0], strerror(errno));
	_exit(CANNOT_START);
}

int process_start(const struct process_options *options, pid_t *ret_pid)
{
	int input = open_input(options->input);
	if (input < 0)
		return -errno;
	fflush(NULL); /* what is buffered must not be written twice */
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid == 0)
		become_child(options, input, parent);
	int error = errno;
	close(input);
	if (pid < 0)
		return -error;
	*ret_pid = pid;
	return 0;
}

static int64_t left_ms(int64_t deadline_us)
{
	int64_t left = deadline_us - clock_monotonic_us();
	return left <= 0 ? 0 : left / 1000 + 1;
}

static int wait_event(int pid_fd, int stop_fd, int64_t deadline_us)
{
	struct pollfd events[2] = { { .fd = pid_fd, .events = POLLIN }, { .fd = stop_fd, .events = POLLIN } };
	for (;;) {
		int64_t left = left_ms(deadline_us);
		int n = poll(events, 2, left > 60000 ? 60000 : (int)left);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && events[0].revents != 0)
			return 0;
		if (n > 0 && events[1].revents != 0)
			return -EINTR;
		if (n == 0 && left == 0)
			return -ETIMEDOUT;
	}
}

int process_wait(pid_t pid, int stop_fd, int64_t deadline_us, int *ret_status)
{
	int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pid_fd < 0)
		return -errno;
	int status = wait_event(pid_fd, stop_fd, deadline_us);
	close(pid_fd);
	int state;
	if (status < 0)
		return status;
	if (waitpid(pid, &state, 0) != pid)
		return -errno;
	*ret_status = WIFSIGNALED(state) ? 128 + WTERMSIG(state) : WEXITSTATUS(state);
	return 0;
}

int process_run(const struct process_options *options, int stop_fd)
{
	pid_t pid;
	int exit_status = 0;
	int status = process_start(options, &pid);
	if (status < 0)
		return status;
	status = process_wait(pid, stop_fd, clock_monotonic_us() + RUN_MAX_SECONDS * INT64_C(1000000), &exit_status);
	if (status < 0)
		process_end(pid, SIGTERM, END_MS);
	if (status == -EINTR)
		return status;
	return status < 0 || exit_status != 0 ? -EIO : 0;
}

void process_end(pid_t pid, int end_signal, long patience_ms)
{
	int ignored;
	kill(pid, end_signal);
	if (process_wait(pid, -1, clock_monotonic_us() + patience_ms * 1000, &ignored) != -ETIMEDOUT)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, &ignored, 0);
}

int process_stop_fd(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0)
		return -errno;
	int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}
