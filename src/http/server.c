/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The library's daemon and its callbacks. It runs without threads of its own: the worker watches its epoll descriptor and calls http_server_run. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "wardmote/clock.h"

enum {
	STRICTNESS = 0, /* 1 closes without an answer where the gate gives one; -1 looks for white space before colons only */
	US_PER_MS = 1000,
	STUCK_RUNS = 8,
	STUCK_REST_MS = 5,
	STUCK_MS = 50,
	LOOK_LEAST_MS =
	    100, /* between two looks at a connection whose head is awaited: a tenth of a millisecond for each that there may be, */
	LOOK_MOST_MS = 1000, /* but not longer */
};

static struct http_connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info == NULL ? NULL : info->socket_context;
}

static void notify_connection(void *context, struct MHD_Connection *mhd, void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*socket_context = connection_new(context, mhd);
	} else if (*socket_context != NULL) {
		connection_closed(*socket_context);
		*socket_context = NULL;
	}
}

/* The deadline of a first request counts from when the connection was accepted. */
static void enter_header(struct http_connection *connection)
{
	int64_t since = connection->since;
	bool fresh = connection->phase == PHASE_FRESH;
	connection_enter(connection, PHASE_HEADER);
	if (fresh)
		connection->since = since;
}

/* The request line is complete. This is the only place where the target is seen as it was sent. */
static void *notify_target(void *context, const char *target, struct MHD_Connection *mhd)
{
	struct http_server *server = context;
	struct http_connection *connection = connection_of(mhd);
	if (connection == NULL)
		return NULL; /* shut down already */
	if (target == NULL)
		target = "";
	size_t len = strlen(target);
	size_t kept = len > server->limits.target_max ? server->limits.target_max + 1 : len;
	free(connection->target);
	connection->target = strndup(target, kept);
	connection->target_len = connection->target == NULL ? 0 : kept;
	connection->target_at = target;
	if (connection->phase != PHASE_CUT)
		enter_header(connection);
	/* The library is about to take the query apart, in place, with a record from the connection's pool for each parameter. When the pool
	 * runs out over that (a few hundred suffice), 0.9.75 forgets that it has failed and the request hangs. We parse the query ourselves: for
	 * the library it ends before its first byte. */
	char *question = strchr(target, '?');
	if (question != NULL)
		question[1] = '\0';
	return NULL;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *mhd, const char *url, const char *method, const char *version,
			      const char *data, size_t *size, void **request)
{
	(void)context, (void)url, (void)request;
	struct http_connection *connection = connection_of(mhd);
	/* A socket that was shut down still yields what had come before: a request that was refused must not be done as well. */
	bool cut = connection == NULL || connection->phase == PHASE_CUT;
	return cut ? MHD_NO : exchange_handle(connection, method, version, data, size);
}

static void notify_completed(void *context, struct MHD_Connection *mhd, void **request, enum MHD_RequestTerminationCode code)
{
	(void)context, (void)request;
	struct http_connection *connection = connection_of(mhd);
	if (connection == NULL)
		return;
	exchange_end(connection, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	if (connection->phase != PHASE_CUT)
		connection_enter(connection, PHASE_IDLE);
}

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
	if (server->listen_fd < 0)
		flags |= MHD_USE_NO_LISTEN_SOCKET; /* connections are handed over one by one */
	struct MHD_OptionItem more[4] = { { MHD_OPTION_END, 0, NULL } }; /* the last one stays an end */
	size_t n = 0;
	if (server->listen_fd >= 0)
		more[n++] = (struct MHD_OptionItem){ MHD_OPTION_LISTEN_SOCKET, server->listen_fd, NULL };
	if (server->callbacks.tls != NULL) {
		flags |= MHD_USE_TLS;
		more[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities };
		more[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, (void *)(uintptr_t)tls_no_certificate };
	}
	more[n] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
	return MHD_start_daemon(flags, 0, NULL, NULL, handle, server, MHD_OPTION_ARRAY, more, MHD_OPTION_CONNECTION_LIMIT,
				(unsigned)server->limits.connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
				MHD_OPTION_STRICT_FOR_CLIENT, (int)STRICTNESS, MHD_OPTION_URI_LOG_CALLBACK, notify_target, server,
				MHD_OPTION_NOTIFY_COMPLETED, notify_completed, server, MHD_OPTION_NOTIFY_CONNECTION, notify_connection,
				server, MHD_OPTION_END);
}

static void set_periods(struct http_server *server)
{
	const struct http_limits *limits = &server->limits;
	long idle = limits->idle_timeout_ms < limits->header_timeout_ms ? limits->idle_timeout_ms : limits->header_timeout_ms;
	long look = limits->connections / 10;
	look = look < LOOK_LEAST_MS ? LOOK_LEAST_MS : look > LOOK_MOST_MS ? LOOK_MOST_MS : look;
	long looks = (limits->header_timeout_ms + look - 1) / look; /* the last one at the deadline */
	server->phases[PHASE_FRESH].period = limits->header_timeout_ms * US_PER_MS / looks;
	server->phases[PHASE_HEADER].period = server->phases[PHASE_FRESH].period;
	server->phases[PHASE_BODY].period = limits->body_timeout_ms * US_PER_MS / TRANSFER_TICKS;
	server->phases[PHASE_ANSWER].period = limits->body_timeout_ms * US_PER_MS / TRANSFER_TICKS;
	long first = idle < REST_MS ? idle : REST_MS, rest = limits->idle_timeout_ms - first;
	server->phases[PHASE_IDLE].period = (int64_t)first * US_PER_MS;
	server->phases[PHASE_REST].period = (int64_t)rest * US_PER_MS / (rest / idle + 1); /* likewise */
	server->phases[PHASE_LINGER].period = (int64_t)LINGER_TICK_MS * US_PER_MS;
}

