/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Writing: one statement finds the record (`cur`), makes the one that would be (`new`), asks all that data can answer, writes, and answers.
 * In this order: 404 (no row), 403 (seen, not writable), 412, 422 (all faults), 409 (all gates), then the write. A record that somebody else changed
 * between our reading and our writing is 412 where a version was expected; else the segment runs again (wardmote.again). */
#include "sql_internal.h"

static bool is_writable(const struct field *field)
{
	return !(field->flags & F_READONLY);
}

static bool is_changeable(const struct field *field)
{
	return is_writable(field) && !(field->flags & F_CREATE_ONLY);
}

static enum verb verb_of(const struct sql *sql)
{
	return sql->call->route->operation->verb;
}

static void add_columns(struct sql *sql, const char *prefix, bool (*wanted)(const struct field *field))
{
	const char *comma = "";
	for (size_t i = 0; i < sql->shape->n_fields; i++) {
		if (!wanted(sql->shape->fields[i]))
			continue;
		sql_add(sql, "%s%s\"%s\"", comma, prefix, sql->shape->fields[i]->name);
		comma = ", ";
	}
}

/* --- the record that would be --- */

/* What a body leaves out, as jsonb: the initial values of a create, or of a replacement, which leaves alone what F_LEAVE and F_CREATE_ONLY say. */
static void add_initials(struct sql *sql, bool replaces)
{
	struct buffer object = { .arena = sql->arena };
	const char *partner = NULL;
	buffer_text(&object, "{");
	for (size_t i = 0; i < sql->shape->n_fields; i++) {
		const struct field *field = sql->shape->fields[i];
		if (!is_writable(field) || field_is_geometry(field) || (replaces && (field->flags & (F_LEAVE | F_CREATE_ONLY))))
			continue;
		if (field->initial != NULL && strcmp(field->initial, "@partner") == 0)
			partner = field->name;
		else
			buffer_format(&object, "%s\"%s\":%s", object.len > 1 ? "," : "", field->name,
				      field->initial == NULL ? "null" : field->initial);
	}
	buffer_text(&object, "}");
	sql_literal(sql, object.ptr);
	sql_add(sql, "::jsonb");
	if (partner != NULL)
		sql_add(sql, " || jsonb_build_object('%s', (SELECT wardmote.ctx_partner()))", partner);
}

/* A replacement by others leaves what they cannot see. */
static void add_hidden(struct sql *sql)
{
	const char *comma = "";
	sql_add(sql, " - CASE WHEN wardmote.owns(cur.partner_id) THEN '{}'::text[] ELSE '{");
	for (size_t i = 0; i < sql->shape->n_fields; i++) {
		if (!sql_is_owners_alone(sql, sql->shape->fields[i]))
			continue;
		sql_add(sql, "%s%s", comma, sql->shape->fields[i]->name);
		comma = ",";
	}
	sql_add(sql, "}' END");
}

/* The body without the geometry, which comes beside it. */
static void add_body(struct sql *sql)
{
	int geometry = shape_geometry(sql->shape);
	if (geometry >= 0)
		sql_add(sql, "($%d::jsonb - '%s')", sql->body, sql->shape->fields[geometry]->name);
	else
		sql_add(sql, "$%d::jsonb", sql->body);
	if (verb_of(sql) == V_PUT)
		sql_add(sql, " || jsonb_build_object('external_id', $%d::text)", sql->key);
}

static void add_geometry(struct sql *sql, const struct field *field)
{
	bool is_point = field->type == T_POINT;
	if (verb_of(sql) == V_PATCH)
		sql_add(sql, "CASE WHEN $%d::jsonb ? '%s' THEN ", sql->body, field->name);
	sql_add(sql, "%s", is_point ? "" : "ST_Multi(ST_ForcePolygonCCW(");
	sql_add(sql,
		sql->call->query.srid == SRID_NATIONAL ? "ST_Transform(ST_SetSRID(ST_GeomFromGeoJSON($%d::text), 27700), 4326)"
						       : "ST_SetSRID(ST_GeomFromGeoJSON($%d::text), 4326)",
		sql->geometry);
	sql_add(sql, "%s", is_point ? "" : "))");
	if (verb_of(sql) == V_PATCH)
		sql_add(sql, " ELSE n.%s END", field->name);
	sql_add(sql, " AS %s", field->name);
}

