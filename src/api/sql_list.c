/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reading: lists and single records, now or as of a moment.
 *
 * A list of records with an audience is a merge of one ordered branch for each audience of the caller (public, shared, own, granted), because each
 * index leads with the audience: the cost follows what is shown, not what is hidden. A page reads one row more than it shows; where there is one,
 * the keys of the last row shown become the cursor. */
#include "sql_internal.h"

/* A branch is planned for a page of the largest size; a limit that is a parameter would be planned for a tenth of the table. */
#define BRANCH_LIMIT "501"
#define ESTIMATE_MOST "10000"

#define BIT(i) (UINT64_C(1) << (i))

static const char audience_public[] = "t.audience = '00000000-0000-0000-0000-000000000001'::uuid";
static const char audience_shared[] = "t.audience = '00000000-0000-0000-0000-000000000002'::uuid";
static const char audience_own[] = "t.audience = (SELECT wardmote.ctx_partner())";
/* Not what a branch before it has: private records of other partners. */
static const char audience_granted[] =
    "t.readers @> ARRAY[(SELECT wardmote.ctx_partner())] AND t.grants <> '[]' AND t.visibility = 'private'"
    " AND t.partner_id <> (SELECT wardmote.ctx_partner())";

struct page {
	const char *key; /* column */
	const char *key_type;
	bool descending;
	struct slice where; /* " AND ..." */
	struct slice after; /* the keyset condition; empty on the first page */
};

/* --- conditions --- */

/* The sort by the field where it is by another column: of a field that may be null. */
static const struct sort *stand_in(const struct sql *sql, const struct field *field)
{
	for (const struct sort *sort = sql->shape->resource->sorts; sort->name != NULL; sort++) {
		if (sort->column != NULL && strcmp(sort->name, field->name) == 0)
			return sort;
	}
	return NULL;
}

static bool is_selective(const struct sql *sql)
{
	return query_is_selective(&sql->call->query, sql->shape->resource);
}

static bool begins_with_few(const struct sql *sql)
{
	const struct filter *leading = query_leading(&sql->call->query);
	return is_selective(sql) || (leading != NULL && leading->field->type == T_REFS);
}

/* The column that stands in for a field has the field's value where there is one, and it has the index: what holds for the field is asked of it, too,
 * where that is where a walk begins or ends. */
static void add_comparison(struct sql *sql, const struct filter *filter, const char *operator, int n)
{
	const struct query *query = &sql->call->query;
	const struct sort *sort = stand_in(sql, filter->field), *order = query->sort != NULL ? query->sort : sql->shape->resource->sorts;
	/* Of a place there are fewer records than of a status or partner, and of these the index would be read to its end. */
	if (begins_with_few(sql)) {
		sql_add(sql, " AND (t.%s %s $%d::%s) IS TRUE", filter->field->name, operator, n, sql_type(filter->field));
		return;
	}
	sql_add(sql, " AND t.%s %s $%d::%s", filter->field->name, operator, n, sql_type(filter->field));
	if (sort != NULL && filter->op != FILTER_NOT_EQUAL && (sort == order || filter->op == FILTER_EQUAL))
		sql_add(sql, " AND t.%s %s $%d::%s", sort->column, operator, n, sql_type(filter->field));
}

/* Where a list begins with what few records pass, it looks at these: the index of an array or of words would fetch many, only to drop them. So the condition gets
 * a form that no index answers. */
static bool is_ruled_out(const struct sql *sql, const struct filter *filter)
{
	const struct filter *leading = query_leading(&sql->call->query);
	return is_selective(sql) || (leading != NULL && leading != filter);
}

static void add_any_of(struct sql *sql, const struct filter *filter, int n)
{
	const struct field *field = filter->field;
	bool is_array = field->type == T_REFS || field->type == T_CODES || field->type == T_TEXTS;
	bool ruled_out = is_array ? is_ruled_out(sql, filter) : begins_with_few(sql);
	const char *truth = filter->op == FILTER_NONE_OF ? " IS NOT TRUE" : ruled_out ? " IS TRUE" : "";
	sql_add(sql, is_array ? " AND (t.%s && " : " AND (t.%s = ANY (", field->name);
	if (!sql_widened(sql, filter))
		sql_add(sql, "$%d::%s[]", n, sql_type(field));
	sql_add(sql, is_array ? ")%s" : "))%s", truth);
}

