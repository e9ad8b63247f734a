-- The collections that the caller sees, boundary sets first.
WITH answer AS (
	SELECT 200 AS status, json_build_object(
		'links', json_build_array(wardmote.ogc_link('self', 'application/json', '/ogc/collections', 'Collections')),
		'crs', json_build_array('http://www.opengis.net/def/crs/OGC/1.3/CRS84', 'http://www.opengis.net/def/crs/EPSG/0/4326',
			'http://www.opengis.net/def/crs/EPSG/0/27700', 'http://www.opengis.net/def/crs/EPSG/0/3857'),
		'collections', (SELECT coalesce(json_agg(wardmote.ogc_describe(c) ORDER BY c.kind <> 'locality', c.kind, c.id), '[]') FROM api.ogc_collection c))::text AS body,
		NULL::text AS etag, NULL::text AS link
)
