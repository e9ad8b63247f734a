/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The query string: splitting and decoding, the parameters that every list or record has, and those of one operation. */
#include "query_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>

#include "text.h"
#include "wardmote/validate.h"

enum { LIMIT_DEFAULT = 50, LIMIT_MAX = 500, SEARCH_MIN = 2, SEARCH_MAX = 200, NAME_QUOTED_MAX = 100, CURSOR_MAX = 2000 };

void query_fault(struct parse *parse, const char *code, const char *detail)
{
	fault_add(parse->faults, FAULT_PARAMETER, parse->name, code, "%s", detail);
}

void query_verdict(struct parse *parse, struct verdict verdict)
{
	query_fault(parse, verdict.code, verdict.detail);
}

static enum audience widest(enum caller caller)
{
	return caller == CALLER_ANONYMOUS ? A_PUBLIC : A_OWNER;
}

bool query_knows(const struct parse *parse, size_t field)
{
	return parse->route->shape->fields[field]->audience <= widest(parse->caller);
}

/* --- the parameters that operations share --- */

static bool is_list(const struct parse *parse)
{
	return parse->route->operation->verb == V_LIST;
}

static bool is_read(const struct parse *parse)
{
	return is_list(parse) || parse->route->operation->verb == V_GET;
}

static bool is_paged(const struct parse *parse)
{
	const struct operation *operation = parse->route->operation;
	return is_list(parse) || operation->verb == V_HISTORY || (operation->flags & OP_PAGED) != 0;
}

static bool is_put(const struct parse *parse)
{
	return parse->route->operation->verb == V_PUT;
}

static bool takes_as_of(const struct parse *parse)
{
	return (parse->route->operation->flags & OP_AS_OF) != 0;
}

static bool takes_dry_run(const struct parse *parse)
{
	return (parse->route->operation->flags & OP_DRY_RUN) != 0;
}

/* One text index serves all searched fields, so q= is there only for who may see each of them. */
static bool is_searched(const struct parse *parse)
{
	bool any = false;
	for (size_t i = 0; is_list(parse) && i < parse->route->shape->n_fields; i++) {
		if (!(parse->route->shape->fields[i]->flags & F_SEARCH))
			continue;
		if (!query_knows(parse, i))
			return false;
		any = true;
	}
	return any;
}

static bool is_sorted(const struct parse *parse)
{
	return is_list(parse) && parse->route->shape->n_sorts > 0;
}

static void parse_sort(struct parse *parse, struct slice value)
{
	const struct shape *shape = parse->route->shape;
	bool descending = value.len > 0 && value.ptr[0] == '-';
	struct slice name = { value.ptr + descending, value.len - descending };
	struct buffer names = { .arena = parse->arena };
	for (size_t i = 0; i < shape->n_sorts; i++) {
		const struct sort *sort = &shape->resource->sorts[i];
		if (sort->audience > widest(parse->caller))
			continue;
		if (slice_is(name, sort->name)) {
			parse->query.sort = sort;
			parse->query.descending = descending;
			return;
		}
		buffer_format(&names, "%s%s", names.len > 0 ? ", " : "", sort->name);
	}
	const char *known = names.ptr == NULL ? "" : names.ptr;
	query_fault(parse, "enum", arena_printf(parse->arena, "The list sorts by one of: %s (with - in front: descending).", known));
}

static const char *field_name(const struct parse *parse, size_t field)
{
	return parse->route->shape->fields[field]->name;
}

static const char *include_name(const struct parse *parse, size_t field)
{
	const struct field *row = parse->route->shape->fields[field];
	return row->flags & F_INCLUDE ? row->include_name : NULL;
}

/* The name of a field in one of two roles; NULL where it has none. */
typedef const char *field_role(const struct parse *parse, size_t field);

static uint64_t find_name(const struct parse *parse, struct slice wanted, field_role *name_of)
{
	for (size_t i = 0; i < parse->route->shape->n_fields; i++) {
		const char *name = query_knows(parse, i) ? name_of(parse, i) : NULL;
		if (name != NULL && slice_is(wanted, name))
			return UINT64_C(1) << i;
	}
	return 0;
}

static void tell_unknown_name(struct parse *parse, struct slice wanted, field_role *name_of)
{
	struct nearest nearest = { .wanted = wanted };
	for (size_t i = 0; faults_take_hint(parse->faults) && i < parse->route->shape->n_fields; i++) {
		const char *name = query_knows(parse, i) ? name_of(parse, i) : NULL;
		if (name != NULL)
			nearest_offer(&nearest, name);
	}
	query_fault(parse, "enum",
		    arena_printf(parse->arena, "This lists a name that is not known here.%s", nearest_hint(parse->arena, &nearest)));
}

