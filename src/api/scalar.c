/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "scalar.h"

#include <inttypes.h>

#include "text.h"
#include "wardmote/validate.h"

int64_t field_max(const struct field *field)
{
	if (field->max != 0)
		return field->max;
	switch (field->type) {
	case T_INT:
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
	case T_UUID:
	case T_ENUM:
	case T_BOOL:
	case T_DATE:
	case T_TIME:
	case T_TIMESTAMP:
	case T_REF:
	case T_GEOMETRY:
	case T_POINT:
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

struct verdict integer_verdict(struct arena *arena, const struct field *field, int64_t value)
{
	int64_t max = field_max(field);
	if (value >= field->min && value <= max)
		return good;
	return (struct verdict){ "range", arena_printf(arena, "This must lie between %" PRId64 " and %" PRId64 ".", field->min, max) };
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

static struct verdict url_verdict(struct arena *arena, const struct field *field, struct slice text)
{
	if (text.len > (size_t)field_max(field))
		return (struct verdict){ "length", arena_printf(arena, "A URL has at most %" PRId64 " characters.", field_max(field)) };
	return form_verdict(text_is_url(text), "This must be an absolute http or https URL, without user name.");
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
	case T_OBJECTS:
	case T_GEOMETRY:
	case T_POINT:
		break;
	}
	return (struct verdict){ "type", "This cannot be given as text." };
}
