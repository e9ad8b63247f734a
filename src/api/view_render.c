/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From the rows of a reading statement to the body of an answer. */
#include <errno.h>

#include "wardmote/view.h"

/* A count without any record has a row that is all null. */
static bool has_record(const struct slice *cells)
{
	return cells[VIEW_LEAD].ptr != NULL;
}

static void render_list(struct arena *arena, const struct view *view, const struct view_rows *rows, size_t limit,
			struct view_answer *answer)
{
	size_t n = rows->n < limit ? rows->n : limit;
	struct slice cells[VIEW_LEAD + VIEW_COLUMNS_MAX] = { { NULL, 0 } };
	struct buffer body = { .arena = arena };
	const char *count = NULL;
	buffer_reserve(&body, rows->bytes);
	buffer_add(&body, view->head);
	for (size_t i = 0; i < n; i++) {
		rows->row(rows->context, i, cells);
		if (cells[VIEW_COUNT].ptr != NULL)
			count = cells[VIEW_COUNT].ptr;
		if (!has_record(cells))
			continue;
		if (i > 0)
			buffer_add(&body, view->between);
		view_put(view, cells, &body);
	}
	buffer_add(&body, view->tail);
	if (count != NULL)
		buffer_format(&body, ",\"count\":%s", count);
	if (rows->n > limit)
		answer->link = arena_printf(arena, "%s\x1f%s", cells[VIEW_KEY].ptr, cells[VIEW_LEAD].ptr);
	answer->body = buffer_slice(&body);
}

static void render_record(struct arena *arena, const struct view *view, const struct view_rows *rows, struct view_answer *answer)
{
	struct slice cells[VIEW_LEAD + VIEW_COLUMNS_MAX];
	struct buffer body = { .arena = arena };
	rows->row(rows->context, 0, cells);
	if (view->format == FORMAT_CSV)
		buffer_add(&body, view->head);
	view_put(view, cells, &body);
	answer->etag = arena_copy(arena, cells[VIEW_KEY]);
	answer->body = buffer_slice(&body);
}

int view_render(struct arena *arena, const struct call *call, const struct view_rows *rows, struct view_answer *ret_answer)
{
	struct view view;
	view_of(arena, call, &view);
	*ret_answer = (struct view_answer){ .etag = NULL };
	if (rows->n > 0 && rows->columns != VIEW_LEAD + view.n)
		return -EINVAL;
	if (call->route->operation->verb == V_LIST)
		render_list(arena, &view, rows, (size_t)call->query.limit, ret_answer);
	else if (rows->n == 0)
		return -ENOENT;
	else
		render_record(arena, &view, rows, ret_answer);
	return 0;
}
