-- What is going on around a place. $4 the place, $5 the radius in metres, $6 how many of each section, $7 the day that is asked about.
WITH RECURSIVE asked AS MATERIALIZED (
	SELECT wardmote.position($4) AS place, coalesce($5::float8, 1000) AS metres, coalesce($6::integer, 20) AS size, coalesce($7::date, wardmote.today()) AS day
), ground AS MATERIALIZED (
	SELECT l.id, l.parent_id, round(ST_Distance(l.geometry::geography, (SELECT a.place::geography FROM asked a))) AS metres, ST_Area(l.geometry) AS area
	FROM api.locality l
	WHERE l.geometry && (SELECT wardmote.around(a.place, a.metres) FROM asked a)
		AND ST_DWithin(l.geometry::geography, (SELECT a.place::geography FROM asked a), (SELECT a.metres FROM asked a))
), above AS (
	SELECT g.id, g.parent_id FROM ground g
	UNION
	SELECT l.id, l.parent_id FROM above JOIN api.locality l ON l.id = above.parent_id
), named AS MATERIALIZED (
	SELECT coalesce(array_agg(a.id), '{}') AS ids FROM above a
), spot AS (
	SELECT 'activities' AS resource, t.id, t.point FROM api.activity t WHERE t.point && (SELECT wardmote.around(a.place, a.metres) FROM asked a)
	UNION ALL
	SELECT 'community-groups', t.id, t.point FROM api.community_group t WHERE t.point && (SELECT wardmote.around(a.place, a.metres) FROM asked a)
	UNION ALL
	SELECT 'map-items', t.id, t.point FROM api.map_item t WHERE t.point && (SELECT wardmote.around(a.place, a.metres) FROM asked a)
	UNION ALL
	SELECT 'service-entries', t.id, t.point FROM api.service_entry t WHERE t.point && (SELECT wardmote.around(a.place, a.metres) FROM asked a)
), near AS MATERIALIZED (
	SELECT s.resource, s.id, ST_Distance(s.point::geography, a.place::geography) AS metres
	FROM asked a JOIN spot s ON ST_DWithin(s.point::geography, a.place::geography, a.metres)
), found AS MATERIALIZED (
	SELECT f.resource, f.id, min(f.metres) AS metres FROM (
		SELECT 'activities' AS resource, i.id, NULL::float8 AS metres FROM api.activity i WHERE i.locality_ids && (SELECT d.ids FROM named d)
		UNION ALL
		SELECT 'community-groups', i.id, NULL FROM api.community_group i WHERE i.point IS NULL AND i.locality_id = ANY ((SELECT d.ids FROM named d)::uuid[])
		UNION ALL
		SELECT 'map-items', i.id, NULL FROM api.map_item i WHERE i.point IS NULL AND i.locality_id = ANY ((SELECT d.ids FROM named d)::uuid[])
		UNION ALL
		SELECT 'service-entries', i.id, NULL FROM api.service_entry i WHERE i.locality_ids && (SELECT d.ids FROM named d)
		UNION ALL
		SELECT n.resource, n.id, n.metres FROM near n
	) f GROUP BY f.resource, f.id
), section (name, place, is_readable) AS (
	VALUES ('consultations', 1, wardmote.may_read('consultations')), ('activities', 2, wardmote.may_read('activities')),
		('groups', 3, wardmote.may_read('community-groups')), ('facilities', 4, wardmote.may_read('map-items')),
		('contacts', 5, wardmote.may_read('contacts') AND wardmote.may_read('contact-assignments')), ('services', 6, wardmote.may_read('service-entries'))
), post AS (
	SELECT t.contact_id, array_agg(DISTINCT t.locality_id) AS locality_ids
	FROM api.contact_assignment t CROSS JOIN asked a
	WHERE t.locality_id = ANY ((SELECT d.ids FROM named d)::uuid[]) AND t.valid_from <= a.day AND coalesce(t.valid_to, 'infinity') >= a.day
	GROUP BY t.contact_id
), record (section, resource, id, title, kind, partner_id, metres, locality_ids, starts_on, ends_on, url, source, updated_at) AS (
	SELECT 'consultations', 'consultations', c.id, c.title, c.stage, c.partner_id, NULL::float8, c.locality_ids, c.open_on, c.close_on, c.take_part_url, c.source, c.updated_at
	FROM api.consultation c WHERE c.status = 'open' AND c.locality_ids && (SELECT d.ids FROM named d)
	UNION ALL
	SELECT 'activities', 'activities', t.id, t.title, t.kind, t.partner_id, n.metres, t.locality_ids,
		t.starts_on, t.ends_on, NULL, t.source, t.updated_at
	FROM asked a CROSS JOIN found n JOIN api.activity t ON n.resource = 'activities' AND t.id = n.id
	WHERE t.status = 'planned'
		AND coalesce(wardmote.last_day(t.ends_on, t.ends_on_precision), wardmote.last_day(t.starts_on, t.starts_on_precision), 'infinity') >= a.day
	UNION ALL
	SELECT 'groups', 'community-groups', g.id, g.name, g.kind, g.partner_id, n.metres,
		array_remove(ARRAY[g.locality_id], NULL), g.valid_from, g.valid_to, g.website, g.source, g.updated_at
	FROM asked a CROSS JOIN found n JOIN api.community_group g ON n.resource = 'community-groups' AND g.id = n.id
	WHERE coalesce(g.valid_from, '-infinity') <= a.day AND coalesce(g.valid_to, 'infinity') >= a.day
	UNION ALL
	SELECT 'facilities', 'map-items', m.id, m.name, m.aspect, m.partner_id, n.metres,
		array_remove(ARRAY[m.locality_id], NULL), NULL, NULL, NULL, m.source, m.updated_at
	FROM found n JOIN api.map_item m ON n.resource = 'map-items' AND m.id = n.id
	WHERE m.kind = 'facility'
	UNION ALL
	SELECT 'contacts', 'contacts', c.id, c.post, c.kind, c.partner_id, NULL, p.locality_ids, NULL, NULL, c.website, c.source, c.updated_at
	FROM post p JOIN api.contact c ON c.id = p.contact_id
	UNION ALL
	SELECT 'services', 'service-entries', s.id, s.name, s.status, s.partner_id, n.metres,
		s.locality_ids, NULL, NULL, s.url, s.source, s.updated_at
	FROM found n JOIN api.service_entry s ON n.resource = 'service-entries' AND s.id = n.id
	WHERE s.status IN ('active', 'temporarily_closed')
), numbered AS (
	SELECT r.*, row_number() OVER (PARTITION BY r.section ORDER BY r.metres NULLS LAST, coalesce(r.ends_on, r.starts_on, 'infinity'), r.title, r.id) AS n
	FROM record r JOIN section s ON s.name = r.section AND s.is_readable
), item AS MATERIALIZED (
	SELECT r.section, r.n, json_build_object('id', r.id, 'title', r.title, 'kind', r.kind, 'partner_id', r.partner_id, 'distance_m', round(r.metres),
		'locality_ids', ARRAY(SELECT x FROM unnest(r.locality_ids) x WHERE x = ANY ((SELECT d.ids FROM named d)::uuid[]) ORDER BY x),
		'starts_on', r.starts_on, 'ends_on', r.ends_on, 'url', r.url, 'source', r.source,
		'updated_at', to_char(r.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
		'link', wardmote.public_url() || '/v1/' || r.resource || '/' || r.id) AS item
	FROM numbered r WHERE r.n <= (SELECT a.size + 1 FROM asked a)
), place AS MATERIALIZED (
	SELECT l.id, l.code, l.name, l.boundary_set_id, l.source, l.updated_at, g.metres,
		row_number() OVER (ORDER BY g.metres, g.area, l.name, l.id) AS n
	FROM asked a CROSS JOIN ground g JOIN api.locality l ON l.id = g.id
	WHERE wardmote.in_force(l.valid_from, l.valid_to, l.changed_on, l.boundary_set_id, a.day)
), section_text AS (
	SELECT 0 AS place, 'localities' AS name, '[' || coalesce((SELECT string_agg(json_build_object('id', p.id, 'code', p.code, 'title', p.name,
			'boundary_set_id', p.boundary_set_id, 'distance_m', p.metres, 'source', p.source,
			'updated_at', to_char(p.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
			'link', wardmote.public_url() || '/v1/localities/' || p.id)::text, ',' ORDER BY p.n) FROM place p WHERE p.n <= a.size), '') || ']' AS items,
		EXISTS (SELECT FROM place p WHERE p.n > a.size) AS is_cut
	FROM asked a
	UNION ALL
	SELECT s.place, s.name, CASE WHEN s.is_readable THEN
			'[' || coalesce((SELECT string_agg(i.item::text, ',' ORDER BY i.n) FROM item i WHERE i.section = s.name AND i.n <= a.size), '') || ']' ELSE 'null' END,
		EXISTS (SELECT FROM item i WHERE i.section = s.name AND i.n > a.size)
	FROM section s CROSS JOIN asked a
), answer AS (
	SELECT 200 AS status, '{"point":' || ST_AsGeoJSON(a.place, 15) || ',"radius":' || a.metres || ',"as_at":' || to_json(a.day)
			|| ',"cut_short":' || (SELECT coalesce(json_agg(t.name ORDER BY t.place) FILTER (WHERE t.is_cut), '[]') FROM section_text t)::text || ','
			|| (SELECT string_agg(to_json(t.name)::text || ':' || t.items, ',' ORDER BY t.place) FROM section_text t) || '}' AS body,
		NULL::text AS etag, NULL::text AS link
	FROM asked a
)
