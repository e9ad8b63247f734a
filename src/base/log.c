/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "wardmote/log.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "format.h"
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

/* How many bytes from the start stand for themselves. */
static size_t plain_length(const unsigned char *text, size_t len)
{
	size_t n = 0;
	while (n < len && text[n] >= 0x20 && text[n] < 0x7f && text[n] != '"' && text[n] != '\\')
		n++;
	return n;
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
	snprintf(escaped, sizeof escaped, "\\u%04x", text[0]);
	return add_raw(line, escaped, 6);
}

static bool add_string(struct log_line *line, struct slice text)
{
	bool fits = add_raw(line, "\"", 1);
	const unsigned char *bytes = (const unsigned char *)text.ptr;
	for (size_t i = 0, used = 0; fits && i < text.len; i += used) {
		used = plain_length(bytes + i, text.len - i);
		fits = used > 0 ? add_raw(line, text.ptr + i, used) : add_character(line, bytes + i, text.len - i, &used);
	}
	return fits && add_raw(line, "\"", 1);
}

static bool add_name(struct log_line *line, const char *name)
{
	return add_raw(line, ",\"", 2) && add_raw(line, name, strlen(name)) &&
	       add_raw(line, "\":", 2); /* a name of ours needs no escapes */
}

/* A member is there whole or not at all. */
static void keep_or_cut(struct log_line *line, size_t before, bool fits)
{
	if (fits)
		return;
	line->len = before;
	line->truncated = true;
}

static void add_time(struct log_line *line)
{
	char start[] = "{\"time\":\"0000-00-00T00:00:00.000Z\",\"level\":\"";
	char *at = start + 9;
	int64_t now = clock_wall_us();
	time_t seconds = (time_t)(now / 1000000);
	struct tm utc;
	gmtime_r(&seconds, &utc);
	format_digits((unsigned)utc.tm_year + 1900, 4, at);
	format_digits((unsigned)utc.tm_mon + 1, 2, at + 5);
	format_digits((unsigned)utc.tm_mday, 2, at + 8);
	format_digits((unsigned)utc.tm_hour, 2, at + 11);
	format_digits((unsigned)utc.tm_min, 2, at + 14);
	format_digits((unsigned)utc.tm_sec, 2, at + 17);
	format_digits((unsigned)(now / 1000 % 1000), 3, at + 20);
	add_raw(line, start, sizeof start - 1);
}

void log_begin(struct log_line *line, enum log_level level, const char *message)
{
	line->level = level;
	line->len = 0;
	line->truncated = false;
	add_time(line);
	add_raw(line, level_names[level], strlen(level_names[level]));
	add_raw(line, "\"", 1);
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
	char number[DECIMAL_MAX];
	size_t len = format_decimal(value, number), before = line->len;
	keep_or_cut(line, before, add_name(line, name) && add_raw(line, number, len));
}

/* XFS and btrfs never append to a file without waiting, since its time of change is written, too: they would take no line at all. */
static bool would_never(int error)
{
	struct stat sink;
	return error == EAGAIN && fstat(STDERR_FILENO, &sink) == 0 && S_ISREG(sink.st_mode);
}

/* Without waiting, whoever else writes there. Where the kernel cannot promise that of the sink: these are at most PIPE_BUF bytes, and a pipe or socket that
 * polls writable takes as many, unless another thread was quicker. */
static bool write_now(const char *text, size_t len)
{
	const struct iovec line = { .iov_base = (void *)(uintptr_t)text, .iov_len = len };
	ssize_t written = pwritev2(STDERR_FILENO, &line, 1, -1, RWF_NOWAIT);
	if (written < 0 && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && !would_never(errno))
		return false;
	size_t done = written < 0 ? 0 : (size_t)written;
	if (done == len)
		return true;
	struct pollfd sink = { .fd = STDERR_FILENO, .events = POLLOUT };
	if (poll(&sink, 1, 0) != 1 || (sink.revents & POLLOUT) == 0)
		return false;
	return write(STDERR_FILENO, text + done, len - done) == (ssize_t)(len - done);
}

static void write_lines(const char *text, size_t len, uint64_t lines)
{
	if (lines > 0 && !write_now(text, len))
		atomic_fetch_add_explicit(&lines_dropped, lines, memory_order_relaxed);
}

/* False: it is not wanted. */
static bool complete(struct log_line *line)
{
	if ((int)line->level < atomic_load_explicit(&least_level, memory_order_relaxed))
		return false;
	const char *end = line->truncated ? ending : "}\n";
	memcpy(line->text + line->len, end, strlen(end));
	line->len += strlen(end);
	return true;
}

void log_end(struct log_line *line)
{
	if (complete(line))
		write_lines(line->text, line->len, 1);
}

void log_end_later(struct log_line *line, struct log_buffer *buffer)
{
	if (!complete(line))
		return;
	if (line->len > sizeof buffer->text - buffer->len)
		log_flush(buffer);
	memcpy(buffer->text + buffer->len, line->text, line->len);
	buffer->len += line->len;
	buffer->lines++;
	if (line->level >= LOG_LEVEL_WARNING)
		log_flush(buffer);
}

void log_flush(struct log_buffer *buffer)
{
	write_lines(buffer->text, buffer->len, buffer->lines);
	buffer->len = 0;
	buffer->lines = 0;
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