/* Objects with all their members, ids in their canonical form and decimals of one length: what is compared and looked up is written in one way only. */
static void add_objects(struct sql *sql, const struct field *field)
{
	const char *comma = "";
	sql_add(sql, "CASE WHEN n.\"%s\" IS NOT NULL THEN (SELECT coalesce(jsonb_agg('{", field->name);
	for (const struct field *member = field->members; member->name != NULL; member++) {
		sql_add(sql, "%s\"%s\":%s", comma, member->name, member->initial == NULL ? "null" : member->initial);
		comma = ",";
	}
	sql_add(sql, "}'::jsonb || e");
	for (const struct field *member = field->members; member->name != NULL; member++)
		if (member->type == T_REF || member->type == T_UUID)
			sql_add(sql, " || jsonb_build_object('%1$s', (e ->> '%1$s')::uuid)", member->name);
	for (const struct field *member = field->members; member->name != NULL; member++)
		if (member->type == T_DECIMAL)
			sql_add(
			    sql,
			    " || CASE WHEN e ? '%1$s' THEN jsonb_build_object('%1$s', round((e ->> '%1$s')::numeric, %2$d)) ELSE '{}' END",
			    member->name, member->scale);
	sql_add(sql, " ORDER BY at), '[]') FROM jsonb_array_elements(n.\"%1$s\") WITH ORDINALITY v (e, at)) END AS \"%1$s\"", field->name);
}

static void add_new(struct sql *sql)
{
	const char *thing = sql->shape->resource->thing;
	enum verb verb = verb_of(sql);
	sql_add(sql, ", new AS MATERIALIZED (SELECT ");
	sql_add(sql, verb == V_CREATE ? "wardmote.uuid7() AS id" : verb == V_PUT ? "coalesce(cur.id, wardmote.uuid7()) AS id" : "n.id");
	for (size_t i = 1; i < sql->shape->n_fields; i++) {
		const struct field *field = sql->shape->fields[i];
		sql_add(sql, ", ");
		if (field_is_geometry(field))
			add_geometry(sql, field);
		else if (field->type == T_OBJECTS)
			add_objects(sql, field);
		else
			sql_add(sql, "n.\"%s\"", field->name);
	}
	if (verb == V_CREATE) {
		sql_add(sql, " FROM jsonb_populate_record(NULL::api.%s, ", thing);
		add_initials(sql, false);
		sql_add(sql, " || ");
	} else if (verb == V_PUT) {
		sql_add(sql, " FROM (SELECT) one LEFT JOIN cur ON true CROSS JOIN LATERAL jsonb_populate_record(cur.whole, CASE WHEN "
			     "cur.id IS NULL THEN ");
		add_initials(sql, false);
		sql_add(sql, " ELSE ");
		add_initials(sql, true);
		if (sql->shape->resource->flags & R_OWNED)
			add_hidden(sql);
		sql_add(sql, " END || ");
	} else {
		sql_add(sql, " FROM cur CROSS JOIN LATERAL jsonb_populate_record(cur.whole, ");
	}
	add_body(sql);
	sql_add(sql, ") n)");
}

/* Where the stored record is looked for. PUT: the partner named in the body, else the caller's, and the external_id. */
static void add_cur(struct sql *sql)
{
	const struct resource *resource = sql->shape->resource;
	sql_add(sql, "WITH cur AS MATERIALIZED (SELECT t AS whole, t.* FROM api.%s t WHERE ", resource->thing);
	if (verb_of(sql) == V_CREATE) {
		sql_add(sql, "false)");
		return;
	}
	if (verb_of(sql) != V_PUT) {
		sql_add(sql, "t.id = $%d::uuid)", sql->key);
		return;
	}
	const char *named = arena_printf(
	    sql->arena,
	    "CASE WHEN $%d::jsonb ? 'partner_id' THEN ($%d::jsonb ->> 'partner_id')::uuid ELSE (SELECT wardmote.ctx_partner()) END",
	    sql->body, sql->body);
	sql_add(sql, "t.external_id = $%d::text AND ", sql->key);
	if (resource->flags & R_SHAREABLE)
		sql_add(sql, "t.partner_id IS NOT DISTINCT FROM (%s))", named);
	else
		sql_add(sql, "t.partner_id = (%s))", named);
}

