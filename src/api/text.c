/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wardmote/validate.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* --- Unicode --- */

/* The code point at *at, moved behind it; -1 for what is not well-formed (overlong, surrogate, above U+10FFFF, cut short). */
static int32_t next_code_point(struct slice text, size_t *at)
{
	const unsigned char *p = (const unsigned char *)text.ptr + *at;
	size_t left = text.len - *at;
	if (p[0] < 0x80) {
		*at += 1;
		return p[0];
	}
	size_t extra = p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : 1;
	if (p[0] < 0xc2 || p[0] > 0xf4 || left <= extra)
		return -1;
	int32_t point = p[0] & (0x3f >> extra);
	for (size_t i = 1; i <= extra; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return -1;
		point = point << 6 | (p[i] & 0x3f);
	}
	static const int32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	if (point < least[extra] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return -1;
	*at += extra + 1;
	return point;
}

/* Marks (U+200E, U+200F, U+061C) are part of ordinary Arabic and Hebrew text and turn nothing round; embeddings, overrides and isolates can make
 * a text read other than it is stored. */
static bool is_bidi_control(int32_t point)
{
	return (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

static bool is_allowed(int32_t point)
{
	if (point < 0x20)
		return point == '\t' || point == '\n' || point == '\r';
	if (point >= 0x7f && point < 0xa0)
		return false;
	if ((point & 0xfffe) == 0xfffe || (point >= 0xfdd0 && point <= 0xfdef))
		return false;
	return !is_bidi_control(point);
}

bool text_is_encoded(struct slice text)
{
	for (size_t i = 0; i < text.len;) {
		if (next_code_point(text, &i) < 0)
			return false;
	}
	return true;
}

bool text_is_utf8(struct slice text)
{
	for (size_t i = 0; i < text.len;) {
		int32_t point = next_code_point(text, &i);
		if (point < 0 || !is_allowed(point))
			return false;
	}
	return true;
}

bool text_is_line(struct slice text)
{
	for (size_t i = 0; i < text.len;) {
		int32_t point = next_code_point(text, &i);
		if (point < 0x20 || !is_allowed(point) || point == 0x2028 || point == 0x2029)
			return false;
	}
	return true;
}

bool text_is_blank(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			return false;
	}
	return true;
}

size_t text_characters(struct slice text)
{
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++)
		n += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
	return n;
}

bool text_equal_ignoring_case(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		char x = a.ptr[i], y = b.ptr[i];
		if (x != y && (!is_alpha(x) || (x | 0x20) != (y | 0x20)))
			return false;
	}
	return true;
}

/* --- identifiers, dates and times --- */

bool text_is_uuid(struct slice text)
{
	if (text.len != 36)
		return false;
	for (size_t i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? text.ptr[i] != '-' : !is_hex(text.ptr[i]))
			return false;
	}
	return true;
}

/* `n` digits at `at`; -1 when they are not there. */
static int digits(struct slice text, size_t at, size_t n)
{
	if (at + n > text.len)
		return -1;
	int value = 0;
	for (size_t i = at; i < at + n; i++) {
		if (!is_digit(text.ptr[i]))
			return -1;
		value = value * 10 + (text.ptr[i] - '0');
	}
	return value;
}

static bool has(struct slice text, size_t at, char c)
{
	return at < text.len && text.ptr[at] == c;
}

struct date {
	int year, month, day;
};

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

static bool read_date(struct slice text, struct date *ret_date)
{
	struct date date = { digits(text, 0, 4), digits(text, 5, 2), digits(text, 8, 2) };
	if (!has(text, 4, '-') || !has(text, 7, '-') || date.year < 1000 || date.month < 1 || date.month > 12)
		return false;
	if (date.day < 1 || date.day > days_in(date.year, date.month))
		return false;
	*ret_date = date;
	return true;
}

bool text_is_date(struct slice text)
{
	struct date date;
	return text.len == 10 && read_date(text, &date);
}

/* "HH:MM" at `at`, in minutes; -1 when it is none. */
static int read_minutes(struct slice text, size_t at)
{
	int hour = digits(text, at, 2), minute = digits(text, at + 3, 2);
	if (hour < 0 || hour > 23 || !has(text, at + 2, ':') || minute < 0 || minute > 59)
		return -1;
	return hour * 60 + minute;
}

bool text_is_time(struct slice text)
{
	if (read_minutes(text, 0) < 0)
		return false;
	if (text.len == 5)
		return true;
	int second = digits(text, 6, 2);
	return text.len == 8 && text.ptr[5] == ':' && second >= 0 && second <= 59;
}

static void next_day(struct date *date)
{
	if (++date->day <= days_in(date->year, date->month))
		return;
	date->day = 1;
	if (++date->month <= 12)
		return;
	date->month = 1;
	date->year++;
}

