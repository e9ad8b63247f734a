-- Which localities and communities had the least voice in a period. $4 its first day, $5 its last, $6 the boundary set, $7 how many of each.
WITH RECURSIVE asked AS MATERIALIZED (
	SELECT $4::date AS first_day, $5::date AS last_day, $6::uuid AS set_id, coalesce($7::integer, 50) AS size
), wanted_set AS MATERIALIZED (
	SELECT s.id FROM api.boundary_set s CROSS JOIN asked a
	WHERE CASE WHEN a.set_id IS NOT NULL THEN s.id = a.set_id ELSE s.is_common OR NOT EXISTS (SELECT FROM api.boundary_set c WHERE c.is_common) END
), subject AS MATERIALIZED (
	SELECT l.id, l.parent_id, l.code, l.name, l.boundary_set_id, l.population::numeric AS population, l.population_as_at, l.source
	FROM asked a CROSS JOIN api.locality l
	WHERE l.boundary_set_id IN (SELECT w.id FROM wanted_set w) AND wardmote.in_force(l.valid_from, l.valid_to, l.changed_on, l.boundary_set_id, a.last_day)
),
-- what was asked and done in the period, and who is there; `part` of a record is about that locality
ask AS MATERIALIZED (
	SELECT c.id, c.locality_ids, c.community_ids FROM api.consultation c CROSS JOIN asked a
	WHERE wardmote.may_read('consultations') AND c.status IN ('open', 'closed', 'analysed', 'fed_back', 'evaluated') AND c.open_on <= a.last_day
		AND coalesce(wardmote.last_day(c.close_on, c.close_on_precision), 'infinity') >= a.first_day
), deed AS MATERIALIZED (
	SELECT t.id, t.partner_id, t.locality_ids, t.locality_shares, t.community_ids, t.point, CASE t.status WHEN 'held' THEN t.attended END::numeric AS attended
	FROM api.activity t CROSS JOIN asked a
	WHERE wardmote.may_read('activities') AND t.status <> 'cancelled' AND t.starts_on <= a.last_day
		AND coalesce(wardmote.last_day(t.ends_on, t.ends_on_precision), wardmote.last_day(t.starts_on, t.starts_on_precision)) >= a.first_day
), mention AS MATERIALIZED (
	SELECT 'consultations' AS kind, k.id, NULL::uuid AS partner_id, n.locality_id, NULL::numeric AS part, false AS is_guess
	FROM ask k CROSS JOIN LATERAL unnest(k.locality_ids) AS n (locality_id)
	UNION ALL
	SELECT 'activities', d.id, d.partner_id, n.locality_id,
		CASE WHEN d.locality_shares <> '[]' THEN coalesce((SELECT sum((s.e ->> 'share')::numeric) FROM jsonb_array_elements(d.locality_shares) AS s (e)
				WHERE (s.e ->> 'locality_id')::uuid = n.locality_id), 0)
			WHEN p.is_known THEN coalesce((SELECT l.population FROM api.locality l WHERE l.id = n.locality_id), 0) / p.people
			ELSE 1.0 / cardinality(d.locality_ids) END,
		d.locality_shares = '[]' AND cardinality(d.locality_ids) > 1
	FROM deed d CROSS JOIN LATERAL unnest(d.locality_ids) AS n (locality_id)
	CROSS JOIN LATERAL (SELECT count(l.population) = cardinality(d.locality_ids) AND sum(l.population) > 0 AS is_known, sum(l.population)::numeric AS people
		FROM api.locality l WHERE l.id = ANY (d.locality_ids)) AS p
	UNION ALL
	SELECT 'groups', g.id, g.partner_id, g.locality_id, NULL, false FROM api.community_group g CROSS JOIN asked a
	WHERE wardmote.may_read('community-groups') AND g.locality_id IS NOT NULL AND coalesce(g.valid_from, '-infinity') <= a.last_day
		AND coalesce(g.valid_to, 'infinity') >= a.first_day
	UNION ALL
	SELECT 'contacts', t.id, t.partner_id, t.locality_id, NULL, false FROM api.contact_assignment t CROSS JOIN asked a
	WHERE wardmote.may_read('contact-assignments') AND t.locality_id IS NOT NULL AND t.valid_from <= a.last_day AND coalesce(t.valid_to, 'infinity') >= a.first_day
	UNION ALL
	SELECT 'services', s.id, s.partner_id, n.locality_id, NULL, false FROM api.service_entry s CROSS JOIN LATERAL unnest(s.locality_ids) AS n (locality_id)
	WHERE wardmote.may_read('service-entries') AND s.status IN ('active', 'temporarily_closed')
), named AS MATERIALIZED (
	SELECT l.id, l.boundary_set_id, l.population::numeric AS population FROM api.locality l WHERE l.id IN (SELECT m.locality_id FROM mention m)
),
-- how a named locality and one of those in question share their people: as the tree says, else by the ground that they share
above AS (
	SELECT s.id AS subject_id, s.parent_id AS id FROM subject s
	UNION
	SELECT u.subject_id, l.parent_id FROM above u JOIN api.locality l ON l.id = u.id
), below AS (
	SELECT s.id AS subject_id, s.id FROM subject s
	UNION
	SELECT b.subject_id, l.id FROM below b JOIN api.locality l ON l.parent_id = b.id
), relation AS (
	SELECT s.id AS subject_id, s.id AS named_id, 1.0 AS of_subject, 1.0 AS of_named, false AS is_guess, 1 AS place, false AS is_empty FROM subject s
	UNION ALL
	SELECT u.subject_id, n.id, 1, least(1, coalesce(s.population / nullif(n.population, 0), 0.5)),
		s.population IS NULL OR (s.population > 0 AND nullif(n.population, 0) IS NULL), 2, coalesce(s.population = 0, false)
	FROM above u JOIN named n ON n.id = u.id JOIN subject s ON s.id = u.subject_id
	UNION ALL
	SELECT b.subject_id, n.id, least(1, coalesce(n.population / nullif(s.population, 0), 0.5)), 1,
		n.population IS NULL OR (n.population > 0 AND nullif(s.population, 0) IS NULL), 2, coalesce(n.population = 0, false)
	FROM below b JOIN named n ON n.id = b.id AND n.id <> b.subject_id JOIN subject s ON s.id = b.subject_id
	UNION ALL
	SELECT o.from_id, o.to_id, coalesce(o.population_share, o.area_share), coalesce(r.population_share, r.area_share),
		o.population_share IS NULL OR r.population_share IS NULL, 3, coalesce(greatest(o.population_share, r.population_share) = 0, false)
	FROM api.locality_overlap o JOIN subject s ON s.id = o.from_id JOIN named n ON n.id = o.to_id
	JOIN api.locality_overlap r ON r.from_id = o.to_id AND r.to_id = o.from_id
	WHERE o.area_share >= 0.01 OR r.area_share >= 0.01
), bond AS MATERIALIZED (
	-- where people are counted and none of them lives on the ground that is shared, nobody is asked or reached there
	SELECT b.* FROM (
		SELECT DISTINCT ON (r.subject_id, r.named_id) r.subject_id, r.named_id, n.boundary_set_id, r.of_subject, r.of_named, r.is_guess, r.is_empty
		FROM relation r JOIN named n ON n.id = r.named_id ORDER BY r.subject_id, r.named_id, r.is_guess, r.place
	) b WHERE NOT b.is_empty
),
-- localities: one ask counts by how much of the people were asked, whatever sets its localities are of
ask_in_set AS (
	SELECT b.subject_id, m.id, sum(b.of_subject) AS share, bool_or(b.is_guess) AS is_guess
	FROM mention m JOIN bond b ON b.named_id = m.locality_id WHERE m.kind = 'consultations' GROUP BY b.subject_id, m.id, b.boundary_set_id
), ask_of AS (
	SELECT DISTINCT ON (i.subject_id, i.id) i.subject_id, i.id, least(1, i.share) AS share, i.is_guess FROM ask_in_set i ORDER BY i.subject_id, i.id, i.share DESC, i.is_guess
), asks AS (
	SELECT k.subject_id, sum(k.share) AS n, bool_or(k.is_guess) AS is_guess, (array_agg(k.id ORDER BY k.share DESC, k.id))[1:100] AS ids FROM ask_of k GROUP BY k.subject_id
), came AS (
	SELECT b.subject_id, d.id, least(d.attended, d.attended * sum(m.part * b.of_named)) AS n, bool_or(b.is_guess OR m.is_guess) AS is_guess
	FROM deed d JOIN mention m ON m.kind = 'activities' AND m.id = d.id JOIN bond b ON b.named_id = m.locality_id
	WHERE d.attended IS NOT NULL GROUP BY b.subject_id, d.id, d.attended
	UNION ALL
	SELECT s.id, d.id, d.attended, false
	FROM deed d JOIN api.locality l ON d.locality_ids = '{}' AND l.geometry && d.point AND ST_Covers(l.geometry, d.point) JOIN subject s ON s.id = l.id
	WHERE d.attended IS NOT NULL
), attended AS (
	SELECT c.subject_id, sum(c.n) AS n, bool_or(c.is_guess) AS is_guess, (array_agg(c.id ORDER BY c.n DESC, c.id))[1:100] AS ids FROM came c GROUP BY c.subject_id
), heard AS (
	SELECT s.*, coalesce(k.n, 0) AS asks, coalesce(t.n, 0) AS attended, round(coalesce(t.n, 0) * 1000 / nullif(s.population, 0), 3) AS per_1000,
		coalesce(k.is_guess, false) OR coalesce(t.is_guess, false) OR nullif(s.population, 0) IS NULL AS is_guess, k.ids AS ask_ids, t.ids AS deed_ids,
		wardmote.may_read('communities') AND EXISTS (SELECT FROM api.community c WHERE c.locality_id = s.id AND c.kind = 'place' AND c.seldom_heard) AS seldom_heard
	FROM subject s LEFT JOIN asks k ON k.subject_id = s.id LEFT JOIN attended t ON t.subject_id = s.id
), locality_row AS MATERIALIZED (
	SELECT h.*, round(h.asks, 3) + coalesce(h.per_1000, 0) AS voice,
		row_number() OVER (ORDER BY round(h.asks, 3) + coalesce(h.per_1000, 0), h.seldom_heard DESC, h.attended, h.name, h.id) AS n
	FROM heard h
), locality_reach AS (
	SELECT w.subject_id, w.partner_id, json_agg(w.kind ORDER BY w.kind) AS by
	FROM (SELECT b.subject_id, m.partner_id, m.kind FROM mention m JOIN bond b ON b.named_id = m.locality_id
		WHERE m.partner_id IS NOT NULL AND b.subject_id IN (SELECT r.id FROM locality_row r CROSS JOIN asked a WHERE r.n <= a.size)
		GROUP BY b.subject_id, m.partner_id, m.kind) w GROUP BY w.subject_id, w.partner_id
),
-- communities: each by itself, since they overlap
ask_for AS (
	SELECT n.community_id, count(*) AS n, (array_agg(n.id ORDER BY n.id))[1:100] AS ids
	FROM (SELECT DISTINCT k.id, c.id AS community_id FROM ask k CROSS JOIN LATERAL unnest(k.community_ids) AS c (id)) n GROUP BY n.community_id
), deed_for AS MATERIALIZED (
	SELECT DISTINCT d.id, d.partner_id, d.attended, cardinality(d.community_ids) > 1 AS is_shared, c.id AS community_id
	FROM deed d CROSS JOIN LATERAL unnest(d.community_ids) AS c (id)
), came_for AS (
	SELECT d.community_id, sum(d.attended) AS n, (array_agg(d.id ORDER BY d.id))[1:100] AS ids, bool_or(d.is_shared AND d.attended > 0) AS is_shared
	FROM deed_for d WHERE d.attended IS NOT NULL GROUP BY d.community_id
), of_community AS (
	SELECT c.id, c.name, c.kind, c.seldom_heard, c.partner_id, c.source, l.population::numeric AS population, l.population_as_at,
		coalesce(k.n, 0) AS asks, k.ids AS ask_ids, coalesce(t.n, 0) AS attended, t.ids AS deed_ids, coalesce(t.is_shared, false) AS is_shared
	FROM api.community c LEFT JOIN api.locality l ON c.kind = 'place' AND l.id = c.locality_id
	LEFT JOIN ask_for k ON k.community_id = c.id LEFT JOIN came_for t ON t.community_id = c.id
	WHERE wardmote.may_read('communities')
), community_row AS MATERIALIZED (
	SELECT c.*, v.per_1000, c.asks + coalesce(v.per_1000, 0) AS voice,
		row_number() OVER (ORDER BY c.asks + coalesce(v.per_1000, 0), c.seldom_heard DESC, c.attended, c.name, c.id) AS n
	FROM of_community c CROSS JOIN LATERAL (SELECT round(c.attended * 1000 / nullif(c.population, 0), 3) AS per_1000) AS v
), community_reach AS (
	SELECT w.subject_id, w.partner_id, json_agg(w.kind ORDER BY w.kind) AS by
	FROM (
		SELECT r.id AS subject_id, g.partner_id, 'groups' AS kind FROM asked a CROSS JOIN community_row r JOIN api.community_group g
			ON g.community_ids @> ARRAY[r.id] OR g.led_by_community_id = r.id
		WHERE r.n <= a.size AND wardmote.may_read('community-groups') AND coalesce(g.valid_from, '-infinity') <= a.last_day
			AND coalesce(g.valid_to, 'infinity') >= a.first_day
		UNION
		SELECT r.id, d.partner_id, 'activities' FROM asked a CROSS JOIN community_row r JOIN deed_for d ON d.community_id = r.id WHERE r.n <= a.size
	) w GROUP BY w.subject_id, w.partner_id
), reach AS (
	SELECT w.subject_id, json_agg(json_build_object('partner_id', w.partner_id, 'name', p.name, 'by', w.by) ORDER BY p.name, w.partner_id) AS partners
	FROM (SELECT * FROM locality_reach UNION ALL SELECT * FROM community_reach) w
	LEFT JOIN api.partner p ON p.id = w.partner_id AND wardmote.may_read('partners') GROUP BY w.subject_id
), fault AS (
	SELECT 'to' AS parameter, 'order' AS code, 'The last day may not be before the first.' AS detail FROM asked a WHERE a.last_day < a.first_day
), left_out AS (
	SELECT r.name, r.place FROM unnest('{consultations,activities,communities,community-groups,contact-assignments,service-entries,partners}'::text[])
		WITH ORDINALITY AS r (name, place) WHERE NOT wardmote.may_read(r.name)
), locality_item AS (
	SELECT r.n, json_build_object('id', r.id, 'code', r.code, 'name', r.name, 'boundary_set_id', r.boundary_set_id, 'seldom_heard', r.seldom_heard,
		'voice', trim_scale(r.voice), 'asks', CASE WHEN wardmote.may_read('consultations') THEN trim_scale(round(r.asks, 3)) END,
		'attended', CASE WHEN wardmote.may_read('activities') THEN trim_scale(round(r.attended, 1)) END,
		'attended_per_1000', CASE WHEN wardmote.may_read('activities') THEN trim_scale(r.per_1000) END,
		'population', r.population, 'population_as_at', r.population_as_at, 'basis', CASE WHEN r.is_guess THEN 'estimated' ELSE 'recorded' END,
		'reached_by', coalesce(w.partners, '[]'), 'consultation_ids', coalesce(r.ask_ids, '{}'), 'activity_ids', coalesce(r.deed_ids, '{}'), 'source', r.source,
		'link', wardmote.public_url() || '/v1/localities/' || r.id) AS item
	FROM asked a JOIN locality_row r ON r.n <= a.size LEFT JOIN reach w ON w.subject_id = r.id
), community_item AS (
	SELECT r.n, json_build_object('id', r.id, 'name', r.name, 'kind', r.kind, 'partner_id', r.partner_id, 'seldom_heard', r.seldom_heard, 'voice', trim_scale(r.voice),
		'asks', CASE WHEN wardmote.may_read('consultations') THEN r.asks END, 'attended', CASE WHEN wardmote.may_read('activities') THEN r.attended END,
		'attended_per_1000', CASE WHEN wardmote.may_read('activities') THEN trim_scale(r.per_1000) END,
		'population', r.population, 'population_as_at', r.population_as_at,
		'basis', CASE WHEN r.is_shared OR nullif(r.population, 0) IS NULL THEN 'estimated' ELSE 'recorded' END,
		'reached_by', coalesce(w.partners, '[]'), 'consultation_ids', coalesce(r.ask_ids, '{}'), 'activity_ids', coalesce(r.deed_ids, '{}'), 'source', r.source,
		'link', wardmote.public_url() || '/v1/communities/' || r.id) AS item
	FROM asked a JOIN community_row r ON r.n <= a.size LEFT JOIN reach w ON w.subject_id = r.id
), answer AS (
	SELECT CASE WHEN EXISTS (SELECT FROM fault) THEN 400 ELSE 200 END AS status,
		CASE WHEN EXISTS (SELECT FROM fault) THEN (SELECT json_agg(row_to_json(f)) FROM fault f)::text ELSE
			json_build_object('from', a.first_day, 'to', a.last_day, 'as_at', wardmote.today(),
				'left_out', (SELECT coalesce(json_agg(o.name ORDER BY o.place), '[]') FROM left_out o),
				'cut_short', ARRAY(SELECT 'localities' WHERE EXISTS (SELECT FROM locality_row r WHERE r.n > a.size)
					UNION ALL SELECT 'communities' WHERE EXISTS (SELECT FROM community_row r WHERE r.n > a.size)),
				'localities', (SELECT coalesce(json_agg(i.item ORDER BY i.n), '[]') FROM locality_item i),
				'communities', CASE WHEN wardmote.may_read('communities') THEN (SELECT coalesce(json_agg(i.item ORDER BY i.n), '[]') FROM community_item i) END)::text END AS body,
		NULL::text AS etag, NULL::text AS link
	FROM asked a
)
