-- One feature. $4 the collection, $2 its id, $5 the reference system of the answer.
WITH asked AS (
	SELECT c.* FROM api.ogc_collection c WHERE c.id = $4
), answer AS (
	SELECT 200 AS status, (f.feature::jsonb || jsonb_build_object('links', json_build_array(
			wardmote.ogc_link('self', 'application/geo+json', p.path || '/items/' || f.id, a.title),
			wardmote.ogc_link('collection', 'application/json', p.path, a.title))))::text AS body,
		NULL::text AS etag, NULL::text AS link
	FROM asked a
	CROSS JOIN (SELECT '/ogc/collections/' || wardmote.url_segment($4) AS path) AS p
	CROSS JOIN LATERAL wardmote.ogc_features(a.kind, ARRAY[$2::uuid], $5) AS f
	WHERE CASE a.kind WHEN 'locality' THEN EXISTS (SELECT FROM api.locality l WHERE l.id = f.id AND l.boundary_set_id = a.boundary_set_id AND l.geometry IS NOT NULL)
		WHEN 'map_item' THEN EXISTS (SELECT FROM api.map_item m WHERE m.id = f.id AND m.kind = a.item_kind) ELSE true END
)