/* A comma-separated list of names as a set of fields. */
static uint64_t parse_names(struct parse *parse, struct slice list, field_role *name_of)
{
	uint64_t set = 0;
	struct slice item;
	while (query_next_item(&list, &item)) {
		uint64_t bit = find_name(parse, item, name_of);
		if (bit == 0)
			tell_unknown_name(parse, item, name_of);
		else if (set & bit)
			query_fault(parse, "duplicate", "This lists a name twice.");
		set |= bit;
	}
	return set;
}

static void parse_fields(struct parse *parse, struct slice value)
{
	parse->query.fields = parse_names(parse, value, field_name);
}

static void parse_include(struct parse *parse, struct slice value)
{
	parse->query.include = parse_names(parse, value, include_name);
}

/* The document promises no more than what every client's numbers can hold. */
static const int64_t limit_accepted = INT64_C(9007199254740991);

static void parse_limit(struct parse *parse, struct slice value)
{
	int64_t limit;
	parse->query.all = is_list(parse) && slice_is(value, "all");
	if (parse->query.all) {
		parse->query.limit = LONG_MAX;
		return;
	}
	if (text_integer(value, &limit) < 0 || limit < 1 || limit > limit_accepted) {
		query_fault(parse, "range", "limit must be a whole number from 1 to 9007199254740991; above 500 it counts as 500.");
		return;
	}
	parse->query.limit = limit > LIMIT_MAX ? LIMIT_MAX : (long)limit;
}

static void parse_count(struct parse *parse, struct slice value)
{
	if (slice_is(value, "exact"))
		parse->query.count = COUNT_EXACT;
	else if (slice_is(value, "estimated"))
		parse->query.count = COUNT_ESTIMATED;
	else
		query_fault(parse, "enum", "count must be one of: exact, estimated.");
}

static void parse_search(struct parse *parse, struct slice value)
{
	struct verdict verdict = text_verdict(parse->arena, value, SEARCH_MIN, SEARCH_MAX);
	if (verdict.code != NULL)
		query_verdict(parse, verdict);
	else
		parse->query.search = arena_copy(parse->arena, value);
}

static void parse_as_of(struct parse *parse, struct slice value)
{
	static const struct field timestamp = { .name = "as_of", .type = T_TIMESTAMP };
	struct verdict verdict = scalar_verdict(parse->arena, &timestamp, value);
	if (verdict.code != NULL)
		query_verdict(parse, verdict);
	else
		text_timestamp(parse->arena, value, &parse->query.as_of);
}

static bool is_base64url(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
		if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return false;
	}
	return text.len > 0;
}

static void parse_cursor(struct parse *parse, struct slice value)
{
	if (value.len > CURSOR_MAX || !is_base64url(value))
		query_fault(parse, "format", "This is no cursor of ours; take it from the link to the next page.");
	else
		parse->query.cursor = value;
}

static void parse_dry_run(struct parse *parse, struct slice value)
{
	parse->query.dry_run = slice_is(value, "true");
	if (!parse->query.dry_run && !slice_is(value, "false"))
		query_fault(parse, "type", "This must be true or false.");
}

static void parse_external_id(struct parse *parse, struct slice value)
{
	struct verdict verdict = text_verdict(parse->arena, value, 1, 200);
	if (verdict.code != NULL)
		query_verdict(parse, verdict);
	else
		parse->query.external_id = arena_copy(parse->arena, value);
}

struct shared {
	const char *name;
	bool (*is_offered)(const struct parse *parse);
	void (*parse)(struct parse *parse, struct slice value);
};

static const struct shared shared[] = {
	{ "sort", is_sorted, parse_sort },
	{ "fields", is_read, parse_fields },
	{ "include", is_read, parse_include },
	{ "limit", is_paged, parse_limit },
	{ "cursor", is_paged, parse_cursor },
	{ "count", is_list, parse_count },
	{ "q", is_searched, parse_search },
	{ "bbox", query_takes_bbox, query_parse_bbox },
	{ "crs", query_takes_crs, query_parse_crs },
	{ "geometry", query_takes_geometry, query_parse_geometry },
	{ "as_of", takes_as_of, parse_as_of },
	{ "dry_run", takes_dry_run, parse_dry_run },
	{ "external_id", is_put, parse_external_id },
};

enum { N_SHARED = sizeof shared / sizeof *shared };

/* --- the operation's own --- */

static const struct parameter *own_parameter(const struct parse *parse, size_t i)
{
	const struct parameter *own = parse->route->operation->parameters;
	return own == NULL || i >= OPERATION_VALUES_MAX || own[i].name == NULL ? NULL : &own[i];
}

static void parse_own(struct parse *parse, const struct parameter *own, size_t at, struct slice value)
{
	struct field field = { .name = own->name, .type = own->type, .min = own->min, .max = own->max, .values = own->values };
	struct verdict verdict = scalar_verdict(parse->arena, &field, value);
	const char *text = arena_copy(parse->arena, value);
	if (verdict.code != NULL)
		query_verdict(parse, verdict);
	else if (own->type == T_TIMESTAMP)
		text_timestamp(parse->arena, value, &text);
	parse->query.values[at] = text;
}

