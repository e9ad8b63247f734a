-- $4 page, $5 per_page, $6 search, $7 modified_after, $8 organization_id, $9 full
WITH asked AS (
	SELECT coalesce($4::bigint, 1) AS page, coalesce($5::bigint, 50) AS size, coalesce($9::boolean, false) AS whole
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
	SELECT 200 AS status, wardmote.hsds_page((SELECT count(*) FROM found), a.page, a.size,
		(SELECT coalesce(json_agg(wardmote.hsds_service(s, a.whole) ORDER BY p.name, p.id), '[]') FROM page p JOIN api.service_entry s ON s.id = p.id))::text AS body,
		NULL::text AS etag, NULL::text AS link
	FROM asked a
)
