-- What the service conforms to.
WITH answer AS (
	SELECT 200 AS status, json_build_object('conformsTo', json_build_array(
		'http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core',
		'http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson',
		'http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30',
		'http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs'))::text AS body,
		NULL::text AS etag, NULL::text AS link
)
