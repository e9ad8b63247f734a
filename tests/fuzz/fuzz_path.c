/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Paths against the operations that this server has. A second router, which knows no escapes and tries every template one by one, must come to the same record or
 * to none; and what is found has one spelling only: no other one of the same path may lead anywhere. */
#include "fuzz.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "wardmote/catalog.h"
#include "wardmote/resources.h"
#include "wardmote/validate.h"

enum { PATH_MAX_LEN = 512 };

static const char plain_bytes[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";

/* libFuzzer has no set-up of its own: made at the first input and kept for the process. */
static const struct catalog *catalog_once(void)
{
	static struct catalog *catalog;
	const char *error = NULL;
	if (catalog == NULL)
		HOLDS(catalog_new(resources_all, resources_general, &catalog, &error) == 0);
	return catalog;
}

/* --- the second router --- */

static struct slice take_segment(struct slice *path)
{
	if (path->len == 0)
		return (struct slice){ 0 };
	const char *slash = path->len > 1 ? memchr(path->ptr + 1, '/', path->len - 1) : NULL;
	size_t used = slash == NULL ? path->len : (size_t)(slash - path->ptr);
	struct slice segment = { path->ptr + 1, used - 1 };
	*path = (struct slice){ path->ptr + used, path->len - used };
	return segment;
}

/* How many segments of the template are literal; -1 when the path is none of its. */
static int fit(const char *template, struct slice path)
{
	struct slice left = slice_of(template);
	int literals = 0;
	while (left.len > 0 && path.len > 0) {
		struct slice wanted = take_segment(&left), given = take_segment(&path);
		if (wanted.len > 0 && wanted.ptr[0] == '{') {
			const char *end = memchr(wanted.ptr, '}', wanted.len);
			size_t tail = (size_t)(wanted.ptr + wanted.len - end) - 1;
			if (given.len <= tail || memcmp(given.ptr + given.len - tail, end + 1, tail) != 0 ||
			    (slice_is(wanted, "{id}") && !text_is_uuid(given)))
				return -1;
		} else if (!slice_equal(wanted, given)) {
			return -1;
		} else {
			literals++;
		}
	}
	return left.len == 0 && path.len == 0 ? literals : -1;
}

/* The most exact template of a path without escapes; NULL: none. */
static const char *find_template(struct slice path)
{
	size_t n;
	const struct route *routes = catalog_routes(catalog_once(), &n);
	const char *best = NULL;
	int most = -1;
	for (size_t i = 0; i < n; i++) {
		int literals = fit(routes[i].operation->path, path);
		if (literals > most) {
			most = literals;
			best = routes[i].operation->path;
		}
	}
	return best;
}

/* --- what must hold --- */

static void check_match(const struct match *match, struct slice method, struct slice path)
{
	struct slice shortened = path;
	if (match->suffix != NULL)
		shortened.len -= strlen(match->suffix) + 1;
	HOLDS(match->allow != NULL && match->pattern != NULL);
	if (memchr(path.ptr, '%', path.len) == NULL) {
		const char *template = find_template(shortened);
		HOLDS(template != NULL && strcmp(template, match->pattern) == 0);
	}
	HOLDS((match->id != NULL) == (strstr(match->pattern, "{id}") != NULL));
	HOLDS(match->id == NULL || text_is_uuid(slice_of(match->id)));
	for (const char *c = match->id == NULL ? "" : match->id; *c != '\0'; c++)
		HOLDS(!isupper((unsigned char)*c));
	HOLDS((match->name == NULL) == (match->n_names == 0) && match->n_names <= PATH_NAMES_MAX);
	for (size_t i = 0; i < match->n_names; i++)
		HOLDS(match->names[i][0] != '\0' && text_is_utf8(slice_of(match->names[i])));
	if (match->route == NULL)
		return;
	const char *own = match->route->operation->method;
	HOLDS(slice_is(method, own) || (slice_is(method, "HEAD") && strcmp(own, "GET") == 0));
	HOLDS(strcmp(match->route->operation->path, match->pattern) == 0);
	HOLDS(match->suffix == NULL || strcmp(own, "GET") == 0);
	HOLDS(strstr(match->allow, own) != NULL);
}

/* Neither a slash more, nor a letter written as an escape, nor a dot segment leads to the same place. */
static void check_only_spelling(struct arena *arena, struct slice method, struct slice path, size_t at)
{
	struct match match;
	const char *slash = arena_printf(arena, "%.*s/", (int)path.len, path.ptr);
	HOLDS(path.len == 1 || catalog_match(catalog_once(), arena, method, slice_of(slash), &match) < 0);
	const char *dot = arena_printf(arena, "/.%.*s", (int)path.len, path.ptr);
	HOLDS(catalog_match(catalog_once(), arena, method, slice_of(dot), &match) == -EILSEQ);
	if (!isalnum((unsigned char)path.ptr[at]))
		return;
	const char *escape = arena_printf(arena, "%.*s%%%02x%.*s", (int)at, path.ptr, (unsigned char)path.ptr[at], (int)(path.len - at - 1),
					  path.ptr + at + 1);
	/* unless the letter is a digit of an escape itself */
	bool within = (at >= 1 && path.ptr[at - 1] == '%') || (at >= 2 && path.ptr[at - 2] == '%');
	HOLDS(within || catalog_match(catalog_once(), arena, method, slice_of(escape), &match) == -EILSEQ);
}

static void check_refusal(struct slice path, int error)
{
	HOLDS(error == -ENOENT || error == -EILSEQ);
	if (path.ptr == NULL || path.len == 0 || path.ptr[0] != '/' || strspn(path.ptr, plain_bytes) < path.len)
		return;
	HOLDS(find_template(path) == NULL || strstr(path.ptr, "/./") != NULL || strstr(path.ptr, "/..") != NULL ||
	      path.ptr[path.len - 1] == '.');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get" };
	/* the first byte chooses the method and the place of the escape, the rest is the path */
	if (size == 0 || size > PATH_MAX_LEN)
		return 0;
	struct arena arena;
	arena_init(&arena);
	struct slice method = slice_of(methods[data[0] % 8]);
	struct slice path = { arena_copy(&arena, (struct slice){ (const char *)data + 1, size - 1 }), size - 1 };
	struct match match;
	int r = catalog_match(catalog_once(), &arena, method, path, &match);
	if (r == 0) {
		for (size_t i = 0; i < path.len; i++)
			HOLDS(path.ptr[i] > ' ' && path.ptr[i] < 0x7f && strchr("\"#<>?[\\]^`{|}", path.ptr[i]) == NULL);
		check_match(&match, method, path);
		check_only_spelling(&arena, method, path, data[0] / 8 * path.len / 32);
	} else {
		check_refusal(path, r);
	}
	arena_done(&arena);
	return 0;
}
