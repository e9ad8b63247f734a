-- Notes that a table of what became of the localities of the set $2 has arrived: its length is in $1. $4 is the set of the newer ones.
WITH asked AS (
	SELECT s.id, wardmote.may_administer() AS writable, $4::uuid AS newer, jsonb_build_object('to_boundary_set_id', $4::text,
		'accept_rest', coalesce($5::text, 'false'), 'required', 'from_code,to_code') AS settings
	FROM api.boundary_set s WHERE s.id = $2::uuid
), faults AS (
	SELECT 'to_boundary_set_id' AS parameter, 'not_found' AS code, 'this leads to no boundary set that you can see' AS detail
	FROM asked a WHERE NOT EXISTS (SELECT FROM api.boundary_set p WHERE p.id = a.newer)
), made AS (
	INSERT INTO wardmote.import (partner_id, visibility, kind, boundary_set_id, bytes, settings)
	SELECT wardmote.ctx_partner(), 'private', 'lineage', a.id, ($1::jsonb ->> 'bytes')::bigint, a.settings
	FROM asked a WHERE a.writable AND NOT EXISTS (SELECT FROM faults)
	RETURNING id
), answer AS (
	SELECT CASE WHEN m.id IS NOT NULL THEN 202 WHEN NOT a.writable THEN 403 ELSE 422 END AS status,
		CASE WHEN a.writable THEN f.errors END AS body, NULL::text AS etag, '/v1/imports/' || m.id AS link
	FROM asked a
	LEFT JOIN made m ON true
	CROSS JOIN LATERAL (SELECT json_agg(json_build_object('parameter', parameter, 'code', code, 'detail', detail))::text AS errors FROM faults) AS f
)
