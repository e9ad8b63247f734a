/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A query that passes, written again as the link to a further page, means the same; its values are safe to hand to the database. */
#include "fuzz.h"

#include <string.h>

#include "text.h"
#include "tickets.h"
#include "wardmote/query.h"
#include "wardmote/validate.h"

static void check_query(struct arena *arena, const struct route *route, struct slice text, enum caller caller, const struct query *query)
{
	HOLDS(query->limit >= 1 && (query->limit <= 500 || query->all));
	for (size_t i = 0; i < query->n_filters; i++) {
		const struct filter *filter = &query->filters[i];
		HOLDS((filter->value == NULL) == (filter->op == FILTER_NULL || filter->op == FILTER_NOT_NULL));
		HOLDS(filter->value == NULL || text_is_utf8(slice_of(filter->value)));
		HOLDS(caller != CALLER_ANONYMOUS || filter->field->audience == A_PUBLIC);
	}
	const char *link = query_link(arena, SLICE("/x"), text, NULL);
	HOLDS(text_is_line(slice_of(link)) && strpbrk(link, " <>\"") == NULL);
	const char *mark = strchr(link, '?');
	struct query again;
	struct faults faults = { .arena = arena };
	HOLDS(query_parse(arena, route, slice_of(mark == NULL ? "" : mark + 1), caller, &again, &faults) == 0);
	HOLDS(again.digest == query->digest && again.limit == query->limit && again.n_filters == query->n_filters);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct route *const routes[] = { &ticket_list, &ticket_get, &ticket_put, &ticket_history, &ticket_report };
	/* the first byte chooses the operation and the caller, the rest is the query string */
	if (size == 0)
		return 0;
	const struct route *route = routes[data[0] % 5];
	enum caller caller = data[0] & 0x80 ? CALLER_ANONYMOUS : CALLER_OFFICER;
	struct slice text = { (const char *)data + 1, size - 1 };
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	struct query query;
	int r = query_parse(&arena, route, text, caller, &query, &faults);
	HOLDS((r == 0) == (faults.n == 0));
	if (r == 0)
		check_query(&arena, route, text, caller, &query);
	const char *value;
	form_value(&arena, text, "scope", &value);
	arena_done(&arena);
	return 0;
}