/* --- verdict, write, answer --- */

/* No expectation is met by any version, and by none: a PUT may create. */
static void add_verdict(struct sql *sql)
{
	sql_add(sql, ", verdict AS MATERIALIZED (SELECT CASE WHEN EXISTS (SELECT FROM refused) THEN 403");
	if (sql->expected != 0)
		sql_add(sql, " WHEN cur.version IS DISTINCT FROM coalesce($%d::integer, cur.version) THEN 412", sql->expected);
	if (sql->call->create_only)
		sql_add(sql, " WHEN cur.id IS NOT NULL THEN 412");
	sql_add(sql, " WHEN EXISTS (SELECT FROM faults) THEN 422 WHEN EXISTS (SELECT FROM gates) THEN 409 ELSE 0 END AS status FROM %s)",
		verb_of(sql) == V_PATCH ? "cur" : "new LEFT JOIN cur ON true");
}

static void add_insert(struct sql *sql)
{
	sql_add(sql, ", made AS (INSERT INTO wardmote.%s (id, ", sql->shape->resource->thing);
	add_columns(sql, "", is_writable);
	sql_add(sql, ") SELECT new.id, ");
	add_columns(sql, "new.", is_writable);
	sql_add(sql, " FROM new, verdict WHERE verdict.status = 0 AND NOT EXISTS (SELECT FROM cur)");
	/* Another PUT may have made it meanwhile: then this one runs again and replaces. */
	if (verb_of(sql) == V_PUT)
		sql_add(sql, " ON CONFLICT (partner_id, external_id) WHERE external_id IS NOT NULL DO NOTHING");
	sql_add(sql, " RETURNING *)");
}

static void add_update(struct sql *sql)
{
	const struct shape *shape = sql->shape;
	const char *comma = "";
	sql_add(sql, ", differs AS MATERIALIZED (SELECT FROM new, cur WHERE (");
	add_columns(sql, "new.", is_changeable);
	sql_add(sql, ") IS DISTINCT FROM (");
	add_columns(sql, "cur.", is_changeable);
	sql_add(sql, ")), changed AS (UPDATE wardmote.%s t SET ", shape->resource->thing);
	for (size_t i = 0; i < shape->n_fields; i++) {
		if (!is_changeable(shape->fields[i]))
			continue;
		sql_add(sql, "%s\"%s\" = new.\"%s\"", comma, shape->fields[i]->name, shape->fields[i]->name);
		comma = ", ";
	}
	sql_add(sql, " FROM new, cur, verdict WHERE verdict.status = 0 AND t.id = cur.id AND t.version = cur.version"
		     " AND EXISTS (SELECT FROM differs) RETURNING t.*)");
}

static bool is_any(const struct field *field)
{
	return field != NULL;
}

static void add_stored(struct sql *sql)
{
	enum verb verb = verb_of(sql);
	sql_add(sql, ", stored AS (");
	if (verb != V_PATCH) {
		sql_add(sql, "SELECT 201 AS answer_status, ");
		add_columns(sql, "", is_any);
		sql_add(sql, " FROM made");
	}
	if (verb == V_PUT)
		sql_add(sql, " UNION ALL ");
	if (verb != V_CREATE) {
		sql_add(sql, "SELECT 200 AS answer_status, ");
		add_columns(sql, "", is_any);
		sql_add(sql, " FROM changed UNION ALL SELECT 200, ");
		add_columns(sql, "cur.", is_any);
		sql_add(sql, " FROM cur, verdict WHERE verdict.status = 0 AND NOT EXISTS (SELECT FROM differs)");
	}
	sql_add(sql, ")");
}

/* Nothing was stored though nothing spoke against it. Where the engine knows the rules, somebody else was faster; elsewhere a policy refused, unless the
 * record has moved on meanwhile. */
