-- SPDX-License-Identifier: AGPL-3.0-or-later
-- The map for other programs: collections of features (OGC API Features) and tiles. Everything here reads the views in `api`, so a caller gets what lists give too.

CREATE INDEX locality_set_by_id ON wardmote.locality (boundary_set_id, id);
CREATE INDEX map_item_kind_by_id ON wardmote.map_item (kind, id);

-- --- collections ----------------------------------------------------------------------------------------------------------------------

-- One of each boundary set that has boundaries, under its code; one of each kind of map item; and the consultations. A code with a slash fits in no path.
CREATE VIEW api.ogc_collection AS
	SELECT s.code COLLATE "C" AS id, s.name COLLATE "C" AS title, 'locality' AS kind, s.id AS boundary_set_id, NULL::text AS item_kind, s.valid_from, s.valid_to,
		s.vintage, s.attribution, s.licence
	FROM api.boundary_set s
	WHERE wardmote.may_read('boundary-sets') AND s.code !~ '[/\\[:cntrl:]]' AND s.code <> ALL ('{.,..}')
		AND EXISTS (SELECT FROM api.locality l WHERE l.boundary_set_id = s.id AND l.geometry IS NOT NULL)
	UNION ALL
	SELECT 'map-items-' || replace(k.kind, '_', '-'), k.title, 'map_item', NULL, k.kind, NULL, NULL, NULL, NULL, NULL
	FROM (VALUES ('key_player_individual', 'Key players: people'), ('key_player_group', 'Key players: community groups'),
		('key_player_partner', 'Key players: partners'), ('facility', 'Facilities'), ('activity', 'Regular activities')) AS k (kind, title)
	WHERE wardmote.may_read('map-items')
	UNION ALL
	SELECT 'consultations', 'Consultations by area', 'consultation', NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE wardmote.may_read('consultations');
GRANT SELECT ON api.ogc_collection TO wardmote_api;

