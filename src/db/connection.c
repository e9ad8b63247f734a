/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One pipelined connection: connecting, sending segments, and matching each result with the head of the FIFO. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "internal.h"
#include "wardmote/log.h"

static void unwatch(struct connection *connection)
{
	if (connection->fd >= 0)
		epoll_ctl(connection->pool->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
	connection->fd = -1;
	connection->events = 0;
}

/* Unwatched, a connection would be waited for until its deadline: it is as good as lost. */
static bool watch(struct connection *connection, unsigned events)
{
	/* While it connects libpq may have gone on to another host with a new socket of the same number, which epoll does not know. */
	if (connection->state == CONNECTION_CONNECTING)
		unwatch(connection);
	int fd = PQsocket(connection->pg);
	struct epoll_event event = { .events = events, .data.ptr = connection };
	if (connection->fd != fd) {
		unwatch(connection);
		if (fd < 0 || epoll_ctl(connection->pool->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
			return false;
		connection->fd = fd;
	} else if (connection->events != events && epoll_ctl(connection->pool->epoll, EPOLL_CTL_MOD, fd, &event) != 0) {
		return false;
	}
	connection->events = events;
	return true;
}

void connection_close(struct connection *connection)
{
	unwatch(connection);
	PQfinish(connection->pg);
	connection->pg = NULL;
	statements_clear(&connection->statements);
	if (connection->state == CONNECTION_READY)
		connection->pool->stats.connected[connection->lane]--;
	if (connection->state != CONNECTION_READY && connection->state != CONNECTION_DOWN) {
		connection->pool->n_connecting--;
		connection->pool->first_host++; /* the attempt failed: the next one begins elsewhere */
	}
	connection->state = CONNECTION_DOWN;
	connection->separator = false;
	connection->dirty = false;
	connection->retired = false;
	connection->paused = false;
	connection->resumed = false;
}

static bool lane_connected(const struct db_pool *pool, enum lane lane)
{
	return pool->stats.connected[lane] > 0;
}

void connection_lose(struct connection *connection, int64_t now_us)
{
	struct db_pool *pool = connection->pool;
	/* One whose rows nobody took in time says nothing of the database either. */
	bool given_up = connection->state == CONNECTION_READY && connection->paused;
	bool wanted = connection->state != CONNECTION_READY || !(connection->retired || given_up);
	if (connection->state == CONNECTION_READY)
		pool->stats.lost++;
	pool->given_up = pool->given_up || given_up;
	connection_close(connection);
	pool->random = pool->random * 6364136223846793005u + 1442695040888963407u;
	long backoff = connection->backoff_ms == 0 ? BACKOFF_MIN_MS : connection->backoff_ms * 2;
	connection->backoff_ms = backoff > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : backoff;
	int64_t jitter = (int64_t)((pool->random >> 33) % (uint64_t)(connection->backoff_ms * 500 + 1));
	connection->retry_at_us = now_us + connection->backoff_ms * 500 + jitter;
	while (connection->fifo_n > 0) {
		struct expected *head = &connection->fifo[connection->fifo_head];
		connection->fifo_head = (connection->fifo_head + 1) % connection->fifo_size;
		connection->fifo_n--;
		if (head->kind == EXPECT_SYNC)
			connection->in_flight--;
		if (head->kind == EXPECT_SYNC && head->job != NULL) {
			head->job->connection = NULL;
			job_lost(pool, head->job);
		}
	}
	/* After one that was given up the next is awaited: only its failure says that nobody is there. */
	if (wanted && !lane_connected(pool, connection->lane))
		pool->away[connection->lane] = true;
}

void connection_discard(struct connection *connection, int64_t now_us)
{
	connection_close(connection);
	connection->pool->given_up = true;
	connection->retry_at_us = now_us + BACKOFF_MIN_MS * 1000;
	connection->fifo_n = 0;
	connection->in_flight = 0;
}

/* libpq would print it, and wait for whoever reads standard error. */
static void ignore_notice(void *context, const PGresult *result)
{
	(void)context, (void)result;
}

void connection_start(struct connection *connection, int64_t now_us)
{
	/* What the URI says wins over the defaults before it; what is after it is ours. */
	static const char *const names[] = { "connect_timeout",
					     "tcp_user_timeout",
					     "keepalives_idle",
					     "keepalives_interval",
					     "keepalives_count",
					     "application_name",
					     "dbname",
					     "client_encoding",
					     NULL };
	char *uri = db_uri_from(connection->pool->uri, connection->pool->first_host);
	const char *const values[] = { "5", "5000", "10", "5", "3", "wardmote", uri, "UTF8", NULL };
	connection->pg = uri == NULL ? NULL : PQconnectStartParams(names, values, 1);
	free(uri);
	connection->state = CONNECTION_CONNECTING;
	connection->pool->n_connecting++;
	connection->attempt_until_us = now_us + (connection->pool->n_hosts > 1 ? ATTEMPT_OF_SEVERAL_US : ATTEMPT_US);
	if (connection->pg == NULL || PQstatus(connection->pg) == CONNECTION_BAD || PQsetnonblocking(connection->pg, 1) != 0) {
		connection_lose(connection, now_us);
		return;
	}
	PQsetNoticeReceiver(connection->pg, ignore_notice, NULL);
	if (!watch(connection, EPOLLOUT))
		connection_lose(connection, now_us);
}

/* Its settings; behind a pooler they come with each segment, and nothing may be left to whoever has the backend next. */
static bool send_setup(struct connection *connection)
{
	bool pooled = connection->pool->settings.pooled;
	connection->state = pooled ? CONNECTION_ASKING : CONNECTION_SETTING_UP;
	connection->standing = STANDING_UNTOLD;
	return PQsendQuery(connection->pg, pooled ? fence_question : connection->pool->session[connection->lane]) == 1;
}

static void poll_connecting(struct connection *connection, int64_t now_us)
{
	bool good = false;
	switch (PQconnectPoll(connection->pg)) {
	case PGRES_POLLING_READING:
		good = watch(connection, EPOLLIN);
		break;
	case PGRES_POLLING_WRITING:
		good = watch(connection, EPOLLOUT);
		break;
	case PGRES_POLLING_OK:
		good = watch(connection, EPOLLIN) && send_setup(connection) && PQflush(connection->pg) >= 0;
		break;
	case PGRES_POLLING_FAILED:
	case PGRES_POLLING_ACTIVE:
		break;
	}
	if (!good)
		connection_lose(connection, now_us);
}

static void refuse(struct connection *connection, enum standing standing, int64_t now_us)
{
	struct db_pool *pool = connection->pool;
	if ((pool->refused & 1u << standing) == 0)
		log_message(LOG_LEVEL_WARNING, "a database server is of no use", "reason", standing_text(standing));
	pool->refused |= 1u << standing;
	pool->no_writes = pool->no_writes || standing == STANDING_READ_ONLY || standing == STANDING_WAITING;
	connection_lose(connection, now_us);
}

static void enter_service(struct connection *connection, int64_t now_us)
{
	struct db_pool *pool = connection->pool;
	if (PQenterPipelineMode(connection->pg) != 1) {
		connection_lose(connection, now_us);
		return;
	}
	connection->state = CONNECTION_READY;
	pool->n_connecting--;
	pool->stats.connected[connection->lane]++;
	pool->away[connection->lane] = false;
	if (connection->lane == LANE_WRITE) {
		pool->refused = 0;
		pool->no_writes = false;
	}
	connection->backoff_ms = 0;
}

/* One fresh connection's answer to who it is; reads are content with a primary that takes no writes just now. */
static void take_standing(struct connection *connection, enum standing standing, int64_t now_us)
{
	bool usable = standing == STANDING_GOOD;
	if (connection->lane != LANE_WRITE)
		usable = usable || standing == STANDING_READ_ONLY || standing == STANDING_WAITING;
	if (usable)
		enter_service(connection, now_us);
	else
		refuse(connection, standing, now_us);
}

/* The settings, then the question: each is one statement string, with results up to a NULL. */
static void poll_setting_up(struct connection *connection, int64_t now_us)
{
	if (PQconsumeInput(connection->pg) == 0) {
		connection_lose(connection, now_us);
		return;
	}
	errno = 0;
	while (!PQisBusy(connection->pg)) {
		PGresult *result = PQgetResult(connection->pg);
		bool asking = connection->state == CONNECTION_ASKING;
		if (errno == ENOMEM || PQstatus(connection->pg) != CONNECTION_OK ||
		    (result != NULL && !asking && PQresultStatus(result) == PGRES_FATAL_ERROR)) {
			PQclear(result);
			connection_lose(connection, now_us);
			return;
		}
		if (result == NULL && asking) {
			take_standing(connection, connection->standing, now_us);
			return;
		}
		if (result != NULL && asking)
			connection->standing = fence_judge(connection->pool->settings.fence, result, &connection->timeline);
		PQclear(result);
		if (result == NULL) {
			connection->state = CONNECTION_ASKING;
			connection->standing = STANDING_UNTOLD;
			if (PQsendQuery(connection->pg, fence_question) != 1 || PQflush(connection->pg) < 0) {
				connection_lose(connection, now_us);
				return;
			}
		}
	}
}

void connection_flush(struct connection *connection, int64_t now_us)
{
	connection->dirty = false;
	int left = PQflush(connection->pg);
	unsigned events = connection->paused ? 0 : EPOLLIN;
	if (left < 0 || !watch(connection, left > 0 ? events | EPOLLOUT : events))
		connection_lose(connection, now_us);
}

static bool fits(enum expected_kind kind, const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	if (kind == EXPECT_SYNC)
		return status == PGRES_PIPELINE_SYNC || status == PGRES_FATAL_ERROR;
	/* A COMMIT of what had failed says ROLLBACK. */
	if (kind == EXPECT_COMMIT && status == PGRES_COMMAND_OK)
		return strcmp(PQcmdStatus((PGresult *)(uintptr_t)result), "COMMIT") == 0;
	return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_FATAL_ERROR || status == PGRES_PIPELINE_ABORTED;
}

/* Keeps what the job needs of a result, frees the rest. */
static void take(struct connection *connection, const struct expected *head, PGresult *result)
{
	struct db_job *job = head->job;
	ExecStatusType status = PQresultStatus(result);
	if (job == NULL) {
		PQclear(result);
		return;
	}
	if (head->kind == EXPECT_PREPARE && status != PGRES_COMMAND_OK)
		statements_remove(&connection->statements, job->steps[head->step].text);
	if (status == PGRES_FATAL_ERROR && job->error == NULL) {
		job->error = result;
		job->early = head->kind == EXPECT_BRACKET || head->kind == EXPECT_LOCAL;
		job->astray = head->kind == EXPECT_LOCAL && fence_refused(result);
		return;
	}
	if (head->kind == EXPECT_LOCAL && status == PGRES_TUPLES_OK)
		connection_judge(connection, job, result);
	if (head->kind == EXPECT_STEP && status == PGRES_TUPLES_OK) {
		if (job->acts && head->step == 0) {
			job->actor = PQntuples(result) == 1;
			job->stranger = !job->actor;
		}
		if (head->step == job->answer && job->row == NULL) {
			job->row = result;
			return;
		}
	}
	PQclear(result);
}

static bool is_fatal(const PGresult *result)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	return severity == NULL || strcmp(severity, "ERROR") != 0; /* a pooler's own say nothing, and it ends the connection */
}

/* libpq, for want of memory, may leave out a field of an error without a word, and puts its own error, which has no SQLSTATE, in the place of a result: then
 * nobody knows what the server said. */
static bool is_unsaid(const PGresult *result)
{
	bool error = PQresultStatus(result) == PGRES_FATAL_ERROR || PQresultStatus(result) == PGRES_BAD_RESPONSE;
	return errno == ENOMEM || (error && PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL);
}

/* There is none yet, or those of one statement are over. */
static bool read_none(struct connection *connection, int64_t now_us)
{
	bool separator = connection->separator;
	connection->separator = false;
	if (errno != ENOMEM && PQstatus(connection->pg) == CONNECTION_OK && (!separator || stream_begin(connection)))
		return separator;
	connection_lose(connection, now_us);
	return false;
}

/* Its Sync came back. NULL: that of what only tidied up. */
static void settle(struct connection *connection, struct db_job *job, int64_t now_us)
{
	connection->in_flight--;
	if (job == NULL)
		return;
	bool failed = job->error != NULL;
	job->connection = NULL;
	job_settle(connection->pool, connection, job);
	/* Where BEGIN was not reached, or COMMIT itself failed, there is none: the database would warn of each. */
	bool left = failed && connection->state == CONNECTION_READY && PQtransactionStatus(connection->pg) != PQTRANS_IDLE;
	if (left && connection->pool->settings.bracketed && connection->in_flight == 0)
		connection_tidy(connection, now_us);
}

/* The results of one Sync at most; false when the connection is gone or has nothing more. */
static bool read_one(struct connection *connection, int64_t now_us)
{
	errno = 0;
	bool busy = PQisBusy(connection->pg) != 0;
	if (busy && errno != ENOMEM)
		return false;
	PGresult *result = busy ? NULL : PQgetResult(connection->pg);
	if (result == NULL)
		return read_none(connection, now_us);
	struct expected head = connection->fifo[connection->fifo_head];
	if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) {
		stream_row(connection, head.job, result);
		return !connection->paused;
	}
	connection->heard_us = now_us;
	if (is_unsaid(result)) {
		PQclear(result);
		connection_lose(connection, now_us);
		return false;
	}
	if (!fits(head.kind, result)) {
		bool broken = PQstatus(connection->pg) != CONNECTION_OK;
		PQclear(result);
		connection->pool->stats.mismatches += broken ? 0 : 1;
		connection_lose(connection, now_us);
		return false;
	}
	if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
		connection->separator = true;
		if (head.kind == EXPECT_SYNC) {
			/* The commit itself failed and its Sync is still to come; or the connection broke or is about to, and nobody knows. */
			if (PQstatus(connection->pg) == CONNECTION_OK && !is_fatal(result))
				take(connection, &head, result);
			else
				PQclear(result);
			return true;
		}
	}
	connection->fifo_head = (connection->fifo_head + 1) % connection->fifo_size;
	connection->fifo_n--;
	if (head.kind == EXPECT_SYNC) {
		PQclear(result);
		settle(connection, head.job, now_us);
		return true;
	}
	take(connection, &head, result);
	/* The rows that would follow are for nobody, and may be many. */
	if (head.job == NULL || head.job->take_row == NULL || !(head.job->stranger || head.job->astray))
		return true;
	connection_discard(connection, now_us);
	head.job->connection = NULL;
	job_settle(connection->pool, connection, head.job);
	return false;
}

