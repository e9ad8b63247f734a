/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The only code that knows libmicrohttpd and GnuTLS. One `struct http_server` per worker: an MHD daemon in external-epoll mode on a shared listening socket, the
 * gate that refuses what the library lets through, absolute deadlines, body collection under a cap, content coding, and connection counting.
 * It never logs; it reports through the callbacks. All calls happen on the worker's thread.
 *
 * Life of an exchange: begin (headers passed the gate) -> body (whole body there; also called for none) -> [http_suspend ...] -> http_reply
 * -> end. A refusal in begin (http_reply at once) never reads the body. `end` is called exactly once for each `begin` that returned a request, also when the
 * client went away. What the gate itself refuses is answered without begin/end, through `refused`; a body that turns out too long or too slow after begin is
 * refused likewise, and then ended unsent. docs/http-gate.md lists the rules and deadlines. */
#ifndef WARDMOTE_HTTP_H
#define WARDMOTE_HTTP_H

#include <stdint.h>
#include <sys/socket.h>

#include "wardmote/arena.h"
#include "wardmote/problem.h"

struct http_server;
struct http_exchange;
struct http_tls;

struct http_limits {
	long connections; /* hard limit of this daemon; from 90 % of it on, new requests get 503 and close */
	long header_timeout_ms; /* from the first byte of a request (or accept) to the end of its headers */
	long body_timeout_ms; /* bodies and answers up to 1 MiB */
	long transfer_timeout_ms; /* total cap of longer ones; these also keep 16 KiB/s over any 30 s */
	long upload_timeout_ms; /* total cap of a body that goes into a file (http_spool) and may be longer; 0: as of any other */
	long idle_timeout_ms; /* keep-alive without a request: 60000 */
	size_t target_max; /* bytes of the request target: 8192 (414) */
	size_t headers_max; /* bytes of all header fields: 8192 (431) */
};

struct http_callbacks {
	void *context;
	/* Headers are complete. Set *ret_body_max and return the request's object, or call http_reply and return it (or NULL: then `end` is not called). */
	void *(*begin)(void *context, struct http_exchange *exchange, size_t *ret_body_max);
	/* The body is complete (empty when there was none). Must http_reply or http_suspend before it returns. */
	void (*body)(void *request, struct slice body);
	/* Of a streamed answer little is left that was not sent: more may come. NULL where no answer is streamed. */
	void (*wanted)(void *request);
	/* The exchange is over. `sent` is false when the connection ended before the answer was handed over completely. */
	void (*end)(void *request, bool sent);
	/* The gate refused a request: count and log it. `rule` names the gate's rule ("duplicate_host"). Returns the body to send
	 * (application/problem+json), in the given arena. */
	struct slice (*refused)(void *context, struct arena *arena, enum problem problem, const char *rule, const char *detail);
	/* Backs the arenas of exchanges; NULL: without memory the process ends. Lives longer than the server. */
	struct arena_reserve *reserve;
	/* NULL: plain HTTP. Lives longer than the server. */
	struct http_tls *tls;
	/* What is said with 503 when there is no memory to say more: application/problem+json that may hold for any request. Lives longer than the server. */
	struct slice lacking;
};

/* Certificate and key of our own listener, shared by the servers of a process. */
struct http_tls_settings {
	const char *certificate, *key; /* files in PEM; the certificate's holds the chain, the server's own first */
};

struct http_tls_state {
	int64_t not_before, not_after; /* of the server's own certificate, seconds since 1970 */
	uint64_t handshakes, failed; /* that succeeded; that did not, whoever ended them */
};

/* 0, or a negative errno with a message for the user in the arena. */
int http_tls_new(const struct http_tls_settings *settings, struct arena *arena, struct http_tls **ret_tls, const char **ret_error);
/* Reads the two files again: the next handshakes use them. When they cannot be used, what was there stays. From any one thread. */
int http_tls_reload(struct http_tls *tls, struct arena *arena, const char **ret_error);
void http_tls_state(struct http_tls *tls, struct http_tls_state *ret_state);
/* After all servers that use it. */
void http_tls_free(struct http_tls *tls);

/* The socket is shared, non-blocking, already listening; it stays the caller's. 0 or a negative errno. */
int http_server_new(int listen_fd, const struct http_limits *limits, const struct http_callbacks *callbacks,
		    struct http_server **ret_server);
