/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Phases and absolute deadlines. The library's own timeout counts from the last byte, so a client that dribbles would live for ever: we end a connection by
 * shutting its socket down, which the library sees as the client's doing. That is safe only while the library still owns the descriptor: until connection_closed. */
#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "wardmote/clock.h"

enum { CLOSE_WAIT = 8 }; /* TCP_CLOSE_WAIT of <netinet/tcp.h>, which knows too little of struct tcp_info to be included here */

static const int64_t us_per_ms = 1000;
/* The kernel tells the age of the last data in ticks of its clock: younger than this is not told apart. */
static const int64_t age_slack_ms = 50;

static void list_remove(struct phase_list *list, struct http_connection *connection)
{
	if (connection->prev != NULL)
		connection->prev->next = connection->next;
	else
		list->first = connection->next;
	if (connection->next != NULL)
		connection->next->prev = connection->prev;
	else
		list->last = connection->prev;
	list->n--;
	connection->prev = NULL;
	connection->next = NULL;
}

static void list_append(struct phase_list *list, struct http_connection *connection)
{
	connection->prev = list->last;
	connection->next = NULL;
	if (list->last != NULL)
		list->last->next = connection;
	else
		list->first = connection;
	list->last = connection;
	list->n++;
}

/* Stays in its phase and wants to be looked at again one period later. */
static void wait_again(struct http_connection *connection, int64_t now)
{
	struct phase_list *list = &connection->server->phases[connection->phase];
	list_remove(list, connection);
	connection->due = now + list->period;
	list_append(list, connection);
}

bool connection_tcp_info(const struct http_connection *connection, struct tcp_info *ret_info)
{
	socklen_t len = sizeof *ret_info;
	memset(ret_info, 0, sizeof *ret_info);
	return getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, ret_info, &len) == 0;
}

/* Bytes of the transfer under way. What the library has handed to the kernel is no progress: only what the client has acknowledged. */
static uint64_t bytes_moved(const struct http_connection *connection)
{
	if (connection->phase == PHASE_BODY)
		return connection->exchange->body_len;
	struct tcp_info info;
	return connection_tcp_info(connection, &info) ? info.tcpi_bytes_acked : 0;
}

static uint64_t bytes_expected(const struct http_connection *connection)
{
	const struct http_exchange *exchange = connection->exchange;
	if (exchange == NULL) /* there was no memory for one */
		return 0;
	if (connection->phase == PHASE_ANSWER)
		return exchange->stream != NULL ? UINT64_MAX : exchange->answer_bytes;
	/* In chunks it may become as long as it may be: its rate counts from its first byte on. */
	uint64_t length = exchange->expected.chunked ? exchange->body_max : exchange->expected.length;
	return length > exchange->body_len ? length : exchange->body_len;
}

static int64_t total_timeout_ms(const struct http_connection *connection)
{
	const struct http_limits *limits = &connection->server->limits;
	bool uploads = connection->phase == PHASE_BODY && connection->exchange != NULL && connection->exchange->spooled;
	return uploads && limits->upload_timeout_ms > 0 ? limits->upload_timeout_ms : limits->transfer_timeout_ms;
}

void connection_enter(struct http_connection *connection, enum phase phase)
{
	struct http_server *server = connection->server;
	list_remove(&server->phases[connection->phase], connection);
	connection->phase = phase;
	connection->since = clock_monotonic_us();
	connection->due = connection->since + server->phases[phase].period;
	connection->ticks = 0;
	list_append(&server->phases[phase], connection);
	if ((phase == PHASE_BODY || phase == PHASE_ANSWER) && bytes_expected(connection) > TRANSFER_LONG)
		connection->samples[0] = bytes_moved(connection);
	else
		connection->samples[0] = 0;
}

static void format_peer(struct MHD_Connection *mhd, char *peer, size_t size)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	peer[0] = '\0';
	if (info == NULL || info->client_addr == NULL)
		return;
	if (info->client_addr->sa_family == AF_INET) {
		const struct sockaddr_in *address = (const void *)info->client_addr;
		inet_ntop(AF_INET, &address->sin_addr, peer, (socklen_t)size);
	} else if (info->client_addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *address = (const void *)info->client_addr;
		if (IN6_IS_ADDR_V4MAPPED(&address->sin6_addr))
			inet_ntop(AF_INET, &address->sin6_addr.s6_addr[12], peer, (socklen_t)size);
		else
			inet_ntop(AF_INET6, &address->sin6_addr, peer, (socklen_t)size);
	}
}

static bool above_soft_limit(const struct http_server *server)
{
	return server->connections > (size_t)(server->limits.connections - server->limits.connections / 10);
}

bool connection_is_over(const struct http_connection *connection)
{
	return connection->over && above_soft_limit(connection->server);
}

