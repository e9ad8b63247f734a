/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "wardmote/negotiate.h"

#include <errno.h>
#include <inttypes.h>

#include "text.h"

/* --- parts of header fields --- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct slice trim(struct slice text)
{
	while (text.len > 0 && is_space(text.ptr[0]))
		text = (struct slice){ text.ptr + 1, text.len - 1 };
	while (text.len > 0 && is_space(text.ptr[text.len - 1]))
		text.len--;
	return text;
}

/* The part of *text before an unquoted separator, trimmed; *text moves behind it. False at the end. */
static bool next_part(struct slice *text, char separator, struct slice *ret_part)
{
	if (text->len == 0)
		return false;
	size_t i = 0;
	bool quoted = false;
	for (; i < text->len && (quoted || text->ptr[i] != separator); i++) {
		if (text->ptr[i] == '"')
			quoted = !quoted;
		else if (quoted && text->ptr[i] == '\\' && i + 1 < text->len)
			i++;
	}
	*ret_part = trim((struct slice){ text->ptr, i });
	size_t used = i < text->len ? i + 1 : i;
	*text = (struct slice){ text->ptr + used, text->len - used };
	return true;
}

/* name=value, both trimmed, quotes around the value taken off. */
static bool split_parameter(struct slice part, struct slice *ret_name, struct slice *ret_value)
{
	if (!next_part(&part, '=', ret_name))
		return false;
	struct slice value = trim(part);
	if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
		value = (struct slice){ value.ptr + 1, value.len - 2 };
	*ret_value = value;
	return true;
}

/* --- Accept --- */

static const struct {
	const char *type, *content_type, *suffix;
} formats[] = {
	[FORMAT_JSON] = { "application/json", "application/json", "json" },
	[FORMAT_CSV] = { "text/csv", "text/csv; charset=utf-8; header=present", "csv" },
	[FORMAT_GEOJSON] = { "application/geo+json", "application/geo+json", "geojson" },
};

static const enum format preference[] = { FORMAT_JSON, FORMAT_GEOJSON, FORMAT_CSV };

enum { N_FORMATS = sizeof preference / sizeof *preference };

/* Quality in thousandths; -1 for what is none. RFC 9110 wants a digit before the point, widespread clients (Java) leave it out. */
static int parse_quality(struct slice value)
{
	size_t i = 0;
	int quality = 0;
	if (i < value.len && (value.ptr[i] == '0' || value.ptr[i] == '1'))
		quality = (value.ptr[i++] - '0') * 1000;
	if (i < value.len && value.ptr[i] != '.')
		return -1;
	i++;
	for (int unit = 100; i < value.len; i++, unit /= 10) {
		if (unit == 0 || value.ptr[i] < '0' || value.ptr[i] > '9')
			return -1;
		quality += (value.ptr[i] - '0') * unit;
	}
	return value.len == 0 || quality > 1000 ? -1 : quality;
}

struct range {
	struct slice type; /* with stars where it leaves parts open */
	int quality;
};

/* One media range; false for what is none. Parameters other than q (profile, version, charset) narrow nothing here. */
static bool parse_range(struct slice part, struct range *ret_range)
{
	struct range range = { .quality = 1000 };
	if (!next_part(&part, ';', &range.type) || range.type.len == 0)
		return false;
	for (struct slice parameter; next_part(&part, ';', &parameter);) {
		struct slice name, value;
		if (split_parameter(parameter, &name, &value) && text_equal_ignoring_case(name, SLICE("q")))
			range.quality = parse_quality(value);
	}
	/* a bare "*", again from Java, means everything */
	if (slice_is(range.type, "*"))
		range.type = SLICE("*/*");
	if (range.quality < 0 || memchr(range.type.ptr, '/', range.type.len) == NULL)
		return false;
	*ret_range = range;
	return true;
}

/* How closely a range names a type: 0 not at all, 1 everything, 2 the main type, 3 exactly. */
static int closeness(struct slice range, const char *type)
{
	struct slice whole = slice_of(type);
	if (slice_is(range, "*/*"))
		return 1;
	if (text_equal_ignoring_case(range, whole))
		return 3;
	size_t main = (size_t)((const char *)memchr(type, '/', whole.len) - type) + 1;
	bool same_main = range.len == main + 1 && range.ptr[main] == '*' &&
			 text_equal_ignoring_case((struct slice){ range.ptr, main }, (struct slice){ type, main });
	return same_main ? 2 : 0;
}

