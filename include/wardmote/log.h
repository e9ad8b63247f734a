/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* JSON lines on standard error. A line is built on the stack (at most 4 KiB; members that do not fit are left out
 * and "truncated": true is added), and written with one write(2), or with others that a thread gathers. When the sink is full lines are dropped and
 * counted: logging never blocks a request. Only src/server logs. Never log a path parameter, header, body, token or personal datum. Thread-safe. */
#ifndef WARDMOTE_LOG_H
#define WARDMOTE_LOG_H

#include <stdint.h>

#include "wardmote/slice.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

struct log_line {
	enum log_level level;
	size_t len;
	bool truncated;
	char text[4096];
};

/* The level below which log_end writes nothing; set at start and on SIGHUP (atomic). */
void log_set_level(enum log_level level);
/* 0, or -EINVAL when the name is not one of debug, info, warning, error. */
int log_level_parse(const char *name, enum log_level *ret_level);
/* Starts {"time":"2026-11-21T22:43:20.123Z","level":"info","message":"..." */
void log_begin(struct log_line *line, enum log_level level, const char *message);
void log_text(struct log_line *line, const char *name, const char *value); /* NULL is left out */
void log_slice(struct log_line *line, const char *name, struct slice value);
void log_int(struct log_line *line, const char *name, int64_t value);
void log_end(struct log_line *line);

/* Lines of one thread that wait for log_flush. Zero-initialise it. It is as long as what a pipe takes whole or not at all. */
struct log_buffer {
	size_t len, lines;
	char text[4096];
};

/* As log_end, but the line may wait; one of LOG_LEVEL_WARNING or above goes at once, after those that wait. */
void log_end_later(struct log_line *line, struct log_buffer *buffer);
void log_flush(struct log_buffer *buffer);
/* Shorthand for a line with one optional member. */
void log_message(enum log_level level, const char *message, const char *name, const char *value);
/* Lines lost because the sink was full. */
uint64_t log_dropped(void);

#endif
