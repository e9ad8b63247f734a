/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The cutter is a machine of few states over single bytes; what lies inside of a value is passed over in runs. Values that are kept (names of members, type, crs,
 * features) go into one buffer. */
#include "wardmote/features.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "json_gate.h"
#include "wardmote/memory.h"
#include "wardmote/query.h"

enum { HEAD_MAX = 2 << 10, START_CAPACITY = 4 << 10 };

enum state {
	AT_START, /* before the document's brace; a byte order mark may come */
	AT_FIRST_NAME, /* a member or the end */
	AT_NAME,
	IN_NAME,
	AT_COLON,
	AT_VALUE,
	IN_VALUE,
	AFTER_VALUE, /* a comma or the end */
	AT_FIRST_FEATURE, /* of `features`: an object or the end */
	AT_FEATURE,
	AFTER_FEATURE,
	AT_END, /* white space only */
};

enum member { MEMBER_OTHER, MEMBER_TYPE, MEMBER_CRS, MEMBER_FEATURES };

struct features {
	int srid;
	feature_fn emit;
	void *context;
	enum state state;
	enum member member; /* whose value is at hand */
	bool feature; /* the value at hand is one */
	bool seen_type, seen_crs, seen_features;
	/* the value at hand */
	bool in_string, escaped, scalar;
	unsigned depth;
	uint64_t squares; /* bit n: the bracket at depth n is a square one */
	char *kept;
	size_t len, capacity, most; /* most 0: it is not kept */
	bool over; /* longer than `most` */
	unsigned mark; /* bytes of a byte order mark at the very front */
	uint64_t at; /* bytes taken in before this piece, then up to the fault */
	size_t n_features;
	const char *fault;
};

struct features *features_new(int srid, feature_fn emit, void *context)
{
	struct features *scan = calloc(1, sizeof *scan);
	if (scan == NULL)
		return NULL;
	scan->srid = srid;
	scan->emit = emit;
	scan->context = context;
	return scan;
}

void features_free(struct features *scan)
{
	if (scan == NULL)
		return;
	free(scan->kept);
	free(scan);
}

const char *features_fault(const struct features *scan, struct arena *arena)
{
	if (scan->n_features == 0)
		return arena_printf(arena, "%s (byte %llu)", scan->fault, (unsigned long long)scan->at);
	return arena_printf(arena, "%s (byte %llu, after feature %zu)", scan->fault, (unsigned long long)scan->at, scan->n_features);
}

static int fail(struct features *scan, const char *fault)
{
	scan->fault = fault;
	return -EINVAL;
}

/* --- values --- */

static void value_start(struct features *scan, size_t most)
{
	scan->in_string = scan->escaped = scan->scalar = scan->over = false;
	scan->depth = 0;
	scan->squares = 0;
	scan->len = 0;
	scan->most = most;
}

