-- Features of a collection, by id. $4 the collection; $5 bbox, $6 its reference system, $7 that of the answer, $8 datetime, $9 offset, $11 code, $12 name,
-- $13 aspect, $14 locality_id, $15 status, $16 title; $17 the limit, $18 the id of the last one of the page before. ($10, the format, says nothing new.)
WITH asked AS MATERIALIZED (
	SELECT c.*, least($17::integer, CASE c.kind WHEN 'consultation' THEN 100 ELSE 500 END) AS size FROM api.ogc_collection c WHERE c.id = $4
), wanted AS MATERIALIZED (
	SELECT b.box, d.days[1] AS first_day, d.days[2] AS last_day
	FROM (SELECT CASE WHEN $5 IS NOT NULL THEN wardmote.ogc_box($5, $6) END AS box) AS b
	CROSS JOIN (SELECT CASE WHEN $8 IS NOT NULL THEN wardmote.ogc_days($8) END AS days) AS d
), faults AS (
	SELECT 'bbox' AS parameter, 'format' AS code, 'Four numbers, or six with heights, within their reference system: west, south, east, north.' AS detail
	FROM wanted g WHERE $5 IS NOT NULL AND g.box IS NULL
	UNION ALL
	SELECT 'datetime', 'format', 'A date or a time with its zone, or two with / between them, the earlier first; an open end is ..'
	FROM wanted g WHERE $8 IS NOT NULL AND g.first_day IS NULL
	UNION ALL
	SELECT p.name, 'unknown_parameter', 'The features of this collection have no such property.'
	FROM asked a CROSS JOIN (VALUES ('code', $11, '{locality}'), ('name', $12, '{locality,map_item}'), ('aspect', $13, '{map_item}'),
		('locality_id', $14, '{map_item,consultation}'), ('status', $15, '{consultation}'), ('title', $16, '{consultation}')) AS p (name, value, kinds)
	WHERE p.value IS NOT NULL AND a.kind <> ALL (p.kinds::text[])
), matched AS MATERIALIZED (
	SELECT l.id FROM api.locality l
	WHERE (SELECT a.kind FROM asked a) = 'locality' AND l.boundary_set_id = (SELECT a.boundary_set_id FROM asked a) AND l.geometry IS NOT NULL
		AND ($5 IS NULL OR (l.geometry && (SELECT g.box FROM wanted g) AND ST_Intersects(l.geometry, (SELECT g.box FROM wanted g))))
		AND ($8 IS NULL OR (coalesce(l.valid_from, (SELECT a.valid_from FROM asked a), '-infinity') <= (SELECT g.last_day FROM wanted g)
			AND coalesce(l.valid_to, l.changed_on - 1, (SELECT a.valid_to FROM asked a), 'infinity') >= (SELECT g.first_day FROM wanted g)))
		AND ($11 IS NULL OR l.code = $11) AND ($12 IS NULL OR l.name = $12)
	UNION ALL
	SELECT m.id FROM api.map_item m
	WHERE (SELECT a.kind FROM asked a) = 'map_item' AND m.kind = (SELECT a.item_kind FROM asked a)
		AND ($5 IS NULL OR (m.point && (SELECT g.box FROM wanted g) AND ST_Intersects(m.point, (SELECT g.box FROM wanted g))))
		AND ($12 IS NULL OR m.name = $12) AND ($13 IS NULL OR m.aspect = $13) AND ($14 IS NULL OR m.locality_id = $14::uuid)
	UNION ALL
	SELECT c.id FROM api.consultation c
	WHERE (SELECT a.kind FROM asked a) = 'consultation' AND c.status <> 'idea'
		AND ($5 IS NULL OR c.locality_ids && (SELECT wardmote.localities_meeting(g.box) FROM wanted g))
		AND ($8 IS NULL OR (c.open_on <= (SELECT g.last_day FROM wanted g) AND coalesce(c.close_on, 'infinity') >= (SELECT g.first_day FROM wanted g)))
		AND ($14 IS NULL OR c.locality_ids @> ARRAY[$14::uuid]) AND ($15 IS NULL OR c.status = $15) AND ($16 IS NULL OR c.title = $16)
), page AS MATERIALIZED (
	SELECT m.id FROM matched m WHERE $18 IS NULL OR m.id > $18::uuid
	ORDER BY m.id LIMIT (SELECT a.size + 1 FROM asked a) OFFSET CASE WHEN $18 IS NULL THEN coalesce($9::integer, 0) ELSE 0 END
), weighed AS (
	-- What the shapes take where they are stored, up to each: a page ends where that passes 8 MiB, but not before its first.
	SELECT p.id, row_number() OVER (ORDER BY p.id) AS nth, sum(coalesce(CASE a.kind
		WHEN 'locality' THEN (SELECT pg_column_size(l.geometry) FROM api.locality l WHERE l.id = p.id)
		WHEN 'consultation' THEN (SELECT sum(pg_column_size(s.web_fine)) FROM api.consultation c JOIN api.locality_shape s ON s.id = ANY (c.locality_ids) WHERE c.id = p.id)
		END, 0)) OVER (ORDER BY p.id) AS bytes
	FROM asked a CROSS JOIN page p
), shown AS MATERIALIZED (
	SELECT w.id FROM weighed w WHERE w.nth <= (SELECT a.size FROM asked a) AND (w.nth = 1 OR w.bytes <= 8388608)
), feature AS MATERIALIZED (
	SELECT f.id, f.feature FROM asked a CROSS JOIN LATERAL wardmote.ogc_features(a.kind, ARRAY(SELECT s.id FROM shown s), $7) AS f
), answer AS (
	SELECT CASE WHEN EXISTS (SELECT FROM faults) THEN 400 ELSE 200 END AS status,
		CASE WHEN EXISTS (SELECT FROM faults) THEN (SELECT json_agg(row_to_json(f)) FROM faults f)::text
			ELSE '{"type":"FeatureCollection","numberMatched":' || (SELECT count(*) FROM matched) || ',"numberReturned":' || (SELECT count(*) FROM feature)
				|| coalesce(',"attribution":' || to_json(a.attribution), '') || coalesce(',"license":' || to_json(a.licence), '')
				|| ',"features":[' || coalesce((SELECT string_agg(f.feature::text, ',' ORDER BY f.id) FROM feature f), '') || ']' END AS body,
		NULL::text AS etag,
		CASE WHEN (SELECT count(*) FROM page) > (SELECT count(*) FROM shown) THEN (SELECT f.id || chr(31) || f.id FROM feature f ORDER BY f.id DESC LIMIT 1) END AS link
	FROM asked a
)
