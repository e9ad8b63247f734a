/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Paths: the templates of all operations, and what a raw request target leads to. There is one spelling of each path: what another one could be
 * taken for (escapes of plain characters, dot and empty segments) is refused, so that caches, proxies and we agree. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "catalog_internal.h"
#include "text.h"
#include "wardmote/validate.h"

static bool is_parameter(struct slice segment)
{
	return segment.len > 2 && segment.ptr[0] == '{';
}

/* What a template has after its parameter: ".mvt" of "{y}.mvt". */
static struct slice tail_of(struct slice segment)
{
	const char *end = memchr(segment.ptr, '}', segment.len);
	size_t len = end == NULL ? 0 : (size_t)(segment.ptr + segment.len - end) - 1;
	return (struct slice){ segment.ptr + segment.len - len, len };
}

size_t operation_names(const struct operation *operation)
{
	size_t n = 0;
	for (const char *brace = strchr(operation->path, '{'); brace != NULL; brace = strchr(brace + 1, '{'))
		n += strncmp(brace, "{id}", 4) != 0;
	return n;
}

/* Splits "/a/b" into "a" and "b"; "/" has no segment. -E2BIG: more than SEGMENTS_MAX; -EILSEQ: an empty segment. */
static int split(struct slice path, struct slice *segments, size_t *ret_n)
{
	size_t n = 0;
	for (size_t at = 1, end; path.len > 1 && at <= path.len; at = end + 1) {
		for (end = at; end < path.len && path.ptr[end] != '/'; end++)
			;
		if (end == at)
			return -EILSEQ;
		if (n < SEGMENTS_MAX)
			segments[n] = (struct slice){ path.ptr + at, end - at };
		n++;
	}
	*ret_n = n;
	return n > SEGMENTS_MAX ? -E2BIG : 0;
}

/* --- at start --- */

/* 0: literal; 1: a parameter with a literal tail; 2: any text. */
static int openness(struct slice segment)
{
	return !is_parameter(segment) ? 0 : tail_of(segment).len > 0 ? 1 : 2;
}

/* Literal segments before parameters, so that the first match is the most exact one. */
static int compare_paths(const void *a, const void *b)
{
	const struct path *x = a, *y = b;
	for (size_t i = 0; i < x->n_segments && i < y->n_segments; i++)
		if (openness(x->segments[i]) != openness(y->segments[i]))
			return openness(x->segments[i]) - openness(y->segments[i]);
	return (x->n_segments > y->n_segments) - (x->n_segments < y->n_segments);
}

static struct path *find_path(struct catalog *catalog, const char *template)
{
	for (size_t i = 0; i < catalog->n_paths; i++)
		if (strcmp(catalog->paths[i].routes[0]->operation->path, template) == 0)
			return &catalog->paths[i];
	return NULL;
}

static const char *allowed_methods(struct arena *arena, const struct path *path)
{
	struct buffer allow = { .arena = arena };
	for (size_t i = 0; i < path->n_routes; i++) {
		const char *method = path->routes[i]->operation->method;
		buffer_format(&allow, strcmp(method, "GET") == 0 ? "%s, HEAD, " : "%s, ", method);
	}
	buffer_text(&allow, "OPTIONS");
	return allow.ptr;
}

/* What paths differ in most: how many segments there are, and the second one ("/v1/..."), or the only one. 0 where that is a parameter. */
static uint32_t mark_of(const struct slice *segments, size_t n)
{
	struct slice telling = n == 0 ? SLICE("/") : segments[n > 1 ? 1 : 0];
	if (telling.len == 0 || is_parameter(telling))
		return 0;
	unsigned char first = (unsigned char)telling.ptr[0], last = (unsigned char)telling.ptr[telling.len - 1];
	return (uint32_t)(n + 1) << 24 | (uint32_t)(telling.len & 0xff) << 16 | (uint32_t)first << 8 | last;
}

int catalog_index(struct catalog *catalog, const char **ret_error)
{
	catalog->paths = arena_alloc(&catalog->arena, catalog->n_routes * sizeof *catalog->paths);
	for (size_t i = 0; i < catalog->n_routes; i++) {
		const struct route *route = &catalog->routes[i];
		const struct operation *operation = route->operation;
		struct path *path = find_path(catalog, operation->path);
		if (path == NULL) {
			path = &catalog->paths[catalog->n_paths++];
			if (split(slice_of(operation->path), path->segments, &path->n_segments) < 0) {
				*ret_error =
				    arena_printf(&catalog->arena, "%s: the path is too deep or has an empty segment", operation->id);
				return -EINVAL;
			}
		}
		for (size_t k = 0; k < path->n_routes; k++) {
			if (path->n_routes == METHODS_MAX || strcmp(path->routes[k]->operation->method, operation->method) == 0) {
				*ret_error =
				    arena_printf(&catalog->arena, "%s: its method and path are another operation's", operation->id);
				return -EINVAL;
			}
		}
		path->routes[path->n_routes++] = route;
		bool record = operation->verb == V_LIST || operation->verb == V_GET;
		path->has_formats = path->has_formats || record;
		path->lists_geometry = path->lists_geometry || (record && shape_geometry(route->shape) >= 0);
	}
	for (size_t i = 0; i < catalog->n_paths; i++) {
		catalog->paths[i].allow = allowed_methods(&catalog->arena, &catalog->paths[i]);
		catalog->paths[i].mark = mark_of(catalog->paths[i].segments, catalog->paths[i].n_segments);
	}
	qsort(catalog->paths, catalog->n_paths, sizeof *catalog->paths, compare_paths);
	return 0;
}

/* --- at each request --- */

