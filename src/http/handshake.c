/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Handshakes of TLS. libmicrohttpd goes on with a handshake in each of its runs once the first byte of it has come, without waiting for the next one: a single
 * client that stops in the middle would keep the worker busy for as long as it may stay. So the library has the connection for one step at a time. Then we suspend
 * it, watch its socket ourselves, and resume it when there is something to read. How long all that may take is the deadline of the first head (connection.c). */
#include "internal.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 64 };

int handshakes_start(struct http_server *server)
{
	struct epoll_event library = { .events = EPOLLIN };
	int fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (epoll_ctl(fd, EPOLL_CTL_ADD, server->epoll_fd, &library) != 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	server->epoll_fd = fd;
	return 0;
}

void handshakes_stop(struct http_server *server)
{
	struct phase_list *fresh = &server->phases[PHASE_FRESH], *cut = &server->phases[PHASE_CUT];
	for (struct http_connection *connection = fresh->first; connection != NULL; connection = connection->next)
		handshake_wake(connection);
	for (struct http_connection *connection = cut->first; connection != NULL; connection = connection->next)
		handshake_wake(connection);
}

static bool is_ready(const struct http_connection *connection)
{
	return connection->finished_in && connection->finished_out;
}

static void run_insert(struct http_connection *connection)
{
	struct http_server *server = connection->server;
	connection->handshake = HANDSHAKE_RUNS;
	connection->prev_run = NULL;
	connection->next_run = server->runs;
	if (server->runs != NULL)
		server->runs->prev_run = connection;
	server->runs = connection;
}

static void run_remove(struct http_connection *connection)
{
	if (connection->prev_run != NULL)
		connection->prev_run->next_run = connection->next_run;
	else
		connection->server->runs = connection->next_run;
	if (connection->next_run != NULL)
		connection->next_run->prev_run = connection->prev_run;
	connection->handshake = HANDSHAKE_NONE;
}

/* Its messages are small and go out one after another: with Nagle's algorithm each would wait for the client's late acknowledgement of the one before. */
void handshake_begin(struct http_connection *connection)
{
	int on = 1;
	(void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	run_insert(connection);
	if (!tls_session_begin(connection))
		connection_cut(connection, false);
}

void handshake_wake(struct http_connection *connection)
{
	struct http_server *server = connection->server;
	if (connection->handshake != HANDSHAKE_WAITS)
		return;
	(void)epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
	run_insert(connection);
	server->resumed = true;
	MHD_resume_connection(connection->mhd);
}

void handshakes_wake(struct http_server *server)
{
	struct epoll_event events[EVENTS];
	int n = server->callbacks.tls == NULL ? 0 : epoll_wait(server->epoll_fd, events, EVENTS, 0);
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr != NULL)
			handshake_wake(events[i].data.ptr);
	}
}

static void wait_for_more(struct http_connection *connection)
{
	struct epoll_event event = { .events = tls_session_wants_write(connection) ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = connection };
	run_remove(connection);
	if (epoll_ctl(connection->server->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
		connection_cut(connection, true);
		return;
	}
	connection->handshake = HANDSHAKE_WAITS;
	MHD_suspend_connection(connection->mhd);
}

void handshakes_settle(struct http_server *server)
{
	struct http_connection *next;
	for (struct http_connection *connection = server->runs; connection != NULL; connection = next) {
		next = connection->next_run;
		if (is_ready(connection)) {
			run_remove(connection);
			tls_count(server->callbacks.tls, true);
		} else if (connection->phase != PHASE_CUT) {
			wait_for_more(connection);
		}
	}
}

void handshake_forget(struct http_connection *connection)
{
	if (connection->handshake == HANDSHAKE_NONE)
		return;
	if (connection->handshake == HANDSHAKE_RUNS)
		run_remove(connection);
	tls_count(connection->server->callbacks.tls, is_ready(connection));
}
