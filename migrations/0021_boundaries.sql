-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Boundaries with a history: vintages, codes in several schemes, how one locality became others; and asking by place.

ALTER TABLE wardmote.boundary_set
	ADD COLUMN vintage text CONSTRAINT boundary_set_vintage CHECK (char_length(vintage) BETWEEN 1 AND 100),
	ADD COLUMN is_common boolean NOT NULL DEFAULT false;
SELECT wardmote.protect('boundary_set', 'admin');
SELECT wardmote.track('boundary_set');

ALTER TABLE wardmote.locality
	ADD COLUMN codes jsonb NOT NULL DEFAULT '[]' CONSTRAINT locality_codes CHECK (jsonb_typeof(codes) = 'array' AND jsonb_array_length(codes) <= 20),
	ADD COLUMN changed_on date,
	ADD COLUMN change_kind text CONSTRAINT locality_change_kind CHECK (change_kind IN ('unchanged', 'renamed', 'split', 'merged', 'irregular')),
	ADD COLUMN neighbourhood_managed boolean NOT NULL DEFAULT false,
	ADD CONSTRAINT locality_changed_on CHECK (changed_on >= valid_from);
CREATE INDEX locality_codes_idx ON wardmote.locality USING gin (codes jsonb_path_ops);
SELECT wardmote.protect('locality', 'admin');
SELECT wardmote.track('locality');

-- --- postcodes ----------------------------------------------------------------------------------------------------------------------

-- One point for each postcode, from a table that its publisher gives out (Code-Point Open, ONSPD). Public, and no record of a partner: an import
-- replaces it, and nobody changes one by hand.
CREATE TABLE wardmote.postcode (
	postcode  text COLLATE "C" PRIMARY KEY CONSTRAINT postcode_postcode CHECK (postcode ~ '^[A-Z0-9]{5,7}$'),
	point     public.geometry(Point, 4326) NOT NULL,
	quality   smallint,
	as_at     date,
	source    text NOT NULL,
	import_id uuid
);
SELECT wardmote.force_policies('wardmote.postcode'::regclass);
CREATE VIEW api.postcode AS SELECT p.postcode, p.point, p.quality, p.as_at, p.source FROM wardmote.postcode p;
GRANT SELECT ON api.postcode TO wardmote_api;

-- "nr1 1aa" -> "NR11AA"
CREATE FUNCTION wardmote.postcode_key(postcode text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT regexp_replace(upper(postcode), '[^A-Z0-9]', '', 'g')
$$;

CREATE FUNCTION wardmote.postcode_point(postcode text) RETURNS public.geometry LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT p.point FROM api.postcode p WHERE p.postcode = wardmote.postcode_key(postcode_point.postcode)
$$;

-- --- shapes as they are asked for -----------------------------------------------------------------------------------------------------

-- An area for drawing: about 300 steps across.
CREATE FUNCTION wardmote.simplified(area public.geometry) RETURNS public.geometry LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT public.ST_Multi(public.ST_SimplifyPreserveTopology(area,
		greatest(public.ST_XMax(area) - public.ST_XMin(area), public.ST_YMax(area) - public.ST_YMin(area)) / 300))
$$;

-- On British National Grid; NULL for what lies off it, where the projection has no meaning.
CREATE FUNCTION wardmote.national(shape public.geometry) RETURNS public.geometry LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN shape OPERATOR(public.@) public.ST_MakeEnvelope(-14, 47, 10, 65, 4326) THEN public.ST_Transform(shape, 27700) END
$$;

-- --- which localities -----------------------------------------------------------------------------------------------------------------

-- Those that the caller sees; so what is asked by them tells nothing of the others.
CREATE FUNCTION wardmote.localities_at(place public.geometry) RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(array_agg(l.id), '{}') FROM api.locality l WHERE l.geometry OPERATOR(public.&&) place AND public.ST_Covers(l.geometry, place)
$$;

CREATE FUNCTION wardmote.localities_meeting(place public.geometry) RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(array_agg(l.id), '{}') FROM api.locality l WHERE l.geometry OPERATOR(public.&&) place AND public.ST_Intersects(l.geometry, place)
$$;

CREATE FUNCTION wardmote.localities_near(place public.geometry, metres float8) RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(array_agg(l.id), '{}') FROM api.locality l
	WHERE l.geometry OPERATOR(public.&&) wardmote.around(place, metres) AND public.ST_DWithin(l.geometry::public.geography, place::public.geography, metres)
$$;

-- Parts, and parts of parts.
CREATE FUNCTION wardmote.descendants(locality uuid) RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
	WITH RECURSIVE below AS (
		SELECT l.id FROM api.locality l WHERE l.parent_id = locality AND EXISTS (SELECT FROM api.locality top WHERE top.id = locality)
		UNION
		SELECT l.id FROM below JOIN api.locality l ON l.parent_id = below.id
	)
	SELECT coalesce(array_agg(below.id), '{}') FROM below
$$;

GRANT EXECUTE ON FUNCTION wardmote.postcode_key(text), wardmote.postcode_point(text), wardmote.simplified(public.geometry),
	wardmote.national(public.geometry), wardmote.localities_at(public.geometry), wardmote.localities_meeting(public.geometry),
	wardmote.localities_near(public.geometry, float8), wardmote.descendants(uuid) TO wardmote_api;