/* `n` is the number of the filter's value. */
static void add_filter(struct sql *sql, const struct filter *filter, int n)
{
	switch (filter->op) {
	case FILTER_ANY_OF:
	case FILTER_NONE_OF:
		add_any_of(sql, filter, n);
		break;
	case FILTER_EQUAL:
		if (sql_has_parameter(filter))
			add_comparison(sql, filter, "=", n);
		else
			sql_add(sql, is_selective(sql) ? " AND (t.%s = '%s') IS TRUE" : " AND t.%s = '%s'", filter->field->name,
				filter->field->common);
		break;
	case FILTER_NOT_EQUAL:
		add_comparison(sql, filter, "IS DISTINCT FROM", n);
		break;
	case FILTER_GT:
		add_comparison(sql, filter, ">", n);
		break;
	case FILTER_GTE:
		add_comparison(sql, filter, ">=", n);
		break;
	case FILTER_LT:
		add_comparison(sql, filter, "<", n);
		break;
	case FILTER_LTE:
		add_comparison(sql, filter, "<=", n);
		break;
	case FILTER_CONTAINS:
		sql_add(sql, " AND t.%s ILIKE '%%' || $%d::text || '%%'", filter->field->name, n);
		break;
	case FILTER_NULL:
		sql_add(sql, " AND t.%s IS NULL", filter->field->name);
		break;
	case FILTER_NOT_NULL:
		sql_add(sql, " AND t.%s IS NOT NULL", filter->field->name);
		break;
	}
}

/* West of east: one box. East of west: the two on both sides of the antimeridian. A box without area, which makes no valid polygon, is taken as the
 * line or point that it is. The subquery is asked once, not for each row. */
static void add_bbox(struct sql *sql)
{
	const char *geometry = sql->shape->fields[shape_geometry(sql->shape)]->name;
	const int *corner = sql->corners;
	sql_add(sql,
		" AND ST_Intersects(t.%5$s, (SELECT CASE WHEN $%1$d::float8 <= $%3$d::float8"
		" THEN ST_Envelope(ST_MakeEnvelope($%1$d::float8, $%2$d::float8, $%3$d::float8, $%4$d::float8, 4326))"
		" ELSE ST_Collect(ST_Envelope(ST_MakeEnvelope($%1$d::float8, $%2$d::float8, 180, $%4$d::float8, 4326)),"
		" ST_Envelope(ST_MakeEnvelope(-180, $%2$d::float8, $%3$d::float8, $%4$d::float8, 4326))) END))",
		corner[0], corner[1], corner[2], corner[3], geometry);
}

/* A filter or sort by a field that only the owner sees makes the list one of the caller's own records. */
static bool is_own_only(const struct sql *sql)
{
	const struct query *query = &sql->call->query;
	bool own = query->sort != NULL && query->sort->audience == A_OWNER;
	for (size_t i = 0; i < query->n_filters; i++)
		own = own || query->filters[i].field->audience == A_OWNER;
	return own;
}

/* Takes what was added to the statement's text since `start` out of it. */
static struct slice cut(struct sql *sql, size_t start)
{
	struct slice part = { arena_copy(sql->arena, (struct slice){ sql->text.ptr + start, sql->text.len - start }),
			      sql->text.len - start };
	sql->text.len = start;
	return part;
}

/* A condition on each record reads the words once; an index is chosen by what they are. */
static void add_search(struct sql *sql)
{
	if (is_ruled_out(sql, NULL))
		sql_add(sql, " AND (t.search @@ (SELECT websearch_to_tsquery('english', $%d::text))) IS TRUE", sql->search);
	else
		sql_add(sql, " AND (t.search @@ websearch_to_tsquery('english', $%d::text))", sql->search);
}

