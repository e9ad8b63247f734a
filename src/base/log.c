/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "wardmote/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "wardmote/clock.h"

/* The only process-wide state of the program: a level and a counter, both atomic. */
static _Atomic int least_level = LOG_LEVEL_INFO;
static _Atomic uint64_t lines_dropped;

static const char *const level_names[] = { "debug", "info", "warning", "error" };

/* Room that members leave for the end of the line. */
static const char ending[] = ",\"truncated\":true}\n";
enum { ROOM = sizeof((struct log_line *)NULL)->text - sizeof ending };

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&least_level, (int)level, memory_order_relaxed);
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

static bool add_raw(struct log_line *line, const char *text, size_t len)
{
	if (len > ROOM - line->len)
		return false;
	memcpy(line->text + line->len, text, len);
	line->len += len;
	return true;
}

/* The length of a well-formed UTF-8 sequence of more than one byte at the start of the text; 0 when it is not one. */
static size_t sequence_length(const unsigned char *text, size_t len)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t want = text[0] >= 0xf0 && text[0] < 0xf5 ? 4 : text[0] >= 0xe0 ? 3 : text[0] >= 0xc2 ? 2 : 0;
	if (want == 0 || text[0] >= 0xf5 || want > len)
		return 0;
	unsigned code = text[0] & (0xffU >> (want + 1));
	for (size_t i = 1; i < want; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3fU);
	}
	return code < least[want] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : want;
}

static bool add_character(struct log_line *line, const unsigned char *text, size_t len, size_t *ret_used)
{
	char escaped[8];
	*ret_used = 1;
	if (text[0] >= 0x80) {
		size_t used = sequence_length(text, len);
		if (used == 0)
			return add_raw(line, "\\ufffd", 6);
		*ret_used = used;
		return add_raw(line, (const char *)text, used);
	}
	if (text[0] == '"' || text[0] == '\\')
		return add_raw(line, (char[]){ '\\', (char)text[0] }, 2);
	if (text[0] >= 0x20 && text[0] != 0x7f)
		return add_raw(line, (const char *)text, 1);
	snprintf(escaped, sizeof escaped, "\\u%04x", text[0]);
	return add_raw(line, escaped, 6);
}

static bool add_string(struct log_line *line, struct slice text)
{
	bool fits = add_raw(line, "\"", 1);
	for (size_t i = 0, used = 0; fits && i < text.len; i += used)
		fits = add_character(line, (const unsigned char *)text.ptr + i, text.len - i, &used);
	return fits && add_raw(line, "\"", 1);
}

static bool add_name(struct log_line *line, const char *name)
{
	return add_raw(line, ",", 1) && add_string(line, slice_of(name)) && add_raw(line, ":", 1);
}

/* A member is there whole or not at all. */
static void keep_or_cut(struct log_line *line, size_t before, bool fits)
{
	if (fits)
		return;
	line->len = before;
	line->truncated = true;
}

void log_begin(struct log_line *line, enum log_level level, const char *message)
{
	line->level = level;
	line->len = 0;
	line->truncated = false;
	int64_t now = clock_wall_us();
	time_t seconds = (time_t)(now / 1000000);
	struct tm utc;
	gmtime_r(&seconds, &utc);
	char date[32], start[128];
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
	int len =
	    snprintf(start, sizeof start, "{\"time\":\"%s.%03dZ\",\"level\":\"%s\"", date, (int)(now / 1000 % 1000), level_names[level]);
	add_raw(line, start, (size_t)len);
	log_text(line, "message", message);
}

void log_slice(struct log_line *line, const char *name, struct slice value)
{
	size_t before = line->len;
	keep_or_cut(line, before, add_name(line, name) && add_string(line, value));
}

void log_text(struct log_line *line, const char *name, const char *value)
{
	if (value != NULL)
		log_slice(line, name, slice_of(value));
}

void log_int(struct log_line *line, const char *name, int64_t value)
{
	char number[24];
	int len = snprintf(number, sizeof number, "%" PRId64, value);
	size_t before = line->len;
	keep_or_cut(line, before, add_name(line, name) && add_raw(line, number, (size_t)len));
}

/* Without waiting, whoever else writes there. Where the kernel cannot promise that of the sink: a line is at most PIPE_BUF bytes, and a pipe or socket that
 * polls writable takes as many, unless another thread was quicker. */
static bool write_line(const char *text, size_t len)
{
	const struct iovec line = { .iov_base = (void *)(uintptr_t)text, .iov_len = len };
	ssize_t written = pwritev2(STDERR_FILENO, &line, 1, -1, RWF_NOWAIT);
	if (written < 0 && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
		return false;
	size_t done = written < 0 ? 0 : (size_t)written;
	if (done == len)
		return true;
	struct pollfd sink = { .fd = STDERR_FILENO, .events = POLLOUT };
	if (poll(&sink, 1, 0) != 1 || (sink.revents & POLLOUT) == 0)
		return false;
	return write(STDERR_FILENO, text + done, len - done) == (ssize_t)(len - done);
}

void log_end(struct log_line *line)
{
	if ((int)line->level < atomic_load_explicit(&least_level, memory_order_relaxed))
		return;
	const char *end = line->truncated ? ending : "}\n";
	memcpy(line->text + line->len, end, strlen(end));
	if (!write_line(line->text, line->len + strlen(end)))
		atomic_fetch_add_explicit(&lines_dropped, 1, memory_order_relaxed);
}

void log_message(enum log_level level, const char *message, const char *name, const char *value)
{
	struct log_line line;
	log_begin(&line, level, message);
	if (name != NULL)
		log_text(&line, name, value);
	log_end(&line);
}

uint64_t log_dropped(void)
{
	return atomic_load_explicit(&lines_dropped, memory_order_relaxed);
}