static const char *unwritten(const struct sql *sql)
{
	const struct resource *resource = sql->shape->resource;
	const char *faster = "wardmote.again()";
	if (sql->expected != 0)
		faster = arena_printf(sql->arena, "CASE WHEN $%d::integer IS NULL THEN wardmote.again() ELSE 412 END", sql->expected);
	if (resource->flags & R_OWNED)
		return faster;
	return arena_printf(sql->arena,
			    "CASE WHEN EXISTS (SELECT FROM cur WHERE wardmote.moved_on('%s', cur.id, cur.version)) THEN %s ELSE 403 END",
			    resource->thing, faster);
}

static void add_refusals(struct sql *sql)
{
	sql_add(sql,
		" UNION ALL SELECT v.status, CASE v.status WHEN 403 THEN " SQL_ERRORS " WHEN 422 THEN " SQL_ERRORS
		" WHEN 409 THEN " SQL_ERRORS " END, NULL, NULL FROM verdict v WHERE v.status <> 0",
		"refused", "faults", "gates");
}

void sql_create_or_change(struct sql *sql)
{
	const struct resource *resource = sql->shape->resource;
	enum verb verb = verb_of(sql);
	add_cur(sql);
	add_new(sql);
	sql_forbidden(sql);
	sql_faults(sql);
	sql_own_faults(sql, "gates", resource->gate_sql);
	add_verdict(sql);
	if (verb != V_PATCH)
		add_insert(sql);
	if (verb != V_CREATE)
		add_update(sql);
	add_stored(sql);
	sql_add(sql, ", answer AS (SELECT r.answer_status AS status, (");
	sql_render_object(sql, sql_shown(sql));
	sql_add(sql,
		")::text AS body, r.version::text AS etag, CASE r.answer_status WHEN 201 THEN '/v1/%s/' || r.id END AS link FROM stored r",
		resource->name);
	add_refusals(sql);
	sql_add(sql, " UNION ALL SELECT %s, NULL, NULL, NULL FROM verdict v WHERE v.status = 0 AND NOT EXISTS (SELECT FROM stored))",
		unwritten(sql));
	sql_tail(sql);
}

void sql_delete(struct sql *sql)
{
	const struct resource *resource = sql->shape->resource;
	const char *own = resource->flags & R_ADMIN ? "wardmote.may_administer()" : "wardmote.owns(cur.partner_id)";
	sql_add(sql, "WITH cur AS MATERIALIZED (SELECT t.* FROM api.%s t WHERE t.id = $%d::uuid)", resource->thing, sql->key);
	sql_own_faults(sql, "gates", resource->delete_sql);
	sql_add(
	    sql,
	    ", users (pointer, code, detail) AS MATERIALIZED (SELECT '', 'in_use', CASE WHEN d.resource IS NULL"
	    " THEN 'records that you may not see refer to it' ELSE format('%%s of %%s refer to it in %%s', d.n, d.resource, d.field) END"
	    " FROM wardmote.dependants_%s($%d::uuid) d)",
	    resource->thing, sql->key);
	sql_add(sql,
		", verdict AS MATERIALIZED (SELECT CASE WHEN NOT (%s) THEN 403 WHEN cur.version <> $%d::integer THEN 412"
		" WHEN EXISTS (SELECT FROM gates) OR EXISTS (SELECT FROM users) THEN 409 ELSE 0 END AS status FROM cur)",
		resource->flags & R_OWNED ? own : "true", sql->expected);
	sql_add(sql,
		", gone AS (DELETE FROM wardmote.%s t USING cur, verdict WHERE verdict.status = 0 AND t.id = cur.id AND t.version = "
		"cur.version RETURNING t.id)",
		resource->thing);
	sql_add(sql,
		", answer AS (SELECT 204 AS status, NULL::text AS body, NULL::text AS etag, NULL::text AS link FROM gone"
		" UNION ALL SELECT v.status, CASE v.status WHEN 409 THEN " SQL_ERRORS " END, NULL, NULL FROM verdict v WHERE v.status <> 0",
		"(SELECT * FROM gates UNION ALL SELECT * FROM users)");
	sql_add(sql, " UNION ALL SELECT %s, NULL, NULL, NULL FROM verdict v WHERE v.status = 0 AND NOT EXISTS (SELECT FROM gone))",
		unwritten(sql));
	sql_tail(sql);
}