struct choice {
	int quality, closeness;
	size_t position;
};

/* What Accept says of one type: its closest range decides. `ret_ranges` counts those that could be read. */
static struct choice weigh(struct slice accept, const char *type, size_t *ret_ranges)
{
	struct choice choice = { 0 };
	size_t n = 0;
	for (struct slice part; next_part(&accept, ',', &part);) {
		struct range range;
		if (!parse_range(part, &range))
			continue;
		int close = closeness(range.type, type);
		if (close > choice.closeness)
			choice = (struct choice){ range.quality, close, n };
		n++;
	}
	*ret_ranges = n;
	return choice;
}

int negotiate_format(struct slice accept, const char *suffix, unsigned offered, enum format *ret_format)
{
	for (size_t i = 0; suffix != NULL && i < N_FORMATS; i++) {
		enum format format = preference[i];
		if ((offered & 1U << format) && slice_is(slice_of(suffix), formats[format].suffix)) {
			*ret_format = format;
			return 0;
		}
	}
	if (suffix != NULL)
		return -ENOTSUP;
	if (accept.len == 0 || slice_is(accept, "*/*") || slice_is(accept, "application/json")) {
		*ret_format = FORMAT_JSON; /* what nearly all say, and what would come out below */
		return 0;
	}
	struct choice best = { 0 };
	enum format chosen = FORMAT_JSON;
	size_t ranges = 0;
	for (size_t i = 0; i < N_FORMATS; i++) {
		if (!(offered & 1U << preference[i]))
			continue;
		struct choice choice = weigh(accept, formats[preference[i]].type, &ranges);
		if (choice.quality > best.quality ||
		    (choice.quality == best.quality && choice.quality > 0 && choice.position < best.position)) {
			best = choice;
			chosen = preference[i];
		}
	}
	/* a field in which nothing can be read excludes nothing */
	if (best.quality == 0 && ranges > 0)
		return -ENOTSUP;
	*ret_format = chosen;
	return 0;
}

int negotiate_media(struct arena *arena, struct slice accept, const char *media)
{
	static const char suffix[] = "+json";
	struct slice rest = slice_of(media), type;
	size_t ranges, len = sizeof suffix - 1;
	if (!next_part(&rest, ';', &type))
		return -ENOTSUP;
	bool is_json = type.len > len && memcmp(type.ptr + type.len - len, suffix, len) == 0;
	int quality = weigh(accept, arena_copy(arena, type), &ranges).quality;
	if (quality == 0 && is_json)
		quality = weigh(accept, "application/json", &ranges).quality;
	return quality > 0 || ranges == 0 ? 0 : -ENOTSUP;
}

const char *negotiate_type(enum format format)
{
	return formats[format].content_type;
}

/* --- Content-Type --- */

static bool is_type(struct slice content_type, const char *wanted)
{
	struct slice part;
	if (!next_part(&content_type, ';', &part) || !text_equal_ignoring_case(part, slice_of(wanted)))
		return false;
	while (next_part(&content_type, ';', &part)) {
		struct slice name, value;
		if (part.len == 0)
			continue;
		if (!split_parameter(part, &name, &value) || !text_equal_ignoring_case(name, SLICE("charset")) ||
		    !text_equal_ignoring_case(value, SLICE("utf-8")))
			return false;
	}
	return true;
}

int negotiate_body(enum body_kind kind, struct slice content_type)
{
	bool good = false;
	switch (kind) {
	case BODY_NONE:
		break;
	case BODY_JSON:
		good = is_type(content_type, "application/json");
		break;
	case BODY_MERGE_PATCH:
		good = is_type(content_type, "application/merge-patch+json") || is_type(content_type, "application/json");
		break;
	case BODY_FORM:
		good = is_type(content_type, "application/x-www-form-urlencoded");
		break;
	case BODY_GEOJSON:
		good = is_type(content_type, "application/geo+json") || is_type(content_type, "application/json");
		break;
	case BODY_CSV:
		good = is_type(content_type, "text/csv");
		break;
	}
	return good ? 0 : -ENOTSUP;
}

const char *negotiate_accepted(enum body_kind kind)
{
	switch (kind) {
	case BODY_NONE:
		return NULL;
	case BODY_JSON:
		return "application/json";
	case BODY_MERGE_PATCH:
		return "application/merge-patch+json, application/json";
	case BODY_FORM:
		return "application/x-www-form-urlencoded";
	case BODY_GEOJSON:
		return "application/geo+json, application/json";
	case BODY_CSV:
		return "text/csv";
	}
	return NULL;
}

