/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "wardmote/log.h"

/* Standard error is a pipe while a test runs; what was written comes back as text. */
struct capture {
	int saved, pipe[2];
};

static void capture_start(struct capture *capture)
{
	assert_int_equal(pipe(capture->pipe), 0);
	capture->saved = dup(STDERR_FILENO);
	dup2(capture->pipe[1], STDERR_FILENO);
}

static size_t capture_end(struct capture *capture, char *text, size_t size)
{
	dup2(capture->saved, STDERR_FILENO);
	close(capture->saved);
	close(capture->pipe[1]);
	size_t len = 0;
	for (ssize_t n = 1; n > 0 && len < size - 1; len += (size_t)n) {
		n = read(capture->pipe[0], text + len, size - 1 - len);
		assert_true(n >= 0);
	}
	close(capture->pipe[0]);
	text[len] = '\0';
	return len;
}

static json_t *log_one(struct log_line *line)
{
	struct capture capture;
	char text[8192];
	capture_start(&capture);
	log_end(line);
	size_t len = capture_end(&capture, text, sizeof text);
	assert_in_range(len, 2, 4096);
	assert_int_equal(text[len - 1], '\n');
	assert_ptr_equal(strchr(text, '\n'), text + len - 1);
	json_t *tree = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(tree);
	return tree;
}

static const char *string(json_t *tree, const char *name)
{
	const char *text = json_string_value(json_object_get(tree, name));
	assert_non_null(text);
	return text;
}

static void a_line_is_one_json_object(void **state)
{
	(void)state;
	struct log_line line;
	log_begin(&line, LOG_LEVEL_WARNING, "request");
	log_text(&line, "route", "/v1/\"x\"\\\n\x7f\xc3\xa9");
	log_text(&line, "absent", NULL);
	log_int(&line, "status", -42);
	json_t *tree = log_one(&line);
	assert_string_equal(string(tree, "level"), "warning");
	assert_string_equal(string(tree, "message"), "request");
	assert_string_equal(string(tree, "route"), "/v1/\"x\"\\\n\x7f\xc3\xa9");
	assert_int_equal(json_integer_value(json_object_get(tree, "status")), -42);
	assert_null(json_object_get(tree, "absent"));
	const char *time = string(tree, "time");
	assert_int_equal(strlen(time), strlen("2026-11-21T22:43:20.123Z"));
	assert_int_equal(time[23], 'Z');
	json_decref(tree);
}

static void bytes_that_are_no_utf8_are_replaced(void **state)
{
	(void)state;
	static const char *const bad[] = { "\xff", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct log_line line;
		log_begin(&line, LOG_LEVEL_ERROR, bad[i]);
		json_t *tree = log_one(&line);
		assert_memory_equal(string(tree, "message"), "\xef\xbf\xbd", 3);
		json_decref(tree);
	}
	struct log_line line;
	log_begin(&line, LOG_LEVEL_ERROR, "\xf0\x9f\x8c\xb3 \xe2\x82\xac");
	json_t *tree = log_one(&line);
	assert_string_equal(string(tree, "message"), "\xf0\x9f\x8c\xb3 \xe2\x82\xac");
	json_decref(tree);
}

static void what_does_not_fit_is_left_out_whole(void **state)
{
	(void)state;
	static char big[4000];
	memset(big, '"', sizeof big - 1); /* doubles when escaped */
	struct log_line line;
	log_begin(&line, LOG_LEVEL_ERROR, "m");
	log_text(&line, "big", big);
	log_text(&line, "small", "kept");
	json_t *tree = log_one(&line);
	assert_null(json_object_get(tree, "big"));
	assert_string_equal(string(tree, "small"), "kept");
	assert_true(json_is_true(json_object_get(tree, "truncated")));
	json_decref(tree);
}

static void lines_below_the_level_are_not_written(void **state)
{
	(void)state;
	struct capture capture;
	char text[8192];
	enum log_level level;
	assert_int_equal(log_level_parse("warning", &level), 0);
	assert_int_not_equal(log_level_parse("loud", &level), 0);
	log_set_level(level);
	capture_start(&capture);
	log_message(LOG_LEVEL_INFO, "silent", NULL, NULL);
	log_message(LOG_LEVEL_WARNING, "heard", "name", "value");
	log_set_level(LOG_LEVEL_INFO);
	capture_end(&capture, text, sizeof text);
	assert_null(strstr(text, "silent"));
	assert_non_null(strstr(text, "\"message\":\"heard\",\"name\":\"value\"}"));
}

static void a_full_sink_drops_and_counts(void **state)
{
	(void)state;
	struct capture capture;
	static char rest[1 << 20];
	uint64_t before = log_dropped();
	capture_start(&capture);
	/* Would block for ever if it waited: nobody reads. */
	for (int i = 0; i < 20000; i++)
		log_message(LOG_LEVEL_ERROR, "a line of some length, so that the pipe is full soon", NULL, NULL);
	uint64_t dropped = log_dropped() - before;
	size_t len = capture_end(&capture, rest, sizeof rest);
	size_t lines = 0;
	for (size_t i = 0; i < len; i++)
		lines += rest[i] == '\n';
	assert_true(dropped > 0);
	assert_int_equal(lines + dropped, 20000);
}

