/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The bytes of a record. JSON is as row_to_json writes it, byte for byte: what a write answers comes from there. In CSV what has a comma, a quote, a semicolon, a line
 * break or a space at its ends is in quotes (RFC 4180), and what a spreadsheet would take for a formula begins with an apostrophe. */
#include <errno.h>
#include <stdlib.h>

#include "wardmote/view.h"

enum {
	GROWTH = 6, /* a control character becomes \u001f */
	EXTRA = 12, /* of a cell: quotes, an apostrophe, a comma, the fraction of a second */
	FRAME = 96, /* of a row: what is around its members */
};

static char *put(char *to, struct slice text)
{
	if (text.len > 0)
		memcpy(to, text.ptr, text.len);
	return to + text.len;
}

/* --- values of JSON --- */

static char *put_character(char *to, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";
	static const char letters[0x20] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };
	if (c == '"' || c == '\\') {
		*to++ = '\\';
	} else if (c < 0x20 && letters[c] != '\0') {
		*to++ = '\\';
		c = (unsigned char)letters[c];
	} else if (c < 0x20) {
		to = put(to, SLICE("\\u00"));
		*to++ = digits[c >> 4];
		c = (unsigned char)digits[c & 15];
	}
	*to++ = (char)c;
	return to;
}

/* Eight characters at once: may one of them be a quote, a backslash or a control character? */
static bool may_need_escape(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
	uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
	return ((((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & highs) != 0;
}

static char *put_string(char *to, struct slice text)
{
	size_t i = 0;
	*to++ = '"';
	while (i < text.len) {
		uint64_t word;
		if (text.len - i >= sizeof word && (memcpy(&word, text.ptr + i, sizeof word), !may_need_escape(word))) {
			memcpy(to, &word, sizeof word);
			to += sizeof word;
			i += sizeof word;
			continue;
		}
		size_t end = text.len - i < sizeof word ? text.len : i + sizeof word;
		for (; i < end; i++)
			to = put_character(to, (unsigned char)text.ptr[i]);
	}
	*to++ = '"';
	return to;
}

/* An element from its first character on; *at is then after it. */
static char *put_element(char *to, struct slice text, size_t *at)
{
	size_t i = *at;
	if (text.ptr[i] != '"') {
		size_t len = 0;
		while (i + len < text.len && text.ptr[i + len] != ',' && text.ptr[i + len] != '}')
			len++;
		struct slice bare = { text.ptr + i, len };
		*at = i + len;
		return slice_is(bare, "NULL") ? put(to, SLICE("null")) : put_string(to, bare);
	}
	*to++ = '"';
	for (i++; i < text.len && text.ptr[i] != '"'; i++) {
		i += text.ptr[i] == '\\' && i + 1 < text.len ? 1 : 0;
		to = put_character(to, (unsigned char)text.ptr[i]);
	}
	*to++ = '"';
	*at = i + 1;
	return to;
}

/* {a,"b c",NULL}, as PostgreSQL writes an array of one dimension. */
static char *put_array(char *to, struct slice text)
{
	*to++ = '[';
	for (size_t i = 1; i < text.len && text.ptr[i] != '}';) {
		if (text.ptr[i] == ',') {
			*to++ = ',';
			i++;
		} else {
			to = put_element(to, text, &i);
		}
	}
	*to++ = ']';
	return to;
}

enum { SECONDS_LEN = sizeof "2026-11-22 08:00:00" - 1, ZONE_LEN = sizeof "+00" - 1, MICROSECONDS = 6, MINUTES_LEN = sizeof "08:00" - 1 };

/* "2026-11-22 08:00:00.5+00" as "2026-11-22T08:00:00.500000Z": sessions are in UTC. */
static char *put_timestamp(char *to, struct slice text)
{
	if (text.len < SECONDS_LEN + ZONE_LEN)
		return put(to, text);
	const char *point = memchr(text.ptr, '.', text.len - ZONE_LEN);
	size_t digits = point == NULL ? 0 : (size_t)(text.ptr + text.len - point) - 1 - ZONE_LEN;
	size_t whole = point == NULL ? text.len - ZONE_LEN : (size_t)(point - text.ptr);
	char *start = to;
	to = put(to, (struct slice){ text.ptr, whole });
	char *space = memchr(start, ' ', whole);
	if (space != NULL)
		*space = 'T';
	*to++ = '.';
	for (size_t i = 0; i < MICROSECONDS; i++)
		*to++ = i < digits ? point[1 + i] : '0';
	*to++ = 'Z';
	return to;
}

static char *put_boolean(char *to, struct slice text)
{
	return put(to, text.ptr[0] == 't' ? SLICE("true") : SLICE("false"));
}

static struct slice minutes(struct slice text)
{
	return (struct slice){ text.ptr, text.len < MINUTES_LEN ? text.len : MINUTES_LEN };
}

static char *put_quoted(char *to, struct slice text, char *(*write)(char *to, struct slice text))
{
	*to++ = '"';
	to = write(to, text);
	*to++ = '"';
	return to;
}

static char *put_value(char *to, enum cell cell, struct slice text)
{
	if (text.ptr == NULL)
		return put(to, SLICE("null"));
	switch (cell) {
	case CELL_PLAIN:
		break;
	case CELL_JSON:
		return to + json_compact(to, (size_t)(put(to, text) - to));
	case CELL_WORD:
		return put_quoted(to, text, put);
	case CELL_TEXT:
		return put_string(to, text);
	case CELL_BOOLEAN:
		return put_boolean(to, text);
	case CELL_TIME: /* without its seconds */
		return put_quoted(to, minutes(text), put);
	case CELL_TIMESTAMP:
		return put_quoted(to, text, put_timestamp);
	case CELL_ARRAY:
		return put_array(to, text);
	}
	return put(to, text);
}

/* --- values of CSV --- */

/* A value that a spreadsheet would take for a formula. */
static bool is_formula(struct slice text)
{
	return text.len > 0 && memchr("=+@\t\r-", text.ptr[0], 6) != NULL;
}

static bool needs_quotes(struct slice text)
{
	static const bool special[256] = { ['"'] = true, [','] = true, ['\r'] = true, ['\n'] = true, [';'] = true };
	if (text.len == 0)
		return false;
	bool quotes = text.ptr[0] == ' ' || text.ptr[text.len - 1] == ' ';
	for (size_t i = 0; !quotes && i < text.len; i++)
		quotes = special[(unsigned char)text.ptr[i]];
	return quotes;
}

/* With each quote doubled. */
static char *put_doubled(char *to, struct slice text)
{
	while (text.len > 0) {
		const char *quote = memchr(text.ptr, '"', text.len);
		size_t len = quote == NULL ? text.len : (size_t)(quote - text.ptr) + 1;
		to = put(to, (struct slice){ text.ptr, len });
		if (quote != NULL)
			*to++ = '"';
		text = (struct slice){ text.ptr + len, text.len - len };
	}
	return to;
}

static char *put_csv_text(char *to, struct slice text)
{
	bool formula = is_formula(text);
	if (!formula && !needs_quotes(text))
		return put(to, text);
	*to++ = '"';
	if (formula)
		*to++ = '\'';
	to = put_doubled(to, text);
	*to++ = '"';
	return to;
}

static char *put_csv_value(char *to, enum cell cell, struct slice text)
{
	switch (cell) {
	case CELL_TEXT:
	case CELL_ARRAY:
		return put_csv_text(to, text);
	case CELL_BOOLEAN:
		return put_boolean(to, text);
	case CELL_TIME:
		return put(to, minutes(text));
	case CELL_TIMESTAMP:
		return put_timestamp(to, text);
	case CELL_PLAIN:
	case CELL_JSON:
	case CELL_WORD:
		break;
	}
	return put(to, text);
}

/* --- rows --- */

static char *put_line(const struct view *view, const struct slice *cells, char *to)
{
	for (size_t i = 0; i < view->n; i++) {
		if (i > 0)
			*to++ = ',';
		if (cells[i].ptr != NULL)
			to = put_csv_value(to, view->columns[i].cell, cells[i]);
	}
	return put(to, SLICE("\r\n"));
}

static char *put_object(const struct view *view, const struct slice *cells, bool own, char *to)
{
	char separator = '{';
	for (size_t i = 0; i < view->n; i++) {
		const struct view_column *column = &view->columns[i];
		if ((column->owners && !own) || (int)i == view->geometry)
			continue;
		*to++ = separator;
		separator = ',';
		to = put(to, column->key);
		to = put_value(to, column->cell, cells[i]);
	}
	*to++ = '}';
	return to;
}

static char *put_feature(const struct view *view, const struct slice *cells, bool own, char *to)
{
	to = put(to, SLICE("{\"type\":\"Feature\",\"id\":"));
	to = put_value(to, CELL_WORD, cells[0]); /* id is always there, and first */
	to = put(to, SLICE(",\"geometry\":"));
	to = put_value(to, CELL_PLAIN, cells[view->geometry]);
	to = put(to, SLICE(",\"properties\":"));
	to = put_object(view, cells, own, to);
	*to++ = '}';
	return to;
}

static size_t room(const struct view *view, const struct slice *cells)
{
	size_t most = FRAME;
	for (size_t i = 0; i < view->n; i++)
		most += view->columns[i].key.len + EXTRA +
			(view->columns[i].cell == CELL_PLAIN || view->columns[i].cell == CELL_JSON ? 1 : GROWTH) * cells[i].len;
	return most;
}

static int reserve(struct view_bytes *bytes, size_t extra)
{
	if (extra > SIZE_MAX / 4 || bytes->len > SIZE_MAX / 4)
		return -ENOMEM;
	size_t need = bytes->len + extra, capacity = bytes->capacity + bytes->capacity / 2;
	if (need <= bytes->capacity)
		return 0;
	if (capacity < need)
		capacity = need;
	char *grown = realloc(bytes->ptr, capacity);
	if (grown == NULL)
		return -ENOMEM;
	bytes->ptr = grown;
	bytes->capacity = capacity;
	return 0;
}

int view_add(struct view_bytes *bytes, struct slice text)
{
	int error = reserve(bytes, text.len);
	if (error == 0)
		bytes->len += (size_t)(put(bytes->ptr + bytes->len, text) - (bytes->ptr + bytes->len));
	return error;
}

int view_put(const struct view *view, const struct slice *row, struct view_bytes *out)
{
	const struct slice *cells = row + VIEW_LEAD;
	bool own = row[VIEW_OWN].len > 0 && row[VIEW_OWN].ptr[0] == 't';
	if (reserve(out, room(view, cells)) < 0)
		return -ENOMEM;
	char *start = out->ptr + out->len, *to = start;
	switch (view->format) {
	case FORMAT_CSV:
		to = put_line(view, cells, to);
		break;
	case FORMAT_JSON:
		to = put_object(view, cells, own, to);
		break;
	case FORMAT_GEOJSON:
		to = put_feature(view, cells, own, to);
		break;
	}
	out->len += (size_t)(to - start);
	return 0;
}
