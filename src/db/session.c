/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plain blocking connections, for commands and the jobs thread. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "internal.h"
#include "wardmote/clock.h"
#include "wardmote/network.h"

struct db_session {
	PGconn *connection;
	long patience_ms; /* 0: no end */
	int stop_fd;
};

/* libpq's messages end with a line break and may have several lines; for people one line each is enough. */
static const char *tidy(struct arena *arena, const char *message)
{
	char *text = arena_copy(arena, slice_of(message));
	size_t len = strlen(text);
	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	return text;
}

/* The line of a statement's text in which the server found the error; 0 when it did not say. */
static int error_line(const PGresult *result, const char *text)
{
	const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
	if (position == NULL)
		return 0;
	long at = strtol(position, NULL, 10); /* in characters, from 1 */
	int line = 1;
	for (; *text != '\0' && at > 1; text++) {
		line += *text == '\n';
		at -= ((unsigned char)*text & 0xc0) != 0x80;
	}
	return line;
}

static const char *describe_error(struct arena *arena, const PGconn *connection, const PGresult *result, const char *text)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
	struct buffer message = { .arena = arena };
	if (primary == NULL) {
		const char *reason = tidy(arena, PQerrorMessage(connection));
		buffer_format(&message, "08006: %s", reason[0] == '\0' ? "no answer in time" : reason);
		return message.ptr;
	}
	buffer_format(&message, "%s: %s", state == NULL ? "XX000" : state, primary);
	if (detail != NULL)
		buffer_format(&message, "; %s", detail);
	int line = error_line(result, text);
	if (line > 0)
		buffer_format(&message, " (line %d)", line);
	if (context != NULL)
		buffer_format(&message, " (%.*s)", (int)strcspn(context, "\n"), context);
	return message.ptr;
}

/* A URI that libpq takes apart wrongly, as with a password whose '@' or '/' is not escaped, puts pieces of it into libpq's own complaint. */
static bool uri_is_sound(const char *uri)
{
	if (strchr(uri, '=') == NULL && strstr(uri, "://") == NULL)
		return true; /* the name of a database */
	PQconninfoOption *options = PQconninfoParse(uri, NULL);
	bool sound = options != NULL;
	for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++) {
		if (option->val == NULL)
			continue;
		if (strcmp(option->keyword, "port") == 0 && option->val[strspn(option->val, "0123456789,")] != '\0')
			sound = false;
		if (strcmp(option->keyword, "host") == 0 && option->val[0] != '@' && strchr(option->val, '@') != NULL)
			sound = false;
	}
	PQconninfoFree(options);
	return sound;
}

static void ignore_notice(void *context, const PGresult *result)
{
	(void)context, (void)result;
}

/* As PQconnectdb does, but it can be told to stop. What it leaves is no connection, or one that failed, or is still in the middle of it, or good. */
static PGconn *connect_until(const char *const *names, const char *const *values, int64_t deadline_us, int stop_fd)
{
	PGconn *connection = PQconnectStartParams(names, values, 1);
	PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;
	while (connection != NULL && PQstatus(connection) != CONNECTION_BAD &&
	       (wanted == PGRES_POLLING_READING || wanted == PGRES_POLLING_WRITING)) {
		short events = wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT;
		struct pollfd fds[] = { { .fd = PQsocket(connection), .events = events }, { .fd = stop_fd, .events = POLLIN } };
		int64_t left_us = deadline_us - clock_monotonic_us();
		if (left_us <= 0 || poll(fds, 2, (int)(left_us / 1000 + 1)) < 0 || fds[1].revents != 0)
			break;
		if (fds[0].revents != 0)
			wanted = PQconnectPoll(connection);
	}
	return connection;
}

static const char *connect_error(struct arena *arena, const PGconn *connection)
{
	if (connection == NULL)
		return "out of memory";
	const char *message = tidy(arena, PQerrorMessage(connection));
	return message[0] == '\0' ? "no connection in time" : message;
}

int db_session_new(const char *uri, struct arena *arena, struct db_session **ret_session, const char **ret_error)
{
	return db_session_new_within(uri, arena, 0, -1, ret_session, ret_error);
}

int db_session_new_within(const char *uri, struct arena *arena, long patience_ms, int stop_fd, struct db_session **ret_session,
			  const char **ret_error)
{
	/* What the URI says wins over what stands before it, and what stands behind it wins over the URI. */
	static const char *const names[] = { "connect_timeout", "fallback_application_name", "dbname", "client_encoding", NULL };
	const char *const values[] = { "10", "wardmote", uri, "UTF8", NULL };
	if (!uri_is_sound(uri)) {
		*ret_error = "the database's URI is not well-formed: in a password @ is written %40, / %2F, : %3A, % %25";
		return -EINVAL;
	}
	/* libpq's own way gives each host of the URI its connect_timeout. */
	PGconn *connection = patience_ms == 0 ? PQconnectdbParams(names, values, 1)
					      : connect_until(names, values, clock_monotonic_us() + patience_ms * 1000, stop_fd);
	struct db_session *session = connection == NULL ? NULL : calloc(1, sizeof *session);
	if (session == NULL || PQstatus(connection) != CONNECTION_OK) {
		*ret_error = session == NULL ? "out of memory" : connect_error(arena, connection);
		PQfinish(connection);
		free(session);
		return -ECONNREFUSED;
	}
	PQsetNoticeReceiver(connection, ignore_notice, NULL);
	session->connection = connection;
	db_session_limit(session, patience_ms, stop_fd);
	struct db_rows rows;
	int status = db_session_query(session, arena,
				      "SET TimeZone = 'UTC'; SET search_path = pg_catalog, public; SET client_min_messages = warning", 0,
				      NULL, &rows, ret_error);
	if (status < 0) {
		db_session_free(session);
		return -ECONNREFUSED;
	}
	*ret_session = session;
	return 0;
}