static size_t lines_of(const char *text)
{
	size_t lines = 0;
	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

static void later(struct log_buffer *buffer, enum log_level level, int number)
{
	struct log_line line;
	log_begin(&line, level, "later");
	log_int(&line, "number", number);
	log_end_later(&line, buffer);
}

static void gathered_lines_come_with_the_flush(void **state)
{
	(void)state;
	struct log_buffer buffer = { 0 };
	struct capture capture;
	char text[16384];
	capture_start(&capture);
	for (int i = 0; i < 3; i++)
		later(&buffer, LOG_LEVEL_INFO, i);
	later(&buffer, LOG_LEVEL_DEBUG, 3); /* below the level */
	capture_end(&capture, text, sizeof text);
	assert_string_equal(text, "");
	capture_start(&capture);
	log_flush(&buffer);
	log_flush(&buffer);
	capture_end(&capture, text, sizeof text);
	assert_int_equal(lines_of(text), 3);
	const char *first = strstr(text, "\"number\":0}\n"), *last = strstr(text, "\"number\":2}\n");
	assert_true(first != NULL && last != NULL && first < last);
}

static void a_full_buffer_makes_room_and_a_warning_waits_for_nothing(void **state)
{
	(void)state;
	struct log_buffer buffer = { 0 };
	struct capture capture;
	static char text[65536];
	capture_start(&capture);
	for (int i = 0; i < 200; i++)
		later(&buffer, LOG_LEVEL_INFO, i);
	later(&buffer, LOG_LEVEL_WARNING, 200);
	capture_end(&capture, text, sizeof text);
	assert_int_equal(lines_of(text), 201);
	assert_int_equal(buffer.len, 0);
	const char *at = text;
	for (int i = 0; i <= 200; i++) {
		char wanted[32];
		snprintf(wanted, sizeof wanted, "\"number\":%d}\n", i);
		at = strstr(at, wanted);
		assert_non_null(at);
	}
}

static void gathered_lines_that_are_dropped_count(void **state)
{
	(void)state;
	struct log_buffer buffer = { 0 };
	struct capture capture;
	static char rest[1 << 20];
	uint64_t before = log_dropped();
	capture_start(&capture);
	for (int i = 0; i < 20000; i++)
		later(&buffer, LOG_LEVEL_INFO, i);
	log_flush(&buffer);
	uint64_t dropped = log_dropped() - before;
	capture_end(&capture, rest, sizeof rest);
	assert_true(dropped > 0);
	assert_int_equal(lines_of(rest) + dropped, 20000);
}

/* The linker hands pwritev2, by its name for long files, to us: a file system that appends to no file without waiting. */
static bool would_wait;

ssize_t __real_pwritev64v2(int fd, const struct iovec *vectors, int n, off_t offset, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *vectors, int n, off_t offset, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *vectors, int n, off_t offset, int flags)
{
	if (!would_wait)
		return __real_pwritev64v2(fd, vectors, n, offset, flags);
	errno = EAGAIN;
	return -1;
}

static void a_file_takes_lines_even_if_it_must_wait(void **state)
{
	(void)state;
	char text[8192] = "";
	uint64_t before = log_dropped();
	FILE *file = tmpfile();
	assert_non_null(file);
	int saved = dup(STDERR_FILENO);
	dup2(fileno(file), STDERR_FILENO);
	would_wait = true;
	log_message(LOG_LEVEL_ERROR, "into a file", NULL, NULL);
	would_wait = false;
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_true(pread(fileno(file), text, sizeof text - 1, 0) > 0);
	fclose(file);
	assert_non_null(strstr(text, "\"message\":\"into a file\"}\n"));
	assert_int_equal(log_dropped(), before);
}

static void a_pipe_that_would_wait_does_not(void **state)
{
	(void)state;
	struct capture capture;
	char text[8192];
	uint64_t before = log_dropped();
	capture_start(&capture);
	would_wait = true;
	log_message(LOG_LEVEL_ERROR, "into a pipe", NULL, NULL);
	would_wait = false;
	capture_end(&capture, text, sizeof text);
	assert_string_equal(text, "");
	assert_int_equal(log_dropped(), before + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_one_json_object),
		cmocka_unit_test(bytes_that_are_no_utf8_are_replaced),
		cmocka_unit_test(what_does_not_fit_is_left_out_whole),
		cmocka_unit_test(lines_below_the_level_are_not_written),
		cmocka_unit_test(a_full_sink_drops_and_counts),
		cmocka_unit_test(gathered_lines_come_with_the_flush),
		cmocka_unit_test(a_full_buffer_makes_room_and_a_warning_waits_for_nothing),
		cmocka_unit_test(gathered_lines_that_are_dropped_count),
		cmocka_unit_test(a_file_takes_lines_even_if_it_must_wait),
		cmocka_unit_test(a_pipe_that_would_wait_does_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