static void previous_day(struct date *date)
{
	if (--date->day >= 1)
		return;
	if (--date->month < 1) {
		date->month = 12;
		date->year--;
	}
	date->day = days_in(date->year, date->month);
}

/* Minutes east of UTC at `at`; the offset must end the text. PostgreSQL takes less than sixteen hours; the world uses at most fourteen. */
static int read_offset(struct slice text, size_t at, int *ret_minutes)
{
	if (at + 1 == text.len && (text.ptr[at] == 'Z' || text.ptr[at] == 'z')) {
		*ret_minutes = 0;
		return 0;
	}
	if (at + 6 != text.len || (text.ptr[at] != '+' && text.ptr[at] != '-'))
		return -EINVAL;
	int minutes = read_minutes(text, at + 1);
	if (minutes < 0 || minutes > 14 * 60)
		return -EINVAL;
	*ret_minutes = text.ptr[at] == '-' ? -minutes : minutes;
	return 0;
}

/* Up to nine digits of a second behind a point, as microseconds; *at moves behind them. */
static int read_fraction(struct slice text, size_t *at, int *ret_us)
{
	*ret_us = 0;
	if (!has(text, *at, '.'))
		return 0;
	size_t start = ++*at;
	int us = 0, n = 0;
	for (; *at < text.len && is_digit(text.ptr[*at]); ++*at, n++)
		us = n < 6 ? us * 10 + (text.ptr[*at] - '0') : us;
	for (int i = n; i < 6; i++)
		us *= 10;
	*ret_us = us;
	return *at == start || n > 9 ? -EINVAL : 0;
}

int text_timestamp(struct arena *arena, struct slice text, const char **ret_utc)
{
	struct date date;
	if (!read_date(text, &date) || text.len < 20 || (text.ptr[10] != 'T' && text.ptr[10] != 't'))
		return -EINVAL;
	int minutes = read_minutes(text, 11), second = digits(text, 17, 2);
	if (minutes < 0 || !has(text, 16, ':') || second < 0 || second > 59)
		return -EINVAL;
	size_t at = 19;
	int us, offset;
	if (read_fraction(text, &at, &us) < 0 || read_offset(text, at, &offset) < 0)
		return -EINVAL;
	minutes -= offset;
	if (minutes < 0) {
		minutes += 24 * 60;
		previous_day(&date);
	} else if (minutes >= 24 * 60) {
		minutes -= 24 * 60;
		next_day(&date);
	}
	if (date.year < 1000 || date.year > 9999)
		return -EINVAL;
	*ret_utc = arena_printf(arena, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", date.year, date.month, date.day, minutes / 60, minutes % 60,
				second, us);
	return 0;
}

/* --- numbers --- */

int text_integer(struct slice text, int64_t *ret_value)
{
	size_t i = has(text, 0, '-');
	if (i == text.len || (text.ptr[i] == '0' && text.len > i + 1))
		return -EINVAL;
	bool negative = i == 1;
	int64_t value = 0;
	for (; i < text.len; i++) {
		if (!is_digit(text.ptr[i]))
			return -EINVAL;
		int digit = text.ptr[i] - '0';
		/* counted downwards, as the least value has no positive counterpart */
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, digit, &value))
			return -EINVAL;
	}
	if (!negative && value == INT64_MIN)
		return -EINVAL;
	*ret_value = negative ? value : -value;
	return 0;
}

static size_t skip_digits(struct slice text, size_t at)
{
	while (at < text.len && is_digit(text.ptr[at]))
		at++;
	return at;
}

/* Coordinates come by the hundred thousand, and nearly all are plain decimals whose digits fit a double's 53 bits. One division of two exact numbers
 * rounds as strtod does. False: not such a number. */
static bool read_short_number(struct slice text, double *ret_value)
{
	static const double powers[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };
	size_t start = has(text, 0, '-'), point = text.len;
	int64_t value = 0;
	if (text.len - start > 16)
		return false;
	for (size_t i = start; i < text.len; i++) {
		if (text.ptr[i] == '.')
			point = i + 1;
		else if (is_digit(text.ptr[i]))
			value = value * 10 + (text.ptr[i] - '0');
		else
			return false;
	}
	if (value > INT64_C(1) << 53)
		return false;
	double number = (double)value / powers[text.len - point];
	*ret_value = start == 1 ? -number : number;
	return true;
}

