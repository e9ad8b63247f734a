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
	SELECT coalesce(array_agg(l.id), '{}') FROM api.locality l WHERE l.geometry OPERATOR(public.&&) place
		-- what lies within a box need not be asked
		AND ((place OPERATOR(public.~) l.geometry AND place OPERATOR(public.=) public.ST_Envelope(place)) OR public.ST_Intersects(l.geometry, place))
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

-- --- lineage from a file --------------------------------------------------------------------------------------------------------------

-- Which rows of an import say nothing that can be stored: what is no locality of its set, and what is no change.
CREATE FUNCTION wardmote.check_lineage(import anyelement) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	PERFORM wardmote.import_drop(import.id, (SELECT array_agg(ROW(import.id, f.n, f.from_code, f.reason, f.detail)::wardmote.import_reject)
		FROM (
			SELECT r.n, r.data ->> 'from_code' AS from_code,
				CASE WHEN o.id IS NULL OR s.id IS NULL THEN 'not_found'
					WHEN o.id = s.id THEN 'self'
					WHEN nullif(r.data ->> 'change_kind', '') NOT IN ('unchanged', 'renamed', 'split', 'merged', 'irregular') THEN 'change_kind'
					WHEN r.data ->> 'changed_on' <> '' AND NOT wardmote.is_date(r.data ->> 'changed_on') THEN 'changed_on'
					WHEN r.data ->> 'changed_on' <> '' AND (r.data ->> 'changed_on')::date < o.valid_from THEN 'order' END AS reason,
				CASE WHEN o.id IS NULL THEN 'The older set has no locality with the code in from_code.'
					WHEN s.id IS NULL THEN 'The newer set has no locality with the code in to_code.'
					WHEN o.id = s.id THEN 'A locality cannot be its own successor.'
					WHEN nullif(r.data ->> 'change_kind', '') NOT IN ('unchanged', 'renamed', 'split', 'merged', 'irregular')
						THEN 'change_kind is one of: unchanged, renamed, split, merged, irregular.'
					WHEN NOT wardmote.is_date(r.data ->> 'changed_on') THEN 'changed_on must be a date, YYYY-MM-DD.'
					ELSE 'changed_on may not be before the first day of the locality.' END AS detail
			FROM wardmote.import_row r
			LEFT JOIN api.locality o ON o.boundary_set_id = import.boundary_set_id AND o.code = r.data ->> 'from_code'
			LEFT JOIN api.locality s ON s.boundary_set_id = (import.settings ->> 'to_boundary_set_id')::uuid AND s.code = r.data ->> 'to_code'
			WHERE r.import_id = import.id
		) AS f WHERE f.reason IS NOT NULL));
	-- One locality changes once, and in one way.
	PERFORM wardmote.import_drop(import.id, (SELECT array_agg(ROW(import.id, f.n, f.from_code, f.reason, f.detail)::wardmote.import_reject)
		FROM (
			SELECT r.n, r.data ->> 'from_code' AS from_code, CASE WHEN r.pair > 1 THEN 'duplicate' ELSE 'mismatch' END AS reason,
				CASE WHEN r.pair > 1 THEN format('Row %s says the same.', r.twin) ELSE format('Row %s says another change of the same locality.', r.first) END AS detail
			FROM (
				SELECT k.n, k.data, row_number() OVER pairs AS pair, first_value(k.n) OVER pairs AS twin, first_value(k.n) OVER changes AS first,
					ROW(k.data ->> 'change_kind', k.data ->> 'changed_on') IS DISTINCT FROM
						ROW(first_value(k.data ->> 'change_kind') OVER changes, first_value(k.data ->> 'changed_on') OVER changes) AS differs
				FROM wardmote.import_row k WHERE k.import_id = import.id
				WINDOW pairs AS (PARTITION BY k.data ->> 'from_code', k.data ->> 'to_code' ORDER BY k.n),
					changes AS (PARTITION BY k.data ->> 'from_code' ORDER BY k.n)
			) AS r WHERE r.pair > 1 OR r.differs
		) AS f));
	PERFORM wardmote.import_drop(import.id, (SELECT array_agg(ROW(import.id, f.n, f.from_code, 'too_many', 'A locality has at most 100 successors.')::wardmote.import_reject)
		FROM (
			SELECT r.n, r.data ->> 'from_code' AS from_code,
				row_number() OVER (PARTITION BY o.id ORDER BY s.id = ANY (o.successor_ids) DESC, r.n)
					+ cardinality(o.successor_ids) - count(*) FILTER (WHERE s.id = ANY (o.successor_ids)) OVER (PARTITION BY o.id) AS nth
			FROM wardmote.import_row r
			JOIN wardmote.locality o ON o.boundary_set_id = import.boundary_set_id AND o.code = r.data ->> 'from_code'
			JOIN wardmote.locality s ON s.boundary_set_id = (import.settings ->> 'to_boundary_set_id')::uuid AND s.code = r.data ->> 'to_code'
			WHERE r.import_id = import.id
		) AS f WHERE f.nth > 100));
