/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What gives way when too many are slow at once. A body or an answer under way costs some twenty kilobytes beside its own bytes, so there is a most of
 * both. A newcomer is not refused, who may well be quick: the one that has waited longest goes. A client that is not slow is gone long before that. */
#include "internal.h"

#include "wardmote/clock.h"

enum { US_PER_MS = 1000 };

/* A phase's list is in the order of the next looks, which is not that of age once each was looked at. */
static struct http_connection *oldest_of(const struct phase_list *list)
{
	struct http_connection *oldest = list->first;
	for (struct http_connection *connection = list->first; connection != NULL; connection = connection->next) {
		if (connection->since < oldest->since)
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

void pressure_answer(struct http_exchange *exchange)
{
	struct http_server *server = exchange->connection->server;
	const struct phase_list *answers = &server->phases[PHASE_ANSWER];
	server->answer_bytes += exchange->held_bytes;
	if (answers->n <= ANSWERS_AT_ONCE && server->answer_bytes <= ANSWERS_MAX)
		return;
	int64_t now = clock_monotonic_us();
	while (answers->n > ANSWERS_AT_ONCE || server->answer_bytes > ANSWERS_MAX) {
		struct http_connection *oldest = oldest_of(answers);
		if (now - oldest->since < (int64_t)ANSWER_GRACE_MS * US_PER_MS)
			return;
		if (oldest->exchange != NULL)
			pressure_release(oldest->exchange);
		connection_cut(oldest, true);
	}
}

void pressure_release(struct http_exchange *exchange)
{
	if (exchange->queued)
		exchange->connection->server->answer_bytes -= exchange->held_bytes;
	exchange->held_bytes = 0;
}