static int keep(struct features *scan, struct slice run)
{
	if (scan->most == 0 || scan->over || run.len == 0)
		return 0;
	if (run.len > scan->most - scan->len) {
		scan->over = true;
		return 0;
	}
	if (scan->len + run.len > scan->capacity) {
		size_t capacity = scan->capacity == 0 ? START_CAPACITY : scan->capacity;
		while (capacity < scan->len + run.len)
			capacity *= 2;
		char *grown = memory_realloc(scan->kept, capacity);
		if (grown == NULL)
			return -ENOMEM;
		scan->kept = grown;
		scan->capacity = capacity;
	}
	memcpy(scan->kept + scan->len, run.ptr, run.len);
	scan->len += run.len;
	return 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int open_bracket(struct features *scan, bool square)
{
	/* a feature's own depth is looked at when it is read; this bounds what is passed over */
	if (scan->depth == 63)
		return fail(scan, "The document is nested more than 63 levels deep.");
	scan->depth++;
	uint64_t bit = UINT64_C(1) << scan->depth;
	scan->squares = square ? scan->squares | bit : scan->squares & ~bit;
	return 0;
}

/* Brackets of a value. 1: it ends with this byte. */
static int close_bracket(struct features *scan, bool square)
{
	if (scan->depth == 0 || ((scan->squares >> scan->depth & 1) != 0) != square)
		return fail(scan, "A bracket is closed that was not opened.");
	return --scan->depth == 0;
}

/* One byte of a value: 0 goes on, 1 ends with it, 2 ended before it, negative: a fault. */
static int value_byte(struct features *scan, char c)
{
	if (scan->in_string) {
		bool ends = c == '"' && !scan->escaped;
		scan->escaped = c == '\\' && !scan->escaped;
		scan->in_string = !ends;
		return ends && scan->depth == 0;
	}
	if (scan->depth == 0 && scan->scalar)
		return c == ',' || c == '}' || c == ']' || is_space(c) ? 2 : c == '"' || c == '{' || c == '[' ? -EINVAL : 0;
	switch (c) {
	case '"':
		scan->in_string = true;
		return 0;
	case '{':
	case '[':
		return open_bracket(scan, c == '[');
	case '}':
	case ']':
		return close_bracket(scan, c == ']');
	default:
		scan->scalar = scan->depth == 0;
		return 0;
	}
}

static int feature_done(struct features *scan)
{
	scan->n_features++;
	scan->feature = false;
	scan->state = AFTER_FEATURE;
	struct slice bytes = { scan->kept, scan->over ? 0 : scan->len };
	return scan->emit(scan->context, bytes) ? 0 : -ECANCELED;
}

static bool ends_with(struct slice text, const char *end)
{
	size_t len = strlen(end);
	return text.len >= len && memcmp(text.ptr + text.len - len, end, len) == 0;
}

/* {"type":"name","properties":{"name":"urn:ogc:def:crs:OGC:1.3:CRS84"}}, as tools still write it; null says nothing. */
static bool crs_agrees(const struct features *scan)
{
	json_t *tree = json_loadb(scan->kept, scan->len, JSON_DECODE_ANY, NULL);
	const json_t *value = json_object_get(json_object_get(tree, "properties"), "name");
	struct slice name = { json_string_value(value), json_string_length(value) };
	bool degrees = name.ptr != NULL && (ends_with(name, "CRS84") || ends_with(name, ":4326") || ends_with(name, "/4326"));
	bool british = name.ptr != NULL && (ends_with(name, ":27700") || ends_with(name, "/27700"));
	bool agrees = json_is_null(tree) || (scan->srid == SRID_WGS84 ? degrees : british);
	json_decref(tree);
	return agrees;
}

static int value_done(struct features *scan)
{
	if (scan->feature)
		return feature_done(scan);
	scan->state = AFTER_VALUE;
	struct slice value = { scan->kept, scan->len };
	if (scan->member == MEMBER_CRS && (scan->over || !crs_agrees(scan)))
		return fail(scan, "The document's crs is not the one that the import names by crs= (without it: longitude and latitude of "
				  "WGS 84, which CRS84 and EPSG:4326 stand for).");
	if (scan->member == MEMBER_TYPE && (scan->over || value.len < 2 || value.ptr[0] != '"' ||
					    !json_string_is((struct slice){ value.ptr + 1, value.len - 2 }, "FeatureCollection")))
		return fail(scan, "The document's type must be \"FeatureCollection\".");
	return 0;
}

/* --- the document --- */

static int name_done(struct features *scan)
{
	static const char *const names[] = { [MEMBER_TYPE] = "type", [MEMBER_CRS] = "crs", [MEMBER_FEATURES] = "features" };
	bool *const seen[] = { [MEMBER_TYPE] = &scan->seen_type, [MEMBER_CRS] = &scan->seen_crs, [MEMBER_FEATURES] = &scan->seen_features };
	scan->member = MEMBER_OTHER;
	scan->state = AT_COLON;
	/* the kept text has the quote at its end */
	struct slice name = { scan->kept, scan->len == 0 ? 0 : scan->len - 1 };
	for (enum member i = MEMBER_TYPE; !scan->over && i <= MEMBER_FEATURES; i++) {
		if (!json_string_is(name, names[i]))
			continue;
		if (*seen[i])
			return fail(scan, "The document has a member twice.");
		*seen[i] = true;
		scan->member = i;
	}
	return 0;
}

static int start_value(struct features *scan, char c)
{
	if (c == ',' || c == ':' || c == '}' || c == ']')
		return fail(scan, "A value is missing.");
	if (scan->member == MEMBER_FEATURES) {
		scan->state = AT_FIRST_FEATURE;
		return c == '[' ? 0 : fail(scan, "The member features must be an array.");
	}
	scan->state = IN_VALUE;
	value_start(scan, scan->member == MEMBER_OTHER ? 0 : HEAD_MAX);
	return 2; /* the byte is the value's first */
}

static int start_feature(struct features *scan, char c)
{
	if (c == ']' && scan->state == AT_FIRST_FEATURE) {
		scan->state = AFTER_VALUE;
		return 0;
	}
	if (c != '{')
		return fail(scan, "Each of the features must be an object.");
	scan->state = IN_VALUE;
	scan->feature = true;
	value_start(scan, FEATURE_MAX);
	return 2;
}

static int start_name(struct features *scan, char c)
{
	if (c == '}' && scan->state == AT_FIRST_NAME) {
		scan->state = AT_END;
		return 0;
	}
	if (c != '"')
		return fail(scan, "The name of a member is missing.");
	scan->state = IN_NAME;
	value_start(scan, HEAD_MAX);
	scan->in_string = true;
	return 0;
}

static int step_to(struct features *scan, char c, char wanted, enum state next, const char *fault)
{
	if (c != wanted)
		return fail(scan, fault);
	scan->state = next;
	return 0;
}

/* One byte between values, no white space. 2: it is the first of a value and comes again. */
static int step(struct features *scan, char c)
{
	switch (scan->state) {
	case AT_START:
		return step_to(scan, scan->mark % 3 == 0 ? c : '\0', '{', AT_FIRST_NAME, "The document is no JSON object.");
	case AT_FIRST_NAME:
	case AT_NAME:
		return start_name(scan, c);
	case AT_COLON:
		return step_to(scan, c, ':', AT_VALUE, "A colon is missing.");
	case AT_VALUE:
		return start_value(scan, c);
	case AFTER_VALUE:
		scan->state = c == ',' ? AT_NAME : AT_END;
		return c == ',' || c == '}' ? 0 : fail(scan, "A comma is missing, or the end of the document.");
	case AT_FIRST_FEATURE:
	case AT_FEATURE:
		return start_feature(scan, c);
	case AFTER_FEATURE:
		scan->state = c == ',' ? AT_FEATURE : AFTER_VALUE;
		return c == ',' || c == ']' ? 0 : fail(scan, "A comma is missing between two features.");
	case AT_END:
		return fail(scan, "Something follows the document.");
	case IN_NAME:
	case IN_VALUE:
		break;
	}
	return 0;
}

/* The run of bytes that belongs to the value or name at hand. */
static int take_run(struct features *scan, struct slice piece, size_t *at)
{
	size_t start = *at, end = start;
	int r = 0;
	while (r == 0 && end < piece.len)
		r = value_byte(scan, piece.ptr[end++]);
	if (r == 2)
		end--;
	*at = end;
	if (r < 0)
		return scan->fault == NULL ? fail(scan, "A value is no JSON.") : r;
	int kept = keep(scan, (struct slice){ piece.ptr + start, end - start });
	if (kept < 0 || r == 0)
		return kept;
	return scan->state == IN_NAME ? name_done(scan) : value_done(scan);
}

static int take_byte(struct features *scan, struct slice piece, size_t *at)
{
	char c = piece.ptr[*at];
	if (is_space(c)) {
		++*at;
		return 0;
	}
	int r = step(scan, c);
	*at += r == 0; /* the first byte of a value comes again, and a fault's place is before it */
	return r < 0 ? r : 0;
}

/* A byte order mark at the very front. */
static size_t skip_mark(struct features *scan, struct slice piece)
{
	static const char mark[] = "\xef\xbb\xbf";
	size_t at = 0;
	while (scan->mark < 3 && scan->at + at == scan->mark && at < piece.len && piece.ptr[at] == mark[scan->mark]) {
		at++;
		scan->mark++;
	}
	return at;
}

int features_feed(struct features *scan, struct slice piece)
{
	size_t at = skip_mark(scan, piece);
	int r = 0;
	while (r == 0 && at < piece.len) {
		if (scan->state == IN_VALUE || scan->state == IN_NAME)
			r = take_run(scan, piece, &at);
		else
			r = take_byte(scan, piece, &at);
	}
	scan->at += at;
	return r;
}

int features_end(struct features *scan)
{
	if (scan->state != AT_END)
		return fail(scan, scan->at == 0 ? "The document is empty." : "The document ends too early.");
	if (!scan->seen_type)
		return fail(scan, "The document lacks its type, \"FeatureCollection\".");
	return scan->seen_features ? 0 : fail(scan, "The document has no features.");
}
