-- What is known of a locality. $2 the locality, $4 the day that is asked about. Every section asks for the scope of what it shows.
WITH RECURSIVE asked AS MATERIALIZED (
	SELECT l.id, l.code, l.name, l.boundary_set_id, l.parent_id, l.population::numeric AS population, l.population_as_at, l.households, l.valid_from, l.valid_to, l.source,
		l.geometry, l.updated_at, coalesce($4::date, wardmote.today()) AS day
	FROM api.locality l WHERE l.id = $2
), above AS (
	SELECT a.id, a.parent_id FROM asked a UNION SELECT l.id, l.parent_id FROM above u JOIN api.locality l ON l.id = u.parent_id
), below AS (
	SELECT a.id FROM asked a UNION SELECT l.id FROM below b JOIN api.locality l ON l.parent_id = b.id
), piece AS MATERIALIZED (
	-- share: what part of it is here; of_this: what part of this one is there, of its area and of its people where that is known; what is not tied is a sliver
	SELECT o.from_id AS id, o.from_set_id AS set_id, l.population, coalesce(o.population_share, o.area_share) AS share, o.population_share IS NOT NULL AS is_people,
		r.area_share AS area_of_this, coalesce(r.population_share, r.area_share) AS of_this, r.area_share / o.area_share AS size,
		o.area_share >= 0.01 OR r.area_share >= 0.01 AS is_tied
	FROM asked a JOIN api.locality_overlap o ON o.to_id = a.id JOIN api.locality l ON l.id = o.from_id
	JOIN api.locality_overlap r ON r.from_id = a.id AND r.to_id = o.from_id
), tied AS MATERIALIZED (
	SELECT DISTINCT ON (t.id) t.id, t.of_this, t.of_it FROM (
		SELECT u.id, 1.0 AS of_this, CASE WHEN u.id = a.id THEN 1.0 END AS of_it, 1 AS place FROM above u CROSS JOIN asked a
		UNION ALL
		SELECT l.id, least(1, l.population / nullif(a.population, 0)), 1, 2 FROM asked a CROSS JOIN below b JOIN api.locality l ON l.id = b.id
			WHERE l.population IS NOT NULL AND a.population > 0
		UNION ALL
		SELECT p.id, p.of_this, p.share, 3 FROM piece p WHERE p.is_tied
		UNION ALL
		SELECT b.id, NULL, 1, 4 FROM below b
	) t ORDER BY t.id, t.place
), reach AS MATERIALIZED (
	-- around: what has to do with it, as match=overlap has it; here: itself, its parts, and what lies in it by half or more
	SELECT array_agg(t.id) AS around, coalesce(array_agg(t.id) FILTER (WHERE t.of_it >= 0.5), '{}') AS here FROM tied t
),
-- counts of people: its own, the newest of each dimension and kind of source; else those of the newest and finest set that covers it
own_set AS MATERIALIZED (
	SELECT DISTINCT ON (v.dimension, v.source_kind) v.dimension, v.source_kind, v.partner_id, v.as_at
	FROM asked a JOIN api.profile_value v ON v.locality_id = a.id AND v.as_at <= a.day WHERE wardmote.may_read('profile-values')
	ORDER BY v.dimension, v.source_kind, v.as_at DESC, v.partner_id = (SELECT wardmote.ctx_partner()) DESC NULLS LAST, v.partner_id
), converted AS MATERIALIZED (
	SELECT v.dimension, v.source_kind, v.partner_id, v.as_at, p.set_id, v.category, sum(v.count * p.share) AS count, avg(p.size) AS size, min(v.source) AS source,
		CASE WHEN count(v.base) = count(*) THEN sum(v.base * p.share) END AS base, count(*) AS n,
		CASE WHEN bool_and(p.is_people) THEN 'population' WHEN bool_or(p.is_people) THEN 'mixed' ELSE 'area' END AS method, sum(p.area_of_this) AS area_cover,
		CASE WHEN count(p.population) FILTER (WHERE p.is_tied) = count(*) FILTER (WHERE p.is_tied) AND max(a.population) > 0
			THEN sum(p.population * p.share) / max(a.population) END AS people_cover
	FROM asked a CROSS JOIN piece p JOIN api.profile_value v ON v.locality_id = p.id AND v.as_at <= a.day
	WHERE wardmote.may_read('profile-values') AND NOT EXISTS (SELECT FROM own_set o WHERE o.dimension = v.dimension AND o.source_kind = v.source_kind)
	GROUP BY v.dimension, v.source_kind, v.partner_id, v.as_at, p.set_id, v.category
), covered AS (
	SELECT c.*, least(1, round(coalesce(c.people_cover, c.area_cover), 4)) AS covered, CASE WHEN c.people_cover IS NULL THEN 'area' ELSE 'population' END AS basis,
		CASE WHEN coalesce(c.people_cover, c.area_cover) < 0.9 THEN 'cover' WHEN c.area_cover > 1.02 THEN 'overlap' END AS refused
	FROM converted c
), best_set AS (
	SELECT DISTINCT ON (c.dimension, c.source_kind) c.dimension, c.source_kind, c.partner_id, c.as_at, c.set_id
	FROM covered c GROUP BY c.dimension, c.source_kind, c.partner_id, c.as_at, c.set_id
	ORDER BY c.dimension, c.source_kind, bool_and(c.refused IS NOT NULL), c.as_at DESC, min(c.size), c.set_id, c.partner_id
), value AS (
	SELECT v.dimension, v.source_kind, v.partner_id, v.as_at, NULL::uuid AS set_id, 'stored' AS method, v.category, v.count::numeric AS count, v.base::numeric AS base,
		v.estimated, 1::numeric AS covered, NULL AS basis, NULL AS refused, v.source, 1::bigint AS n
	FROM asked a CROSS JOIN own_set o JOIN api.profile_value v ON v.locality_id = a.id AND (v.dimension, v.source_kind, v.partner_id, v.as_at)
		= (o.dimension, o.source_kind, o.partner_id, o.as_at)
	UNION ALL
	SELECT c.dimension, c.source_kind, c.partner_id, c.as_at, c.set_id, c.method, c.category, c.count, c.base, true, c.covered, c.basis, c.refused, c.source, c.n
	FROM best_set b JOIN covered c USING (dimension, source_kind, partner_id, as_at, set_id)
), line AS MATERIALIZED (
	SELECT v.*, dense_rank() OVER (ORDER BY v.dimension, v.source_kind) AS place,
		row_number() OVER (PARTITION BY v.dimension, v.source_kind ORDER BY v.category) AS category_place FROM value v
), shown_line AS MATERIALIZED (
	-- at most 200 dimensions, 500 categories of each, and 5,000 together
	SELECT l.* FROM line l WHERE l.place <= 200 AND l.category_place <= 500 ORDER BY l.place, l.category_place LIMIT 5000
), values_item AS (
	SELECT v.place, json_build_object('dimension', v.dimension, 'source_kind', v.source_kind, 'as_at', v.as_at, 'source', min(v.source),
		'partner_id', v.partner_id, 'from_boundary_set_id', v.set_id, 'categories', json_agg(json_build_object('category', v.category,
			'count', CASE WHEN v.refused IS NULL THEN round(v.count) END, 'base', CASE WHEN v.refused IS NULL THEN round(v.base) END,
			'value', CASE WHEN v.refused IS NULL THEN trim_scale(round(100 * v.count / nullif(v.base, 0), 1)) END, 'estimated', v.estimated, 'method', v.method,
			'covered', trim_scale(v.covered), 'basis', v.basis, 'refused', v.refused, 'inputs_count', v.n) ORDER BY v.category_place)) AS item
	FROM shown_line v GROUP BY v.place, v.dimension, v.source_kind, v.as_at, v.partner_id, v.set_id
),
-- people: its own figure, else that of the finest set of which each piece has one and that covers it
people AS (
	SELECT p.set_id, sum(p.population * p.share) AS people, sum(p.area_of_this) AS covered, max(l.population_as_at) AS as_at, min(l.source) AS source
	FROM piece p JOIN api.locality l ON l.id = p.id GROUP BY p.set_id
	HAVING count(p.population) FILTER (WHERE p.is_tied) = count(*) FILTER (WHERE p.is_tied) AND count(p.population) > 0
		AND sum(p.area_of_this) BETWEEN 0.9 AND 1.02 ORDER BY avg(p.size), p.set_id LIMIT 1
),
-- deprivation: its own, else how many of its people live in small areas of which decile: scores are not converted
own_deprivation AS (
	SELECT DISTINCT ON (d.index_name, d.year, d.domain) d.* FROM asked a JOIN api.deprivation_value d ON d.locality_id = a.id AND d.year <= extract(year FROM a.day)
	WHERE wardmote.may_read('deprivation-values')
	ORDER BY d.index_name, d.year, d.domain, d.partner_id = (SELECT wardmote.ctx_partner()) DESC NULLS LAST, d.partner_id
), ranked_area AS MATERIALIZED (
	SELECT d.index_name, d.year, d.domain, d.partner_id, p.set_id, d.decile, d.source, p.share, p.area_of_this, p.size, p.population,
		count(p.population) OVER sets = count(*) OVER sets AND max(a.population) OVER sets > 0 AS by_people, max(a.population) OVER sets AS whole
	FROM asked a CROSS JOIN piece p JOIN api.deprivation_value d ON d.locality_id = p.id AND p.is_tied AND d.decile IS NOT NULL AND d.year <= extract(year FROM a.day)
	WHERE wardmote.may_read('deprivation-values')
		AND NOT EXISTS (SELECT FROM own_deprivation o WHERE (o.index_name, o.year, o.domain) = (d.index_name, d.year, d.domain))
	WINDOW sets AS (PARTITION BY d.index_name, d.year, d.domain, d.partner_id, p.set_id)
), area_decile AS (
	SELECT r.index_name, r.year, r.domain, r.partner_id, r.set_id, r.by_people, r.decile, count(*) AS areas, min(r.source) AS source, avg(r.size) AS size,
		sum(r.area_of_this) AS area, sum(r.population * r.share) AS people, sum(CASE WHEN r.by_people THEN r.population * r.share / r.whole ELSE r.area_of_this END) AS part
	FROM ranked_area r GROUP BY r.index_name, r.year, r.domain, r.partner_id, r.set_id, r.by_people, r.decile
), area_set AS (
	SELECT DISTINCT ON (d.index_name, d.year, d.domain) d.index_name, d.year, d.domain, d.partner_id, d.set_id, d.by_people, min(d.source) AS source,
		least(1, round(sum(d.part), 4)) AS covered, CASE WHEN sum(d.part) >= 0.9 AND sum(d.area) <= 1.02 THEN json_agg(json_build_object('decile', d.decile, 'areas', d.areas,
			'people', CASE WHEN d.by_people THEN round(d.people) END, 'share', d.part) ORDER BY d.decile) END AS deciles, sum(d.part) AS whole
	FROM area_decile d GROUP BY d.index_name, d.year, d.domain, d.partner_id, d.set_id, d.by_people
	ORDER BY d.index_name, d.year, d.domain, sum(d.part) < 0.9 OR sum(d.area) > 1.02, min(d.size), d.set_id, d.partner_id
), deprivation_item AS (
	SELECT d.index_name, d.year, d.domain, json_build_object('index_name', d.index_name, 'year', d.year, 'domain', d.domain, 'score', trim_scale(d.score), 'rank', d.rank,
		'decile', d.decile, 'areas', d.areas, 'deciles', NULL, 'estimated', false, 'covered', 1, 'basis', NULL, 'from_boundary_set_id', NULL,
		'partner_id', d.partner_id, 'source', d.source) AS item FROM own_deprivation d
	UNION ALL
	SELECT s.index_name, s.year, s.domain, json_build_object('index_name', s.index_name, 'year', s.year, 'domain', s.domain, 'score', NULL, 'rank', NULL,
		'decile', NULL, 'areas', NULL, 'deciles', (SELECT json_agg(json_build_object('decile', (e ->> 'decile')::integer, 'areas', (e ->> 'areas')::integer,
			'people', (e ->> 'people')::numeric, 'share', trim_scale(round((e ->> 'share')::numeric / s.whole, 4)))) FROM json_array_elements(s.deciles) e),
		'estimated', true, 'covered', trim_scale(s.covered), 'basis', CASE WHEN s.by_people THEN 'population' ELSE 'area' END, 'from_boundary_set_id', s.set_id,
		'partner_id', s.partner_id, 'source', s.source) FROM area_set s
), edition AS MATERIALIZED (
	SELECT d.item, row_number() OVER (ORDER BY d.index_name, d.year DESC, d.domain) AS n FROM deprivation_item d
), designation AS (
	SELECT d.*, t.of_this FROM asked a CROSS JOIN tied t JOIN api.priority_designation d ON d.locality_id = t.id
	WHERE wardmote.may_read('priority-designations') AND d.valid_from <= a.day AND coalesce(d.valid_to, 'infinity') >= a.day
	ORDER BY d.status, t.of_this DESC NULLS LAST, d.valid_from, d.id LIMIT 50
), need AS MATERIALIZED (
	SELECT n.id, n.status, n.raised_on FROM api.need n WHERE wardmote.may_read('needs') AND n.locality_id = ANY ((SELECT r.here FROM reach r)::uuid[])
), map_item AS MATERIALIZED (
	SELECT m.kind, m.aspect, m.last_verified_on FROM api.map_item m
	WHERE wardmote.may_read('map-items') AND ((m.point IS NULL AND m.locality_id = ANY ((SELECT r.here FROM reach r)::uuid[]))
		OR (m.point && (SELECT a.geometry FROM asked a) AND ST_Covers((SELECT a.geometry FROM asked a), m.point))
		OR (m.locality_id = ANY ((SELECT r.here FROM reach r)::uuid[]) AND (SELECT a.geometry IS NULL FROM asked a)))
), mapping AS (
	SELECT max(wardmote.last_day(e.held_on, e.held_on_precision)) AS held_on FROM asked a JOIN api.mapping_exercise e ON e.locality_id = ANY ((SELECT r.here FROM reach r)::uuid[])
	WHERE wardmote.may_read('mapping-exercises') AND e.status = 'held' AND e.held_on <= a.day
),
-- who works there, as of the day; of each at most 50
worker AS MATERIALIZED (
	SELECT 'groups' AS part, 'community-groups' AS resource, g.id, g.name AS title, g.kind, g.partner_id, ARRAY[g.locality_id] AS locality_ids, g.source, g.updated_at
	FROM asked a JOIN api.community_group g ON g.locality_id = ANY ((SELECT r.around FROM reach r)::uuid[])
	WHERE wardmote.may_read('community-groups') AND coalesce(g.valid_from, '-infinity') <= a.day AND coalesce(g.valid_to, 'infinity') >= a.day
	UNION ALL
	SELECT 'contacts', 'contacts', c.id, c.post, c.kind, c.partner_id, s.locality_ids, c.source, c.updated_at
	FROM (SELECT t.contact_id, array_agg(DISTINCT t.locality_id) AS locality_ids FROM asked a JOIN api.contact_assignment t
		ON t.locality_id = ANY ((SELECT r.around FROM reach r)::uuid[]) AND t.valid_from <= a.day AND coalesce(t.valid_to, 'infinity') >= a.day GROUP BY t.contact_id) s
	JOIN api.contact c ON c.id = s.contact_id WHERE wardmote.may_read('contacts') AND wardmote.may_read('contact-assignments')
	UNION ALL
	SELECT 'services', 'service-entries', s.id, s.name, s.status, s.partner_id, s.locality_ids, s.source, s.updated_at FROM api.service_entry s
	WHERE wardmote.may_read('service-entries') AND s.status IN ('active', 'temporarily_closed') AND s.locality_ids && (SELECT r.around FROM reach r)
), worker_item AS (
	SELECT w.part, w.n, json_build_object('id', w.id, 'title', w.title, 'kind', w.kind, 'partner_id', w.partner_id, 'share', trim_scale(w.share), 'source', w.source,
		'updated_at', to_char(w.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'link', wardmote.public_url() || '/v1/' || w.resource || '/' || w.id) AS item
	FROM (SELECT k.*, row_number() OVER (PARTITION BY k.part ORDER BY k.share DESC NULLS LAST, k.title, k.id) AS n FROM (
		SELECT j.*, (SELECT max(t.of_this) FROM tied t WHERE t.id = ANY (j.locality_ids)) AS share FROM worker j) k) w WHERE w.n <= 50
),
-- of all of them only what is counted; the rest of the columns for the few that are shown
consultation AS MATERIALIZED (
	SELECT c.id, c.status, c.open_on, c.partner_id FROM api.consultation c
	WHERE wardmote.may_read('consultations') AND c.locality_ids && (SELECT r.around FROM reach r)
), activity AS MATERIALIZED (
	SELECT t.id, t.status, t.starts_on, t.outcome IS NOT NULL AS has_outcome, t.partner_id FROM api.activity t
	WHERE wardmote.may_read('activities') AND t.locality_ids && (SELECT r.around FROM reach r)
	UNION ALL
	SELECT t.id, t.status, t.starts_on, t.outcome IS NOT NULL, t.partner_id FROM api.activity t
	WHERE wardmote.may_read('activities') AND t.locality_ids = '{}' AND t.consultation_id IN (SELECT c.id FROM consultation c)
), new_consultation AS (
	SELECT c.*, (SELECT max(t.of_this) FROM tied t WHERE t.id = ANY (c.locality_ids)) AS share
	FROM (SELECT k.id FROM consultation k ORDER BY k.open_on DESC NULLS LAST, k.id DESC LIMIT 20) n JOIN api.consultation c ON c.id = n.id
), new_activity AS (
	SELECT t.*, (SELECT max(i.of_this) FROM tied i WHERE i.id = ANY (t.locality_ids)) AS share
	FROM (SELECT k.id FROM activity k WHERE k.has_outcome ORDER BY k.starts_on DESC NULLS LAST, k.id DESC LIMIT 20) n JOIN api.activity t ON t.id = n.id
), partner_item AS (
	SELECT w.partner_id, json_agg(w.part ORDER BY w.part) AS by
	FROM (SELECT k.partner_id, k.part FROM worker k UNION SELECT c.partner_id, 'consultations' FROM consultation c UNION SELECT t.partner_id, 'activities' FROM activity t) w
	GROUP BY w.partner_id
), left_out AS (
	SELECT r.name, r.place FROM unnest('{profile-values,deprivation-values,priority-designations,needs,map-items,mapping-exercises,locality-plans,community-groups,contacts,
		contact-assignments,service-entries,consultations,activities,partners}'::text[]) WITH ORDINALITY AS r (name, place) WHERE NOT wardmote.may_read(r.name)
), cut AS (
	SELECT 'values' AS name, 1 AS place FROM (SELECT max(v.place) AS place FROM shown_line v) k WHERE EXISTS (SELECT FROM line l WHERE l.place > k.place)
	UNION ALL
	SELECT 'categories', 2 FROM (SELECT max(v.place) AS place, count(*) AS n FROM shown_line v) k WHERE (SELECT count(*) FROM line l WHERE l.place <= k.place) > k.n
	UNION ALL
	SELECT 'deprivation', 3 WHERE EXISTS (SELECT FROM edition e WHERE e.n > 200)
), ready AS (
	SELECT w.name, w.place, NOT wardmote.lacks(a.id, w.name, a.day) AS is_there
	FROM asked a CROSS JOIN unnest('{plan,contact,map,need,profile}'::text[]) WITH ORDINALITY AS w (name, place)
), answer AS (
	SELECT 200 AS status, json_build_object(
		'locality', json_build_object('id', a.id, 'code', a.code, 'name', a.name, 'boundary_set_id', a.boundary_set_id, 'parent_id', a.parent_id,
			'valid_from', a.valid_from, 'valid_to', a.valid_to, 'source', a.source, 'updated_at', to_char(a.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
			'link', wardmote.public_url() || '/v1/localities/' || a.id),
		'as_at', a.day,
		'left_out', (SELECT coalesce(json_agg(o.name ORDER BY o.place), '[]') FROM left_out o),
		'cut_short', (SELECT coalesce(json_agg(c.name ORDER BY c.place), '[]') FROM cut c),
		'population', CASE WHEN a.population IS NOT NULL THEN json_build_object('count', a.population, 'households', a.households, 'estimated', false, 'covered', 1,
				'from_boundary_set_id', NULL, 'as_at', a.population_as_at, 'source', a.source)
			ELSE (SELECT json_build_object('count', round(p.people), 'households', a.households, 'estimated', true, 'covered', trim_scale(least(1, round(p.covered, 4))),
				'from_boundary_set_id', p.set_id, 'as_at', p.as_at, 'source', p.source) FROM people p) END,
		'values', CASE WHEN wardmote.may_read('profile-values') THEN
			(SELECT coalesce(json_agg(v.item ORDER BY v.place), '[]') FROM values_item v) END,
		'deprivation', CASE WHEN wardmote.may_read('deprivation-values') THEN
			(SELECT coalesce(json_agg(d.item ORDER BY d.n), '[]') FROM edition d WHERE d.n <= 200) END,
		'designations', CASE WHEN wardmote.may_read('priority-designations') THEN (SELECT coalesce(json_agg(json_build_object('id', d.id, 'locality_id', d.locality_id,
				'status', d.status, 'reason', d.reason, 'reason_text', d.reason_text, 'index_name', d.index_name, 'rank', d.rank, 'score', trim_scale(d.score),
				'decile', d.decile, 'evidence_date', d.evidence_date, 'valid_from', d.valid_from, 'valid_to', d.valid_to, 'share', trim_scale(d.of_this),
				'partner_id', d.partner_id, 'source', d.source, 'link', wardmote.public_url() || '/v1/priority-designations/' || d.id)
				ORDER BY d.status, d.of_this DESC NULLS LAST, d.valid_from, d.id), '[]') FROM designation d) END,
		'needs', CASE WHEN wardmote.may_read('needs') THEN json_build_object(
			'by_status', (SELECT json_object_agg(s.name, coalesce(c.n, 0) ORDER BY s.place)
				FROM unnest('{open,acted_on,met,declined}'::text[]) WITH ORDINALITY AS s (name, place)
				LEFT JOIN (SELECT n.status, count(*) AS n FROM need n GROUP BY n.status) c ON c.status = s.name),
			'open', (SELECT coalesce(json_agg(json_build_object('id', n.id, 'title', n.title, 'nature', n.nature, 'kind', n.kind, 'origin', n.origin,
					'raised_on', n.raised_on, 'locality_id', n.locality_id, 'source', n.source, 'link', wardmote.public_url() || '/v1/needs/' || n.id)
					ORDER BY n.raised_on DESC NULLS LAST, n.id DESC), '[]')
				FROM (SELECT k.id FROM need k WHERE k.status = 'open' ORDER BY k.raised_on DESC NULLS LAST, k.id DESC LIMIT 50) k JOIN api.need n ON n.id = k.id)) END,
		'map', CASE WHEN wardmote.may_read('map-items') THEN json_build_object(
			'items', (SELECT coalesce(json_agg(row_to_json(k) ORDER BY k.kind, k.aspect), '[]') FROM (
				SELECT m.kind, m.aspect, count(*) AS count, max(m.last_verified_on) AS last_verified_on FROM map_item m GROUP BY m.kind, m.aspect) k),
			'last_mapped_on', (SELECT g.held_on FROM mapping g)) END,
		'who_works_here', json_build_object(
			'groups', CASE WHEN wardmote.may_read('community-groups') THEN
				(SELECT coalesce(json_agg(w.item ORDER BY w.n), '[]') FROM worker_item w WHERE w.part = 'groups') END,
			'contacts', CASE WHEN wardmote.may_read('contacts') AND wardmote.may_read('contact-assignments') THEN
				(SELECT coalesce(json_agg(w.item ORDER BY w.n), '[]') FROM worker_item w WHERE w.part = 'contacts') END,
			'services', CASE WHEN wardmote.may_read('service-entries') THEN
				(SELECT coalesce(json_agg(w.item ORDER BY w.n), '[]') FROM worker_item w WHERE w.part = 'services') END,
			'partners', (SELECT coalesce(json_agg(json_build_object('partner_id', i.partner_id, 'name', p.name, 'by', i.by) ORDER BY p.name, i.partner_id), '[]')
				FROM partner_item i LEFT JOIN api.partner p ON p.id = i.partner_id AND wardmote.may_read('partners'))),
		'asked', CASE WHEN wardmote.may_read('consultations') THEN json_build_object(
			'by_status', (SELECT json_object_agg(s.name, coalesce(k.n, 0) ORDER BY s.place)
				FROM unnest('{idea,planned,approved,open,closed,analysed,fed_back,evaluated,cancelled}'::text[]) WITH ORDINALITY AS s (name, place)
				LEFT JOIN (SELECT c.status, count(*) AS n FROM consultation c GROUP BY c.status) k ON k.status = s.name),
			'newest', (SELECT coalesce(json_agg(json_build_object('id', c.id, 'title', c.title, 'status', c.status, 'open_on', c.open_on, 'close_on', c.close_on,
					'share', trim_scale(c.share), 'partner_id', c.partner_id, 'source', c.source,
					'link', wardmote.public_url() || '/v1/consultations/' || c.id) ORDER BY c.open_on DESC NULLS LAST, c.id DESC), '[]')
				FROM new_consultation c)) END,
		'came_of_it', CASE WHEN wardmote.may_read('activities') THEN json_build_object(
			'by_status', (SELECT json_object_agg(s.name, coalesce(k.n, 0) ORDER BY s.place)
				FROM unnest('{planned,held,cancelled}'::text[]) WITH ORDINALITY AS s (name, place)
				LEFT JOIN (SELECT t.status, count(*) AS n FROM activity t GROUP BY t.status) k ON k.status = s.name),
			'with_outcome', (SELECT count(*) FROM activity t WHERE t.has_outcome),
			'newest', (SELECT coalesce(json_agg(json_build_object('id', t.id, 'title', t.title, 'kind', t.kind, 'starts_on', t.starts_on, 'attended', t.attended,
					'outcome', t.outcome, 'consultation_id', t.consultation_id, 'share', trim_scale(t.share), 'partner_id', t.partner_id, 'source', t.source,
					'link', wardmote.public_url() || '/v1/activities/' || t.id) ORDER BY t.starts_on DESC NULLS LAST, t.id DESC), '[]')
				FROM new_activity t)) END,
		'readiness', (SELECT json_object_agg(r.name, r.is_there ORDER BY r.place) FROM ready r))::text AS body,
		NULL::text AS etag, NULL::text AS link
	FROM asked a
)