static void add_conditions(struct sql *sql)
{
	const struct query *query = &sql->call->query;
	for (size_t i = 0; i < query->n_filters; i++)
		add_filter(sql, &query->filters[i], sql->filters[i]);
	sql_clauses(sql);
	if (sql->search != 0)
		add_search(sql);
	if (sql->corners[0] != 0)
		add_bbox(sql);
	if (is_own_only(sql))
		sql_add(sql, " AND %s", sql_is_own(sql, "t"));
}

/* --- the page --- */

/* The columns that the page needs: what is shown or embedded, what says whose a row is, and the keys. */
static void add_page_columns(struct sql *sql, const struct page *page, uint64_t fields)
{
	const struct shape *shape = sql->shape;
	bool has_key = false;
	if (fields & sql_withheld(sql)) /* they hang on it */
		fields |= BIT(shape_field(shape, SLICE("visibility")));
	for (size_t i = 0; i < shape->n_fields; i++) {
		const struct field *field = shape->fields[i];
		bool is_key = strcmp(field->name, page->key) == 0;
		bool is_shape = field_is_geometry(field) && sql->call->format == FORMAT_GEOJSON;
		bool is_shown = ((fields | sql->call->query.include) & BIT(i)) || sql_shown_needs(sql, field);
		if (i > 0 && !is_shown && strcmp(field->name, "partner_id") != 0 && !is_key && !is_shape)
			continue;
		sql_add(sql, "%st.\"%s\"", i == 0 ? "" : ", ", field->name);
		has_key = has_key || is_key;
	}
	if (!has_key)
		sql_add(sql, ", t.\"%s\"", page->key);
}

static void add_branch(struct sql *sql, const struct page *page, const char *source, const char *audience, const char *moment)
{
	const char *direction = page->descending ? " DESC" : "";
	sql_add(sql, "(SELECT ");
	add_page_columns(sql, page, sql_shown(sql));
	sql_add(sql, " FROM %s t WHERE %s", source, audience);
	buffer_add(&sql->text, page->where);
	buffer_add(&sql->text, page->after);
	const char *limit = sql->call->query.all ? "" : " LIMIT " BRANCH_LIMIT;
	/* Not the order of an index: a plan for all values would walk it, past all but few records. */
	if (begins_with_few(sql))
		sql_add(sql, "%s ORDER BY ROW(t.%s, t.id)%s%s)", moment, page->key, direction, limit);
	else
		sql_add(sql, "%s ORDER BY t.%s%s, t.id%s%s)", moment, page->key, direction, direction, limit);
}

/* As of a moment an audience has two branches: versions that are still current, and earlier ones. */
static void add_audience(struct sql *sql, const struct page *page, const char *audience)
{
	const char *thing = sql->shape->resource->thing;
	const char *source = arena_printf(sql->arena, "api.%s", thing);
	if (sql->as_of == 0) {
		add_branch(sql, page, source, audience, "");
		return;
	}
	add_branch(sql, page, source, audience, arena_printf(sql->arena, " AND t.updated_at <= $%d::timestamptz", sql->as_of));
	sql_add(sql, " UNION ALL ");
	add_branch(sql, page, arena_printf(sql->arena, "api.%s_past", thing), audience, sql_moment(sql, "t"));
}

static void add_branches(struct sql *sql, const struct page *page)
{
	if (!(sql->shape->resource->flags & R_OWNED) || is_own_only(sql)) {
		add_audience(sql, page, "true");
		return;
	}
	add_audience(sql, page, audience_public);
	if (sql->call->caller == CALLER_ANONYMOUS)
		return;
	const char *const others[] = { audience_shared, audience_own, audience_granted };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		sql_add(sql, " UNION ALL ");
		add_audience(sql, page, others[i]);
	}
}