END
$$;

CREATE FUNCTION wardmote.is_date(given text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
	RETURN given ~ '^\d{4}-\d\d-\d\d$' AND given::date IS NOT NULL;
EXCEPTION WHEN data_exception THEN
	RETURN false;
END
$$;

-- Rows {from_code, to_code, change_kind, changed_on} of an import (0022) become successors, beside those that are there. Its type comes with that migration,
-- which calls this one by name.
CREATE FUNCTION wardmote.apply_lineage(import anyelement) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	older wardmote.boundary_set;
	total integer;
	known integer;
	updated integer;
BEGIN
	SELECT s.* INTO older FROM api.boundary_set s WHERE s.id = import.boundary_set_id;
	IF older.id IS NULL OR NOT wardmote.may_administer() THEN
		RAISE EXCEPTION 'the account may not change this boundary set any more' USING ERRCODE = 'WM403';
	END IF;
	PERFORM pg_advisory_xact_lock(hashtextextended('wardmote.import ' || older.id, 0));
	SELECT count(*) + (SELECT w.rejected FROM wardmote.import_work w WHERE w.import_id = import.id) INTO total
	FROM wardmote.import_row r WHERE r.import_id = import.id;
	PERFORM wardmote.check_lineage(import);
	IF (SELECT w.rejected > 0 FROM wardmote.import_work w WHERE w.import_id = import.id) AND coalesce(import.settings ->> 'accept_rest', 'false') <> 'true' THEN
		PERFORM wardmote.import_end(import.id, 'rejected', 'Nothing was stored, since rows were rejected; accept_rest=true stores the others.',
			ARRAY[total, 0, 0, 0, 0]);
		RETURN;
	END IF;
	WITH named AS (
		SELECT o.id, min(nullif(r.data ->> 'change_kind', '')) AS change_kind, min(nullif(r.data ->> 'changed_on', ''))::date AS changed_on,
			array_agg(s.id ORDER BY r.n) AS successors
		FROM wardmote.import_row r
		JOIN wardmote.locality o ON o.boundary_set_id = import.boundary_set_id AND o.code = r.data ->> 'from_code'
		JOIN wardmote.locality s ON s.boundary_set_id = (import.settings ->> 'to_boundary_set_id')::uuid AND s.code = r.data ->> 'to_code'
		WHERE r.import_id = import.id
		GROUP BY o.id
	), wanted AS (
		SELECT l.id, coalesce(n.change_kind, l.change_kind) AS change_kind, coalesce(n.changed_on, l.changed_on) AS changed_on,
			l.successor_ids || ARRAY(SELECT x FROM unnest(n.successors) x WHERE x <> ALL (l.successor_ids)) AS successor_ids
		FROM named n JOIN wardmote.locality l ON l.id = n.id
	), written AS (
		UPDATE wardmote.locality l SET change_kind = w.change_kind, changed_on = w.changed_on, successor_ids = w.successor_ids FROM wanted w
		WHERE l.id = w.id AND ROW(l.change_kind, l.changed_on, l.successor_ids) IS DISTINCT FROM ROW(w.change_kind, w.changed_on, w.successor_ids)
		RETURNING l.id
	)
	SELECT (SELECT count(*) FROM named), (SELECT count(*) FROM written) INTO known, updated;
	PERFORM wardmote.import_end(import.id, 'done', NULL, ARRAY[total, 0, updated, known - updated, 0]);
END
$$;