/* --- one parameter --- */

static void offer_parameters(const struct parse *parse, struct nearest *nearest)
{
	const struct parameter *own;
	for (size_t i = 0; (own = own_parameter(parse, i)) != NULL; i++)
		nearest_offer(nearest, own->name);
	for (size_t i = 0; i < N_SHARED; i++) {
		if (shared[i].is_offered(parse))
			nearest_offer(nearest, shared[i].name);
	}
	if (is_list(parse)) {
		query_offer_clauses(parse, nearest);
		query_offer_filters(parse, nearest);
	}
}

static void tell_unknown(struct parse *parse, struct slice name)
{
	struct nearest nearest = { .wanted = name };
	if (faults_take_hint(parse->faults))
		offer_parameters(parse, &nearest);
	query_fault(parse, "unknown_parameter",
		    arena_printf(parse->arena, "The operation has no such parameter.%s", nearest_hint(parse->arena, &nearest)));
}

static void parse_one(struct parse *parse, struct slice name, struct slice value)
{
	const struct parameter *own;
	for (size_t i = 0; (own = own_parameter(parse, i)) != NULL; i++) {
		if (slice_is(name, own->name)) {
			parse_own(parse, own, i, value);
			return;
		}
	}
	if (is_list(parse) && query_clause(parse, name, value))
		return;
	for (size_t i = 0; i < N_SHARED; i++) {
		if (slice_is(name, shared[i].name) && shared[i].is_offered(parse)) {
			shared[i].parse(parse, value);
			return;
		}
	}
	if (!is_list(parse) || !query_filter(parse, name, value))
		tell_unknown(parse, name);
}

/* Remembers the name; false when it was there before. */
static bool see(struct parse *parse, struct slice name)
{
	for (size_t i = 0; i < parse->n_seen; i++) {
		if (slice_equal(parse->seen[i], name))
			return false;
	}
	parse->seen[parse->n_seen++] = name;
	return true;
}

static void parse_pairs(struct parse *parse, struct slice text)
{
	struct pair pair;
	for (int r; (r = query_next_pair(parse->arena, &text, &pair)) != 0;) {
		bool quotable = pair.name.ptr != NULL && pair.name.len <= NAME_QUOTED_MAX && text_is_line(pair.name);
		parse->name = quotable ? arena_copy(parse->arena, pair.name) : "";
		if (r < 0) {
			query_fault(parse, "encoding",
				    "A % must be followed by two hexadecimal digits, and the result must be UTF-8 without NUL.");
			continue;
		}
		if (parse->n_seen == PAIRS_MAX) {
			query_fault(parse, "too_many", "A request takes at most 64 parameters.");
			return;
		}
		if (see(parse, pair.name))
			parse_one(parse, pair.name, pair.value);
		else
			query_fault(parse, "duplicate", "The parameter is there twice.");
	}
}

bool query_was_seen(const struct parse *parse, const char *name)
{
	for (size_t i = 0; i < parse->n_seen; i++) {
		if (slice_is(parse->seen[i], name))
			return true;
	}
	return false;
}

static void tell_missing(struct parse *parse)
{
	const struct parameter *own;
	for (size_t i = 0; (own = own_parameter(parse, i)) != NULL; i++) {
		parse->name = own->name;
		if (own->required && !query_was_seen(parse, own->name))
			query_fault(parse, "required", "The parameter must be there.");
	}
	parse->name = "external_id";
	if (is_put(parse) && !query_was_seen(parse, "external_id"))
		query_fault(parse, "required", "PUT finds its record by external_id; the parameter must be there.");
	if (is_list(parse))
		query_check_clauses(parse);
}

static const struct sort *default_sort(const struct parse *parse)
{
	for (size_t i = 0; is_sorted(parse) && i < parse->route->shape->n_sorts; i++) {
		const struct sort *sort = &parse->route->shape->resource->sorts[i];
		if (sort->audience <= widest(parse->caller))
			return sort;
	}
	return NULL;
}

int query_parse(struct arena *arena, const struct route *route, struct slice text, enum caller caller, struct query *ret_query,
		struct faults *faults)
{
	size_t before = faults->n + faults->more;
	struct parse parse = { .arena = arena, .route = route, .caller = caller, .faults = faults, .query = { .limit = LIMIT_DEFAULT } };
	parse.query.sort = default_sort(&parse);
	parse_pairs(&parse, text);
	tell_missing(&parse);
	if (faults->n + faults->more > before)
		return -EINVAL;
	query_sort_filters(&parse.query, route->shape);
	parse.query.digest = query_digest(route->operation, &parse.query);
	*ret_query = parse.query;
	return 0;
}
