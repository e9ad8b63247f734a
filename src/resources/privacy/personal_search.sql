-- $1 body. The function reads the views, for managers, and only records of their partner.
WITH asked AS (
	SELECT $1::jsonb ->> 'text' AS words, $1::jsonb ->> 'resource' AS resource, $1::jsonb ->> 'after' AS after, coalesce(($1::jsonb ->> 'limit')::integer, 100) AS most
), faults AS (
	SELECT '/text' AS pointer, 'length' AS code, 'this must have at least 3 letters or digits' AS detail FROM asked a WHERE length(wardmote.bare(a.words)) < 3
	UNION ALL
	SELECT '/resource' AS pointer, 'not_found' AS code, 'there is no such resource, or the token may not read it' AS detail
	FROM asked a WHERE a.resource IS NOT NULL AND a.resource NOT IN (SELECT s.resource FROM wardmote.searched() s)
	UNION ALL
	SELECT '/after' AS pointer, 'format' AS code, 'this must be the next of an answer' AS detail
	FROM asked a WHERE a.after !~ '^[a-z-]+/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
), found AS (
	SELECT f.*, row_number() OVER () AS row_n, a.most
	FROM asked a CROSS JOIN LATERAL wardmote.find_words(a.words, a.resource, a.after, a.most + 1) f WHERE NOT EXISTS (SELECT FROM faults)
), answer AS (
	SELECT 422 AS status, json_agg(json_build_object('pointer', f.pointer, 'code', f.code, 'detail', f.detail))::text AS body, NULL::text AS etag, NULL::text AS link
	FROM faults f HAVING count(*) > 0
	UNION ALL
	SELECT 200, json_build_object(
		'searched', (SELECT json_agg(s.resource ORDER BY s.resource COLLATE "C") FROM wardmote.searched() s
			WHERE (SELECT a.resource FROM asked a) IS NULL OR s.resource = (SELECT a.resource FROM asked a)),
		'items', coalesce((SELECT json_agg(json_build_object('resource', f.resource, 'record_id', f.record_id, 'deleted', f.deleted, 'current_fields', f.current_fields,
			'earlier_fields', f.earlier_fields, 'earlier_versions', f.versions, 'stored_answers', f.stored_answers) ORDER BY f.row_n)
			FROM found f WHERE f.row_n <= f.most), '[]'),
		'next', (SELECT f.resource || '/' || f.record_id FROM found f WHERE f.row_n = f.most AND EXISTS (SELECT FROM found n WHERE n.row_n > n.most)))::text,
		NULL, NULL
	WHERE NOT EXISTS (SELECT FROM faults)
)
