-- Where a client of OGC API begins.
WITH answer AS (
	SELECT 200 AS status, json_build_object('title', 'Wardmote', 'description',
		'Localities of every boundary set, what community maps show, and consultations by area, as features (OGC API Features).',
		'links', json_build_array(
			wardmote.ogc_link('self', 'application/json', '/ogc', 'This document'),
			wardmote.ogc_link('service-desc', 'application/vnd.oai.openapi+json;version=3.0', '/ogc/api', 'What can be asked here (OpenAPI 3.0)'),
			wardmote.ogc_link('service-doc', 'application/json', '/openapi.json', 'The whole API (OpenAPI 3.1)'),
			wardmote.ogc_link('conformance', 'application/json', '/ogc/conformance', 'What this conforms to'),
			wardmote.ogc_link('data', 'application/json', '/ogc/collections', 'Collections')))::text AS body,
		NULL::text AS etag, NULL::text AS link
)
