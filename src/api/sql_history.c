/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The versions of a record that the caller may see, the newest first. What changed is told between two versions that the caller may both see: each is
 * rendered as the caller sees it, and the names are those of the members that differ. A tombstone has no record. */
#include "sql_internal.h"

void sql_history(struct sql *sql)
{
	const struct resource *resource = sql->shape->resource;
	int id = sql->id, limit = sql->limit, after = sql->keys[0];
	sql->versions = true;
	sql_add(sql, "WITH page AS (SELECT r.version, r.operation, r.version_from, r.version_to, row_number() OVER (ORDER BY r.version "
		     "DESC) AS row_n, ");
	sql_add(sql, "CASE WHEN r.operation <> 'delete' THEN ");
	sql_render_object(sql, sql_shown(sql));
	sql_add(sql,
		" END AS record FROM api.%s_version r WHERE r.id = $%d::uuid AND ($%d::integer IS NULL OR r.version < $%d::integer)"
		" ORDER BY r.version DESC LIMIT $%d::integer + 1), ",
		resource->thing, id, after, after, limit);
	/* The one row more than the page has is also what its last version is compared with. */
	sql_add(
	    sql,
	    "item AS (SELECT p.row_n, json_build_object('version', p.version, 'operation', p.operation,"
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
		"answer AS (SELECT 200 AS status, '{\"items\":[' || coalesce(string_agg(i.item::text, ',' ORDER BY i.row_n), '') || ']' AS "
		"body,"
		" NULL::text AS etag, (SELECT p.version::text || chr(31) || $%d::text FROM page p WHERE p.row_n = $%d::integer"
		" AND EXISTS (SELECT FROM page n WHERE n.row_n > $%d::integer)) AS link FROM item i"
		" HAVING count(*) > 0 OR EXISTS (SELECT FROM api.%s WHERE id = $%d::uuid))",
		id, limit, limit, resource->thing, id);
	sql_tail(sql);
}