int http_server_new(int listen_fd, const struct http_limits *limits, const struct http_callbacks *callbacks,
		    struct http_server **ret_server)
{
	if (limits->connections < 1 || limits->header_timeout_ms < 1 || limits->body_timeout_ms < TRANSFER_TICKS ||
	    limits->transfer_timeout_ms < 1 || limits->idle_timeout_ms < 1)
		return -EINVAL;
	struct http_server *server = calloc(1, sizeof *server);
	if (server == NULL)
		return -ENOMEM;
	server->limits = *limits;
	server->callbacks = *callbacks;
	server->layout_known = strcmp(MHD_get_version(), "0.9.75") == 0;
	set_periods(server);
	long lingering = limits->connections / 8 + 1;
	server->lingering_max = lingering < LINGERING_MAX ? (size_t)lingering : LINGERING_MAX;
	/* The library closes the socket that it was given when it cannot start. */
	server->listen_fd = listen_fd < 0 ? -1 : fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);
	if (listen_fd >= 0 && server->listen_fd < 0) {
		int error = errno;
		free(server);
		return -error;
	}
	server->lacking = answer_lacking(callbacks->lacking);
	server->daemon = server->lacking == NULL ? NULL : start_daemon(server);
	const union MHD_DaemonInfo *info = server->daemon == NULL ? NULL : MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	server->epoll_fd = info == NULL ? -1 : info->epoll_fd;
	if (info == NULL || (callbacks->tls != NULL && handshakes_start(server) < 0)) {
		MHD_stop_daemon(server->daemon);
		if (server->lacking != NULL)
			MHD_destroy_response(server->lacking);
		else if (server->listen_fd >= 0)
			close(server->listen_fd); /* the library never had it */
		free(server);
		return -EIO;
	}
	*ret_server = server;
	return 0;
}

int http_server_fd(const struct http_server *server)
{
	return server->epoll_fd;
}

int http_server_timeout(struct http_server *server)
{
	if (server->resumed)
		return 0;
	MHD_UNSIGNED_LONG_LONG pending;
	if (MHD_get_timeout(server->daemon, &pending) == MHD_YES)
		return 0; /* there is work: the library has no timeout of its own here */
	int timeout = connections_timeout(server);
	return server->stuck > 0 && (timeout < 0 || timeout > STUCK_MS) ? STUCK_MS : timeout;
}

/* When the library cannot accept, for want of descriptors or memory, it tries again without a pause where it has no connection; else it leaves the
 * listener alone until one of those that it has is closed, and idle ones can last a minute. */
static void help_if_stuck(struct http_server *server, uint64_t accepted)
{
	struct pollfd listening = { .fd = server->listen_fd, .events = POLLIN };
	bool full = server->connections >= (size_t)server->limits.connections;
	if (server->listen_fd < 0 || full || server->accepted != accepted || poll(&listening, 1, 0) != 1) {
		server->stuck = 0;
		return;
	}
	int64_t now = clock_monotonic_us();
	if (server->stuck++ == 0)
		server->stuck_since = now;
	if (now - server->stuck_since > (int64_t)STUCK_MS * US_PER_MS) {
		connections_make_room(server);
		server->stuck_since = now;
	}
	if (server->stuck > STUCK_RUNS)
		poll(NULL, 0, STUCK_REST_MS);
}

void http_server_run(struct http_server *server)
{
	uint64_t accepted = server->accepted;
	handshakes_wake(server);
	server->resumed = false;
	MHD_run(server->daemon);
	handshakes_settle(server);
	help_if_stuck(server, accepted);
	connections_check(server);
}

static void stop_listening(struct http_server *server)
{
	if (server->listen_fd < 0)
		return;
	MHD_quiesce_daemon(server->daemon);
	close(server->listen_fd);
	server->listen_fd = -1;
}

void http_server_quiesce(struct http_server *server)
{
	if (server->draining)
		return;
	server->draining = true;
	stop_listening(server);
	server->drain_check = clock_monotonic_us() + (int64_t)DRAIN_FRESH_MS * US_PER_MS;
	connections_close_unused(server, false);
}

size_t http_server_active(const struct http_server *server)
{
	return server->active;
}

size_t http_server_connections(const struct http_server *server)
{
	return server->connections;
}

void http_server_free(struct http_server *server)
{
	if (server == NULL)
		return;
	stop_listening(server);
	/* The library aborts the process when it is stopped with a suspended connection; nobody is left to answer these. */
	for (struct http_connection *connection = server->phases[PHASE_WORK].first; connection != NULL; connection = connection->next) {
		const struct http_exchange *exchange = connection->exchange;
		if (exchange != NULL && ((exchange->suspended && !exchange->replied) || stream_is_starved(exchange)))
			MHD_resume_connection(connection->mhd);
	}
	handshakes_stop(server);
	MHD_stop_daemon(server->daemon);
	if (server->callbacks.tls != NULL)
		close(server->epoll_fd);
	connections_free_lingering(server);
	exchanges_free_spare(server);
	MHD_destroy_response(server->lacking);
	if (server->gzip_ready)
		deflateEnd(&server->gzip);
	free(server);
}