void connection_read(struct connection *connection, int64_t now_us)
{
	while (connection->state == CONNECTION_READY && connection->fifo_n > 0 && !connection->paused && read_one(connection, now_us))
		continue;
	bool over = connection->retired && connection->in_flight == 0;
	if (connection->state == CONNECTION_READY && (over || PQstatus(connection->pg) != CONNECTION_OK))
		connection_lose(connection, now_us);
}

/* Input that cannot be read is a loss, but what came before it is read first: a FATAL names its reason there. */
static void connection_input(struct connection *connection, int64_t now_us)
{
	bool read = PQconsumeInput(connection->pg) == 1;
	connection_read(connection, now_us);
	if (connection->state == CONNECTION_READY && !read)
		connection_lose(connection, now_us);
	if (connection->state == CONNECTION_READY)
		connection_flush(connection, now_us);
}

void connection_event(struct connection *connection, int64_t now_us)
{
	switch (connection->state) {
	case CONNECTION_DOWN:
		return;
	case CONNECTION_CONNECTING:
		poll_connecting(connection, now_us);
		return;
	case CONNECTION_SETTING_UP:
	case CONNECTION_ASKING:
		poll_setting_up(connection, now_us);
		return;
	case CONNECTION_READY:
		connection_input(connection, now_us);
		return;
	}
}
