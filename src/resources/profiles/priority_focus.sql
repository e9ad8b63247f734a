-- How much of the work of a period went to priority neighbourhoods. $4 the first day, $5 the last; $6 kinds, $7 status, $8 whose activities, $9 whose designations,
-- $10 the measure (null: all), $11 the target; $12 index and $13 edition of deprivation.
WITH RECURSIVE asked AS MATERIALIZED (
	SELECT $4::date AS first_day, $5::date AS last_day, string_to_array(coalesce($6, 'community_development,capacity_building'), ',') AS kinds,
		coalesce($11::numeric, 0.5) AS target, coalesce($12, 'imd') AS index_name,
		wardmote.may_read('priority-designations') AND wardmote.may_read('localities') AS shows_priority,
		wardmote.may_read('deprivation-values') AND wardmote.may_read('localities') AS shows_deciles
), faults AS (
	SELECT 'to' AS parameter, 'order' AS code, 'to may not be before from' AS detail FROM asked k WHERE k.last_day < k.first_day
	UNION ALL
	SELECT 'kind', 'enum', 'kinds of activities, with commas between them'
	FROM asked k WHERE NOT k.kinds <@ '{event,meeting,workshop,visit,survey,submission,panel,grant,publication,community_development,capacity_building,
		co_production,facility_access,training,outreach,brokering,democracy,other}'
), counted AS MATERIALIZED (
	SELECT a.id, a.starts_on AS day, a.hours, a.cost_pence, a.attended, a.locality_ids, a.locality_shares
	FROM asked k JOIN api.activity a ON a.starts_on BETWEEN k.first_day AND k.last_day
	WHERE a.kind = ANY (k.kinds) AND a.status <> 'cancelled' AND ($7 IS NULL OR a.status = $7) AND ($8 IS NULL OR a.partner_id = $8::uuid)

-- Which part of an activity is for which locality.
), part AS MATERIALIZED (
	SELECT c.id, c.day, s.locality_id, s.share / sum(s.share) OVER (PARTITION BY c.id) AS weight, 'shares' AS basis
	FROM counted c CROSS JOIN LATERAL jsonb_to_recordset(c.locality_shares) AS s (locality_id uuid, share numeric)
	UNION ALL
	SELECT c.id, c.day, l.locality_id, CASE WHEN l.n > 1 AND l.is_known THEN l.population / l.people ELSE 1 / l.n END,
		CASE WHEN l.n = 1 THEN 'single' WHEN l.is_known THEN 'population' ELSE 'equal_parts' END
	FROM counted c CROSS JOIN LATERAL (
		SELECT u.id AS locality_id, p.population::numeric, sum(p.population) OVER () AS people, count(*) OVER ()::numeric AS n,
			coalesce(bool_and(p.population IS NOT NULL) OVER () AND sum(p.population) OVER () > 0, false) AS is_known
		FROM unnest(c.locality_ids) AS u (id) LEFT JOIN api.locality p ON p.id = u.id
	) AS l
	WHERE c.locality_shares = '[]'

-- What is designated in these days. A neighbourhood is new that was no priority before them.
), designated AS MATERIALIZED (
	SELECT d.id, d.locality_id, d.status, d.valid_from, coalesce(d.valid_to, 'infinity') AS valid_to, l.boundary_set_id, l.population,
		NOT EXISTS (SELECT FROM api.priority_designation e WHERE e.locality_id = d.locality_id AND e.status = 'priority' AND e.valid_from < k.first_day
			AND ($9 IS NULL OR e.partner_id = $9::uuid)) AS is_new
	FROM asked k JOIN api.priority_designation d ON k.shows_priority AND d.valid_from <= k.last_day AND coalesce(d.valid_to, 'infinity') >= k.first_day
	LEFT JOIN api.locality l ON l.id = d.locality_id
	WHERE d.locality_id IS NOT NULL AND ($9 IS NULL OR d.partner_id = $9::uuid)
), place AS (
	SELECT DISTINCT p.locality_id AS id FROM part p
), target AS (
	SELECT DISTINCT d.locality_id AS id FROM designated d
), chain AS (
	SELECT b.id, b.id AS above, 0 AS steps FROM (SELECT p.id FROM place p UNION SELECT t.id FROM target t) AS b
	UNION ALL
	SELECT c.id, l.parent_id, c.steps + 1 FROM chain c JOIN api.locality l ON l.id = c.above WHERE l.parent_id IS NOT NULL AND c.steps < 20

-- Which part of a locality is a designated one: all of it where it lies in that by parent_id; by their overlap; or as a part by parent_id, by population.
), reach AS MATERIALIZED (
	SELECT c.id, c.above AS target_id, 1::numeric AS share, false AS is_estimated FROM chain c
	WHERE c.id IN (SELECT p.id FROM place p) AND c.above IN (SELECT t.id FROM target t)
	UNION ALL
	SELECT o.from_id, o.to_id, coalesce(o.population_share, o.area_share), o.population_share IS NULL
	FROM place p JOIN api.locality_overlap o ON o.from_id = p.id JOIN target t ON t.id = o.to_id
	WHERE NOT EXISTS (SELECT FROM chain c WHERE c.id = p.id AND c.above = t.id)
	UNION ALL
	SELECT c.above, c.id, least(1, coalesce(l.population / nullif(w.population, 0)::numeric, 0.5)), l.population IS NULL OR coalesce(w.population, 0) = 0
	FROM chain c LEFT JOIN api.locality l ON l.id = c.id LEFT JOIN api.locality w ON w.id = c.above
	WHERE c.steps > 0 AND c.above IN (SELECT p.id FROM place p) AND c.id IN (SELECT t.id FROM target t)
		AND NOT EXISTS (SELECT FROM api.locality_overlap o WHERE o.from_id = c.above AND o.to_id = c.id)
), hit AS MATERIALIZED (
	SELECT m.locality_id, m.day, v.class, r.target_id, d.boundary_set_id, r.share, r.is_estimated
	FROM (SELECT DISTINCT p.locality_id, p.day FROM part p) AS m
	JOIN reach r ON r.id = m.locality_id JOIN designated d ON d.locality_id = r.target_id AND m.day BETWEEN d.valid_from AND d.valid_to
	CROSS JOIN (VALUES ('priority'), ('designated'), ('existing')) AS v (class)
	WHERE v.class = 'designated' OR (d.status = 'priority' AND (v.class = 'priority' OR NOT d.is_new))
	GROUP BY m.locality_id, m.day, v.class, r.target_id, d.boundary_set_id, r.share, r.is_estimated

-- Nobody is counted twice: what lies in a designated locality is not designated once more, members of one set add up, and of several sets the one that says most counts.
), inner_target AS MATERIALIZED (
	SELECT c.id, array_agg(c.above) AS above FROM chain c
	WHERE c.steps > 0 AND c.id IN (SELECT t.id FROM target t) AND c.above IN (SELECT t.id FROM target t) GROUP BY c.id
), by_set AS (
	SELECT h.locality_id, h.day, h.class, least(1, sum(h.share)) AS share, bool_or(h.is_estimated) AS is_estimated
	FROM (
		SELECT h.*, i.above, CASE WHEN EXISTS (SELECT FROM inner_target) THEN array_agg(h.target_id) OVER (PARTITION BY h.locality_id, h.day, h.class) END AS all_targets
		FROM hit h LEFT JOIN inner_target i ON i.id = h.target_id
	) AS h
	WHERE h.above IS NULL OR NOT h.above && h.all_targets
	GROUP BY h.locality_id, h.day, h.class, h.boundary_set_id
), best AS MATERIALIZED (
	SELECT s.locality_id, s.day, max(s.share) FILTER (WHERE s.class = 'priority') AS priority, max(s.share) FILTER (WHERE s.class = 'designated') AS designated,
		max(s.share) FILTER (WHERE s.class = 'existing') AS existing, bool_or(s.is_estimated) AS is_estimated
	FROM by_set s GROUP BY s.locality_id, s.day
), focus AS MATERIALIZED (
	SELECT c.id, c.day, c.hours, c.cost_pence, c.attended, coalesce(min(p.basis), 'none') AS basis,
		least(1, coalesce(sum(p.weight * b.priority), 0)) AS priority, least(1, coalesce(sum(p.weight * b.designated), 0)) AS designated,
		least(1, coalesce(sum(p.weight * b.existing), 0)) AS existing,
		coalesce(bool_or(p.basis IN ('population', 'equal_parts') OR b.is_estimated), false) AS is_estimated
	FROM counted c LEFT JOIN part p ON p.id = c.id LEFT JOIN best b ON b.locality_id = p.locality_id AND b.day = p.day
	GROUP BY c.id, c.day, c.hours, c.cost_pence, c.attended

-- Deprivation. Which edition: the newest up to the period that knows as much of the places as any does, give or take a tenth.
), related AS MATERIALIZED (
	SELECT c.id, c.above AS locality_id, NULL::uuid AS boundary_set_id, c.steps, 1::numeric AS share
	FROM asked k JOIN chain c ON k.shows_deciles WHERE c.id IN (SELECT p.id FROM place p)
	UNION ALL
	SELECT o.from_id, o.to_id, o.to_set_id, NULL, coalesce(o.population_share, o.area_share)
	FROM asked k JOIN place p ON k.shows_deciles JOIN api.locality_overlap o ON o.from_id = p.id
), edition_of_set AS (
	SELECT r.id, r.year, least(1, sum(r.share)) AS share
	FROM (
		SELECT t.id, t.boundary_set_id, t.share, y.year
		FROM asked k CROSS JOIN related t CROSS JOIN LATERAL (SELECT DISTINCT v.year FROM api.deprivation_value v WHERE v.locality_id = t.locality_id
			AND v.index_name = k.index_name AND v.domain = 'overall' AND v.decile IS NOT NULL AND v.year <= extract(year FROM k.last_day)) AS y
		WHERE $13::integer IS NULL
	) AS r GROUP BY r.id, r.year, r.boundary_set_id
), edition_known AS (
	SELECT s.year, sum(s.share) >= 0.9 * max(sum(s.share)) OVER () AS is_known
	FROM (SELECT e.id, e.year, max(e.share) AS share FROM edition_of_set e GROUP BY e.id, e.year) AS s GROUP BY s.year
), edition AS (
	SELECT coalesce((SELECT max(n.year) FROM edition_known n WHERE n.is_known), (
		SELECT max(v.year) FROM asked k JOIN api.deprivation_value v ON k.shows_deciles AND v.index_name = k.index_name AND v.domain = 'overall'
		WHERE v.decile IS NOT NULL AND CASE WHEN $13::integer IS NULL THEN v.year <= extract(year FROM k.last_day) ELSE v.year = $13::integer END)) AS year

-- Of one edition the caller's own values come first, then those of the partner that has most; and of several sets the one with most areas in these places.
), indexed AS MATERIALIZED (
	SELECT DISTINCT ON (v.locality_id) v.locality_id, v.decile, v.boundary_set_id, v.population
	FROM (
		SELECT d.locality_id, d.decile, d.partner_id, l.boundary_set_id, l.population, count(*) OVER (PARTITION BY d.partner_id) AS places
		FROM asked k JOIN api.deprivation_value d ON d.index_name = k.index_name AND d.domain = 'overall' AND d.decile IS NOT NULL
		JOIN api.locality l ON l.id = d.locality_id
		WHERE d.year = (SELECT e.year FROM edition e)
	) AS v
	ORDER BY v.locality_id, v.partner_id = (SELECT wardmote.ctx_partner()) DESC NULLS LAST, v.places DESC, v.partner_id
), ranked AS MATERIALIZED (
	SELECT r.id, r.locality_id, r.steps, r.share, i.decile, i.boundary_set_id, coalesce(bool_or(r.steps = 0) OVER (PARTITION BY r.id), false) AS has_own
	FROM related r JOIN indexed i ON i.locality_id = r.locality_id
), index_set AS MATERIALIZED (
	SELECT i.boundary_set_id, row_number() OVER (ORDER BY max(h.areas) DESC NULLS LAST, count(*) DESC, i.boundary_set_id) AS n
	FROM indexed i LEFT JOIN (SELECT r.boundary_set_id, count(DISTINCT r.locality_id) AS areas FROM ranked r GROUP BY r.boundary_set_id) AS h
		ON h.boundary_set_id = i.boundary_set_id
	GROUP BY i.boundary_set_id

-- The decile of a locality: its own; of the areas that it shares people with, where they cover nine tenths; of the nearest that it is a part of; of what areas there are.
), shared_decile AS (
	SELECT r.id, r.boundary_set_id, r.decile, sum(r.share) AS share, sum(sum(r.share)) OVER (PARTITION BY r.id, r.boundary_set_id) AS covered
	FROM ranked r WHERE r.steps IS NULL AND NOT r.has_own GROUP BY r.id, r.boundary_set_id, r.decile
), most_decile AS MATERIALIZED (
	SELECT s.*, first_value(s.boundary_set_id) OVER (PARTITION BY s.id ORDER BY least(s.covered, 0.9) DESC, f.n) AS set_of_most
	FROM shared_decile s JOIN index_set f ON f.boundary_set_id = s.boundary_set_id
), whole_decile AS MATERIALIZED (
	SELECT DISTINCT ON (r.id) r.id, r.decile FROM ranked r
	WHERE r.steps = 0 OR (r.steps > 0 AND r.id NOT IN (SELECT s.id FROM most_decile s WHERE s.covered >= 0.9))
	ORDER BY r.id, r.steps
), decile AS MATERIALIZED (
	SELECT w.id, w.decile, 1::numeric AS share FROM whole_decile w
	UNION ALL
	SELECT s.id, s.decile, s.share / greatest(1, s.covered) FROM most_decile s
	WHERE s.boundary_set_id = s.set_of_most AND s.id NOT IN (SELECT w.id FROM whole_decile w)
), known_decile AS MATERIALIZED (
	SELECT p.id, d.decile, sum(p.weight * d.share) AS share FROM part p JOIN decile d ON d.id = p.locality_id GROUP BY p.id, d.decile
), decile_focus AS (
	SELECT k.* FROM known_decile k
	UNION ALL
	SELECT c.id, NULL, 1 - coalesce(k.share, 0)
	FROM counted c LEFT JOIN (SELECT d.id, sum(d.share) AS share FROM known_decile d GROUP BY d.id) AS k ON k.id = c.id
), decile_people AS (
	SELECT i.decile, CASE WHEN bool_and(i.population IS NOT NULL) THEN sum(i.population) END AS people FROM indexed i
	WHERE i.boundary_set_id = (SELECT f.boundary_set_id FROM index_set f WHERE f.n = 1) GROUP BY i.decile

-- Who lives in priority neighbourhoods: each person once.
), neighbourhood AS MATERIALIZED (
	SELECT DISTINCT d.locality_id AS id, d.boundary_set_id, d.population FROM designated d LEFT JOIN inner_target i ON i.id = d.locality_id
	WHERE d.status = 'priority'
		AND (i.id IS NULL OR NOT i.above && (SELECT array_agg(o.locality_id) FROM designated o WHERE o.status = 'priority'))
), living AS (
	SELECT count(*) AS n, CASE WHEN bool_and(n.population IS NOT NULL) THEN sum(n.population * (1 - coalesce((
		SELECT max(least(1, s.share)) FROM (
			SELECT sum(coalesce(o.population_share, o.area_share)) AS share FROM api.locality_overlap o JOIN neighbourhood b ON b.id = o.to_id
			WHERE o.from_id = n.id AND b.boundary_set_id < n.boundary_set_id GROUP BY b.boundary_set_id) AS s), 0))) END AS people
	FROM neighbourhood n

-- What was done, by each measure.
), done AS MATERIALIZED (
	SELECT f.id, m.measure, m.value, f.priority, f.designated, f.existing
	FROM focus f CROSS JOIN LATERAL (VALUES ('count', 1::numeric), ('hours', f.hours), ('spend', f.cost_pence), ('reach', f.attended)) AS m (measure, value)
), decile_sum AS (
	SELECT v.measure, s.decile, v.value
	FROM (
		SELECT f.decile, sum(f.share) AS n, sum(c.hours * f.share) AS hours, sum(c.cost_pence * f.share) AS pence, sum(c.attended * f.share) AS people
		FROM counted c JOIN decile_focus f ON f.id = c.id GROUP BY f.decile
	) AS s CROSS JOIN LATERAL (VALUES ('count', s.n), ('hours', s.hours), ('spend', s.pence), ('reach', s.people)) AS v (measure, value)
), summed AS (
	SELECT w.n, w.measure, w.unit, count(d.value) AS activities, count(d.id) - count(d.value) AS missing, coalesce(sum(d.value), 0) AS total,
		coalesce(sum(d.value * d.priority), 0) AS priority, coalesce(sum(d.value * greatest(0, d.designated - d.priority)), 0) AS targeted,
		coalesce(sum(d.value * greatest(0, d.priority - d.existing)), 0) AS fresh
	FROM (VALUES (1, 'count', 'activities'), (2, 'hours', 'hours'), (3, 'spend', 'pence'), (4, 'reach', 'people')) AS w (n, measure, unit)
	LEFT JOIN done d ON d.measure = w.measure
	WHERE $10 IS NULL OR w.measure = $10
	GROUP BY w.n, w.measure, w.unit
), judged AS (
	SELECT s.*, k.shows_priority, k.shows_deciles, k.target, l.people, l.n AS neighbourhoods,
		CASE WHEN NOT k.shows_priority THEN 'scope' WHEN s.activities + s.missing = 0 THEN 'no_activities' WHEN s.activities = 0 THEN 'no_values'
			WHEN s.total = 0 THEN 'total_is_zero' END AS no_ratio,
		s.total > 0 AND s.priority >= k.target * s.total AS is_met, k.target * s.total - s.priority AS short
	FROM asked k CROSS JOIN summed s CROSS JOIN living l
), told AS (
	SELECT j.*, CASE WHEN j.no_ratio IS NULL AND NOT j.is_met AND j.target = 1 THEN 'target_is_all' ELSE j.no_ratio END AS no_add,
		CASE WHEN j.no_ratio IS NOT NULL THEN j.no_ratio WHEN j.priority = 0 THEN 'nothing_in_priority' END AS no_new,
		CASE WHEN NOT j.shows_priority THEN 'scope' WHEN j.neighbourhoods = 0 THEN 'no_neighbourhood' WHEN j.people IS NULL THEN 'population_unknown'
			WHEN j.people = 0 THEN 'nobody_lives_there' END AS no_people,
		CASE WHEN NOT j.shows_deciles THEN 'scope' WHEN NOT EXISTS (SELECT FROM indexed) THEN 'no_deprivation_values' END AS no_deciles
	FROM judged j
), measure AS (
	SELECT t.n, json_build_object('measure', t.measure, 'unit', t.unit, 'activities', t.activities, 'missing', t.missing, 'total', t.total,
		'priority', CASE WHEN t.shows_priority THEN trim_scale(round(t.priority, 2)) END, 'targeted', CASE WHEN t.shows_priority THEN trim_scale(round(t.targeted, 2)) END,
		'share_percent', CASE WHEN t.no_ratio IS NULL THEN trim_scale(round(100 * t.priority / t.total, 1)) END,
		'targeted_share_percent', CASE WHEN t.no_ratio IS NULL THEN trim_scale(round(100 * t.targeted / t.total, 1)) END,
		'met', CASE WHEN t.no_ratio IS NULL THEN t.is_met END,
		'short_replace', CASE WHEN t.no_ratio IS NULL THEN trim_scale(round(greatest(0, t.short), 2)) END,
		'short_add', CASE WHEN t.no_add IS NULL THEN trim_scale(round(greatest(0, t.short / nullif(1 - t.target, 0)), 2)) END,
		'new_share_percent', CASE WHEN t.no_new IS NULL THEN trim_scale(round(100 * t.fresh / t.priority, 1)) END,
		'priority_population', CASE WHEN t.no_people IS NULL THEN round(t.people) END,
		'priority_per_1000', CASE WHEN t.no_people IS NULL THEN trim_scale(round(1000 * t.priority / t.people, 2)) END,
		'by_decile', coalesce(e.rows, '[]'),
		'nulls', (SELECT coalesce(json_agg(json_build_object('member', w.member, 'reason', w.reason) ORDER BY w.n), '[]')
			FROM (VALUES (1, 'priority', CASE WHEN NOT t.shows_priority THEN 'scope' END), (2, 'targeted', CASE WHEN NOT t.shows_priority THEN 'scope' END),
				(3, 'share_percent', t.no_ratio), (4, 'targeted_share_percent', t.no_ratio), (5, 'met', t.no_ratio), (6, 'short_replace', t.no_ratio),
				(7, 'short_add', t.no_add), (8, 'new_share_percent', t.no_new), (9, 'priority_population', t.no_people),
				(10, 'priority_per_1000', t.no_people), (11, 'by_decile', t.no_deciles)) AS w (n, member, reason) WHERE w.reason IS NOT NULL)) AS shown
	FROM told t CROSS JOIN LATERAL (
		SELECT json_agg(json_build_object('decile', g.decile, 'value', trim_scale(round(coalesce(s.value, 0), 2)),
			'share_percent', CASE WHEN t.total > 0 THEN trim_scale(round(100 * coalesce(s.value, 0) / t.total, 1)) END, 'population', p.people,
			'per_1000', CASE WHEN p.people > 0 THEN trim_scale(round(1000 * coalesce(s.value, 0) / p.people, 2)) END) ORDER BY g.decile NULLS LAST) AS rows
		FROM unnest('{1,2,3,4,5,6,7,8,9,10,NULL}'::integer[]) AS g (decile) LEFT JOIN decile_people p ON p.decile = g.decile
		LEFT JOIN decile_sum s ON s.measure = t.measure AND s.decile IS NOT DISTINCT FROM g.decile
		WHERE t.no_deciles IS NULL
	) AS e
), answer AS (
	SELECT CASE WHEN EXISTS (SELECT FROM faults) THEN 400 ELSE 200 END AS status,
		CASE WHEN EXISTS (SELECT FROM faults) THEN (SELECT json_agg(row_to_json(f)) FROM faults f)::text ELSE json_build_object(
			'from', k.first_day, 'to', k.last_day, 'kinds', to_json(k.kinds), 'target', trim_scale(k.target), 'as_at', wardmote.today(),
			'index_name', k.index_name, 'index_year', (SELECT e.year FROM edition e),
			'basis', CASE WHEN EXISTS (SELECT FROM focus f WHERE f.is_estimated) THEN 'estimated' ELSE 'recorded' END,
			'weights', (SELECT json_object_agg(b.basis, (SELECT count(*) FROM focus f WHERE f.basis = b.basis))
				FROM unnest('{shares,single,population,equal_parts,none}'::text[]) AS b (basis)),
			'measures', (SELECT json_agg(m.shown ORDER BY m.n) FROM measure m),
			'activities', json_build_object('count', (SELECT count(*) FROM focus), 'items', (
				SELECT coalesce(json_agg(json_build_object('id', f.id, 'basis', f.basis, 'priority_share', CASE WHEN k.shows_priority THEN trim_scale(round(f.priority, 4)) END,
					'targeted_share', CASE WHEN k.shows_priority THEN trim_scale(round(greatest(0, f.designated - f.priority), 4)) END) ORDER BY f.day, f.id), '[]')
				FROM (SELECT * FROM focus ORDER BY day, id LIMIT 500) AS f)),
			'without_locality', json_build_object('count', (SELECT count(*) FROM focus f WHERE f.basis = 'none'), 'ids', (
				SELECT coalesce(json_agg(f.id ORDER BY f.day, f.id), '[]') FROM (SELECT * FROM focus WHERE basis = 'none' ORDER BY day, id LIMIT 500) AS f)),
			'designations', json_build_object('count', (SELECT count(*) FROM designated), 'ids', (
				SELECT coalesce(json_agg(d.id ORDER BY d.id), '[]') FROM (SELECT id FROM designated ORDER BY id LIMIT 500) AS d)))::text END AS body,
		NULL::text AS etag, NULL::text AS link
	FROM asked k
)