/* A descriptor to watch, of epoll (readable: call http_server_run). */
int http_server_fd(const struct http_server *server);
/* Milliseconds until http_server_run wants to be called even without an event; -1: no limit. */
int http_server_timeout(struct http_server *server);
/* Handles what is ready, and deadlines that passed. Call it also after http_reply on a suspended exchange. */
void http_server_run(struct http_server *server);
/* Stops accepting; connections that idle in keep-alive are closed, answers carry Connection: close. */
void http_server_quiesce(struct http_server *server);
/* Exchanges that have begun and not ended; open connections. A drain that loses nothing runs until no connection is left, or its deadline: a connection that was
 * just accepted may have sent a request that is still to be read. */
size_t http_server_active(const struct http_server *server);
size_t http_server_connections(const struct http_server *server);
/* Suspended exchanges that nobody answered are ended, unsent. */
void http_server_free(struct http_server *server);

struct slice http_method(const struct http_exchange *exchange);
struct slice http_path(const struct http_exchange *exchange); /* raw, before '?' */
struct slice http_query(const struct http_exchange *exchange); /* raw, after '?'; empty when none */
/* The value of a header field (case-insensitive); ptr NULL when absent. Fields that must be single were checked by the gate; for list fields
 * (Accept, If-None-Match...) several lines are joined with ", " in the exchange's arena. */
struct slice http_header(struct http_exchange *exchange, const char *name);
/* The peer's address as text, without port. */
const char *http_peer(const struct http_exchange *exchange);
struct arena *http_arena(struct http_exchange *exchange); /* lives until `end` returned */
bool http_closing(const struct http_exchange *exchange); /* draining: the answer will close the connection */

/* In `begin`: the body goes into this file as it arrives, for which no memory is held, and `body` gets an empty slice. A piece that cannot be written refuses the
 * request with 503. The file stays the application's. */
void http_spool(struct http_exchange *exchange, int fd);
/* Of the body, as far as it has arrived. */
uint64_t http_body_bytes(const struct http_exchange *exchange);

void http_suspend(struct http_exchange *exchange);

struct http_field {
	const char *name;
	const char *value;
};

/* The request id of an answer that was made before there was a request. */
#define HTTP_LACKING_ID "out-of-memory"
/* How large the reserve of the exchanges' arenas is to be. */
enum { HTTP_RESERVE = 64 << 20 };

enum { HTTP_FIELDS_MAX = 32 };
/* Bodies up to this length are not compressed. */
enum { HTTP_COMPRESS_MIN = 1024 };

/* An answer. `body` vectors are sent in order and must live until `release(release_data)` is called (once, possibly after `end`); vectors without release must lie in static memory
 * or the exchange's arena. With `compress` the body is gzipped when the client accepts it and it is longer than 1 KiB; Content-Encoding and
 * Vary: Accept-Encoding are then set here. */
struct http_answer {
	int status;
	struct http_field fields[HTTP_FIELDS_MAX];
	size_t n_fields;
	struct slice body[3];
	size_t n_body;
	void (*release)(void *data);
	void *release_data;
	bool compress;
	bool close;
	bool stream; /* the body comes in pieces, by http_stream_*, and is not compressed; the vectors are not used */
};

/* Would the body be sent gzipped? (The ETag depends on it.) */
bool http_accepts_gzip(struct http_exchange *exchange);
/* Answers; resumes the exchange if it was suspended. Exactly once per exchange. */
void http_reply(struct http_exchange *exchange, const struct http_answer *answer);
/* How much of a streamed body lies ready before it is enough. */
enum { HTTP_STREAM_BLOCK = 64 << 10 };
/* Room for so many further bytes of a streamed body, to be filled and then added; what is not added may be overwritten. NULL: there is no memory, or the answer
 * is another one. */
char *http_stream_room(struct http_exchange *exchange, size_t len);
/* Adds the first `len` bytes of that room. False: enough for now, until `wanted`. */
bool http_stream_add(struct http_exchange *exchange, size_t len);
/* The body is over; when it is not `whole` the connection is closed before its end, so that the client can tell. */
void http_stream_end(struct http_exchange *exchange, bool whole);
/* The status of what was told instead of the application's answer: the gate's refusal after begin, of a body that is too long or too slow, or the 503 for
 * want of memory; 0: nothing. */
int http_refused_status(const struct http_exchange *exchange);
/* Bytes of the body that went into the answer, after coding. */
uint64_t http_answer_bytes(const struct http_exchange *exchange);

/* A listening TCP socket: non-blocking, close-on-exec, SO_REUSEADDR, backlog 1024. `ret_address` gets "host:port" as bound (port 0 is chosen). */
int http_listen(const char *address, struct arena *arena, int *ret_fd, const char **ret_address);

#endif