void db_session_free(struct db_session *session)
{
	if (session == NULL)
		return;
	PQfinish(session->connection);
	free(session);
}

void db_session_path(const struct db_session *session, struct arena *arena, struct db_path *ret_path)
{
	const char *host = PQhost(session->connection), *address = PQhostaddr(session->connection);
	bool socket = host != NULL && (host[0] == '/' || host[0] == '@');
	*ret_path = (struct db_path){
		.local = socket || (address != NULL && network_list_has("127.0.0.0/8, ::1", slice_of(address))),
		.encrypted = PQsslInUse(session->connection) != 0 || PQgssEncInUse(session->connection) != 0,
		.sslmode = "prefer",
	};
	PQconninfoOption *options = PQconninfo(session->connection);
	for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
		if (strcmp(option->keyword, "sslmode") == 0 && option->val != NULL)
			ret_path->sslmode = arena_copy(arena, slice_of(option->val));
	PQconninfoFree(options);
}

void db_session_limit(struct db_session *session, long patience_ms, int stop_fd)
{
	session->patience_ms = patience_ms;
	session->stop_fd = stop_fd;
}

/* More input came, and nothing asks to stop. */
static bool wait_input(const struct db_session *session, int64_t deadline_us)
{
	struct pollfd fds[] = { { .fd = PQsocket(session->connection), .events = POLLIN }, { .fd = session->stop_fd, .events = POLLIN } };
	int64_t left_us = deadline_us - clock_monotonic_us();
	if (left_us <= 0 || (poll(fds, 2, (int)(left_us / 1000 + 1)) < 0 && errno != EINTR) || fds[1].revents != 0)
		return false;
	return fds[0].revents == 0 || PQconsumeInput(session->connection) == 1;
}

/* As PQexec does, but with an end: NULL when there was none in time. */
static PGresult *await_result(const struct db_session *session)
{
	int64_t deadline_us = clock_monotonic_us() + session->patience_ms * 1000;
	PGresult *last = NULL;
	for (;;) {
		while (!PQisBusy(session->connection)) {
			PGresult *result = PQgetResult(session->connection);
			if (result == NULL)
				return last;
			PQclear(last);
			last = result;
		}
		if (!wait_input(session, deadline_us)) {
			PQclear(last);
			return NULL;
		}
	}
}

/* The simple protocol takes several statements at once, the extended one takes parameters. */
static PGresult *execute(const struct db_session *session, const char *text, size_t n, const char *const *parameters)
{
	PGconn *connection = session->connection;
	if (session->patience_ms == 0)
		return n == 0 ? PQexec(connection, text) : PQexecParams(connection, text, (int)n, NULL, parameters, NULL, NULL, 0);
	int sent = n == 0 ? PQsendQuery(connection, text) : PQsendQueryParams(connection, text, (int)n, NULL, parameters, NULL, NULL, 0);
	return sent == 1 ? await_result(session) : NULL;
}

static void copy_rows(struct arena *arena, const PGresult *result, struct db_rows *ret_rows)
{
	size_t rows = (size_t)PQntuples(result), columns = (size_t)PQnfields(result);
	const char **cells = arena_alloc(arena, (rows * columns + 1) * sizeof *cells);
	for (size_t i = 0; i < rows * columns; i++) {
		int row = (int)(i / columns), column = (int)(i % columns);
		if (!PQgetisnull(result, row, column))
			cells[i] =
			    arena_copy(arena, (struct slice){ PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column) });
	}
	*ret_rows = (struct db_rows){ rows, columns, cells };
}

int db_session_query(struct db_session *session, struct arena *arena, const char *text, size_t n, const char *const *parameters,
		     struct db_rows *ret_rows, const char **ret_error)
{
	PGconn *connection = session->connection;
	PGresult *result = execute(session, text, n, parameters);
	ExecStatusType state = PQresultStatus(result);
	int status = 0;
	if (state == PGRES_TUPLES_OK || state == PGRES_COMMAND_OK) {
		copy_rows(arena, result, ret_rows);
	} else {
		*ret_error = describe_error(arena, connection, result, text);
		status = -EIO;
	}
	PQclear(result);
	return status;
}

int db_session_check(struct db_session *session, struct db_fence *fence, const char **ret_error)
{
	uint32_t timeline;
	PGresult *result = execute(session, fence_question, 0, NULL);
	enum standing standing = fence_judge(fence, result, &timeline);
	PQclear(result);
	bool usable = standing == STANDING_GOOD || standing == STANDING_READ_ONLY || standing == STANDING_WAITING;
	*ret_error = standing_text(standing);
	return usable ? 0 : -ECONNREFUSED;
}