int text_number(struct slice text, double *ret_value)
{
	if (text.len == 0 || text.len > JSON_NUMBER_MAX)
		return -EINVAL;
	size_t whole = has(text, 0, '-');
	size_t at = skip_digits(text, whole);
	if (at == whole || (text.ptr[whole] == '0' && at > whole + 1))
		return -EINVAL;
	if (has(text, at, '.')) {
		size_t fraction = at + 1;
		at = skip_digits(text, fraction);
		if (at == fraction)
			return -EINVAL;
	}
	if (has(text, at, 'e') || has(text, at, 'E')) {
		at++;
		if (has(text, at, '+') || has(text, at, '-'))
			at++;
		size_t exponent = at;
		at = skip_digits(text, exponent);
		int value = at - exponent > 4 ? -1 : digits(text, exponent, at - exponent);
		if (at == exponent || value < 0 || value > NUMBER_EXPONENT_MAX)
			return -EINVAL;
	}
	if (at != text.len)
		return -EINVAL;
	if (read_short_number(text, ret_value))
		return 0;
	char literal[JSON_NUMBER_MAX + 1] = { 0 };
	memcpy(literal, text.ptr, text.len);
	*ret_value = strtod(literal, NULL);
	return 0;
}

/* --- URLs --- */

static bool is_url_character(char c)
{
	return is_alpha(c) || is_digit(c) || (c != '\0' && strchr("-._~:/?#[]@!$&'()*+,;=%", c) != NULL);
}

static bool starts_ignoring_case(struct slice text, const char *prefix)
{
	struct slice wanted = slice_of(prefix);
	return text.len >= wanted.len && text_equal_ignoring_case((struct slice){ text.ptr, wanted.len }, wanted);
}

/* host[:port], where host is a name, an IPv4 address or a bracketed IPv6 one. */
static bool is_authority(struct slice text)
{
	size_t i = 0;
	if (has(text, 0, '[')) {
		for (i = 1; i < text.len && (is_hex(text.ptr[i]) || text.ptr[i] == ':' || text.ptr[i] == '.'); i++)
			;
		if (i < 4 || !has(text, i, ']'))
			return false;
		i++;
	} else {
		for (; i < text.len && (is_alpha(text.ptr[i]) || is_digit(text.ptr[i]) || text.ptr[i] == '-' || text.ptr[i] == '.'); i++)
			;
		if (i == 0 || text.ptr[0] == '.' || text.ptr[0] == '-')
			return false;
	}
	if (i == text.len)
		return true;
	int64_t port;
	struct slice rest = { text.ptr + i + 1, text.len - i - 1 };
	return text.ptr[i] == ':' && text_integer(rest, &port) == 0 && port >= 1 && port <= 65535;
}

bool text_is_url(struct slice text)
{
	size_t start = starts_ignoring_case(text, "https://") ? 8 : starts_ignoring_case(text, "http://") ? 7 : 0;
	if (start == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!is_url_character(text.ptr[i]))
			return false;
		if (text.ptr[i] == '%' && (i + 2 >= text.len || !is_hex(text.ptr[i + 1]) || !is_hex(text.ptr[i + 2])))
			return false;
	}
	size_t end = start;
	while (end < text.len && text.ptr[end] != '/' && text.ptr[end] != '?' && text.ptr[end] != '#')
		end++;
	return is_authority((struct slice){ text.ptr + start, end - start });
}

/* --- names --- */

enum { NAME_MAX_COMPARED = 48 };

static size_t least_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: insertion, deletion, substitution, and exchange of neighbours count one each. */
static size_t edit_distance(struct slice a, struct slice b)
{
	size_t rows[3][NAME_MAX_COMPARED + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];
	for (size_t j = 0; j <= b.len; j++)
		above[j] = j;
	memset(before, 0, sizeof rows[0]);
	for (size_t i = 1; i <= a.len; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t replaced = above[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
			row[j] = least_of(replaced, least_of(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
				row[j] = least_of(row[j], before[j - 2] + 1);
		}
		size_t *oldest = before;
		before = above;
		above = row;
		row = oldest;
	}
	return above[b.len];
}

bool nearest_may_be(const struct nearest *nearest, size_t len)
{
	size_t shorter = least_of(nearest->wanted.len, len), longer = nearest->wanted.len + len - shorter;
	return shorter > 0 && longer <= NAME_MAX_COMPARED && longer - shorter <= 1 + (shorter > 4);
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
	struct slice name = slice_of(candidate);
	if (!nearest_may_be(nearest, name.len))
		return;
	size_t distance = edit_distance(nearest->wanted, name);
	if (distance > 1 + (least_of(nearest->wanted.len, name.len) > 4) || (nearest->name != NULL && distance >= nearest->distance))
		return;
	nearest->name = candidate;
	nearest->distance = distance;
}

const char *nearest_hint(struct arena *arena, const struct nearest *nearest)
{
	return nearest->name == NULL ? "" : arena_printf(arena, " Did you mean \"%s\"?", nearest->name);
}

uint64_t text_hash(uint64_t hash, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.ptr[i]) * UINT64_C(0x100000001b3);
	return hash;
}
