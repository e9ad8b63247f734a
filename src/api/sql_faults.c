/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What only data shows, as rows (pointer, code, detail) over `new` (the record as it would be) and `cur` (the stored one; no row on a create). A reference
 * is looked up through the views: what the caller may not see does not exist. One that a change leaves as it was is not looked at again, or a record
 * could no longer be changed once something that it refers to was hidden. */
#include "sql_internal.h"

#define CODES "api.code"

static bool changes(const struct sql *sql)
{
	return sql->call->route->operation->verb != V_CREATE;
}

/* Is what the field holds another than before? */
static const char *is_news(const struct sql *sql, const struct field *field)
{
	if (!changes(sql))
		return "true";
	return arena_printf(sql->arena, "(NOT EXISTS (SELECT FROM cur) OR new.%s IS DISTINCT FROM (SELECT c.%s FROM cur c))", field->name,
			    field->name);
}

static const char *may_refer(const struct resource *target)
{
	if (!(target->flags & R_OWNED))
		return "true";
	return target->flags & R_ADMIN ? "wardmote.may_administer()" : "wardmote.may_write(o.partner_id, o.writers)";
}

/* The ids that a field holds, as a source u (id, pointer). */
static void add_ids(struct sql *sql, const struct field *field)
{
	if (field->type == T_REF)
		sql_add(sql, "new CROSS JOIN LATERAL (SELECT new.%s, '/%s') u (id, pointer)", field->name, field->name);
	else if (field->type == T_REFS)
		sql_add(sql,
			"new CROSS JOIN LATERAL (SELECT e, '/%s/' || n - 1 FROM unnest(new.%s) WITH ORDINALITY v (e, n)) u (id, pointer)",
			field->name, field->name);
	else
		sql_add(
		    sql,
		    "new CROSS JOIN LATERAL (SELECT (e ->> '%1$s')::uuid, '/%2$s/' || n - 1 || '/%1$s' FROM jsonb_array_elements(new.%2$s)"
		    " WITH ORDINALITY v (e, n)) u (id, pointer)",
		    field_reference(field)->name, field->name);
}

static void add_reference_faults(struct sql *sql, const struct field *field)
{
	const struct field *reference = field_reference(field);
	const struct resource *target = catalog_shape(sql->call->catalog, reference->refers)->resource;
	sql_add(sql, " UNION ALL SELECT u.pointer, 'not_found', 'there is no such record in %s' FROM ", target->name);
	add_ids(sql, field);
	sql_add(sql, " WHERE u.id IS NOT NULL AND %s AND NOT EXISTS (SELECT FROM api.%s o WHERE o.id = u.id)", is_news(sql, field),
		target->thing);
	if (field->type == T_REFS && changes(sql))
		sql_add(sql, " AND NOT EXISTS (SELECT FROM cur c WHERE u.id = ANY (c.%s))", field->name);
	if (!((field->flags | reference->flags) & F_OWNED_REF))
		return;
	sql_add(sql, " UNION ALL SELECT u.pointer, 'not_writable', 'the record in %s must be one that you may change' FROM ", target->name);
	add_ids(sql, field);
	sql_add(sql, " JOIN api.%s o ON o.id = u.id WHERE %s AND NOT %s", target->thing, is_news(sql, field), may_refer(target));
}

static void add_code_faults(struct sql *sql, const struct field *field)
{
	sql_add(sql,
		" UNION ALL SELECT '/%1$s/' || u.n - 1, 'not_found', 'there is no such code in the list %2$s' FROM new CROSS JOIN LATERAL "
		"unnest(new.%1$s)"
		" WITH ORDINALITY u (code, n) WHERE NOT EXISTS (SELECT FROM " CODES " o WHERE o.list = '%2$s' AND o.code = u.code)",
		field->name, field->code_list);
	if (changes(sql))
		sql_add(sql, " AND NOT EXISTS (SELECT FROM cur c WHERE u.code = ANY (c.%s))", field->name);
}

static void add_geometry_faults(struct sql *sql, const struct field *field)
{
	sql_add(sql,
		" UNION ALL SELECT '/%1$s', 'invalid_geometry', ST_IsValidReason(new.%1$s) FROM new WHERE %2$s AND new.%1$s IS NOT NULL"
		" AND NOT ST_IsValid(new.%1$s)",
		field->name, is_news(sql, field));
	sql_add(
	    sql,
	    " UNION ALL SELECT '/%1$s', 'axes_swapped', 'longitude comes first; with the axes swapped this lies where the server''s map is'"
	    " FROM new WHERE %2$s AND wardmote.axes_swapped(new.%1$s)",
	    field->name, is_news(sql, field));
}

