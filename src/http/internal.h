/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the files of src/http share. A connection is in exactly one phase, and in that phase's list; connection_enter is the only way from one phase to
 * another. All waits of one phase are equally long, so each list is in the order of its deadlines and looking for those that passed costs nothing.
 *
 *   FRESH -> HEADER -> [BODY] -> WORK -> ANSWER -> IDLE -> [REST] -> HEADER ...        any of them -> CUT | LINGER -> freed
 */
#ifndef WARDMOTE_HTTP_INTERNAL_H
#define WARDMOTE_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <zlib.h>

#include "gate.h"
#include "wardmote/http.h"

enum phase {
	PHASE_FRESH, /* accepted; no complete request line yet */
	PHASE_HEADER, /* within the head of a request */
	PHASE_BODY, /* within its body */
	PHASE_WORK, /* the application has it; no deadline of ours */
	PHASE_ANSWER, /* the answer is being sent */
	PHASE_IDLE, /* between two requests */
	PHASE_REST, /* the same for longer than REST_MS: holds no more memory than it must */
	PHASE_CUT, /* shut down by us; the library has yet to notice */
	PHASE_LINGER, /* the library is done with it; the rest of its input is read and dropped, so that no reset eats the answer */
	PHASES,
};

enum {
	TRANSFER_TICKS = 6, /* looks at a transfer within body_timeout */
	TRANSFER_LONG = 1 << 20, /* bytes from which on the rate counts, not the time */
	TRANSFER_RATE = 16 << 10, /* least bytes a second over any body_timeout */
	LINGER_TICK_MS = 20,
	LINGER_MS = 2000,
	LINGER_BYTES = 1 << 20,
	LINGERING_MAX = 64, /* connections; each costs a descriptor above the connection limit. Fewer where that is low */
	OVER_MS = 1000, /* for the head of a request on a connection above the soft limit */
	LOOKS_MAX =
	    128, /* at connections of one phase at a time: when the deadlines of thousands pass together, the others go on in between */
	DRAIN_FRESH_MS = 1000, /* how long a drain waits for the first byte of a new connection */
	BODIES_MAX = 128 << 20, /* bytes of all bodies that one worker holds at a time */
	BODIES_AT_ONCE = 512, /* arriving at one worker; then the one that has waited longest gives way */
	ANSWERS_AT_ONCE = 320, /* being sent by one worker; likewise, */
	ANSWERS_MAX = 32 << 20, /* and their bytes, but for the longest one's, */
	ANSWER_GRACE_MS = 200, /* for those that have been sent for so long; less when there are far more bytes */
	REST_MS = 1000,
	CROWD = 1024, /* more idle connections of one worker than this rest after */
	CROWD_REST_MS = 100,
	/* One pool holds a connection's request head, the library's records of its fields, what was read ahead, and the head of the answer.
	 * Over 32 KiB it is mapped: what a slow client does not use costs nothing, and all is given back when it leaves. */
	CONNECTION_MEMORY = 36 << 10,
	SPARES_MAX = 32, /* exchanges of one worker that are kept */
	COMPRESS_MIN = HTTP_COMPRESS_MIN,
	COMPRESS_MAX = 4 << 20, /* above it compressing would hold up the other clients of this worker */
};

struct http_connection {
	struct http_connection *prev;
	struct http_connection *next;
	struct http_server *server;
	struct MHD_Connection *mhd; /* NULL in PHASE_LINGER */
	int fd; /* the library's; in PHASE_LINGER our duplicate */
	enum phase phase;
	int64_t since; /* when the phase began, monotonic us */
	int64_t due; /* when it wants to be looked at */
	bool linger; /* was refused with input under way */
	bool over; /* was accepted above the soft limit */
	unsigned ticks;
	uint64_t samples[TRANSFER_TICKS]; /* bytes moved at the last looks */
	uint64_t dropped; /* bytes, in PHASE_LINGER */
	char *target; /* raw, between request line and end of the head; then the exchange's */
	size_t target_len;
	const char *target_at; /* where the library holds it */
	struct http_exchange *exchange;
	struct tls_pair *pair; /* what its handshake uses; NULL: plain */
	enum { HANDSHAKE_NONE, HANDSHAKE_RUNS, HANDSHAKE_WAITS } handshake;
	bool finished_in, finished_out; /* the client, and we, have sent the last message of the handshake */
	struct http_connection *prev_run, *next_run; /* HANDSHAKE_RUNS */
	const char *head_at; /* where the library held the last head, */
	uint64_t taken; /* and how many bytes all requests had that it has taken in */
	char peer[INET6_ADDRSTRLEN];
};

