/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Filters: which operators a field's type offers, and their values. */
#include "query_internal.h"

#include <stdlib.h>

#include "text.h"
#include "wardmote/validate.h"

static const char *const suffixes[] = {
	[FILTER_ANY_OF] = "",  [FILTER_NONE_OF] = ".ne", [FILTER_EQUAL] = "",   [FILTER_NOT_EQUAL] = ".ne",      [FILTER_GT] = ".gt",
	[FILTER_GTE] = ".gte", [FILTER_LT] = ".lt",      [FILTER_LTE] = ".lte", [FILTER_CONTAINS] = ".contains", [FILTER_NULL] = ".null",
};

unsigned query_operators(const struct field *field)
{
	unsigned null = field->flags & F_NULLABLE ? 1U << FILTER_NULL : 0;
	unsigned equal = 1U << FILTER_EQUAL | 1U << FILTER_NOT_EQUAL;
	if (!(field->flags & F_FILTER))
		return 0;
	switch (field->type) {
	case T_UUID:
	case T_REF:
	case T_ENUM:
	case T_REFS:
	case T_CODES:
		return 1U << FILTER_ANY_OF | 1U << FILTER_NONE_OF | null;
	case T_TEXT:
	case T_URL:
		return equal | 1U << FILTER_CONTAINS | null;
	case T_INT:
	case T_DECIMAL:
	case T_DATE:
	case T_TIME:
	case T_TIMESTAMP:
		return equal | 1U << FILTER_GT | 1U << FILTER_GTE | 1U << FILTER_LT | 1U << FILTER_LTE | null;
	case T_BOOL:
		return 1U << FILTER_EQUAL | null;
	case T_TEXTS:
	case T_OBJECTS:
	case T_OBJECT:
	case T_GEOMETRY:
	case T_POINT:
		return null;
	case T_POSITION:
	case T_BOX:
		return 0;
	}
	return 0;
}

const struct filter *query_leading(const struct query *query)
{
	for (size_t i = 0; i < query->n_filters; i++) {
		const struct filter *filter = &query->filters[i];
		if ((filter->field->flags & F_SELECTIVE) && (filter->op == FILTER_EQUAL || filter->op == FILTER_ANY_OF))
			return filter;
	}
	return NULL;
}

static bool starts_with(struct slice text, const char *prefix, struct slice *ret_rest)
{
	struct slice wanted = slice_of(prefix);
	if (text.len < wanted.len || !slice_equal((struct slice){ text.ptr, wanted.len }, wanted))
		return false;
	*ret_rest = (struct slice){ text.ptr + wanted.len, text.len - wanted.len };
	return true;
}

static bool find(const struct parse *parse, struct slice name, const struct field **ret_field, enum filter_op *ret_op)
{
	const struct shape *shape = parse->route->shape;
	for (size_t i = 0; i < shape->n_fields; i++) {
		struct slice suffix;
		if (!query_knows(parse, i) || !starts_with(name, shape->fields[i]->name, &suffix))
			continue;
		unsigned offered = query_operators(shape->fields[i]);
		for (enum filter_op op = FILTER_ANY_OF; op <= FILTER_NULL; op++) {
			if ((offered & 1U << op) && slice_is(suffix, suffixes[op])) {
				*ret_field = shape->fields[i];
				*ret_op = op;
				return true;
			}
		}
	}
	return false;
}

void query_offer_filters(const struct parse *parse, struct nearest *nearest)
{
	const struct shape *shape = parse->route->shape;
	for (size_t i = 0; i < shape->n_fields; i++) {
		unsigned offered = query_knows(parse, i) ? query_operators(shape->fields[i]) : 0;
		for (enum filter_op op = FILTER_ANY_OF; op <= FILTER_NULL; op++) {
			size_t len = strlen(shape->fields[i]->name) + strlen(suffixes[op]);
			if ((offered & 1U << op) && nearest_may_be(nearest, len))
				nearest_offer(nearest, arena_printf(parse->arena, "%s%s", shape->fields[i]->name, suffixes[op]));
		}
	}
}

bool query_next_item(struct slice *list, struct slice *ret_item)
{
	if (list->ptr == NULL)
		return false;
	const char *comma = list->len == 0 ? NULL : memchr(list->ptr, ',', list->len);
	if (comma == NULL) {
		*ret_item = *list;
		*list = (struct slice){ NULL, 0 };
		return true;
	}
	size_t len = (size_t)(comma - list->ptr);
	*ret_item = (struct slice){ list->ptr, len };
	*list = (struct slice){ comma + 1, list->len - len - 1 };
	return true;
}

/* --- values: each returns NULL after it added a fault --- */

/* An element of a PostgreSQL array literal. */
static void add_element(struct buffer *array, struct slice item)
{
	buffer_text(array, array->len > 1 ? ",\"" : "\"");
	for (size_t i = 0; i < item.len; i++) {
		if (item.ptr[i] == '"' || item.ptr[i] == '\\')
			buffer_text(array, "\\");
		buffer_add(array, (struct slice){ item.ptr + i, 1 });
	}
	buffer_text(array, "\"");
}