struct http_connection *connection_new(struct http_server *server, struct MHD_Connection *mhd)
{
	struct http_connection *connection = calloc(1, sizeof *connection);
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	int fd = info == NULL ? -1 : info->connect_fd;
	if (connection == NULL) {
		/* Without our record it would have no deadline. */
		shutdown(fd, SHUT_RDWR);
		return NULL;
	}
	connection->server = server;
	connection->mhd = mhd;
	connection->fd = fd;
	format_peer(mhd, connection->peer, sizeof connection->peer);
	server->connections++;
	server->accepted++;
	connection->over = above_soft_limit(server);
	connection->phase = PHASE_FRESH;
	connection->since = clock_monotonic_us();
	connection->due = connection->since + server->phases[PHASE_FRESH].period;
	list_append(&server->phases[PHASE_FRESH], connection);
	if (server->callbacks.tls != NULL)
		handshake_begin(connection);
	return connection;
}

static void connection_free(struct http_connection *connection)
{
	list_remove(&connection->server->phases[connection->phase], connection);
	tls_pair_unref(connection->pair);
	free(connection->target);
	free(connection);
}

/* Closing a socket whose input was not read sends a reset, which can overtake the refusal on its way to the client. The library has sent its FIN and is about
 * to close its descriptor: with a duplicate the socket lives on. */
