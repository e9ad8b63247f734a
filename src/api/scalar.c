/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "scalar.h"

#include <inttypes.h>
#include <math.h>

#include "text.h"
#include "wardmote/validate.h"

int64_t field_max(const struct field *field)
{
	if (field->max != 0)
		return field->max;
	switch (field->type) {
	case T_INT:
	case T_DECIMAL:
		return INT32_MAX;
	case T_TEXT:
		return TEXT_MAX;
	case T_URL:
		return URL_MAX;
	case T_REFS:
	case T_CODES:
	case T_TEXTS:
	case T_OBJECTS:
		return ITEMS_MAX;
	case T_OBJECT:
	case T_UUID:
	case T_ENUM:
	case T_BOOL:
	case T_DATE:
	case T_TIME:
	case T_TIMESTAMP:
	case T_REF:
	case T_GEOMETRY:
	case T_POINT:
	case T_POSITION:
	case T_BOX:
		return 0;
	}
	return 0;
}

static const struct verdict good = { NULL, NULL };

struct verdict text_verdict(struct arena *arena, struct slice text, int64_t min, int64_t max)
{
	int64_t n = (int64_t)text_characters(text);
	if (n < min || n > max) {
		const char *detail = arena_printf(arena, "This must have %" PRId64 " to %" PRId64 " characters.", min, max);
		return (struct verdict){ "length", detail };
	}
	if (!text_is_utf8(text))
		return (struct verdict){ "characters",
					 "This may not hold control characters or such that change the direction of writing." };
	if (max <= LINE_MAX_MAX && !text_is_line(text))
		return (struct verdict){ "characters", "This must be one line, without tabs." };
	if (min > 0 && text_is_blank(text))
		return (struct verdict){ "blank", "This may not be blank." };
	return good;
}

static struct verdict range_fault(struct arena *arena, int64_t min, int64_t max)
{
	return (struct verdict){ "range", arena_printf(arena, "This must lie between %" PRId64 " and %" PRId64 ".", min, max) };
}

struct verdict integer_verdict(struct arena *arena, const struct field *field, int64_t value)
{
	int64_t max = field_max(field);
	if (value >= field->min && value <= max)
		return good;
	return range_fault(arena, field->min, max);
}

struct verdict decimal_verdict(struct arena *arena, const struct field *field, double value)
{
	int64_t max = field_max(field);
	if (value >= (double)field->min && value <= (double)max)
		return good;
	return range_fault(arena, field->min, max);
}

static struct verdict enum_verdict(struct arena *arena, const char *const *values, struct slice text)
{
	for (size_t i = 0; values[i] != NULL; i++) {
		if (slice_is(text, values[i]))
			return good;
	}
	struct nearest nearest = { .wanted = text };
	struct buffer list = { .arena = arena };
	for (size_t i = 0; values[i] != NULL; i++) {
		nearest_offer(&nearest, values[i]);
		buffer_format(&list, "%s%s", i > 0 ? ", " : "", values[i]);
	}
	return (struct verdict){ "enum", arena_printf(arena, "This must be one of: %.*s.%s", (int)list.len,
						      list.ptr == NULL ? "" : list.ptr, nearest_hint(arena, &nearest)) };
}

static struct verdict form_verdict(bool is_good, const char *detail)
{
	return is_good ? good : (struct verdict){ "format", detail };
}

static struct verdict integer_text_verdict(struct arena *arena, const struct field *field, struct slice text)
{
	int64_t value;
	if (text_integer(text, &value) < 0)
		return (struct verdict){ "type", "This must be an integer." };
	return integer_verdict(arena, field, value);
}

static struct verdict decimal_text_verdict(struct arena *arena, const struct field *field, struct slice text)
{
	double value;
	if (text_number(text, &value) < 0)
		return (struct verdict){ "type", "This must be a number." };
	return decimal_verdict(arena, field, value);
}

static struct verdict url_verdict(struct arena *arena, const struct field *field, struct slice text)
{
	if (text.len > (size_t)field_max(field))
		return (struct verdict){ "length", arena_printf(arena, "A URL has at most %" PRId64 " characters.", field_max(field)) };
	return form_verdict(text_is_url(text), "This must be an absolute http or https URL, without user name.");
}

/* --- places --- */