struct phase_list {
	struct http_connection *first;
	struct http_connection *last;
	size_t n;
	int64_t period; /* us; 0: no deadline */
};

struct http_server {
	struct MHD_Daemon *daemon;
	struct MHD_Response *lacking; /* made at the start: the answer that needs no memory */
	int listen_fd; /* our duplicate; -1 after quiesce */
	int epoll_fd; /* the library's; with TLS ours, which watches that and handshakes */
	struct http_connection *runs; /* whose handshake the library may go on with in its next run */
	struct http_limits limits;
	struct http_callbacks callbacks;
	struct phase_list phases[PHASES];
	struct http_exchange
	    *spare; /* exchanges that are over, for the next ones: allocating one costs more than all that libc does else */
	size_t n_spare;
	size_t connections;
	uint64_t accepted; /* ever */
	size_t lingering;
	size_t active;
	size_t lingering_max;
	size_t body_bytes; /* allocated for bodies */
	size_t answer_bytes; /* of answers being sent, as far as they are held in memory for that */
	bool layout_known; /* the library is the one whose layout gate_check_layout knows */
	bool resumed; /* a suspended connection was answered since the last run */
	bool draining;
	unsigned stuck; /* runs in a row after which clients still waited to be accepted, */
	int64_t stuck_since; /* and since when */
	int64_t drain_check; /* 0: done, or not draining */
	z_stream gzip;
	bool gzip_ready;
};

/* A body that comes in pieces: what lies ready is data[at..len). */
struct http_stream {
	char *data;
	size_t at, len, capacity;
	bool full; /* the application waits until it is wanted again */
	bool starved; /* the library waits, suspended, until there is more */
	bool ended, whole;
};

struct http_exchange {
	struct http_exchange *next; /* while it is spare */
	struct http_connection *connection;
	char *target;
	struct slice method;
	struct slice path;
	struct slice query;
	struct gate_field *fields;
	size_t n_fields;
	bool chunks; /* the client reads them: it can tell the end of a body from the end of the connection */
	struct gate_body expected;
	void *request;
	bool begun; /* the application knows of it */
	bool in_handler; /* called by the library right now: what is to be done waits until we return to it */
	bool delivered; /* the body was handed over */
	bool suspended;
	bool replied;
	bool queued;
	bool spooled; /* the body goes into a file of the application */
	int spool_fd;
	size_t body_max;
	char *body;
	size_t body_len;
	size_t body_capacity;
	struct MHD_Response *response; /* ready, not yet queued */
	unsigned status;
	int refused_status; /* of what was told after begin and was not the application's answer */
	uint64_t answer_bytes;
	size_t held_bytes; /* of the answer's, in memory for it alone */
	struct http_stream *stream; /* NULL: the answer is whole from the start */
	struct arena arena;
};

/* connection.c */
/* NULL when there is no memory for it: its socket is then shut down, and the library closes it. */
struct http_connection *connection_new(struct http_server *server, struct MHD_Connection *mhd);
/* The library closes it: frees it, or keeps a duplicate of its socket to linger on. */
void connection_closed(struct http_connection *connection);
/* Was accepted above the soft limit, and the number is still above it. */
bool connection_is_over(const struct http_connection *connection);
void connection_enter(struct http_connection *connection, enum phase phase);
/* Ends it from outside the library's callbacks. `reset` drops what the kernel still holds for the client. */
void connection_cut(struct http_connection *connection, bool reset);
/* Looks at all whose time has come. */
void connections_check(struct http_server *server);
/* Milliseconds until the next look; -1: none. */
int connections_timeout(const struct http_server *server);
/* Closes those on which no request has begun: idle ones, and when `fresh` those that never sent a byte. */
void connections_close_unused(struct http_server *server, bool fresh);
void connections_free_lingering(struct http_server *server);
/* Ends the connection that has been idle for longest, if there is one. */
void connections_make_room(struct http_server *server);
/* To the client, past the library, as far as there is room at once. */
void connection_tell(struct http_connection *connection, struct slice bytes);
struct tcp_info;
bool connection_tcp_info(const struct http_connection *connection, struct tcp_info *ret_info);

