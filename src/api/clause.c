/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "clause.h"

#include <ctype.h>

#include "query_internal.h"
#include "text.h"
#include "wardmote/validate.h"

size_t clause_count(const struct resource *resource)
{
	size_t n = 0;
	while (resource->clauses != NULL && resource->clauses[n].name != NULL)
		n++;
	return n;
}

int clause_find(const struct resource *resource, struct slice name)
{
	for (size_t i = 0; i < clause_count(resource); i++) {
		if (slice_is(name, resource->clauses[i].name))
			return (int)i;
	}
	return -1;
}

struct field clause_field(const struct clause *clause)
{
	return (
	    struct field){ .name = clause->name, .type = clause->type, .min = clause->min, .max = clause->max, .values = clause->values };
}

/* --- what a text refers to --- */

static bool is_operator(char c)
{
	return c != '\0' && strchr("@<>?~!&|=", c) != NULL;
}

static size_t name_length(const char *text)
{
	size_t n = 0;
	while (islower((unsigned char)text[n]) || isdigit((unsigned char)text[n]) || text[n] == '_')
		n++;
	return n;
}

bool clause_next_mark(const char **text, struct slice *ret_before, struct slice *ret_name)
{
	const char *start = *text, *c = start;
	bool quoted = false;
	for (; *c != '\0'; c++) {
		quoted = quoted != (*c == '\'');
		bool mark = *c == '@' && !quoted && !is_operator(c[1]) && (c == start || !is_operator(c[-1]));
		if (!mark)
			continue;
		size_t len = name_length(c + 1);
		*ret_before = (struct slice){ start, (size_t)(c - start) };
		*ret_name = (struct slice){ c + 1, len };
		*text = c + 1 + len;
		return true;
	}
	*ret_before = (struct slice){ start, (size_t)(c - start) };
	*text = c;
	return false;
}

/* --- values --- */

static const struct resource *resource_of(const struct parse *parse)
{
	return parse->route->shape->resource;
}

bool query_clause(struct parse *parse, struct slice name, struct slice value)
{
	int at = clause_find(resource_of(parse), name);
	if (at < 0)
		return false;
	const struct clause *clause = &resource_of(parse)->clauses[at];
	const struct field field = clause_field(clause);
	struct verdict verdict = scalar_verdict(parse->arena, &field, value);
	if (verdict.code != NULL) {
		query_verdict(parse, verdict);
		return true;
	}
	if (clause->neutral != NULL && slice_is(value, clause->neutral))
		return true;
	const char *text = arena_copy(parse->arena, value);
	if (clause->type == T_TIMESTAMP)
		text_timestamp(parse->arena, value, &text);
	parse->query.clauses[at] = text;
	return true;
}

void query_offer_clauses(const struct parse *parse, struct nearest *nearest)
{
	for (size_t i = 0; i < clause_count(resource_of(parse)); i++)
		nearest_offer(nearest, resource_of(parse)->clauses[i].name);
}

/* What another parameter needs. */
static void expect_seen(struct parse *parse, const char *needed, const char *by)
{
	parse->name = needed;
	if (!query_was_seen(parse, needed))
		query_fault(parse, "required", arena_printf(parse->arena, "The parameter %s needs it.", by));
}

void query_check_clauses(struct parse *parse)
{
	for (size_t i = 0; i < clause_count(resource_of(parse)); i++) {
		const struct clause *clause = &resource_of(parse)->clauses[i];
		if (clause->needs != NULL && query_was_seen(parse, clause->name))
			expect_seen(parse, clause->needs, clause->name);
		if (clause->widens != NULL && parse->query.clauses[i] != NULL)
			expect_seen(parse, clause->widens, clause->name);
	}
}

bool query_has_clauses(const struct query *query)
{
	for (size_t i = 0; i < CLAUSES_MAX; i++) {
		if (query->clauses[i] != NULL)
			return true;
	}
	return false;
}

bool query_is_selective(const struct query *query, const struct resource *resource)
{
	for (size_t i = 0; i < clause_count(resource); i++) {
		if (query->clauses[i] != NULL && resource->clauses[i].selective)
			return true;
	}
	return false;
}