enum { BOX_NUMBERS = 4, BOX_WITH_HEIGHTS = 6, DECIMALS_MAX = 15 };
#define TOO_HIGH 1e10 /* of a height in metres */

/* Without exponent, and with at most 15 decimals: as the document says it. */
static bool is_plain_number(struct slice text)
{
	const char *point = text.len == 0 ? NULL : memchr(text.ptr, '.', text.len);
	if (point != NULL && (size_t)(text.ptr + text.len - point) - 1 > DECIMALS_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == 'e' || text.ptr[i] == 'E')
			return false;
	}
	return true;
}

/* How many numbers, with commas between them; -1 where it is something else or they are more than `most`. */
static int numbers_of(struct slice text, double *numbers, int most)
{
	int n = 0;
	for (size_t start = 0, end; start <= text.len; start = end + 1, n++) {
		for (end = start; end < text.len && text.ptr[end] != ','; end++)
			;
		struct slice item = { text.ptr + start, end - start };
		if (n == most || !is_plain_number(item) || text_number(item, &numbers[n]) < 0 || fabs(numbers[n]) >= TOO_HIGH)
			return -1;
	}
	return n;
}

static bool is_on_earth(double longitude, double latitude)
{
	return longitude >= -180 && longitude <= 180 && latitude >= -90 && latitude <= 90;
}

static struct verdict position_verdict(struct slice text)
{
	double numbers[2];
	if (numbers_of(text, numbers, 2) != 2)
		return (struct verdict){ "format", "This must be a position in degrees: longitude,latitude." };
	if (!is_on_earth(numbers[0], numbers[1]))
		return (struct verdict){ "range", "A position has a longitude from -180 to 180 and a latitude from -90 to 90." };
	return good;
}

static struct verdict box_verdict(struct slice text, bool heights)
{
	double numbers[BOX_WITH_HEIGHTS];
	int n = numbers_of(text, numbers, heights ? BOX_WITH_HEIGHTS : BOX_NUMBERS);
	if (n != BOX_NUMBERS && n != BOX_WITH_HEIGHTS)
		return (struct verdict){ "format", heights ? "This must be four or six numbers: west,south,east,north or with heights "
							     "west,south,low,east,north,high."
							   : "This must be four numbers: west,south,east,north." };
	const double *east = &numbers[n / 2], *west = &numbers[0];
	if (!is_on_earth(west[0], west[1]) || !is_on_earth(east[0], east[1]) || west[1] > east[1])
		return (struct verdict){ "range",
					 "A box has longitudes from -180 to 180 and latitudes from -90 to 90, the southern one first." };
	return good;
}

struct verdict scalar_verdict(struct arena *arena, const struct field *field, struct slice text)
{
	const char *utc;
	switch (field->type) {
	case T_UUID:
	case T_REF:
	case T_REFS:
		return form_verdict(text_is_uuid(text), "This must be a UUID.");
	case T_TEXT:
		return text_verdict(arena, text, field->min, field_max(field));
	case T_CODES:
	case T_TEXTS:
		return text_verdict(arena, text, 1, ITEM_MAX);
	case T_ENUM:
		return enum_verdict(arena, field->values, text);
	case T_BOOL:
		return slice_is(text, "true") || slice_is(text, "false") ? good : (struct verdict){ "type", "This must be true or false." };
	case T_INT:
		return integer_text_verdict(arena, field, text);
	case T_DATE:
		return form_verdict(text_is_date(text), "This must be a date, YYYY-MM-DD, from the year 1000 on.");
	case T_TIME:
		return form_verdict(text_is_time(text), "This must be a time of day, HH:MM.");
	case T_TIMESTAMP:
		return form_verdict(
		    text_timestamp(arena, text, &utc) == 0,
		    "This must be a timestamp of RFC 3339 with its offset, as in 2026-11-21T12:00:00Z (in a URL + is written %2B).");
	case T_URL:
		return url_verdict(arena, field, text);
	case T_DECIMAL:
		return decimal_text_verdict(arena, field, text);
	case T_POSITION:
		return position_verdict(text);
	case T_BOX:
		return box_verdict(text, field->max == BOX_WITH_HEIGHTS);
	case T_OBJECTS:
	case T_OBJECT:
	case T_GEOMETRY:
	case T_POINT:
		break;
	}
	return (struct verdict){ "type", "This cannot be given as text." };
}
