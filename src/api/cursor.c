/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Pairs of form-urlencoded text, cursors, and links to further pages. */
#include "query_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "text.h"

/* --- application/x-www-form-urlencoded --- */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Well-formed UTF-8 without NUL; what else a text may hold is for its parameter. */
static bool is_decodable(struct slice text)
{
	if (text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL)
		return false;
	return text_is_encoded(text);
}

static int decode(struct arena *arena, struct slice raw, struct slice *ret_text)
{
	char *out = arena_alloc(arena, raw.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < raw.len; i++) {
		char c = raw.ptr[i] == '+' ? ' ' : raw.ptr[i];
		if (c == '%') {
			int high = i + 2 < raw.len ? hex_value(raw.ptr[i + 1]) : -1;
			int low = i + 2 < raw.len ? hex_value(raw.ptr[i + 2]) : -1;
			if (high < 0 || low < 0)
				return -EILSEQ;
			c = (char)(high << 4 | low);
			i += 2;
		}
		out[n++] = c;
	}
	struct slice text = { out, n };
	if (!is_decodable(text))
		return -EILSEQ;
	*ret_text = text;
	return 0;
}

/* Cuts the part before `separator` off the front of *text; the whole when it is not there. */
static struct slice cut_front(struct slice *text, char separator)
{
	const char *end = text->len == 0 ? NULL : memchr(text->ptr, separator, text->len);
	struct slice front = { text->ptr, end == NULL ? text->len : (size_t)(end - text->ptr) };
	size_t used = front.len + (end != NULL);
	*text = (struct slice){ used == 0 ? text->ptr : text->ptr + used, text->len - used };
	return front;
}

int query_next_pair(struct arena *arena, struct slice *text, struct pair *ret_pair)
{
	struct slice raw = { 0 };
	while (text->len > 0 && raw.len == 0)
		raw = cut_front(text, '&');
	if (raw.len == 0)
		return 0;
	*ret_pair = (struct pair){ 0 };
	struct slice name = cut_front(&raw, '=');
	if (decode(arena, name, &ret_pair->name) < 0 || decode(arena, raw, &ret_pair->value) < 0)
		return -EILSEQ;
	return 1;
}

int form_value(struct arena *arena, struct slice form, const char *name, const char **ret_value)
{
	const char *found = NULL;
	struct pair pair;
	for (int r; (r = query_next_pair(arena, &form, &pair)) != 0;) {
		if (r < 0)
			return -EINVAL;
		if (!slice_is(pair.name, name))
			continue;
		if (found != NULL)
			return -EINVAL;
		found = arena_copy(arena, pair.value);
	}
	*ret_value = found;
	return 0;
}

/* --- what a cursor is bound to --- */

static uint64_t hash_text(uint64_t hash, const char *text)
{
	/* the NUL too: "ab","c" is not "a","bc"; absent is not empty */
	return text == NULL ? text_hash(hash, SLICE("\1")) : text_hash(hash, (struct slice){ text, strlen(text) + 1 });
}

static uint64_t hash_number(uint64_t hash, uint64_t number)
{
	return text_hash(hash, (struct slice){ (const char *)&number, sizeof number });
}

uint64_t query_digest(const struct operation *operation, const struct query *query)
{
	uint64_t hash = hash_text(HASH_START, operation->id);
	hash = hash_number(hash, query->n_filters);
	for (size_t i = 0; i < query->n_filters; i++) {
		hash = hash_text(hash, query->filters[i].field->name);
		hash = hash_number(hash, query->filters[i].op);
		hash = hash_text(hash, query->filters[i].value);
	}
	for (size_t i = 0; i < CLAUSES_MAX; i++)
		hash = hash_text(hash, query->clauses[i]);
	hash = hash_text(hash, query->sort == NULL ? NULL : query->sort->name);
	hash = hash_number(hash, query->descending);
	hash = hash_number(hash, query->fields);
	hash = hash_number(hash, query->include);
	hash = hash_number(hash, query->count);
	hash = hash_text(hash, query->search);
	for (size_t i = 0; i < 4; i++)
		hash = hash_text(hash, query->bbox[i]);
	hash = hash_number(hash, (uint64_t)query->srid);
	hash = hash_number(hash, query->geometry);
	hash = hash_text(hash, query->as_of);
	hash = hash_text(hash, query->external_id);
	for (size_t i = 0; i < OPERATION_VALUES_MAX; i++)
		hash = hash_text(hash, query->values[i]);
	return hash;
}

void query_bind(struct query *query, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		query->digest = hash_text(query->digest, names[i]);
}

/* --- cursors --- */

/* `digest sort keys`, parted by spaces: 16 hex digits, the sort's name or "-", then the keys as the statement gave them. The name is there
 * because the digest is no cryptographic hash: a key of one type must never be compared with a column of another. */
static const char *sort_name(const struct query *query)
{
	return query->sort == NULL ? "-" : query->sort->name;
}

enum { KEY_SEPARATOR = 0x1f };

struct slice cursor_encode(struct arena *arena, const struct query *query, struct slice keys)
{
	struct buffer plain = { .arena = arena };
	buffer_format(&plain, "%016" PRIx64 " %s ", query->digest, sort_name(query));
	buffer_add(&plain, keys);
	return buffer_slice(&plain);
}

int cursor_decode(struct arena *arena, struct slice plain, struct query *query)
{
	if (plain.len == 0 || !is_decodable(plain))
		return -EINVAL;
	struct slice digest = cut_front(&plain, ' ');
	struct slice sort = cut_front(&plain, ' ');
	if (!slice_is(digest, arena_printf(arena, "%016" PRIx64, query->digest)) || !slice_is(sort, sort_name(query)) || plain.len == 0)
		return -EINVAL;
	const char *separator = memrchr(plain.ptr, KEY_SEPARATOR, plain.len);
	size_t first = separator == NULL ? plain.len : (size_t)(separator - plain.ptr);
	query->keys[0] = arena_copy(arena, (struct slice){ plain.ptr, first });
	query->keys[1] = separator == NULL ? NULL : arena_copy(arena, (struct slice){ separator + 1, plain.len - first - 1 });
	return 0;
}

/* --- links --- */

static void add_encoded(struct buffer *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		bool plain =
		    (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c != '\0' && strchr("-._~,:", c) != NULL);
		if (plain)
			buffer_add(out, (struct slice){ text.ptr + i, 1 });
		else
			buffer_format(out, "%%%02X", c);
	}
}

static void add_pair(struct buffer *out, struct slice name, struct slice value, bool *first)
{
	buffer_text(out, *first ? "?" : "&");
	add_encoded(out, name);
	buffer_text(out, "=");
	add_encoded(out, value);
	*first = false;
}

const char *query_link(struct arena *arena, struct slice path, struct slice query_text, const char *cursor)
{
	struct buffer link = { .arena = arena };
	struct pair pair;
	bool first = true;
	buffer_add(&link, path);
	for (int r; (r = query_next_pair(arena, &query_text, &pair)) != 0;) {
		if (r > 0 && !slice_is(pair.name, "cursor"))
			add_pair(&link, pair.name, pair.value, &first);
	}
	if (cursor != NULL)
		add_pair(&link, SLICE("cursor"), slice_of(cursor), &first);
	return link.ptr;
}