void sql_faults(struct sql *sql)
{
	const struct shape *shape = sql->shape;
	sql_add(sql, ", faults (pointer, code, detail) AS MATERIALIZED (SELECT NULL::text, NULL::text, NULL::text WHERE false");
	for (size_t i = 0; i < shape->n_fields; i++) {
		const struct field *field = shape->fields[i];
		if (field->flags & F_READONLY)
			continue;
		if (field_reference(field) != NULL)
			add_reference_faults(sql, field);
		if (field->type == T_CODES)
			add_code_faults(sql, field);
		if (field_is_geometry(field))
			add_geometry_faults(sql, field);
		if ((field->flags & F_CREATE_ONLY) && changes(sql))
			sql_add(
			    sql,
			    " UNION ALL SELECT '/%1$s', 'create_only', 'this is set once, when the record is created' FROM new JOIN cur ON"
			    " new.%1$s IS DISTINCT FROM cur.%1$s",
			    field->name);
	}
	if (shape->resource->flags & R_SHAREABLE)
		sql_add(sql, " UNION ALL SELECT '/visibility', 'not_allowed', 'a record of the whole network is not private' FROM new"
			     " WHERE new.partner_id IS NULL AND new.visibility = 'private'");
	if (sql->call->route->operation->verb == V_PUT)
		sql_add(sql,
			" UNION ALL SELECT '/external_id', 'mismatch', 'the body and the query name different records' FROM (SELECT "
			"$%1$d::jsonb AS body) b"
			" WHERE b.body ? 'external_id' AND b.body ->> 'external_id' IS DISTINCT FROM $%2$d::text",
			sql->body, sql->key);
	if (shape->resource->check_sql != NULL) {
		sql_add(sql, " UNION ALL SELECT x.* FROM (");
		buffer_text(&sql->text, shape->resource->check_sql);
		sql_add(sql, "\n) x (pointer, code, detail)");
	}
	sql_add(sql, ")");
}

void sql_own_faults(struct sql *sql, const char *name, const char *text)
{
	sql_add(sql, ", %s (pointer, code, detail) AS MATERIALIZED (", name);
	buffer_text(&sql->text, text == NULL ? "SELECT NULL::text, NULL::text, NULL::text WHERE false" : text);
	sql_add(sql, "\n)");
}

bool sql_is_owners_alone(const struct sql *sql, const struct field *field)
{
	unsigned flags = sql->shape->resource->flags;
	return (flags & R_OWNED) && !(flags & R_ADMIN) && field->audience == A_OWNER && !(field->flags & F_READONLY);
}

/* What only the owner sees only the owner sets. That the body names it is enough: to compare with what is stored would tell what that is. */
static void add_owners_alone(struct sql *sql)
{
	for (size_t i = 0; i < sql->shape->n_fields; i++) {
		if (!sql_is_owners_alone(sql, sql->shape->fields[i]))
			continue;
		sql_add(sql,
			" UNION ALL SELECT '/%1$s', 'owner_only', 'only the owner of the record sees and sets this' FROM cur"
			" WHERE $%2$d::jsonb ? '%1$s' AND NOT wardmote.owns(cur.partner_id)",
			sql->shape->fields[i]->name, sql->body);
	}
}

/* Why the caller may not do this to a record that it sees. The policies and triggers of other tables speak for themselves. */
void sql_forbidden(struct sql *sql)
{
	unsigned flags = sql->shape->resource->flags;
	const char *administers = "wardmote.may_administer()";
	sql_add(sql, ", refused (pointer, code, detail) AS MATERIALIZED (SELECT NULL::text, NULL::text, NULL::text WHERE false");
	if (flags & R_OWNED) {
		const char *new_own = flags & R_ADMIN ? administers : "wardmote.owns(new.partner_id)";
		const char *cur_own = flags & R_ADMIN ? administers : "wardmote.owns(cur.partner_id)";
		sql_add(sql,
			" UNION ALL SELECT '/partner_id', 'not_yours', 'you may not create records of this partner' FROM new"
			" WHERE NOT EXISTS (SELECT FROM cur) AND NOT %s",
			new_own);
		sql_add(sql, " UNION ALL SELECT '', 'not_writable', 'you may see this record, but not change it' FROM cur WHERE NOT %s",
			flags & R_ADMIN ? administers : "wardmote.may_write(cur.partner_id, cur.writers)");
		sql_add(sql,
			" UNION ALL SELECT '/visibility', 'owner_only', 'only its owner sets who sees a record' FROM new JOIN cur ON"
			" new.visibility <> cur.visibility AND NOT %s",
			cur_own);
		sql_add(sql,
			" UNION ALL SELECT '/grants', 'owner_only', 'only a manager of its owner sets the grants of a record' FROM new "
			"LEFT JOIN cur ON true"
			" WHERE new.grants <> coalesce(cur.grants, '[]') AND wardmote.ctx_rank() < 3 AND (cur.id IS NULL OR %s)",
			cur_own);
		add_owners_alone(sql);
	}
	/* So an administrator never meets a hidden record under a name that it uses, and nothing is made that its maker cannot read back. */
	if (flags & R_ADMIN)
		sql_add(
		    sql,
		    " UNION ALL SELECT '/visibility', 'not_yours', 'you may not hide a record of another partner from yourself' FROM new"
		    " WHERE new.visibility = 'private' AND new.partner_id <> (SELECT wardmote.ctx_partner())"
		    " AND NOT (SELECT wardmote.ctx_partner()) = ANY (wardmote.granted(new.grants, 'read'))");
	sql_add(sql, ")");
}