/* --- entity tags --- */

const char *etag_compose(struct arena *arena, const char *version, uint64_t hash)
{
	if (version == NULL)
		return arena_printf(arena, "\"%016" PRIx64 "\"", hash);
	return arena_printf(arena, "\"%s-%016" PRIx64 "\"", version, hash);
}

static bool is_tag_character(char c)
{
	unsigned char byte = (unsigned char)c;
	return byte == 0x21 || (byte >= 0x23 && byte != 0x7f);
}

/* One tag from the front of *text. Commas may stand in a tag and backslashes escape nothing, so next_part is no help here. */
static int take_tag(struct slice *text, struct tag *ret_tag)
{
	bool weak = text->len >= 2 && text->ptr[0] == 'W' && text->ptr[1] == '/';
	size_t start = weak ? 3 : 1;
	if (text->len < start || text->ptr[start - 1] != '"')
		return -EINVAL;
	size_t end = start;
	while (end < text->len && is_tag_character(text->ptr[end]))
		end++;
	if (end == text->len || text->ptr[end] != '"')
		return -EINVAL;
	*ret_tag = (struct tag){ { text->ptr + start, end - start }, weak };
	*text = trim((struct slice){ text->ptr + end + 1, text->len - end - 1 });
	return 0;
}

int tags_parse(struct slice field, struct tags *ret_tags)
{
	struct tags tags = { 0 };
	struct slice text = trim(field);
	if (slice_is(text, "*")) {
		tags.any = true;
		*ret_tags = tags;
		return 0;
	}
	while (text.len > 0) {
		if (text.ptr[0] == ',') {
			/* empty elements of a list are to be passed over */
			text = trim((struct slice){ text.ptr + 1, text.len - 1 });
			continue;
		}
		if (tags.n == TAGS_MAX)
			return -E2BIG;
		if (take_tag(&text, &tags.rows[tags.n]) < 0 || (text.len > 0 && text.ptr[0] != ','))
			return -EINVAL;
		tags.n++;
	}
	if (tags.n == 0)
		return -EINVAL;
	*ret_tags = tags;
	return 0;
}

bool tags_match(const struct tags *tags, const char *etag)
{
	struct slice text = slice_of(etag);
	if (tags->any || text.len < 2)
		return tags->any;
	text = (struct slice){ text.ptr + 1, text.len - 2 };
	for (size_t i = 0; i < tags->n; i++) {
		if (slice_equal(tags->rows[i].text, text))
			return true;
	}
	return false;
}

enum { HASH_DIGITS = 16 };

static bool is_lower_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* The version in "<version>-<16 hex>", with its ".<timeline>" where it has one; the empty slice when the tag is none of ours. */
static struct slice version_of(struct slice tag)
{
	struct slice none = { 0 };
	if (tag.len < HASH_DIGITS + 2 || tag.ptr[tag.len - HASH_DIGITS - 1] != '-')
		return none;
	for (size_t i = tag.len - HASH_DIGITS; i < tag.len; i++) {
		if (!is_lower_hex(tag.ptr[i]))
			return none;
	}
	struct slice version = { tag.ptr, tag.len - HASH_DIGITS - 1 };
	const char *dot = memchr(version.ptr, '.', version.len);
	struct slice count = { version.ptr, dot == NULL ? version.len : (size_t)(dot - version.ptr) };
	struct slice timeline = { dot == NULL ? "2" : dot + 1, dot == NULL ? 1 : version.len - count.len - 1 };
	int64_t number, later;
	if (text_integer(count, &number) < 0 || number < 1 || number > INT32_MAX)
		return none;
	return text_integer(timeline, &later) < 0 || later < 2 || later > UINT32_MAX ? none : version;
}

int tags_version(struct arena *arena, const struct tags *tags, const char **ret_version)
{
	struct slice found = { 0 };
	for (size_t i = 0; !tags->any && i < tags->n; i++) {
		struct slice version = tags->rows[i].weak ? (struct slice){ 0 } : version_of(tags->rows[i].text);
		if (version.len == 0)
			continue;
		if (found.len > 0 && !slice_equal(found, version))
			return -E2BIG;
		found = version;
	}
	*ret_version = tags->any ? NULL : found.len == 0 ? "0" : arena_copy(arena, found);
	return 0;
}