static bool is_unreserved(unsigned char c)
{
	return isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	char lower = (char)(c | 0x20);
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool is_plain(struct slice raw)
{
	for (size_t i = 0; i < raw.len; i++)
		if (!is_unreserved((unsigned char)raw.ptr[i]))
			return false;
	return raw.len > 0 && raw.ptr[0] != '.';
}

/* Decodes one segment. -EILSEQ: an escape that is broken, needless or of a separator or control character; a raw byte that may not be there; a dot
 * segment; bad UTF-8. */
static int decode(struct arena *arena, struct slice raw, struct slice *ret_text)
{
	if (is_plain(raw)) {
		*ret_text = raw;
		return 0;
	}
	char *text = arena_alloc(arena, raw.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < raw.len; i++) {
		unsigned char c = (unsigned char)raw.ptr[i];
		if (c == '%') {
			int high = i + 2 < raw.len ? hex(raw.ptr[i + 1]) : -1;
			int low = i + 2 < raw.len ? hex(raw.ptr[i + 2]) : -1;
			if (high < 0 || low < 0)
				return -EILSEQ;
			c = (unsigned char)(high * 16 + low);
			i += 2;
			if (is_unreserved(c) || c < 0x20 || c == 0x7f || c == '/' || c == '\\')
				return -EILSEQ;
		} else if (!is_unreserved(c) && (c == '\0' || strchr("!$&'()*+,;=:@", c) == NULL)) {
			return -EILSEQ;
		}
		text[n++] = (char)c;
	}
	*ret_text = (struct slice){ text, n };
	if (slice_is(*ret_text, ".") || slice_is(*ret_text, "..") || !text_is_utf8(*ret_text))
		return -EILSEQ;
	return 0;
}

/* Cuts ".csv" or ".geojson" off the last segment where it is one. */
static const char *cut_suffix(struct slice *segment)
{
	static const char *const suffixes[] = { "csv", "geojson" };
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		size_t len = strlen(suffixes[i]);
		if (segment->len > len + 1 && segment->ptr[segment->len - len - 1] == '.' &&
		    memcmp(segment->ptr + segment->len - len, suffixes[i], len) == 0) {
			segment->len -= len + 1;
			return suffixes[i];
		}
	}
	return NULL;
}

static bool fits_segment(struct slice wanted, struct slice segment)
{
	if (slice_is(wanted, "{id}"))
		return text_is_uuid(segment);
	if (!is_parameter(wanted))
		return slice_equal(wanted, segment);
	struct slice tail = tail_of(wanted);
	size_t head = segment.len > tail.len ? segment.len - tail.len : 0;
	return head > 0 && slice_equal((struct slice){ segment.ptr + head, tail.len }, tail);
}

static bool fits(const struct path *path, const struct slice *segments, size_t n)
{
	if (path->n_segments != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!fits_segment(path->segments[i], segments[i]))
			return false;
	}
	return true;
}

static const struct path *find(const struct catalog *catalog, const struct slice *segments, size_t n)
{
	uint32_t mark = mark_of(segments, n);
	for (size_t i = 0; i < catalog->n_paths; i++) {
		const struct path *path = &catalog->paths[i];
		if ((path->mark == mark || path->mark == 0 || mark == 0) && fits(path, segments, n))
			return path;
	}
	return NULL;
}

static void fill(struct arena *arena, const struct path *path, const struct slice *segments, struct slice method, struct match *match)
{
	match->allow = path->allow;
	match->pattern = path->routes[0]->operation->path;
	for (size_t i = 0; i < path->n_segments; i++) {
		if (slice_is(path->segments[i], "{id}")) {
			char *id = arena_copy(arena, segments[i]);
			for (char *c = id; *c != '\0'; c++)
				*c = (char)tolower((unsigned char)*c);
			match->id = id;
		} else if (is_parameter(path->segments[i])) {
			match->name =
			    arena_copy(arena, (struct slice){ segments[i].ptr, segments[i].len - tail_of(path->segments[i]).len });
			match->names[match->n_names++] = match->name;
		}
	}
	for (size_t i = 0; i < path->n_routes; i++) {
		const char *offered = path->routes[i]->operation->method;
		if (slice_is(method, offered) || (slice_is(method, "HEAD") && strcmp(offered, "GET") == 0))
			match->route = path->routes[i];
	}
}

int catalog_match(const struct catalog *catalog, struct arena *arena, struct slice method, struct slice path, struct match *ret_match)
{
	struct slice segments[SEGMENTS_MAX];
	struct match match = { 0 };
	size_t n = 0;
	if (path.len == 0 || path.ptr[0] != '/')
		return -EILSEQ;
	int r = split(path, segments, &n);
	if (r < 0)
		return r == -E2BIG ? -ENOENT : r;
	for (size_t i = 0; i < n; i++) {
		r = decode(arena, segments[i], &segments[i]);
		if (r < 0)
			return r;
	}
	const struct path *found = find(catalog, segments, n);
	if (found == NULL && n > 0) {
		match.suffix = cut_suffix(&segments[n - 1]);
		found = match.suffix == NULL ? NULL : find(catalog, segments, n);
		if (found != NULL && !(match.suffix[0] == 'c' ? found->has_formats : found->lists_geometry))
			found = NULL;
	}
	if (found == NULL)
		return -ENOENT;
	fill(arena, found, segments, method, &match);
	/* A format is one of a reading. */
	if (match.suffix != NULL) {
		match.allow = "GET, HEAD, OPTIONS";
		if (match.route != NULL && strcmp(match.route->operation->method, "GET") != 0)
			match.route = NULL;
	}
	*ret_match = match;
	return 0;
}
