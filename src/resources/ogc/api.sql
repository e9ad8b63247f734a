-- What can be asked of /ogc as OpenAPI 3.0, each collection with a path of its own, since clients look there for what its features can be filtered by.
WITH property AS (
	SELECT * FROM (VALUES ('code', 'locality', '{}'::json), ('name', 'locality', '{}'), ('name', 'map_item', '{}'),
		('aspect', 'map_item', '{"enum":["strength","gap","aspiration","neutral"]}'), ('locality_id', 'map_item', '{"format":"uuid"}'),
		('locality_id', 'consultation', '{"format":"uuid"}'), ('title', 'consultation', '{}'),
		('status', 'consultation', '{"enum":["planned","approved","open","closed","analysed","fed_back","evaluated","cancelled"]}')) AS p (name, kind, more)
), shared AS (
	SELECT json_agg(json_build_object('$ref', '#/components/parameters/' || n.name) ORDER BY n.place) AS parameters
	FROM (VALUES ('limit', 1), ('bbox', 2), ('bbox-crs', 3), ('crs', 4), ('datetime', 5), ('offset', 6), ('f', 7)) AS n (name, place)
), refusals AS (
	SELECT json_build_object('400', json_build_object('description', 'The request shows a fault; the answer says where.'),
		'404', json_build_object('description', 'There is no such thing, or not for this caller.')) AS refused
), path AS (
	SELECT 0 AS place, d.path, json_build_object('get', json_build_object('summary', d.summary, 'operationId', d.id, 'responses',
		json_build_object('200', json_build_object('description', d.summary, 'content', json_build_object('application/json',
			json_build_object('schema', json_build_object('type', 'object'))))))) AS item
	FROM (VALUES ('/', 'Landing page', 'getLandingPage'), ('/conformance', 'Conformance classes', 'getConformance'),
		('/collections', 'Collections', 'getCollections')) AS d (path, summary, id)
	UNION ALL
	SELECT 1, '/collections/' || wardmote.url_segment(c.id), json_build_object('get', json_build_object('summary', c.title, 'operationId', 'describe.' || c.id,
		'responses', (json_build_object('200', json_build_object('description', 'The collection', 'content', json_build_object('application/json',
			json_build_object('schema', json_build_object('type', 'object')))))::jsonb || r.refused::jsonb)::json))
	FROM api.ogc_collection c CROSS JOIN refusals r
	UNION ALL
	SELECT 2, '/collections/' || wardmote.url_segment(c.id) || '/items', json_build_object('get', json_build_object('summary', 'Features: ' || c.title,
		'operationId', 'items.' || c.id, 'parameters', (SELECT s.parameters::jsonb || coalesce((SELECT jsonb_agg(jsonb_build_object('name', p.name, 'in', 'query',
				'required', false, 'style', 'form', 'explode', false, 'description', 'Features with this value.',
				'schema', jsonb_build_object('type', 'string') || p.more::jsonb) ORDER BY p.name) FROM property p WHERE p.kind = c.kind), '[]') FROM shared s),
		'responses', (json_build_object('200', json_build_object('description', 'Features', 'content', json_build_object('application/geo+json',
			json_build_object('schema', json_build_object('type', 'object')))))::jsonb || r.refused::jsonb)::json))
	FROM api.ogc_collection c CROSS JOIN refusals r
	UNION ALL
	SELECT 3, '/collections/' || wardmote.url_segment(c.id) || '/items/{featureId}', json_build_object('get', json_build_object('summary', 'Feature: ' || c.title,
		'operationId', 'item.' || c.id, 'parameters', json_build_array(json_build_object('name', 'featureId', 'in', 'path', 'required', true,
			'schema', json_build_object('type', 'string', 'format', 'uuid')), json_build_object('$ref', '#/components/parameters/crs')),
		'responses', (json_build_object('200', json_build_object('description', 'The feature', 'content', json_build_object('application/geo+json',
			json_build_object('schema', json_build_object('type', 'object')))))::jsonb || r.refused::jsonb)::json))
	FROM api.ogc_collection c CROSS JOIN refusals r
), crs AS (
	SELECT json_build_object('type', 'string', 'format', 'uri', 'default', 'http://www.opengis.net/def/crs/OGC/1.3/CRS84', 'enum',
		json_build_array('http://www.opengis.net/def/crs/OGC/1.3/CRS84', 'http://www.opengis.net/def/crs/EPSG/0/4326',
			'http://www.opengis.net/def/crs/EPSG/0/27700', 'http://www.opengis.net/def/crs/EPSG/0/3857')) AS schema
), parameter AS (
	SELECT p.name, json_build_object('name', p.name, 'in', 'query', 'required', false, 'style', 'form', 'explode', false, 'description', p.text, 'schema', p.schema)
		AS parameter
	FROM (SELECT 'limit' AS name, 'Features on a page.' AS text, '{"type":"integer","minimum":1,"maximum":500,"default":50}'::json AS schema
		UNION ALL SELECT 'bbox', 'Only features that meet this box: four numbers, or six with heights.',
			'{"type":"array","minItems":4,"maxItems":6,"items":{"type":"number"}}'
		UNION ALL SELECT 'bbox-crs', 'Reference system of bbox.', crs.schema FROM crs
		UNION ALL SELECT 'crs', 'Reference system of the answer.', crs.schema FROM crs
		UNION ALL SELECT 'datetime', 'Only features in force, or open, in this time: a day, or two with / between them.', '{"type":"string"}'
		UNION ALL SELECT 'offset', 'Features to pass over.', '{"type":"integer","minimum":0,"maximum":10000,"default":0}'
		UNION ALL SELECT 'f', 'The format: there is one.', '{"type":"string","enum":["json","geojson"]}') AS p
), answer AS (
	SELECT 200 AS status, json_build_object('openapi', '3.0.3',
		'info', json_build_object('title', 'Wardmote: features', 'version', '1', 'description', 'OGC API Features; the rest of the API is at /openapi.json.'),
		'servers', json_build_array(json_build_object('url', wardmote.public_url() || '/ogc')),
		'paths', (SELECT json_object_agg(p.path, p.item ORDER BY p.place, p.path) FROM path p),
		'components', json_build_object('parameters', (SELECT json_object_agg(p.name, p.parameter) FROM parameter p)))::text AS body,
		NULL::text AS etag, NULL::text AS link
)
