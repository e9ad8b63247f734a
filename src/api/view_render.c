/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From the rows of a reading statement to the body of an answer. */
#include <errno.h>
#include <stdlib.h>

#include "wardmote/memory.h"
#include "wardmote/view.h"

/* A count without any record has a row that is all null. */
static bool has_record(const struct slice *cells)
{
	return cells[VIEW_LEAD].ptr != NULL;
}

static int put_rows(const struct view *view, const struct view_rows *rows, size_t n, struct slice *cells, struct view_bytes *body)
{
	for (size_t i = 0; i < n; i++) {
		rows->row(rows->context, i, cells);
		if (!has_record(cells))
			continue;
		if (i > 0 && view_add(body, view->between) < 0)
			return -ENOMEM;
		if (view_put(view, cells, body) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The rows of the page: a further one may be there to say that there is a next page. */
static size_t shown(const struct view_rows *rows, size_t limit, struct slice *cells)
{
	if (rows->n == 0 || rows->n > limit)
		return rows->n == 0 ? 0 : limit;
	rows->row(rows->context, rows->n - 1, cells);
	return has_record(cells) && cells[VIEW_KEY].ptr == NULL ? rows->n - 1 : rows->n;
}

static int render_list(struct arena *arena, const struct view *view, const struct view_rows *rows, size_t limit, struct view_answer *answer)
{
	struct slice cells[VIEW_LEAD + VIEW_COLUMNS_MAX] = { { NULL, 0 } };
	size_t n = shown(rows, limit, cells);
	struct view_bytes *body = &answer->body;
	if (view_add(body, view->head) < 0 || put_rows(view, rows, n, cells, body) < 0 || view_add(body, view->tail) < 0)
		return -ENOMEM;
	if (rows->n > n)
		answer->link = arena_printf(arena, "%s\x1f%s", cells[VIEW_KEY].ptr, cells[VIEW_LEAD].ptr);
	if (n == 0 || cells[VIEW_COUNT].ptr == NULL)
		return 0;
	return view_add(body, slice_of(arena_printf(arena, ",\"count\":%s", cells[VIEW_COUNT].ptr)));
}

static int render_record(struct arena *arena, const struct view *view, const struct view_rows *rows, struct view_answer *answer)
{
	struct slice cells[VIEW_LEAD + VIEW_COLUMNS_MAX];
	rows->row(rows->context, 0, cells);
	answer->etag = arena_copy(arena, cells[VIEW_KEY]);
	if (view->format == FORMAT_CSV && view_add(&answer->body, view->head) < 0)
		return -ENOMEM;
	return view_put(view, cells, &answer->body);
}

int view_render(struct arena *arena, const struct call *call, const struct view_rows *rows, struct view_answer *ret_answer)
{
	bool list = call->route->operation->verb == V_LIST;
	struct view view;
	view_of(arena, call, &view);
	*ret_answer = (struct view_answer){ .etag = NULL };
	if (rows->n > 0 && rows->columns != VIEW_LEAD + view.n)
		return -EINVAL;
	if (rows->n == 0 && !list)
		return -ENOENT;
	ret_answer->body.ptr = memory_take(rows->bytes + 1, &ret_answer->body.capacity); /* mostly it needs no more */
	int error =
	    list ? render_list(arena, &view, rows, (size_t)call->query.limit, ret_answer) : render_record(arena, &view, rows, ret_answer);
	if (error < 0)
		memory_give(ret_answer->body.ptr);
	return error;
}