static bool linger_begin(struct http_connection *connection)
{
	struct http_server *server = connection->server;
	if (!connection->linger || server->lingering >= server->lingering_max)
		return false;
	int fd = fcntl(connection->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (connection->pair != NULL)
		shutdown(fd, SHUT_WR); /* with TLS the library leaves it at an alert */
	connection->fd = fd;
	connection->mhd = NULL;
	server->lingering++;
	connection_enter(connection, PHASE_LINGER);
	return true;
}

static void linger_end(struct http_connection *connection)
{
	connection->server->lingering--;
	close(connection->fd);
	connection_free(connection);
}

void connection_closed(struct http_connection *connection)
{
	connection->server->connections--;
	handshake_forget(connection);
	if (!linger_begin(connection))
		connection_free(connection);
}

void connection_tell(struct http_connection *connection, struct slice bytes)
{
	if (connection->pair == NULL)
		(void)!send(connection->fd, bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (connection->handshake == HANDSHAKE_NONE)
		(void)tls_session_send(connection, bytes);
}

/* With TLS an end that was not announced could be anybody's doing, and clients say so. In the middle of an answer it is meant to look like that. */
static void announce_end(struct http_connection *connection)
{
	bool answering = connection->phase == PHASE_ANSWER || connection->phase == PHASE_WORK || connection->phase == PHASE_CUT;
	if (connection->pair != NULL && connection->handshake == HANDSHAKE_NONE && !answering)
		tls_session_bye(connection);
}

void connection_cut(struct http_connection *connection, bool reset)
{
	if (!reset)
		announce_end(connection);
	if (reset) {
		struct linger now = { .l_onoff = 1, .l_linger = 0 };
		setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	}
	shutdown(connection->fd, SHUT_RDWR);
	connection_enter(connection, PHASE_CUT);
	handshake_wake(connection);
}

static void check_linger(struct http_connection *connection, int64_t now)
{
	char waste[16384];
	ssize_t got = 0;
	while (connection->dropped < LINGER_BYTES && (got = recv(connection->fd, waste, sizeof waste, MSG_DONTWAIT)) > 0)
		connection->dropped += (uint64_t)got;
	bool waiting = got < 0 && (errno == EAGAIN || errno == EINTR) && connection->dropped < LINGER_BYTES;
	if (waiting && now - connection->since < LINGER_MS * us_per_ms)
		wait_again(connection, now);
	else
		linger_end(connection);
}

/* The library does not tell that the first bytes of a request have come; the kernel does, if asked. */
static bool request_has_begun(const struct http_connection *connection, int64_t now)
{
	struct tcp_info info;
	return connection_tcp_info(connection, &info) && info.tcpi_last_data_recv + age_slack_ms < (now - connection->since) / us_per_ms;
}

/* The library takes a short read for the end of what there is and waits for the next edge: an end of input that had come with these bytes stays unnoticed. */
static bool client_has_left(const struct http_connection *connection)
{
	struct tcp_info info;
	int pending = 0;
	return connection_tcp_info(connection, &info) && info.tcpi_state == CLOSE_WAIT && ioctl(connection->fd, FIONREAD, &pending) == 0 &&
	       pending == 0;
}

/* The head of a request is awaited. A client that left before it was accepted makes no event. */
static void check_head(struct http_connection *connection, int64_t now)
{
	int64_t age_ms = (now - connection->since) / us_per_ms;
	bool late = age_ms >= connection->server->limits.header_timeout_ms;
	bool over = connection_is_over(connection) && age_ms >= OVER_MS;
	if (client_has_left(connection) || (late && connection->phase == PHASE_FRESH)) {
		connection_cut(connection, false);
	} else if (late || over) {
		exchange_refuse_raw(connection, late ? &gate_header_timeout : &gate_connection_limit);
		connection_cut(connection, false);
	} else {
		wait_again(connection, now);
	}
}

/* Still the same idle time. */
static void enter_rest(struct http_connection *connection)
{
	int64_t since = connection->since;
	connection_enter(connection, PHASE_REST);
	connection->since = since;
	rest_begin(connection);
}

static void check_idle(struct http_connection *connection, int64_t now)
{
	if (now - connection->since >= connection->server->limits.idle_timeout_ms * us_per_ms || client_has_left(connection))
		connection_cut(connection, false);
	else if (request_has_begun(connection, now))
		connection_enter(connection, PHASE_HEADER);
	else if (connection->phase == PHASE_IDLE)
		enter_rest(connection);
	else
		wait_again(connection, now);
}

static bool transfer_failed(struct http_connection *connection, int64_t now)
{
	const struct http_limits *limits = &connection->server->limits;
	int64_t elapsed = now - connection->since;
	/* How long a streamed answer may take is for whoever makes it. */
	bool streamed = connection->exchange != NULL && connection->exchange->stream != NULL;
	if (!streamed && elapsed >= total_timeout_ms(connection) * us_per_ms)
		return true;
	unsigned slot = ++connection->ticks % TRANSFER_TICKS;
	uint64_t before = connection->samples[slot];
	if (bytes_expected(connection) <= TRANSFER_LONG)
		return connection->ticks >= TRANSFER_TICKS;
	uint64_t moved = bytes_moved(connection);
	connection->samples[slot] = moved;
	return connection->ticks >= TRANSFER_TICKS && moved - before < TRANSFER_RATE * (uint64_t)limits->body_timeout_ms / 1000;
}

static void check_one(struct http_connection *connection, int64_t now)
{
	switch (connection->phase) {
	case PHASE_FRESH:
	case PHASE_HEADER:
		check_head(connection, now);
		break;
	case PHASE_BODY:
		if (client_has_left(connection)) {
			connection_cut(connection, false);
		} else if (transfer_failed(connection, now)) {
			exchange_refuse_raw(connection, &gate_body_timeout);
			connection_cut(connection, false);
		} else {
			wait_again(connection, now);
		}
		break;
	case PHASE_ANSWER:
		if (transfer_failed(connection, now))
			connection_cut(connection, true);
		else
			wait_again(connection, now);
		break;
	case PHASE_IDLE:
	case PHASE_REST:
		check_idle(connection, now);
		break;
	case PHASE_LINGER:
		check_linger(connection, now);
		break;
	case PHASE_WORK:
	case PHASE_CUT:
	case PHASES:
		break;
	}
}

static bool wants_look(const struct phase_list *list, const struct http_connection *connection, int64_t now)
{
	bool crowded = connection->phase == PHASE_IDLE && list->n > CROWD;
	return connection->due <= now || (crowded && now - connection->since >= CROWD_REST_MS * us_per_ms);
}

void connections_check(struct http_server *server)
{
	int64_t now = clock_monotonic_us();
	for (enum phase phase = 0; phase < PHASES; phase++) {
		struct phase_list *list = &server->phases[phase];
		for (int looks = 0; looks < LOOKS_MAX && list->period > 0 && list->first != NULL && wants_look(list, list->first, now);
		     looks++)
			check_one(list->first, now);
	}
	if (server->drain_check != 0 && now >= server->drain_check) {
		server->drain_check = 0;
		connections_close_unused(server, true);
	}
}

int connections_timeout(const struct http_server *server)
{
	int64_t due = server->drain_check != 0 ? server->drain_check : INT64_MAX;
	for (enum phase phase = 0; phase < PHASES; phase++) {
		const struct phase_list *list = &server->phases[phase];
		if (list->period > 0 && list->first != NULL && list->first->due < due)
			due = list->first->due;
	}
	if (due == INT64_MAX)
		return -1;
	int64_t left = due - clock_monotonic_us();
	if (left <= 0)
		return 0;
	int64_t ms = left / us_per_ms + 1;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void close_silent(struct phase_list *list)
{
	struct http_connection *next;
	for (struct http_connection *connection = list->first; connection != NULL; connection = next) {
		next = connection->next;
		int pending = 0;
		/* A request that is already here is still answered. */
		if (ioctl(connection->fd, FIONREAD, &pending) != 0 || pending == 0)
			connection_cut(connection, false);
	}
}

void connections_close_unused(struct http_server *server, bool fresh)
{
	close_silent(&server->phases[PHASE_IDLE]);
	close_silent(&server->phases[PHASE_REST]);
	if (fresh)
		close_silent(&server->phases[PHASE_FRESH]);
}

void connections_make_room(struct http_server *server)
{
	struct http_connection *resting = server->phases[PHASE_REST].first, *idle = server->phases[PHASE_IDLE].first;
	if (resting != NULL || idle != NULL)
		connection_cut(resting != NULL ? resting : idle, false);
}

void connections_free_lingering(struct http_server *server)
{
	while (server->phases[PHASE_LINGER].first != NULL)
		linger_end(server->phases[PHASE_LINGER].first);
}
