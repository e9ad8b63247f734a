-- The partners that deliver a public service. $4 page, $5 per_page, $6 search
WITH asked AS (
	SELECT coalesce($4::bigint, 1) AS page, coalesce($5::bigint, 50) AS size
), found AS (
	SELECT p.id, p.name
	FROM api.partner p
	WHERE EXISTS (SELECT FROM api.service_entry s WHERE s.partner_id = p.id AND s.visibility = 'public')
		AND ($6::text IS NULL OR p.search @@ websearch_to_tsquery('english', $6))
), page AS (
	SELECT f.id, f.name FROM found f ORDER BY f.name, f.id
	LIMIT (SELECT a.size FROM asked a) OFFSET (SELECT (a.page - 1) * a.size FROM asked a)
), answer AS (
	SELECT 200 AS status, wardmote.hsds_page((SELECT count(*) FROM found), a.page, a.size,
		(SELECT coalesce(json_agg(wardmote.hsds_organization(p.id) ORDER BY p.name, p.id), '[]') FROM page p))::text AS body,
		NULL::text AS etag, NULL::text AS link
	FROM asked a
)
