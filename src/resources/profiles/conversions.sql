-- Counts of one dimension for the localities of the set $4: as they are stored, and calculated from those of other sets by what these share with them. $5 the
-- dimension; one source set ($6), source_kind ($7), day ($8) or category ($9); $10 the limit, $11 and $12 locality and group that the page before ended with.
-- Counts of different partners, sets, sources or days are never added up. Locality by locality, so that the limit ends the work.
WITH value AS NOT MATERIALIZED (
	SELECT v.id, v.partner_id, v.locality_id, v.category, v.count, v.base, v.source_kind, v.as_at, v.estimated FROM api.profile_value v
	WHERE v.dimension = $5 AND ($7 IS NULL OR v.source_kind = $7) AND ($8 IS NULL OR v.as_at = $8::date) AND ($9 IS NULL OR v.category = $9)
), page AS MATERIALIZED (
	SELECT t.id AS target_id, t.code, t.name, k.*
	FROM (
		SELECT m.id, m.code, m.name, m.population FROM api.locality m WHERE m.boundary_set_id = $4::uuid AND ($11 IS NULL OR m.id >= $11::uuid) ORDER BY m.id
	) AS t
	CROSS JOIN LATERAL (
		SELECT f.*, left(f.category, 40) || ' ' || md5(concat_ws(' ', f.category, f.source_kind, f.as_at, f.boundary_set_id, f.partner_id)) AS key
		FROM (
			SELECT s.boundary_set_id, s.partner_id, s.category, s.source_kind, s.as_at, s.count, s.base, true AS estimated, c.covered, c.basis, s.method,
				s.n_inputs, s.inputs, CASE WHEN c.covered < 0.9 THEN 'cover' WHEN s.area_cover > 1.02 THEN 'overlap' END AS refused
			FROM (
				-- area_cover: what part of the locality's own area lies in the inputs
				SELECT l.boundary_set_id, v.partner_id, v.category, v.source_kind, v.as_at, sum(v.count * h.share) AS count,
					CASE WHEN count(v.base) = count(*) THEN sum(v.base * h.share) END AS base, sum(coalesce(r.area_share, 0)) AS area_cover,
					-- a sliver of which nobody counted the people does not hide those of the rest
					CASE WHEN count(l.population) FILTER (WHERE o.area_share >= 0.01 OR r.area_share >= 0.01)
						= count(*) FILTER (WHERE o.area_share >= 0.01 OR r.area_share >= 0.01) THEN sum(l.population * h.share) END AS people,
					CASE WHEN bool_and(h.is_people) THEN 'population' WHEN bool_or(h.is_people) THEN 'mixed' ELSE 'area' END AS method,
					count(*) AS n_inputs, (array_agg(v.id ORDER BY h.share DESC, v.id))[1:100] AS inputs
				FROM api.locality_overlap o
				CROSS JOIN LATERAL (SELECT coalesce(o.population_share, o.area_share) AS share, o.population_share IS NOT NULL AS is_people) AS h
				JOIN api.locality l ON l.id = o.from_id
				JOIN value v ON v.locality_id = o.from_id
				LEFT JOIN api.locality_overlap r ON r.from_id = o.to_id AND r.to_id = o.from_id
				WHERE o.to_id = t.id AND ($6 IS NULL OR o.from_set_id = $6::uuid)
				GROUP BY l.boundary_set_id, v.partner_id, v.category, v.source_kind, v.as_at
			) AS s
			CROSS JOIN LATERAL (SELECT CASE WHEN t.population > 0 AND s.people IS NOT NULL THEN 'population' ELSE 'area' END AS basis,
				least(1, round(CASE WHEN t.population > 0 AND s.people IS NOT NULL THEN s.people / t.population ELSE s.area_cover END, 4)) AS covered) AS c
			UNION ALL
			SELECT $4::uuid, v.partner_id, v.category, v.source_kind, v.as_at, v.count, v.base, v.estimated, 1, NULL, 'stored', 1, ARRAY[v.id], NULL
			FROM value v WHERE v.locality_id = t.id AND ($6 IS NULL OR $6::uuid = $4::uuid)
		) AS f
	) AS k
	WHERE $11 IS NULL OR (t.id, k.key COLLATE "C") > ($11::uuid, $12 COLLATE "C")
	ORDER BY t.id, k.key COLLATE "C" LIMIT $10::integer + 1
), item AS (
	SELECT row_number() OVER (ORDER BY p.target_id, p.key COLLATE "C") AS n, p.target_id, p.key, json_build_object('locality_id', p.target_id,
		'locality', CASE WHEN wardmote.may_read('localities') THEN json_build_object('id', p.target_id, 'code', p.code, 'name', p.name) END,
		'category', p.category, 'count', CASE WHEN p.refused IS NULL THEN round(p.count) END, 'base', CASE WHEN p.refused IS NULL THEN round(p.base) END,
		'value', CASE WHEN p.refused IS NULL THEN round(100 * p.count / nullif(p.base, 0), 1) END,
		'no_value_because', CASE WHEN p.refused IS NOT NULL THEN 'refused' WHEN p.base IS NULL THEN 'no_base' WHEN p.base = 0 THEN 'zero_base' END,
		'refused', p.refused, 'estimated', p.estimated, 'covered', trim_scale(p.covered), 'basis', p.basis, 'method', p.method, 'source_kind', p.source_kind,
		'as_at', p.as_at, 'partner_id', p.partner_id, 'from_boundary_set_id', p.boundary_set_id, 'inputs_count', p.n_inputs, 'inputs', p.inputs) AS item
	FROM page p ORDER BY 1 LIMIT $10::integer
), source AS (
	SELECT o.state FROM api.overlap_state o WHERE o.to_set_id = $4::uuid AND ($6 IS NULL OR o.from_set_id = $6::uuid)
		AND EXISTS (SELECT FROM api.locality l JOIN value v ON v.locality_id = l.id WHERE l.boundary_set_id = o.from_set_id)
), answer AS (
	SELECT 200 AS status, '{"state":' || to_json(coalesce((SELECT (array_agg(s.state ORDER BY array_position('{pending,failed,stale,done}', s.state)))[1] FROM source s), 'done'))
			|| ',"items":[' || coalesce((SELECT string_agg(i.item::text, ',' ORDER BY i.n) FROM item i), '') || ']' AS body, NULL::text AS etag,
		CASE WHEN (SELECT count(*) FROM page) > $10::integer THEN (SELECT i.target_id || chr(31) || i.key FROM item i ORDER BY i.n DESC LIMIT 1) END AS link
)