/* What count= asks for, as a CTE `total`; "" for no count. */
static void add_count(struct sql *sql, const struct page *page)
{
	const char *source = sql_source(sql, sql->shape->resource);
	if (sql->call->query.count == COUNT_EXACT) {
		sql_add(sql, "WITH total AS (SELECT count(*) AS n FROM %s t WHERE true", source);
		buffer_add(&sql->text, page->where);
		sql_add(sql, "%s) ", sql_moment(sql, "t"));
	} else if (sql->call->query.count == COUNT_ESTIMATED) {
		/* The count stops where it gets dear. The planner's figure for the table would tell of what the caller may not see. */
		sql_add(sql, "WITH total AS (SELECT count(*) AS n FROM (SELECT FROM %s t WHERE true", source);
		buffer_add(&sql->text, page->where);
		sql_add(sql, "%s LIMIT " ESTIMATE_MOST ") few) ", sql_moment(sql, "t"));
	}
}

static struct page page_of(struct sql *sql)
{
	const struct query *query = &sql->call->query;
	const struct sort *sort = query->sort != NULL ? query->sort : sql->shape->resource->sorts;
	struct page page = { .key = sort->column != NULL ? sort->column : sort->name,
			     .key_type = sort->type,
			     .descending = query->descending };
	size_t start = sql->text.len;
	add_conditions(sql);
	page.where = cut(sql, start);
	if (sql->keys[0] != 0)
		sql_add(sql, " AND (t.%s, t.id) %s ($%d::%s, $%d::uuid)", page.key, page.descending ? "<" : ">", sql->keys[0],
			page.key_type, sql->keys[1]);
	page.after = cut(sql, start);
	return page;
}

/* How many positions the page may have; 0: as many as there are, or it shows none (a table has no boundaries). */
static int positions_most(const struct sql *sql, const struct view *view)
{
	return sql->call->query.all || !view_has_dear(sql, view) ? 0 : sql_positions_most(sql, sql_shown(sql));
}

/* `r`: the rows of the page in their order and one more, or all. */
static void add_rows(struct sql *sql, const struct page *page, const struct view *view)
{
	const char *direction = page->descending ? " DESC" : "";
	bool all = sql->call->query.all, numbered = !all && view_has_dear(sql, view);
	int most = positions_most(sql, view);
	if (most > 0)
		sql_weigh_begin(sql, most);
	if (numbered)
		sql_add(sql, "(SELECT p.*, row_number() OVER (ORDER BY p.%s%s, p.id%s) AS %s FROM ", page->key, direction, direction,
			most > 0 ? "at" : "row_n");
	sql_add(sql, "(SELECT b.*");
	if (view_has_owners(view))
		sql_add(sql, ", %s AS is_own", sql_is_own(sql, "b"));
	sql_add(sql, " FROM (");
	add_branches(sql, page);
	sql_add(sql, ") b ORDER BY b.%s%s, b.id%s LIMIT $%d::%s)", page->key, direction, direction, sql->limit,
		all ? "bigint" : "integer + 1");
	if (numbered)
		sql_add(sql, " p)");
	if (most > 0)
		sql_weigh_end(sql, most);
	sql_add(sql, " r");
}

/* Records of one audience that were found by few rows are sorted and cut once: the planner need not be told how many a page takes. */
static bool is_plain(const struct sql *sql, const struct view *view)
{
	const struct query *query = &sql->call->query;
	bool one = !(sql->shape->resource->flags & R_OWNED) || is_own_only(sql) || sql->call->caller == CALLER_ANONYMOUS;
	return one && begins_with_few(sql) && !query->all && query->count == COUNT_NONE && sql->as_of == 0 && !view_has_dear(sql, view);
}

static void add_plain(struct sql *sql, const struct page *page, const struct view *view)
{
	const struct resource *resource = sql->shape->resource;
	bool all = !(resource->flags & R_OWNED) || is_own_only(sql);
	sql_add(sql, " FROM (SELECT ");
	add_page_columns(sql, page, sql_shown(sql));
	if (view_has_owners(view))
		sql_add(sql, ", %s AS is_own", sql_is_own(sql, "t"));
	sql_add(sql, " FROM api.%s t WHERE %s", resource->thing, all ? "true" : audience_public);
	buffer_add(&sql->text, page->where);
	buffer_add(&sql->text, page->after);
	sql_add(sql, ") r ORDER BY ROW(r.%s, r.id)%s LIMIT $%d::integer + 1", page->key, page->descending ? " DESC" : "", sql->limit);
}

