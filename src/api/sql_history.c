/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The versions of a record that the caller may see, the newest first. What changed is told between two versions that the caller may both see: each is
 * rendered as the caller sees it, and the names are those of the members that differ. A tombstone has no record. */
#include "sql_internal.h"

/* The versions of the page and one more, as many as their boundaries let have a place in it. */
static void add_versions(struct sql *sql)
{
	int most = sql_positions_most(sql, sql_shown(sql)), after = sql->keys[0];
	if (most > 0)
		sql_weigh_begin(sql, most);
	sql_add(
	    sql,
	    "(SELECT b.*, row_number() OVER (ORDER BY b.version DESC) AS %s FROM (SELECT r.* FROM api.%s_version r WHERE r.id = $%d::uuid"
	    " AND ($%d::integer IS NULL OR r.version < $%d::integer) ORDER BY r.version DESC LIMIT $%d::integer + 1) b)",
	    most > 0 ? "at" : "at, row_number() OVER (ORDER BY b.version DESC) AS row_n", sql->shape->resource->thing, sql->id, after,
	    after, sql->limit);
	if (most > 0)
		sql_weigh_end(sql, most);
}

void sql_history(struct sql *sql)
{
	const struct resource *resource = sql->shape->resource;
	int id = sql->id, limit = sql->limit;
	sql->versions = true;
	sql_add(sql, "WITH page AS (SELECT r.version, r.operation, r.version_from, r.version_to, r.at, r.row_n, ");
	sql_add(sql, "CASE WHEN r.operation <> 'delete' THEN ");
	sql_render_object(sql, sql_shown(sql));
	sql_add(sql, " END AS record FROM ");
	add_versions(sql);
	sql_add(sql, " r), ");
	/* The one row more than the page has is also what its last version is compared with. */
	sql_add(
	    sql,
	    "item AS (SELECT p.at, json_build_object('version', p.version, 'operation', p.operation,"
	    " 'valid_from', to_char(p.version_from AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
	    " 'valid_to', CASE WHEN isfinite(p.version_to) THEN to_char(p.version_to AT TIME ZONE 'UTC', "
	    "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') END,"
	    " 'changed', CASE WHEN p.record IS NOT NULL AND b.record IS NOT NULL THEN"
	    " (SELECT coalesce(json_agg(n.key), '[]') FROM json_each(p.record) WITH ORDINALITY n (key, value, at)"
	    " WHERE n.key NOT IN ('version', 'updated_at', 'updated_by') AND n.value::text IS DISTINCT FROM (b.record -> n.key)::text) END,"
	    " 'record', p.record) AS item"
	    " FROM page p LEFT JOIN page b ON b.version = p.version - 1 WHERE p.row_n <= $%d::integer), ",
	    limit);
	sql_add(sql,
		"answer AS (SELECT 200 AS status, '{\"items\":[' || coalesce(string_agg(i.item::text, ',' ORDER BY i.at), '') || ']' AS "
		"body,"
		" NULL::text AS etag, (SELECT p.version::text || chr(31) || $%d::text FROM page p WHERE p.at = max(i.at)"
		" AND EXISTS (SELECT FROM page n WHERE n.at > p.at)) AS link FROM item i"
		" HAVING count(*) > 0 OR EXISTS (SELECT FROM api.%s WHERE id = $%d::uuid))",
		id, resource->thing, id);
	sql_tail(sql);
}
