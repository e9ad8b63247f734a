-- What a locality shares with those of other boundary sets, the largest share first. $2 the locality, $4 one boundary set, $5 the least share; $6 the limit,
-- $7 share and id of the last one of the page before.
WITH asked AS (
	SELECT l.id, l.boundary_set_id FROM api.locality l WHERE l.id = $2
), counted AS (
	SELECT coalesce((array_agg(s.state ORDER BY array_position('{pending,failed,stale,done}', s.state)))[1], 'done') AS state, min(s.computed_at) AS computed_at
	FROM asked a JOIN api.overlap_state s ON s.from_set_id = a.boundary_set_id WHERE $4 IS NULL OR s.to_set_id = $4::uuid
), found AS (
	SELECT o.*, row_number() OVER (ORDER BY o.area_share DESC, o.to_id) AS n
	FROM asked a JOIN api.locality_overlap o ON o.from_id = a.id
	WHERE ($4 IS NULL OR o.to_set_id = $4::uuid) AND ($5 IS NULL OR o.area_share >= $5::numeric)
		AND ($7 IS NULL OR (-o.area_share, o.to_id) > (-split_part($7, ' ', 1)::numeric, nullif(split_part($7, ' ', 2), '')::uuid))
	ORDER BY o.area_share DESC, o.to_id LIMIT $6::integer + 1
), item AS (
	SELECT f.n, f.area_share, f.to_id, json_build_object(
		'locality', (SELECT row_to_json(shown) FROM (SELECT l.id, l.code, l.name, l.boundary_set_id FROM api.locality l WHERE l.id = f.to_id) shown),
		'area_share', trim_scale(f.area_share), 'population_share', trim_scale(f.population_share), 'population_error', trim_scale(f.population_error),
		'method', f.method, 'weights_boundary_set_id', f.weights_set_id, 'as_at', f.as_at) AS item
	FROM found f WHERE f.n <= $6::integer
), answer AS (
	SELECT 200 AS status, '{"state":' || to_json(c.state) || ',"computed_at":'
			|| coalesce(to_json(to_char(c.computed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text, 'null') || ',"items":['
			|| coalesce((SELECT string_agg(i.item::text, ',' ORDER BY i.n) FROM item i), '') || ']' AS body,
		NULL::text AS etag,
		CASE WHEN (SELECT count(*) FROM found) > $6::integer THEN
			(SELECT i.area_share || ' ' || i.to_id || chr(31) || a.id FROM item i ORDER BY i.n DESC LIMIT 1) END AS link
	FROM asked a CROSS JOIN counted c
)
