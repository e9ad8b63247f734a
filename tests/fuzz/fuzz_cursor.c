/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Cursors come back as they were made, and nothing else is one. */
#include "fuzz.h"

#include <string.h>

#include "text.h"
#include "tickets.h"
#include "wardmote/query.h"

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

/* libFuzzer has no set-up of its own: made at the first input and kept for the process. */
static const struct query *query_once(void)
{
	static struct arena arena;
	static struct query query;
	if (query.limit == 0) {
		arena_init(&arena);
		struct faults faults = { .arena = &arena };
		HOLDS(query_parse(&arena, &ticket_list, SLICE("status=open"), CALLER_VIEWER, &query, &faults) == 0);
	}
	return &query;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = { (const char *)data, size };
	struct arena arena;
	arena_init(&arena);
	check_cursor(&arena, query_once(), input);
	/* and as what follows the right digest and sort: what only a cursor that we sealed can hold */
	const char *prefix = cursor_encode(&arena, query_once(), SLICE("")).ptr;
	struct buffer plain = { .arena = &arena };
	buffer_text(&plain, prefix);
	buffer_add(&plain, input);
	check_cursor(&arena, query_once(), buffer_slice(&plain));
	arena_done(&arena);
	return 0;
}
