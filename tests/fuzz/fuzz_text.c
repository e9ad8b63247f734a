/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The strict text forms, each against another opinion: dates, times and timestamps against the C library's calendar, numbers against strtoll, strtod and jansson,
 * UTF-8 against a table of its byte sequences. */
#include "fuzz.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "text.h"
#include "wardmote/validate.h"

enum { TEXT_MAX_LEN = 64 };

/* --- dates and times --- */

static bool is_real_day(const char *text)
{
	struct tm tm = { 0 };
	if (sscanf(text, "%4d-%2d-%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday) != 3)
		return false;
	struct tm same = { .tm_year = tm.tm_year - 1900, .tm_mon = tm.tm_mon - 1, .tm_mday = tm.tm_mday };
	if (timegm(&same) == -1 && tm.tm_year != 1969)
		return false;
	return same.tm_year == tm.tm_year - 1900 && same.tm_mon == tm.tm_mon - 1 && same.tm_mday == tm.tm_mday;
}

static void check_days(struct slice text, const char *copy)
{
	bool shaped =
	    text.len == 10 && strspn(copy, "0123456789-") == 10 && copy[4] == '-' && copy[7] == '-' && strchr("-", copy[0]) == NULL;
	for (size_t i = 0; shaped && i < 10; i++)
		shaped = i == 4 || i == 7 || copy[i] != '-';
	HOLDS(text_is_date(text) == (shaped && copy[0] != '0' && is_real_day(copy)));
	int hour, minute, second = 0, used = 0;
	bool digits = strspn(copy, "0123456789:") == text.len;
	bool is_time = digits && ((text.len == 5 && sscanf(copy, "%2d:%2d%n", &hour, &minute, &used) == 2 && used == 5) ||
				  (text.len == 8 && sscanf(copy, "%2d:%2d:%2d%n", &hour, &minute, &second, &used) == 3 && used == 8));
	HOLDS(text_is_time(text) == (is_time && hour < 24 && minute < 60 && second < 60));
}

/* An instant that passed: the C library reads the same one in what we were given and in what we made of it. */
static void check_instant(struct arena *arena, struct slice text, const char *copy)
{
	const char *utc, *again;
	if (text_timestamp(arena, text, &utc) < 0)
		return;
	struct tm given = { 0 }, made = { 0 };
	int us = 0, hours = 0, minutes = 0;
	char sign = '+';
	HOLDS(sscanf(copy, "%4d-%2d-%2d%*c%2d:%2d:%2d", &given.tm_year, &given.tm_mon, &given.tm_mday, &given.tm_hour, &given.tm_min,
		     &given.tm_sec) == 6);
	HOLDS(sscanf(utc, "%4d-%2d-%2dT%2d:%2d:%2d.%6dZ", &made.tm_year, &made.tm_mon, &made.tm_mday, &made.tm_hour, &made.tm_min,
		     &made.tm_sec, &us) == 7);
	const char *zone = copy + 19 + strspn(copy + 19, ".0123456789");
	if ((*zone | 0x20) != 'z')
		HOLDS(sscanf(zone, "%c%2d:%2d", &sign, &hours, &minutes) == 3 && (sign == '+' || sign == '-'));
	given.tm_year -= 1900, made.tm_year -= 1900, given.tm_mon--, made.tm_mon--;
	time_t offset = (hours * 60 + minutes) * 60;
	HOLDS(timegm(&given) - (sign == '-' ? -offset : offset) == timegm(&made));
	char fraction[10] = "000000000";
	size_t n = copy[19] == '.' ? strspn(copy + 20, "0123456789") : 0;
	memcpy(fraction, copy + 20, n > 9 ? 9 : n);
	fraction[6] = '\0';
	HOLDS(atol(fraction) == us);
	HOLDS(text_timestamp(arena, slice_of(utc), &again) == 0 && strcmp(utc, again) == 0);
}

/* --- numbers --- */

static void check_numbers(struct slice text, const char *copy)
{
	int64_t integer;
	double real;
	bool only_digits = text.len > 0 && strspn(copy + (copy[0] == '-'), "0123456789") == text.len - (copy[0] == '-');
	bool is_integer = text_integer(text, &integer) == 0;
	errno = 0;
	long long other = strtoll(copy, NULL, 10);
	HOLDS(!is_integer || (only_digits && errno == 0 && other == integer));
	const char *digits = copy + (copy[0] == '-');
	bool canonical = only_digits && digits[0] != '\0' && (digits[0] != '0' || digits[1] == '\0');
	HOLDS(is_integer || !canonical || errno == ERANGE);
	if (text_number(text, &real) < 0)
		return;
	HOLDS(strtod(copy, NULL) == real);
	json_t *number = json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
	HOLDS(json_is_real(number) && json_real_value(number) == real);
	json_decref(number);
}

/* --- Unicode: table 3-7 of the standard --- */

static size_t sequence(const unsigned char *p, size_t left)
{
	static const struct {
		unsigned char first, last, low, high;
		size_t len;
	} rows[] = { { 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		     { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		     { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (p[0] < rows[i].first || p[0] > rows[i].last || rows[i].len > left)
			continue;
		bool good = rows[i].len == 1 || (p[1] >= rows[i].low && p[1] <= rows[i].high);
		for (size_t k = 2; k < rows[i].len; k++)
			good = good && p[k] >= 0x80 && p[k] <= 0xbf;
		return good ? rows[i].len : 0;
	}
	return 0;
}

static void check_unicode(struct slice text)
{
	size_t at = 0, n = 0, len = 1;
	bool controls = false;
	for (; at < text.len && len > 0; at += len, n += len > 0) {
		unsigned char c = (unsigned char)text.ptr[at];
		len = sequence((const unsigned char *)text.ptr + at, text.len - at);
		controls = controls || (c < 0x20 && strchr("\t\r\n", c) == NULL) || c == 0 || c == 0x7f;
	}
	bool encoded = at == text.len && len > 0;
	HOLDS(text_is_encoded(text) == encoded);
	HOLDS(!text_is_utf8(text) || (encoded && !controls));
	HOLDS(!text_is_line(text) || (text_is_utf8(text) && memchr(text.ptr, '\n', text.len) == NULL));
	HOLDS(!encoded || text_characters(text) == n);
	HOLDS(!text_is_uuid(text) || (text.len == 36 && text_is_line(text)));
	HOLDS(!text_is_url(text) ||
	      (text_is_line(text) && memmem(text.ptr, text.len, "://", 3) != NULL && memchr(text.ptr, ' ', text.len) == NULL));
	HOLDS(text_equal_ignoring_case(text, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char copy[TEXT_MAX_LEN + 1];
	if (size > TEXT_MAX_LEN)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	/* an exact copy, so that the sanitizer sees a step over its end: libFuzzer makes one of its own */
	struct slice text = { (const char *)data, size };
	struct arena arena;
	arena_init(&arena);
	check_unicode(text);
	if (memchr(copy, '\0', size) == NULL) {
		check_days(text, copy);
		check_instant(&arena, text, copy);
		check_numbers(text, copy);
	}
	arena_done(&arena);
	return 0;
}
