-- Everything that the localities of one boundary set share with those of another. $4 the first set, $5 the second; $6 the limit, $7 and $8 the pair that the page
-- before ended with.
WITH counted AS (
	SELECT s.state, s.computed_at FROM api.overlap_state s WHERE s.from_set_id = $4::uuid AND s.to_set_id = $5::uuid
), found AS (
	SELECT o.*, row_number() OVER (ORDER BY o.from_id, o.to_id) AS n FROM api.locality_overlap o
	WHERE o.from_set_id = $4::uuid AND o.to_set_id = $5::uuid AND ($7 IS NULL OR (o.from_id, o.to_id) > ($7::uuid, $8::uuid))
	ORDER BY o.from_id, o.to_id LIMIT $6::integer + 1
), item AS (
	SELECT f.n, f.from_id, f.to_id, json_build_object('from_id', f.from_id, 'from_code', (SELECT l.code FROM api.locality l WHERE l.id = f.from_id),
		'to_id', f.to_id, 'to_code', (SELECT l.code FROM api.locality l WHERE l.id = f.to_id),
		'area_share', trim_scale(f.area_share), 'population_share', trim_scale(f.population_share), 'population_error', trim_scale(f.population_error),
		'method', f.method, 'weights_boundary_set_id', f.weights_set_id, 'as_at', f.as_at) AS item
	FROM found f WHERE f.n <= $6::integer
), answer AS (
	SELECT 200 AS status, '{"state":' || to_json(coalesce((SELECT c.state FROM counted c), 'done')) || ',"computed_at":'
			|| coalesce((SELECT to_json(to_char(c.computed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text FROM counted c), 'null')
			|| ',"items":[' || coalesce((SELECT string_agg(i.item::text, ',' ORDER BY i.n) FROM item i), '') || ']' AS body,
		NULL::text AS etag,
		CASE WHEN (SELECT count(*) FROM found) > $6::integer THEN (SELECT i.from_id || chr(31) || i.to_id FROM item i ORDER BY i.n DESC LIMIT 1) END AS link
)