/* A row for each record of the page, and one more where there is a further page; or for each of all: the branches are walked in their order by index, however many
 * records there are. Columns are made last, for these rows alone. */
void sql_list(struct sql *sql)
{
	const struct query *query = &sql->call->query;
	sql_add(sql, " "); /* text must exist before parts are cut from it */
	struct page page = page_of(sql);
	const char *direction = page.descending ? " DESC" : "";
	bool counts = query->count != COUNT_NONE;
	struct view view;
	view_of(sql->arena, sql->call, &view);
	sql->text.len = 0;
	add_count(sql, &page);
	if (query->all)
		sql_add(sql, "SELECT NULL::text");
	else if (positions_most(sql, &view) > 0)
		sql_add(sql, "SELECT CASE WHEN r.row_n IS NOT NULL THEN r.%s::text END", page.key);
	else
		sql_add(sql, "SELECT r.%s::text", page.key);
	sql_add(sql, ", %s, %s", counts ? "total.n" : "NULL::bigint", view_has_owners(&view) ? "r.is_own" : "NULL::boolean");
	sql_render_columns(sql, &view);
	if (is_plain(sql, &view)) {
		add_plain(sql, &page, &view);
		return;
	}
	sql_add(sql, counts ? " FROM total LEFT JOIN " : " FROM ");
	add_rows(sql, &page, &view);
	sql_add(sql, "%s ORDER BY r.%s%s, r.id%s", counts ? " ON true" : "", page.key, direction, direction);
}

/* --- one record --- */

bool sql_notes(const struct call *call)
{
	const struct sql sql = { .call = call, .shape = call->route->shape };
	return call->route->operation->verb == V_GET && call->query.as_of == NULL && call->caller != CALLER_ANONYMOUS &&
	       (sql.shape->logged & sql_shown(&sql)) != 0;
}

/* What is not shown, because there is nothing there, is not noted. */
static void add_note(struct sql *sql)
{
	const struct shape *shape = sql->shape;
	const char *comma = "";
	sql_add(sql,
		"WITH noted AS (INSERT INTO wardmote.personal_read (resource, record_id, owner_id) SELECT '%s', r.id, r.partner_id FROM "
		"api.%s r"
		" WHERE r.id = $%d::uuid AND r.visibility <> 'public' AND r.partner_id IS DISTINCT FROM (SELECT wardmote.ctx_partner())"
		" AND num_nonnulls(",
		shape->resource->name, shape->resource->thing, sql->id);
	for (size_t i = 0; i < shape->n_fields; i++) {
		if (!(shape->logged & sql_shown(sql) & BIT(i)))
			continue;
		sql_add(sql, "%sr.%s", comma, shape->fields[i]->name);
		comma = ", ";
	}
	sql_add(sql, ") > 0) ");
}

void sql_get(struct sql *sql)
{
	struct view view;
	view_of(sql->arena, sql->call, &view);
	if (sql_notes(sql->call))
		add_note(sql);
	const char *source = sql_source(sql, sql->shape->resource);
	bool owners = view_has_owners(&view);
	sql_add(sql, "SELECT r.version::text, NULL::bigint, %s", owners ? "r.is_own" : "NULL::boolean");
	sql_render_columns(sql, &view);
	/* Whose it is is found out once: OFFSET keeps the planner from copying that into each column. */
	if (owners)
		sql_add(sql, " FROM (SELECT t.*, %s AS is_own FROM %s t WHERE t.id = $%d::uuid%s OFFSET 0) r", sql_is_own(sql, "t"), source,
			sql->id, sql_moment(sql, "t"));
	else
		sql_add(sql, " FROM %s r WHERE r.id = $%d::uuid%s", source, sql->id, sql_moment(sql, "r"));
}
