/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Cursors come back as they were made, and header fields that choose are read without a step over their end. */
#include "fuzz.h"

#include <string.h>

#include "text.h"
#include "tickets.h"
#include "wardmote/negotiate.h"

static void check_cursor(struct arena *arena, const struct query *query, struct slice input)
{
	struct query copy = *query;
	if (cursor_decode(arena, input, &copy) == 0)
		HOLDS(copy.keys[0] != NULL);
	/* the input as the keys of a last row */
	bool is_storable = input.len > 0 && memchr(input.ptr, '\0', input.len) == NULL && text_is_encoded(input);
	int r = cursor_decode(arena, cursor_encode(arena, query, input), &copy);
	HOLDS((r == 0) == is_storable);
	if (r < 0)
		return;
	const char *keys = copy.keys[1] == NULL ? copy.keys[0] : arena_printf(arena, "%s\x1f%s", copy.keys[0], copy.keys[1]);
	HOLDS(slice_is(input, keys));
}

static void check_fields(struct arena *arena, struct slice input)
{
	enum format format;
	if (negotiate_format(input, NULL, 1U << FORMAT_JSON | 1U << FORMAT_CSV, &format) == 0)
		HOLDS(format == FORMAT_JSON || format == FORMAT_CSV);
	HOLDS(negotiate_body(BODY_NONE, input) < 0);
	negotiate_body(BODY_MERGE_PATCH, input);
	struct tags tags;
	const char *version;
	if (tags_parse(input, &tags) < 0)
		return;
	HOLDS(tags.any ? tags.n == 0 : tags.n > 0);
	if (tags_version(arena, &tags, &version) == 0 && version != NULL && strcmp(version, "0") != 0) {
		/* a tag that is ours is found again */
		struct tags own;
		const char *same;
		HOLDS(tags_parse(slice_of(etag_compose(arena, version, 7)), &own) == 0 && tags_version(arena, &own, &same) == 0);
		HOLDS(strcmp(same, version) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = { (const char *)data, size };
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	struct query query;
	HOLDS(query_parse(&arena, &ticket_list, SLICE("status=open"), CALLER_VIEWER, &query, &faults) == 0);
	check_cursor(&arena, &query, input);
	check_fields(&arena, input);
	arena_done(&arena);
	return 0;
}