-- A segment of a path as it stands in a URL.
CREATE FUNCTION wardmote.url_segment(segment text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT coalesce(string_agg(CASE WHEN byte < 128 AND chr(byte) ~ '[A-Za-z0-9._~-]' THEN chr(byte) ELSE '%' || upper(lpad(to_hex(byte), 2, '0')) END, ''
		ORDER BY i), '')
	FROM (SELECT i, get_byte(raw, i) AS byte FROM (SELECT convert_to(segment, 'UTF8') AS raw) AS bytes CROSS JOIN LATERAL generate_series(0, length(raw) - 1) AS i) AS each
$$;

CREATE FUNCTION wardmote.ogc_link(rel text, type text, path text, title text) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT json_build_object('rel', rel, 'type', type, 'href', wardmote.public_url() || path, 'title', title)
$$;

-- Where the features of a collection lie. NULL for consultations, which lie where their localities do.
CREATE FUNCTION wardmote.ogc_extent(c api.ogc_collection) RETURNS public.box2d LANGUAGE sql STABLE AS $$
	SELECT CASE c.kind
		WHEN 'locality' THEN (SELECT public.ST_Extent(l.geometry) FROM api.locality l WHERE l.boundary_set_id = c.boundary_set_id)
		WHEN 'map_item' THEN (SELECT public.ST_Extent(m.point) FROM api.map_item m WHERE m.kind = c.item_kind) END::public.box2d
$$;

CREATE FUNCTION wardmote.ogc_describe(c api.ogc_collection) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_strip_nulls(json_build_object('id', c.id, 'title', c.title,
		'description', CASE c.kind
			WHEN 'locality' THEN 'Localities of the boundary set ' || c.title || coalesce(', ' || c.vintage, '') || '.'
			WHEN 'map_item' THEN 'What the community map shows: ' || lower(c.title) || '. What has a locality only has no geometry.'
			ELSE 'Consultations that are planned, open or past, each as the area of its localities.' END,
		'itemType', 'feature', 'attribution', c.attribution, 'license', c.licence,
		'extent', json_build_object(
			'spatial', CASE WHEN e.box IS NOT NULL THEN json_build_object('crs', 'http://www.opengis.net/def/crs/OGC/1.3/CRS84', 'bbox',
				json_build_array(json_build_array(public.ST_XMin(e.box), public.ST_YMin(e.box), public.ST_XMax(e.box), public.ST_YMax(e.box)))) END),
		'crs', json_build_array('http://www.opengis.net/def/crs/OGC/1.3/CRS84', 'http://www.opengis.net/def/crs/EPSG/0/4326',
			'http://www.opengis.net/def/crs/EPSG/0/27700', 'http://www.opengis.net/def/crs/EPSG/0/3857'),
		'storageCrs', 'http://www.opengis.net/def/crs/OGC/1.3/CRS84',
		'links', json_build_array(
			wardmote.ogc_link('self', 'application/json', p.path, c.title),
			wardmote.ogc_link('items', 'application/geo+json', p.path || '/items', c.title))))
	FROM (SELECT wardmote.ogc_extent(c) AS box OFFSET 0) AS e
	CROSS JOIN (SELECT '/ogc/collections/' || wardmote.url_segment(c.id) AS path) AS p
$$;

-- --- what is asked ----------------------------------------------------------------------------------------------------------------------

-- Four numbers, or six with heights, in one of the offered reference systems, as an area in degrees. NULL: it is none.
CREATE FUNCTION wardmote.ogc_box(bbox text, crs text) RETURNS public.geometry LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
	srid integer := CASE WHEN crs ~ '/EPSG/0/' THEN substring(crs FROM '\d+$')::integer ELSE 84 END;
	n float8[];
	half integer;
BEGIN
	-- As many digits as a client's numbers have: GDAL writes all that there are, and small ones with an exponent.
	IF bbox !~ '^(-?\d{1,9}(\.\d{1,20})?([eE][+-]?\d\d?)?(,|$)){4,6}$' OR bbox ~ ',$' OR cardinality(string_to_array(bbox, ',')) = 5 THEN
		RETURN NULL;
	END IF;
	n := string_to_array(bbox, ',')::float8[];
	half := cardinality(n) / 2;
	n := CASE WHEN srid = 4326 THEN ARRAY[n[2], n[1], n[half + 2], n[half + 1]] ELSE ARRAY[n[1], n[2], n[half + 1], n[half + 2]] END;
	IF n[2] > n[4] THEN
		RETURN NULL;
	ELSIF srid IN (84, 4326) THEN
		RETURN CASE WHEN greatest(abs(n[1]), abs(n[3])) <= 180 AND greatest(abs(n[2]), abs(n[4])) <= 90 THEN wardmote.box(array_to_string(n, ',')) END;
	ELSIF n[1] > n[3] THEN
		RETURN NULL;
	END IF;
	-- No further out than the projection has a meaning; and in small steps, since what is straight in it is not in degrees.
	n := CASE srid WHEN 27700 THEN ARRAY[greatest(n[1], -200000), greatest(n[2], -300000), least(n[3], 1000000), least(n[4], 1500000)]
		ELSE ARRAY[greatest(n[1], -20037508), greatest(n[2], -20037508), least(n[3], 20037508), least(n[4], 20037508)] END;
	IF n[1] > n[3] OR n[2] > n[4] THEN
		RETURN 'SRID=4326;POLYGON EMPTY'::public.geometry;
	END IF;
	RETURN public.ST_Transform(public.ST_Segmentize(public.ST_MakeEnvelope(n[1], n[2], n[3], n[4], srid), greatest(n[3] - n[1], n[4] - n[2], 16) / 16), 4326);
END
$$;

-- A day or a moment, or two with a slash between them of which one may be open (".." or nothing): first and last day where the installation is. NULL: it is none.
CREATE FUNCTION wardmote.ogc_days(given text) RETURNS date[] LANGUAGE plpgsql STABLE AS $$
DECLARE
	part text;
	parts text[] := string_to_array(given, '/');
	days date[] := '{}';
BEGIN
	IF cardinality(parts) NOT IN (1, 2) OR (cardinality(parts) = 1 AND parts[1] IN ('', '..')) THEN
		RETURN NULL;
	END IF;
	FOREACH part IN ARRAY parts LOOP
		IF part IN ('', '..') THEN
			days := days || CASE WHEN cardinality(days) = 0 THEN '-infinity'::date ELSE 'infinity'::date END;
		ELSIF part ~ '^\d{4}-\d\d-\d\d$' THEN
			days := days || part::date;
		ELSIF part ~* '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$' THEN
			days := days || (part::timestamptz AT TIME ZONE coalesce(nullif(current_setting('wardmote.timezone', true), ''), 'Europe/London'))::date;
		ELSE
			RETURN NULL;
		END IF;
	END LOOP;
	days := ARRAY[days[1], days[cardinality(days)]];
	RETURN CASE WHEN days[1] <= days[2] THEN days END;
EXCEPTION WHEN data_exception THEN
	RETURN NULL;
END
$$;

-- Coordinates as a reference system wants them, as GeoJSON: latitude first where EPSG says so.
CREATE FUNCTION wardmote.ogc_shape(shape public.geometry, crs text) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN crs LIKE '%/27700' THEN public.ST_AsGeoJSON(wardmote.national(shape), 2, 0)
		WHEN crs LIKE '%/3857' THEN public.ST_AsGeoJSON(wardmote.web_shape(shape), 2, 0)
		WHEN crs LIKE '%/4326' THEN public.ST_AsGeoJSON(public.ST_FlipCoordinates(shape), 6, 0)
		ELSE public.ST_AsGeoJSON(shape, 6, 0) END::json
$$;

-- --- features ---------------------------------------------------------------------------------------------------------------------------

-- The area of several localities, to 10 m. On a grid of a metre, so that shapes which were simplified each for itself make one.
CREATE FUNCTION wardmote.area_of(localities uuid[]) RETURNS public.geometry LANGUAGE sql STABLE AS $$
	SELECT public.ST_Transform(public.ST_Multi(public.ST_CollectionExtract(public.ST_UnaryUnion(public.ST_Collect(s.web_fine), 1), 3)), 4326)
	FROM api.locality_shape s WHERE s.id = ANY (localities)
$$;

-- Records of a collection as GeoJSON features. Nothing here says who a person is.
CREATE FUNCTION wardmote.ogc_features(kind text, ids uuid[], crs text) RETURNS TABLE (id uuid, feature json) LANGUAGE sql STABLE AS $$
	SELECT l.id, json_build_object('type', 'Feature', 'id', l.id, 'geometry', wardmote.ogc_shape(l.geometry, crs), 'properties', json_build_object(
		'code', l.code, 'name', l.name, 'parent_id', l.parent_id, 'population', l.population, 'population_as_at', l.population_as_at, 'households', l.households,
		'valid_from', l.valid_from, 'valid_to', l.valid_to, 'changed_on', l.changed_on, 'boundary_set_id', l.boundary_set_id))
	FROM api.locality l WHERE ogc_features.kind = 'locality' AND l.id = ANY (ids)
	UNION ALL
	SELECT m.id, json_build_object('type', 'Feature', 'id', m.id, 'geometry', wardmote.ogc_shape(m.point, crs), 'properties', json_build_object(
		'name', m.name, 'kind', m.kind, 'aspect', m.aspect, 'use', m.use, 'accessibility', m.accessibility, 'locality_id', m.locality_id))
	FROM api.map_item m WHERE ogc_features.kind = 'map_item' AND m.id = ANY (ids)
	UNION ALL
	SELECT c.id, json_build_object('type', 'Feature', 'id', c.id, 'geometry', wardmote.ogc_shape(wardmote.area_of(c.locality_ids), crs),
		'properties', json_build_object('title', c.title, 'status', c.status, 'summary', c.summary, 'open_on', c.open_on, 'close_on', c.close_on,
			'everyone', c.everyone, 'take_part_url', c.take_part_url, 'partner_id', c.partner_id))
	FROM api.consultation c WHERE ogc_features.kind = 'consultation' AND c.status <> 'idea' AND c.id = ANY (ids)
$$;

-- --- tiles --------------------------------------------------------------------------------------------------------------------------------

-- The square of a tile on the web's projection; NULL where there is no such tile.
CREATE FUNCTION wardmote.tile_box(z text, x text, y text) RETURNS public.geometry LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN z ~ '^(\d|1\d|2[0-2])$' AND x ~ '^(0|[1-9]\d{0,6})$' AND y ~ '^(0|[1-9]\d{0,6})$' THEN
		CASE WHEN greatest(x::integer, y::integer) < 1 << z::integer THEN public.ST_TileEnvelope(z::integer, x::integer, y::integer) END END
$$;

-- What stands for the state of a set's localities: another after each change of any of them, and never one that was there before, whatever the database goes through.
CREATE VIEW api.boundary_set_stamp AS
	SELECT s.id AS boundary_set_id, md5(s.id::text || ' ' || t.generation || ' ' || extract(epoch FROM t.changed_at)) AS stamp
	FROM api.boundary_set s JOIN wardmote.boundary_set_state t ON t.boundary_set_id = s.id;
GRANT SELECT ON api.boundary_set_stamp TO wardmote_api;

GRANT EXECUTE ON FUNCTION wardmote.url_segment(text), wardmote.ogc_link(text, text, text, text), wardmote.ogc_extent(api.ogc_collection),
	wardmote.ogc_describe(api.ogc_collection), wardmote.ogc_box(text, text), wardmote.ogc_days(text), wardmote.ogc_shape(public.geometry, text),
	wardmote.area_of(uuid[]), wardmote.ogc_features(text, uuid[], text), wardmote.tile_box(text, text, text),
	wardmote.web_shape(public.geometry) TO wardmote_api;
