-- Notes that a file of boundaries for the set $2 has arrived: its length is in $1, the parameters of the request follow. What becomes of it is done afterwards.
WITH asked AS (
	SELECT s.id, s.partner_id, wardmote.may_administer() AND wardmote.may_fill(s.partner_id, s.visibility) AS writable, $7::uuid AS parents, jsonb_strip_nulls(jsonb_build_object(
		'code_property', $4::text, 'name_property', $5::text, 'parent_property', $6::text, 'parent_boundary_set_id', $7::text,
		'population_property', $8::text, 'population_as_at', $9::text, 'srid', CASE $10::text WHEN 'EPSG:27700' THEN 27700 ELSE 4326 END,
		'invalid', coalesce($11::text, 'repair'), 'existing', coalesce($12::text, 'reject'), 'accept_rest', coalesce($13::text, 'false'),
		'valid_from', $14::text, 'source', $15::text)) AS settings
	FROM api.boundary_set s WHERE s.id = $2::uuid
), faults AS (
	SELECT 'parent_boundary_set_id' AS parameter, 'not_found' AS code, 'this leads to no boundary set that you can see' AS detail
	FROM asked a WHERE a.parents IS NOT NULL AND NOT EXISTS (SELECT FROM api.boundary_set p WHERE p.id = a.parents)
	UNION ALL
	SELECT 'parent_boundary_set_id', 'self', 'parents are members of another boundary set' FROM asked a WHERE a.parents = a.id
	UNION ALL
	SELECT 'parent_boundary_set_id', 'required', 'parent_property names members of this boundary set'
	FROM asked a WHERE a.parents IS NULL AND a.settings ? 'parent_property'
), made AS (
	INSERT INTO wardmote.import (partner_id, visibility, kind, boundary_set_id, bytes, settings)
	SELECT wardmote.ctx_partner(), 'private', 'boundaries', a.id, ($1::jsonb ->> 'bytes')::bigint, a.settings
	FROM asked a WHERE a.writable AND NOT EXISTS (SELECT FROM faults)
	RETURNING id
), answer AS (
	SELECT CASE WHEN m.id IS NOT NULL THEN 202 WHEN NOT a.writable THEN 403 ELSE 422 END AS status,
		CASE WHEN a.writable THEN f.errors END AS body, NULL::text AS etag, '/v1/imports/' || m.id AS link
	FROM asked a
	LEFT JOIN made m ON true
	CROSS JOIN LATERAL (SELECT json_agg(json_build_object('parameter', parameter, 'code', code, 'detail', detail))::text AS errors FROM faults) AS f
)
