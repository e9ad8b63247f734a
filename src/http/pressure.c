/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What gives way when too many are slow at once. A body or an answer under way costs some twenty kilobytes beside its own bytes, so there is a most of
 * both. A newcomer is not refused, who may well be quick: the one that has waited longest goes. A client that is not slow is gone long before that. */
#include "internal.h"

#include "wardmote/clock.h"

enum { US_PER_MS = 1000 };

/* A streamed answer holds one block, takes long by its nature, and there are no more of them than the database has lanes for. */
static bool is_streamed(const struct http_connection *connection)
{
	return connection->exchange != NULL && connection->exchange->stream != NULL;
}

/* A phase's list is in the order of the next looks, which is not that of age once each was looked at. NULL: none that could go. */
static struct http_connection *oldest_of(const struct phase_list *list)
{
	struct http_connection *oldest = NULL;
	for (struct http_connection *connection = list->first; connection != NULL; connection = connection->next) {
		if (!is_streamed(connection) && (oldest == NULL || connection->since < oldest->since))
			oldest = connection;
	}
	return oldest;
}

void pressure_body(struct http_server *server)
{
	const struct phase_list *bodies = &server->phases[PHASE_BODY];
	if (bodies->n <= BODIES_AT_ONCE)
		return;
	struct http_connection *oldest = oldest_of(bodies);
	exchange_refuse_raw(oldest, &gate_body_memory);
	connection_cut(oldest, false);
}

/* The longest answer does not count: alone it may be longer than all are meant to be, and could not be had while others are answered. */
static bool answers_crowd(const struct http_server *server)
{
	const struct phase_list *answers = &server->phases[PHASE_ANSWER];
	size_t longest = 0;
	if (answers->n > ANSWERS_AT_ONCE || server->answer_bytes <= ANSWERS_MAX)
		return answers->n > ANSWERS_AT_ONCE;
	for (const struct http_connection *connection = answers->first; connection != NULL; connection = connection->next) {
		if (connection->exchange != NULL && connection->exchange->held_bytes > longest)
			longest = connection->exchange->held_bytes;
	}
	return server->answer_bytes - longest > ANSWERS_MAX;
}

/* The further their bytes are above what is meant, the sooner one gives way: at twice as many after a quarter of the time. */
static int64_t grace_us(const struct http_server *server)
{
	double share = server->answer_bytes <= ANSWERS_MAX ? 1 : (double)ANSWERS_MAX / (double)server->answer_bytes;
	return (int64_t)(ANSWER_GRACE_MS * US_PER_MS * share * share);
}

void pressure_answer(struct http_exchange *exchange)
{
	struct http_server *server = exchange->connection->server;
	server->answer_bytes += exchange->held_bytes;
	if (!answers_crowd(server))
		return;
	int64_t now = clock_monotonic_us();
	do {
		struct http_connection *oldest = oldest_of(&server->phases[PHASE_ANSWER]);
		if (oldest == NULL || now - oldest->since < grace_us(server))
			return;
		if (oldest->exchange != NULL)
			pressure_release(oldest->exchange);
		connection_cut(oldest, true);
	} while (answers_crowd(server));
}

void pressure_release(struct http_exchange *exchange)
{
	if (exchange->queued)
		exchange->connection->server->answer_bytes -= exchange->held_bytes;
	exchange->held_bytes = 0;
}