/* tls.c: the certificate in use, and a connection's session. */
struct tls_pair;
struct tls_pair *tls_pair_ref(struct http_tls *tls);
void tls_pair_unref(struct tls_pair *pair);
/* What the library needs to begin with TLS. */
extern const char tls_priorities[];
int tls_no_certificate(void); /* MHD_OPTION_HTTPS_CERT_CALLBACK2: each session is given ours instead */
bool tls_session_begin(struct http_connection *connection);
bool tls_session_wants_write(const struct http_connection *connection);
ssize_t tls_session_send(const struct http_connection *connection, struct slice bytes);
void tls_session_bye(const struct http_connection *connection);
void tls_count(struct http_tls *tls, bool good);

/* handshake.c: between two steps of a handshake the library does not see the connection. */
int handshakes_start(struct http_server *server);
void handshakes_stop(struct http_server *server);
/* Before, and after the library's run. */
void handshakes_wake(struct http_server *server);
void handshakes_settle(struct http_server *server);
void handshake_begin(struct http_connection *connection);
/* The library is to look at it, which may have been shut down. */
void handshake_wake(struct http_connection *connection);
/* The library has closed it. */
void handshake_forget(struct http_connection *connection);

/* rest.c: counts what the library takes in, and gives back the memory of a connection that has been idle for a while. */
void rest_note_head(struct http_connection *connection, const char *method);
void rest_note_body(struct http_connection *connection, size_t len);
void rest_begin(struct http_connection *connection);

/* exchange.c */
enum MHD_Result exchange_handle(struct http_connection *connection, const char *method, const char *version, const char *data,
				size_t *size);
/* The library is done with the request, or gave it up. */
void exchange_end(struct http_connection *connection, bool complete);
void exchanges_free_spare(struct http_server *server);
/* Writes a refusal to the socket, past the library, which cannot answer while a request is still arriving. Nothing else is under way to the client then. */
void exchange_refuse_raw(struct http_connection *connection, const struct gate_verdict *verdict);

/* pressure.c: who has waited longest gives way when too much is under way. After a connection has entered PHASE_BODY, PHASE_ANSWER. */
void pressure_body(struct http_server *server);
void pressure_answer(struct http_exchange *exchange);
/* The answer's memory is given up. */
void pressure_release(struct http_exchange *exchange);

/* answer.c: sets exchange->response and what belongs to it. When that cannot be made it is the server's `lacking`. */
void answer_build(struct http_exchange *exchange, const struct http_answer *answer);
/* The 503 that is sent when no other answer can be made; NULL: no memory. */
struct MHD_Response *answer_lacking(struct slice body);

/* stream.c */
/* Makes exchange->stream. NULL: no memory. */
struct MHD_Response *stream_response(struct http_exchange *exchange);
void stream_free(struct http_stream *stream);
static inline bool stream_is_starved(const struct http_exchange *exchange)
{
	return exchange->stream != NULL && exchange->stream->starved;
}

/* encoding.c */
/* Gzips the vectors into malloc'ed memory. 0 or a negative errno. */
int encoding_gzip(struct http_server *server, const struct slice *body, size_t n_body, size_t total, struct slice *ret_gzip);
bool encoding_gzip_accepted(struct slice accept_encoding);
/* `vary` with Accept-Encoding in it, in the arena. */
const char *encoding_vary(struct arena *arena, const char *vary);

#endif
