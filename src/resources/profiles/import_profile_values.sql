-- Notes that a table of counts has arrived: its length is in $1. $4 the boundary set, $5 where they come from, $6 their day, $7 their purpose and $8 their end,
-- $9 who sees them, $10 their source, $11 whether some may be rejected.
WITH asked AS (
	SELECT $5::text IN ('census', 'population_estimate', 'published_statistics') AS is_published, jsonb_strip_nulls(jsonb_build_object(
		'source_kind', $5::text, 'as_at', $6::text, 'purpose', $7::text, 'retain_until', $8::text, 'visibility', coalesce($9::text, 'private'),
		'source', $10::text, 'accept_rest', coalesce($11::text, 'false'), 'required', 'locality_code,dimension,category,count')) AS settings
), faults AS (
	SELECT 'boundary_set_id' AS parameter, 'not_found' AS code, 'this leads to no boundary set that you can see' AS detail
	WHERE NOT EXISTS (SELECT FROM api.boundary_set s WHERE s.id = $4::uuid)
	UNION ALL
	SELECT f.parameter, 'required', 'what a partner collected itself has a purpose and a day until which it is kept'
	FROM asked a CROSS JOIN (VALUES ('purpose', $7::text IS NULL), ('retain_until', $8::text IS NULL)) AS f (parameter, lacks) WHERE f.lacks AND NOT a.is_published
	UNION ALL
	SELECT 'visibility', 'not_published', 'what a partner collected itself is seen by that partner alone'
	FROM asked a WHERE NOT a.is_published AND a.settings ->> 'visibility' <> 'private'
	UNION ALL
	SELECT 'retain_until', 'order', 'retain_until may not be before as_at' WHERE $8::date < $6::date
), made AS (
	INSERT INTO wardmote.import (partner_id, visibility, kind, boundary_set_id, bytes, settings)
	SELECT wardmote.ctx_partner(), 'private', 'profile_values', $4::uuid, ($1::jsonb ->> 'bytes')::bigint, a.settings
	FROM asked a WHERE NOT EXISTS (SELECT FROM faults)
	RETURNING id
), answer AS (
	SELECT CASE WHEN m.id IS NOT NULL THEN 202 ELSE 422 END AS status, f.errors AS body, NULL::text AS etag, '/v1/imports/' || m.id AS link
	FROM asked a
	LEFT JOIN made m ON true
	CROSS JOIN LATERAL (SELECT json_agg(json_build_object('parameter', parameter, 'code', code, 'detail', detail))::text AS errors FROM faults) AS f
)