static const char *list_value(struct parse *parse, const struct field *field, struct slice value)
{
	struct buffer array = { .arena = parse->arena };
	struct slice item;
	size_t n = 0;
	buffer_text(&array, "{");
	while (query_next_item(&value, &item)) {
		struct verdict verdict = scalar_verdict(parse->arena, field, item);
		if (++n > FILTER_VALUES_MAX)
			verdict = (struct verdict){ "too_many", "A filter takes at most 50 values." };
		if (verdict.code != NULL) {
			query_verdict(parse, verdict);
			return NULL;
		}
		add_element(&array, item);
	}
	buffer_text(&array, "}");
	return array.ptr;
}

/* What is compared with a text need not be a text that could be stored: only its bytes and length are bounded. */
static struct verdict text_filter_verdict(struct arena *arena, struct slice value)
{
	struct verdict verdict = text_verdict(arena, value, 0, URL_MAX);
	if (verdict.code == NULL && value.len == 0)
		return (struct verdict){ "length", "An empty value finds nothing; to find records without a value use .null." };
	return verdict;
}

static const char *plain_value(struct parse *parse, const struct field *field, struct slice value)
{
	bool is_text = field->type == T_TEXT || field->type == T_URL;
	struct verdict verdict = is_text ? text_filter_verdict(parse->arena, value) : scalar_verdict(parse->arena, field, value);
	if (verdict.code != NULL) {
		query_verdict(parse, verdict);
		return NULL;
	}
	const char *utc;
	if (field->type == T_TIMESTAMP && text_timestamp(parse->arena, value, &utc) == 0)
		return utc;
	return arena_copy(parse->arena, value);
}

static const char *pattern_value(struct parse *parse, struct slice value)
{
	struct verdict verdict = text_filter_verdict(parse->arena, value);
	if (verdict.code != NULL) {
		query_verdict(parse, verdict);
		return NULL;
	}
	struct buffer pattern = { .arena = parse->arena };
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '%' || value.ptr[i] == '_' || value.ptr[i] == '\\')
			buffer_text(&pattern, "\\");
		buffer_add(&pattern, (struct slice){ value.ptr + i, 1 });
	}
	return pattern.ptr;
}

/* One value of a scalar is compared as one: for the planner a list is ten of them, and in an index after it no order is left. */
static bool is_one(const struct field *field, struct slice value)
{
	bool is_scalar = field->type == T_UUID || field->type == T_REF || field->type == T_ENUM;
	return is_scalar && value.len > 0 && memchr(value.ptr, ',', value.len) == NULL;
}

static bool filter_value(struct parse *parse, struct slice value, struct filter *filter)
{
	if (filter->op == FILTER_ANY_OF && is_one(filter->field, value))
		filter->op = FILTER_EQUAL;
	switch (filter->op) {
	case FILTER_ANY_OF:
	case FILTER_NONE_OF:
		filter->value = list_value(parse, filter->field, value);
		return filter->value != NULL;
	case FILTER_CONTAINS:
		filter->value = pattern_value(parse, value);
		return filter->value != NULL;
	case FILTER_NULL:
	case FILTER_NOT_NULL:
		if (!slice_is(value, "true") && !slice_is(value, "false")) {
			query_fault(parse, "type", "This must be true or false.");
			return false;
		}
		filter->op = slice_is(value, "true") ? FILTER_NULL : FILTER_NOT_NULL;
		return true;
	case FILTER_EQUAL:
	case FILTER_NOT_EQUAL:
	case FILTER_GT:
	case FILTER_GTE:
	case FILTER_LT:
	case FILTER_LTE:
		filter->value = plain_value(parse, filter->field, value);
		return filter->value != NULL;
	}
	return false;
}

bool query_filter(struct parse *parse, struct slice name, struct slice value)
{
	struct filter filter = { 0 };
	if (!find(parse, name, &filter.field, &filter.op))
		return false;
	if (!filter_value(parse, value, &filter))
		return true;
	struct query *query = &parse->query;
	if (query->n_filters == FILTERS_MAX)
		query_fault(parse, "too_many", "A list takes at most 16 filters.");
	else
		query->filters[query->n_filters++] = filter;
	return true;
}

/* --- order --- */

struct keyed {
	size_t position;
	struct filter filter;
};

static int compare_keyed(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	if (x->position != y->position)
		return x->position < y->position ? -1 : 1;
	return (x->filter.op > y->filter.op) - (x->filter.op < y->filter.op);
}

void query_sort_filters(struct query *query, const struct shape *shape)
{
	struct keyed keyed[FILTERS_MAX];
	for (size_t i = 0; i < query->n_filters; i++) {
		size_t position = 0;
		while (shape->fields[position] != query->filters[i].field)
			position++;
		keyed[i] = (struct keyed){ position, query->filters[i] };
	}
	if (query->n_filters > 1)
		qsort(keyed, query->n_filters, sizeof *keyed, compare_keyed);
	for (size_t i = 0; i < query->n_filters; i++)
		query->filters[i] = keyed[i].filter;
}
