-- $4 page, $5 per_page, $6 search, $7 modified_after, $8 organization_id, $9 full
WITH asked AS (
	SELECT coalesce($4::bigint, 1) AS page, coalesce($5::bigint, CASE WHEN $9::boolean THEN 20 ELSE 50 END) AS size, coalesce($9::boolean, false) AS whole
), faults AS (
	SELECT 'per_page' AS parameter, 'range' AS code, 'With full=true a page has at most 20 services.' AS detail FROM asked a WHERE a.whole AND a.size > 20
), found AS (
	SELECT s.id, s.name
	FROM api.service_entry s
	WHERE s.audience = '00000000-0000-0000-0000-000000000001'
		AND ($6::text IS NULL OR s.search @@ websearch_to_tsquery('english', $6))
		AND ($7::text IS NULL OR s.updated_at >= $7::timestamptz)
		AND ($8::text IS NULL OR s.partner_id = $8::uuid)
), page AS (
	SELECT f.id, f.name FROM found f ORDER BY f.name, f.id
	LIMIT (SELECT a.size FROM asked a) OFFSET (SELECT (a.page - 1) * a.size FROM asked a)
), answer AS (
	SELECT CASE WHEN EXISTS (SELECT FROM faults) THEN 400 ELSE 200 END AS status, CASE WHEN EXISTS (SELECT FROM faults)
			THEN (SELECT json_agg(row_to_json(f)) FROM faults f)::text ELSE wardmote.hsds_page((SELECT count(*) FROM found), a.page, a.size,
		(SELECT coalesce(json_agg(wardmote.hsds_service(s, a.whole, false) ORDER BY p.name, p.id), '[]') FROM page p JOIN api.service_entry s ON s.id = p.id))::text END AS body,
		NULL::text AS etag, NULL::text AS link
	FROM asked a
)
