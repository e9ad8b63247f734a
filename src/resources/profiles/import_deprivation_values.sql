-- Notes that a table of an index of deprivation has arrived: its length is in $1. $4 the boundary set, $5 the index and $6 its year, $7 how many areas it ranks,
-- $8 who sees the values, $9 their source, $10 whether some may be rejected.
WITH asked AS (
	SELECT jsonb_strip_nulls(jsonb_build_object('index_name', $5::text, 'year', $6::text, 'areas', $7::text, 'visibility', coalesce($8::text, 'public'),
		'source', $9::text, 'accept_rest', coalesce($10::text, 'false'), 'required', 'locality_code')) AS settings,
		EXISTS (SELECT FROM api.boundary_set s WHERE s.id = $4::uuid) AS is_found
), made AS (
	INSERT INTO wardmote.import (partner_id, visibility, kind, boundary_set_id, bytes, settings)
	SELECT wardmote.ctx_partner(), 'private', 'deprivation_values', $4::uuid, ($1::jsonb ->> 'bytes')::bigint, a.settings FROM asked a WHERE a.is_found
	RETURNING id
), answer AS (
	SELECT CASE WHEN a.is_found THEN 202 ELSE 422 END AS status, CASE WHEN NOT a.is_found THEN json_build_array(json_build_object(
		'parameter', 'boundary_set_id', 'code', 'not_found', 'detail', 'this leads to no boundary set that you can see'))::text END AS body,
		NULL::text AS etag, '/v1/imports/' || m.id AS link
	FROM asked a LEFT JOIN made m ON true
)
