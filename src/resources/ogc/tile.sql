-- A tile as Mapbox draws them. $4 the collection, $5 zoom, $6 column, $7 row; $8 the stamps of tiles that the client has. Areas are stamped with the state of
-- their boundary set, so that one which the client has is not drawn again; points with what was drawn.
WITH tile AS MATERIALIZED (
	SELECT b.box, ST_Transform(ST_Expand(b.box, w.margin), 4326) AS degrees, ST_Expand(b.box, w.margin + 20) AS around, b.z,
		string_to_array(coalesce($8, ''), ' ') AS known
	FROM (SELECT wardmote.tile_box($5, $6, $7) AS box, CASE WHEN wardmote.tile_box($5, $6, $7) IS NOT NULL THEN $5::integer END AS z OFFSET 0) AS b
	CROSS JOIN LATERAL (SELECT (ST_XMax(b.box) - ST_XMin(b.box)) / 64 AS margin) AS w
	WHERE b.box IS NOT NULL
), asked AS MATERIALIZED (
	SELECT c.kind, c.boundary_set_id, c.item_kind, s.stamp
	FROM api.ogc_collection c LEFT JOIN api.boundary_set_stamp s ON s.boundary_set_id = c.boundary_set_id WHERE c.id = $4 AND c.kind <> 'consultation'
	UNION ALL
	SELECT 'activity', NULL, NULL, NULL WHERE $4 = 'activities' AND wardmote.may_read('activities')
), areas AS (
	SELECT ST_AsMVT(d, $4, 4096, 'geom') AS mvt
	FROM (SELECT ST_AsMVTGeom(CASE WHEN t.z <= 8 THEN s.web_coarse WHEN t.z <= 12 THEN s.web_fine ELSE wardmote.web_shape(s.geometry) END, t.box, 4096, 64) AS geom,
			s.id, s.code, s.name
		FROM tile t CROSS JOIN api.locality_shape s
		WHERE (SELECT a.kind = 'locality' AND coalesce(a.stamp <> ALL (k.known), true) FROM asked a, tile k)
			AND s.boundary_set_id = (SELECT a.boundary_set_id FROM asked a) AND s.web_fine && (SELECT k.around FROM tile k)) AS d
	WHERE d.geom IS NOT NULL
), points AS (
	SELECT ST_AsMVT(d, $4, 4096, 'geom') AS mvt
	FROM (SELECT ST_AsMVTGeom(ST_Transform(f.point, 3857), t.box, 4096, 64) AS geom, f.id, f.name, f.kind, f.aspect, f.status, f.starts_on
		FROM tile t CROSS JOIN (
			SELECT m.id, m.point, m.name, m.kind, m.aspect, NULL AS status, NULL::date AS starts_on FROM api.map_item m
			WHERE (SELECT a.kind FROM asked a) = 'map_item' AND m.kind = (SELECT a.item_kind FROM asked a) AND m.point && (SELECT k.degrees FROM tile k)
			UNION ALL
			SELECT c.id, c.point, c.title, c.kind, NULL, c.status, c.starts_on FROM api.activity c
			WHERE (SELECT a.kind FROM asked a) = 'activity' AND c.point && (SELECT k.degrees FROM tile k)
			ORDER BY id LIMIT 20000) AS f
		ORDER BY f.id) AS d
	WHERE d.geom IS NOT NULL
), drawn AS MATERIALIZED (
	SELECT CASE a.kind WHEN 'locality' THEN (SELECT x.mvt FROM areas x) ELSE (SELECT x.mvt FROM points x) END AS mvt FROM asked a
), stamped AS (
	SELECT coalesce(a.stamp, md5(d.mvt)) AS stamp, d.mvt, t.known FROM asked a CROSS JOIN tile t CROSS JOIN drawn d
), answer AS (
	SELECT CASE WHEN s.stamp = ANY (s.known) THEN 304 WHEN length(s.mvt) > 0 THEN 200 ELSE 204 END AS status,
		CASE WHEN s.stamp <> ALL (s.known) AND length(s.mvt) > 0 THEN '\x' || encode(s.mvt, 'hex') END AS body, s.stamp AS etag, NULL::text AS link
	FROM stamped s
)
