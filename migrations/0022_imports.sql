-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Imports: a file becomes many records, or none. The server cuts the file into rows and hands them over in batches, as the account that asked for the import;
-- they wait in a table of their own until one transaction takes them all.

CREATE TABLE wardmote.import (
	kind            text NOT NULL CONSTRAINT import_kind CHECK (kind IN ('boundaries', 'lineage', 'postcodes', 'profile_values', 'deprivation_values')),
	boundary_set_id uuid,
	state           text NOT NULL DEFAULT 'queued' CONSTRAINT import_state CHECK (state IN ('queued', 'running', 'done', 'rejected', 'failed')),
	reason          text CONSTRAINT import_reason CHECK (char_length(reason) BETWEEN 1 AND 500),
	bytes           bigint NOT NULL CONSTRAINT import_bytes CHECK (bytes >= 0),
	features        integer NOT NULL DEFAULT 0 CONSTRAINT import_features CHECK (features >= 0),
	created_count   integer NOT NULL DEFAULT 0 CONSTRAINT import_created_count CHECK (created_count >= 0),
	updated_count   integer NOT NULL DEFAULT 0 CONSTRAINT import_updated_count CHECK (updated_count >= 0),
	unchanged_count integer NOT NULL DEFAULT 0 CONSTRAINT import_unchanged_count CHECK (unchanged_count >= 0),
	repaired_count  integer NOT NULL DEFAULT 0 CONSTRAINT import_repaired_count CHECK (repaired_count >= 0),
	rejected_count  integer NOT NULL DEFAULT 0 CONSTRAINT import_rejected_count CHECK (rejected_count >= 0),
	started_at      timestamptz,
	ended_at        timestamptz,
	settings        jsonb NOT NULL
);
SELECT wardmote.protect('import', 'owned');
CREATE INDEX import_by_created_at ON wardmote.import (audience, created_at, id);
CREATE INDEX import_by_updated_at ON wardmote.import (audience, updated_at, id);
CREATE INDEX import_open ON wardmote.import (created_at) WHERE state IN ('queued', 'running');
SELECT wardmote.track('import');
SELECT wardmote.refers('import', 'boundary_set_id', 'boundary_set', false);
-- Nobody deletes an import, so it must not keep what it was for.
UPDATE wardmote.reference SET released = true WHERE thing = 'import' AND column_name = 'boundary_set_id';
SELECT wardmote.make_dependants('boundary_set');
ALTER TABLE wardmote.import DROP CONSTRAINT import_boundary_set_id_fkey,
	ADD CONSTRAINT import_boundary_set_id_fkey FOREIGN KEY (boundary_set_id) REFERENCES wardmote.boundary_set (id) ON DELETE SET NULL;

-- What waits, and what is known of an import under way. None of it outlives a crash, and none of it need: an import that lost it has failed.
CREATE UNLOGGED TABLE wardmote.import_work (
	import_id  uuid PRIMARY KEY REFERENCES wardmote.import (id) ON DELETE CASCADE,
	touched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	rejected   integer NOT NULL DEFAULT 0
);
CREATE UNLOGGED TABLE wardmote.import_row (
	import_id   uuid NOT NULL,
	n           integer NOT NULL,
	code        text,
	name        text,
	parent_code text,
	population  integer,
	geom        public.geometry(MultiPolygon, 4326),
	repaired    text,
	data        jsonb,
	record_id   uuid,
	PRIMARY KEY (import_id, n)
);
CREATE INDEX import_row_code ON wardmote.import_row (import_id, code);
CREATE TABLE wardmote.import_reject (
	import_id uuid NOT NULL REFERENCES wardmote.import (id) ON DELETE CASCADE,
	n         integer NOT NULL,
	code      text,
	reason    text NOT NULL,
	detail    text NOT NULL,
	PRIMARY KEY (import_id, n)
);
SELECT wardmote.force_policies(t) FROM unnest('{wardmote.import_work,wardmote.import_row,wardmote.import_reject}'::regclass[]) t;

CREATE VIEW api.import_reject AS SELECT r.* FROM wardmote.import_reject r JOIN api.import i ON i.id = r.import_id;
GRANT SELECT ON api.import_reject TO wardmote_api;

-- The import, for its own account alone and while it is not over.
CREATE FUNCTION wardmote.import_own(given uuid) RETURNS wardmote.import LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	found wardmote.import;
BEGIN
	SELECT i.* INTO found FROM wardmote.import i
	WHERE i.id = given AND i.created_by = wardmote.ctx_account() AND i.partner_id = wardmote.ctx_partner() AND i.state IN ('queued', 'running');
	IF found.id IS NULL OR wardmote.ctx_rank() < 2 THEN
		RAISE EXCEPTION 'no such import' USING ERRCODE = 'WM404';
	END IF;
	RETURN found;
END
$$;

-- Tells that the process which holds these imports is still there.
CREATE FUNCTION wardmote.import_touch(given uuid[]) RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
	INSERT INTO wardmote.import_work (import_id) SELECT i.id FROM wardmote.import i WHERE i.id = ANY (given) AND i.state IN ('queued', 'running')
	ON CONFLICT (import_id) DO UPDATE SET touched_at = clock_timestamp()
$$;

CREATE FUNCTION wardmote.import_begin(given uuid) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
	import wardmote.import := wardmote.import_own(given);
BEGIN
	PERFORM wardmote.import_touch(ARRAY[given]);
	UPDATE wardmote.import i SET state = 'running', started_at = clock_timestamp() WHERE i.id = import.id AND i.state = 'queued';
END
$$;

-- Keeps the first 10,000 rejects and counts all.
CREATE FUNCTION wardmote.import_refuse(given uuid, refused wardmote.import_reject[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	INSERT INTO wardmote.import_reject
	SELECT given, r.n, r.code, r.reason, r.detail FROM unnest(refused) r ORDER BY r.n
	LIMIT greatest(10000 - (SELECT count(*) FROM wardmote.import_reject k WHERE k.import_id = given), 0)
	ON CONFLICT DO NOTHING;
	UPDATE wardmote.import_work w SET rejected = w.rejected + cardinality(refused) WHERE w.import_id = given;
END
$$;

-- A geometry as it will be stored, or why it cannot be. Whatever PostGIS makes of one that is broken, the others go on.
CREATE FUNCTION wardmote.import_geometry(given text, srid integer, repairs boolean, OUT geom public.geometry, OUT repaired text, OUT reason text,
	OUT detail text) LANGUAGE plpgsql STABLE AS $$
BEGIN
	geom := ST_SetSRID(ST_GeomFromGeoJSON(given), srid);
	IF srid <> 4326 THEN
		geom := ST_Transform(geom, 4326);
	END IF;
	IF NOT ST_IsValid(geom) THEN
		repaired := left(ST_IsValidReason(geom), 400);
		IF NOT repairs THEN
			reason := 'invalid_geometry';
			detail := repaired;
			RETURN;
		ELSIF ST_NPoints(geom) > 20000 THEN
			-- Where edges cross by the thousand the repair takes what time and memory there is.
			reason := 'invalid_geometry';
			detail := left('Of more than 20,000 positions nothing is repaired: ' || repaired, 400);
			RETURN;
		END IF;
		geom := ST_CollectionExtract(ST_MakeValid(geom, 'method=structure'), 3);
	END IF;
	geom := ST_Multi(geom);
	IF ST_IsEmpty(geom) OR ST_Area(geom) = 0 THEN
		reason := 'empty';
		detail := 'The geometry covers no ground.';
	ELSIF wardmote.axes_swapped(geom) THEN
		reason := 'axes_swapped';
		detail := 'Longitude comes first: the coordinates lie on the map of this installation only when they are changed over.';
	END IF;
EXCEPTION WHEN internal_error OR data_exception THEN
	reason := 'invalid_geometry';
	detail := left(SQLERRM, 400);
END
$$;

-- A batch: rows that are good so far, and those that the server itself refused, which have a reason.
CREATE FUNCTION wardmote.import_stage(given uuid, batch json) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public AS $$
DECLARE
	import wardmote.import := wardmote.import_own(given);
	refused wardmote.import_reject[];
BEGIN
	PERFORM wardmote.import_touch(ARRAY[given]);
	WITH given_rows AS MATERIALIZED (
		SELECT r.n, r.code, r.name, r.parent, r.population, r.data, g.geom, g.repaired, coalesce(r.reason, g.reason) AS reason,
			coalesce(r.detail, g.detail) AS detail
		FROM json_to_recordset(batch) AS r (n integer, code text, name text, parent text, population integer, geometry text, data jsonb, reason text, detail text)
		LEFT JOIN LATERAL wardmote.import_geometry(r.geometry, coalesce((import.settings ->> 'srid')::integer, 4326),
			coalesce(import.settings ->> 'invalid', 'repair') = 'repair') AS g ON r.reason IS NULL AND r.geometry IS NOT NULL
	), kept AS (
		INSERT INTO wardmote.import_row (import_id, n, code, name, parent_code, population, geom, repaired, data)
		SELECT given, n, code, name, parent, population, geom, repaired, data FROM given_rows WHERE reason IS NULL
	)
	SELECT array_agg(ROW(given, n, code, reason, left(detail, 1000))::wardmote.import_reject) INTO refused FROM given_rows WHERE reason IS NOT NULL;
	IF refused IS NOT NULL THEN
		PERFORM wardmote.import_refuse(given, refused);
	END IF;
END
$$;

-- Takes rows out that cannot be applied.
CREATE FUNCTION wardmote.import_drop(given uuid, refused wardmote.import_reject[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF refused IS NOT NULL THEN
		DELETE FROM wardmote.import_row r USING unnest(refused) x WHERE r.import_id = given AND r.n = x.n;
		PERFORM wardmote.import_refuse(given, refused);
	END IF;
END
$$;

CREATE FUNCTION wardmote.import_end(given uuid, outcome text, why text, counts integer[]) RETURNS void LANGUAGE sql VOLATILE AS $$
	UPDATE wardmote.import i SET state = outcome, reason = left(why, 500), ended_at = clock_timestamp(), features = counts[1], created_count = counts[2],
		updated_count = counts[3], unchanged_count = counts[4], repaired_count = counts[5],
		rejected_count = coalesce((SELECT w.rejected FROM wardmote.import_work w WHERE w.import_id = given), 0)
	WHERE i.id = given AND i.state IN ('queued', 'running');
	DELETE FROM wardmote.import_row r WHERE r.import_id = given;
	DELETE FROM wardmote.import_work w WHERE w.import_id = given;
$$;

-- Which staged boundaries cannot become localities of the set: a code that is there twice, a parent that is not, one that is stored and differs.
CREATE FUNCTION wardmote.check_boundaries(import wardmote.import) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	parents uuid := (import.settings ->> 'parent_boundary_set_id')::uuid;
BEGIN
	PERFORM wardmote.import_drop(import.id, (SELECT array_agg(ROW(import.id, d.n, d.code, 'duplicate',
			format('Feature %s has the same code.', d.first))::wardmote.import_reject)
		FROM (SELECT r.n, r.code, min(r.n) OVER (PARTITION BY r.code) AS first FROM wardmote.import_row r WHERE r.import_id = import.id) d WHERE d.n > d.first));
	PERFORM wardmote.import_drop(import.id, (SELECT array_agg(ROW(import.id, r.n, r.code, 'unknown_parent',
			format('No locality of the boundary set of parents has the code %s.', r.parent_code))::wardmote.import_reject)
		FROM wardmote.import_row r
		WHERE r.import_id = import.id AND r.parent_code IS NOT NULL
			AND NOT EXISTS (SELECT FROM api.locality p WHERE p.boundary_set_id = parents AND p.code = r.parent_code)));
	-- What is read, compared and changed is what the account sees. Of the others it is told what a POST tells: that the code is taken.
	UPDATE wardmote.import_row r SET record_id = l.id FROM api.locality l
	WHERE r.import_id = import.id AND l.boundary_set_id = import.boundary_set_id AND l.code = r.code;
	PERFORM wardmote.import_drop(import.id, (SELECT array_agg(ROW(import.id, r.n, r.code, 'exists',
			'The set has a locality with this code, which the account may not see.')::wardmote.import_reject)
		FROM wardmote.import_row r JOIN wardmote.locality l ON l.boundary_set_id = import.boundary_set_id AND l.code = r.code
		WHERE r.import_id = import.id AND r.record_id IS NULL));
	IF import.settings ->> 'existing' = 'update' THEN
		RETURN;
	END IF;
	PERFORM wardmote.import_drop(import.id, (SELECT array_agg(ROW(import.id, c.n, c.code, 'exists',
			'The set has a locality with this code that differs; existing=update changes it.')::wardmote.import_reject)
		FROM wardmote.changed_boundaries(import) c));
END
$$;

-- Staged boundaries whose locality is there and differs in what the file says, with the values that it would have.
CREATE FUNCTION wardmote.changed_boundaries(import wardmote.import) RETURNS TABLE (n integer, code text, id uuid, name text, parent_id uuid, population integer,
	population_as_at date, geometry public.geometry) LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
	SELECT r.n, r.code, l.id, r.name, w.parent_id, w.population, w.population_as_at, r.geom
	FROM wardmote.import_row r
	JOIN api.locality l ON l.id = r.record_id
	LEFT JOIN api.locality p ON p.boundary_set_id = (import.settings ->> 'parent_boundary_set_id')::uuid AND p.code = r.parent_code
	CROSS JOIN LATERAL (SELECT coalesce(p.id, l.parent_id) AS parent_id, coalesce(r.population, l.population) AS population,
		CASE WHEN r.population IS NULL THEN l.population_as_at ELSE coalesce((import.settings ->> 'population_as_at')::date, l.population_as_at) END
			AS population_as_at) AS w
	WHERE r.import_id = import.id AND (l.geometry IS NULL OR ST_AsBinary(l.geometry) <> ST_AsBinary(r.geom)
		OR ROW(l.name, l.parent_id, l.population, l.population_as_at) IS DISTINCT FROM ROW(r.name, w.parent_id, w.population, w.population_as_at))
$$;

-- May the account make localities of the set's owner and visibility? None that it could not see: a grant of the set is not one of its localities.
CREATE FUNCTION wardmote.may_fill(owner uuid, visibility text) RETURNS boolean LANGUAGE sql STABLE AS $$
	SELECT visibility <> 'private' OR owner = wardmote.ctx_partner()
$$;
GRANT EXECUTE ON FUNCTION wardmote.may_fill(uuid, text) TO wardmote_api;

CREATE FUNCTION wardmote.apply_boundaries(import wardmote.import) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	place wardmote.boundary_set;
	total integer;
	repaired integer;
	created integer;
	updated integer;
	known integer;
BEGIN
	SELECT s.* INTO place FROM api.boundary_set s WHERE s.id = import.boundary_set_id;
	IF place.id IS NULL OR NOT wardmote.may_administer() OR NOT wardmote.may_fill(place.partner_id, place.visibility) THEN
		RAISE EXCEPTION 'the account may not change this boundary set any more' USING ERRCODE = 'WM403';
	END IF;
	-- One import of a set at a time, so that two do not make the same locality.
	PERFORM pg_advisory_xact_lock(hashtextextended('wardmote.import ' || place.id, 0));
	SELECT count(*) + (SELECT w.rejected FROM wardmote.import_work w WHERE w.import_id = import.id) INTO total
	FROM wardmote.import_row r WHERE r.import_id = import.id;
	PERFORM wardmote.check_boundaries(import);
	IF (SELECT w.rejected > 0 FROM wardmote.import_work w WHERE w.import_id = import.id) AND coalesce(import.settings ->> 'accept_rest', 'false') <> 'true' THEN
		PERFORM wardmote.import_end(import.id, 'rejected', 'Nothing was stored, since features were rejected; accept_rest=true stores the others.',
			ARRAY[total, 0, 0, 0, 0]);
		RETURN;
	END IF;
	UPDATE wardmote.locality l SET name = c.name, parent_id = c.parent_id, population = c.population, population_as_at = c.population_as_at, geometry = c.geometry
	FROM wardmote.changed_boundaries(import) c WHERE l.id = c.id;
	GET DIAGNOSTICS updated = ROW_COUNT;
	SELECT count(r.record_id), count(r.repaired) INTO known, repaired FROM wardmote.import_row r WHERE r.import_id = import.id;
	INSERT INTO wardmote.locality (boundary_set_id, partner_id, visibility, source, code, name, parent_id, population, population_as_at, valid_from, geometry)
	SELECT place.id, place.partner_id, place.visibility, coalesce(import.settings ->> 'source', place.source), r.code, r.name, p.id, r.population,
		CASE WHEN r.population IS NOT NULL THEN (import.settings ->> 'population_as_at')::date END, (import.settings ->> 'valid_from')::date, r.geom
	FROM wardmote.import_row r
	LEFT JOIN api.locality p ON p.boundary_set_id = (import.settings ->> 'parent_boundary_set_id')::uuid AND p.code = r.parent_code
	WHERE r.import_id = import.id AND r.record_id IS NULL
	ORDER BY r.n;
	GET DIAGNOSTICS created = ROW_COUNT;
	-- What was repaired is named beside the rejects, as far as there is room.
	INSERT INTO wardmote.import_reject (import_id, n, code, reason, detail)
	SELECT import.id, r.n, r.code, 'repaired', r.repaired FROM wardmote.import_row r WHERE r.import_id = import.id AND r.repaired IS NOT NULL ORDER BY r.n
	LIMIT greatest(10000 - (SELECT count(*) FROM wardmote.import_reject k WHERE k.import_id = import.id), 0);
	PERFORM wardmote.import_end(import.id, 'done', NULL, ARRAY[total, created, updated, known - updated, repaired]);
END
$$;

-- The lines of a publisher's table as postcodes and points. One without a position has neither point nor reason: the publisher knows none.
CREATE FUNCTION wardmote.postcode_lines(import wardmote.import) RETURNS TABLE (n integer, postcode text, quality smallint, point public.geometry, reason text,
	detail text) LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
	SELECT r.n, wardmote.postcode_key(g.given), CASE WHEN r.data ->> 'quality' ~ '^[0-9]{1,3}$' THEN (r.data ->> 'quality')::smallint END,
		CASE WHEN NOT p.is_number OR NOT p.is_placed THEN NULL
			WHEN p.is_grid THEN ST_Transform(ST_SetSRID(ST_MakePoint(p.x::float8, p.y::float8), 27700), 4326)
			ELSE ST_SetSRID(ST_MakePoint(p.x::float8, p.y::float8), 4326) END,
		CASE WHEN wardmote.postcode_key(coalesce(g.given, '')) !~ '^[A-Z0-9]{5,7}$' THEN 'format' WHEN NOT p.is_number THEN 'number' END,
		CASE WHEN wardmote.postcode_key(coalesce(g.given, '')) !~ '^[A-Z0-9]{5,7}$' THEN 'This is no postcode.'
			WHEN NOT p.is_number THEN 'The position must be two numbers, in the range of their reference system.' END
	FROM wardmote.import_row r
	CROSS JOIN LATERAL (SELECT coalesce(r.data ->> 'postcode', r.data ->> 'pcds', r.data ->> 'pcd') AS given,
		import.settings ->> 'layout' = 'code-point-open' AS is_grid) AS g
	CROSS JOIN LATERAL (SELECT g.is_grid, CASE WHEN g.is_grid THEN r.data ->> 'easting' ELSE r.data ->> 'long' END AS x,
		CASE WHEN g.is_grid THEN r.data ->> 'northing' ELSE r.data ->> 'lat' END AS y) AS c
	CROSS JOIN LATERAL (SELECT c.is_grid, c.x, c.y, t.is_text AND CASE WHEN NOT t.is_text THEN false
			WHEN c.is_grid THEN c.x::float8 BETWEEN 0 AND 800000 AND c.y::float8 BETWEEN 0 AND 1400000
			ELSE c.x::float8 BETWEEN -180 AND 180 AND c.y::float8 BETWEEN -90 AND 100 END AS is_number,
		CASE WHEN NOT t.is_text THEN false WHEN c.is_grid THEN c.x::float8 > 0 AND c.y::float8 > 0 ELSE c.y::float8 <= 90 END AS is_placed
		FROM (SELECT coalesce(c.x ~ '^-?[0-9]{1,7}([.][0-9]{1,12})?$' AND c.y ~ '^-?[0-9]{1,7}([.][0-9]{1,12})?$', false) AS is_text) AS t) AS p
	WHERE r.import_id = import.id
$$;

CREATE FUNCTION wardmote.apply_postcodes(import wardmote.import) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	total integer;
	created integer;
	updated integer;
	placed integer;
BEGIN
	IF NOT wardmote.may_administer() THEN
		RAISE EXCEPTION 'the account may not do this any more' USING ERRCODE = 'WM403';
	END IF;
	PERFORM pg_advisory_xact_lock(hashtextextended('wardmote.import postcodes', 0));
	SELECT count(*) + (SELECT w.rejected FROM wardmote.import_work w WHERE w.import_id = import.id) INTO total
	FROM wardmote.import_row r WHERE r.import_id = import.id;
	PERFORM wardmote.import_drop(import.id, (SELECT array_agg(ROW(import.id, l.n, l.postcode, l.reason, l.detail)::wardmote.import_reject)
		FROM wardmote.postcode_lines(import) l WHERE l.reason IS NOT NULL));
	PERFORM wardmote.import_drop(import.id, (SELECT array_agg(ROW(import.id, d.n, d.postcode, 'duplicate',
			format('Line %s has the same postcode.', d.first))::wardmote.import_reject)
		FROM (SELECT l.n, l.postcode, min(l.n) OVER (PARTITION BY l.postcode) AS first FROM wardmote.postcode_lines(import) l) d WHERE d.n > d.first));
	IF (SELECT w.rejected > 0 FROM wardmote.import_work w WHERE w.import_id = import.id) AND coalesce(import.settings ->> 'accept_rest', 'false') <> 'true' THEN
		PERFORM wardmote.import_end(import.id, 'rejected', 'Nothing was stored, since lines were rejected; accept_rest=true stores the others.',
			ARRAY[total, 0, 0, 0, 0]);
		RETURN;
	END IF;
	SELECT count(*) INTO placed FROM wardmote.postcode_lines(import) l WHERE l.point IS NOT NULL;
	WITH written AS (
		INSERT INTO wardmote.postcode AS k (postcode, point, quality, as_at, source, import_id)
		SELECT l.postcode, l.point, l.quality, (import.settings ->> 'as_at')::date, import.settings ->> 'source', import.id
		FROM wardmote.postcode_lines(import) l WHERE l.point IS NOT NULL
		ON CONFLICT (postcode) DO UPDATE SET point = EXCLUDED.point, quality = EXCLUDED.quality, as_at = EXCLUDED.as_at, source = EXCLUDED.source,
			import_id = EXCLUDED.import_id
		WHERE ROW(k.quality, k.as_at, k.source) IS DISTINCT FROM ROW(EXCLUDED.quality, EXCLUDED.as_at, EXCLUDED.source)
			OR ST_AsBinary(k.point) <> ST_AsBinary(EXCLUDED.point)
		RETURNING xmax = 0 AS is_new
	)
	SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) INTO created, updated FROM written;
	PERFORM wardmote.import_end(import.id, 'done', NULL, ARRAY[total, created, updated, placed - created - updated, 0]);
END
$$;

-- All that was staged becomes visible, or nothing.
CREATE FUNCTION wardmote.import_apply(given uuid) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
	import wardmote.import := wardmote.import_own(given);
BEGIN
	PERFORM wardmote.import_touch(ARRAY[given]);
	ANALYZE wardmote.import_row;
	EXECUTE format('SELECT wardmote.%I($1)', 'apply_' || import.kind) USING import;
END
$$;

-- The import of this account came to nothing. The server says so itself: the account may not act any more.
CREATE FUNCTION wardmote.import_fail(given uuid, account uuid, outcome text, why text) RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public AS $$
	SELECT wardmote.import_end(i.id, outcome, why, '{0,0,0,0,0}') FROM wardmote.import i
	WHERE i.id = given AND i.created_by = account AND outcome IN ('failed', 'rejected')
$$;

-- Imports whose process is gone have failed; rejects are kept for 30 days.
CREATE FUNCTION wardmote.forget_imports() RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
	lost uuid[];
	n bigint;
BEGIN
	SELECT array_agg(i.id) INTO lost FROM wardmote.import i LEFT JOIN wardmote.import_work w ON w.import_id = i.id
	WHERE i.state IN ('queued', 'running') AND coalesce(w.touched_at, i.updated_at) < clock_timestamp() - interval '15 minutes';
	-- One that somebody writes at this moment is not lost, and nothing here waits for it.
	lost := ARRAY(SELECT i.id FROM wardmote.import i WHERE i.id = ANY (lost) FOR UPDATE SKIP LOCKED);
	lost := ARRAY(SELECT l FROM unnest(lost) l WHERE NOT EXISTS (SELECT FROM wardmote.import_work w WHERE w.import_id = l))
		|| ARRAY(SELECT w.import_id FROM wardmote.import_work w WHERE w.import_id = ANY (lost) FOR UPDATE SKIP LOCKED);
	PERFORM wardmote.import_end(l, 'failed', 'The server stopped before it was done.', '{0,0,0,0,0}') FROM unnest(lost) l;
	DELETE FROM wardmote.import_reject r WHERE ctid = ANY (ARRAY(SELECT k.ctid FROM wardmote.import_reject k JOIN wardmote.import i ON i.id = k.import_id
		WHERE i.ended_at < clock_timestamp() - interval '30 days' LIMIT 199));
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n + coalesce(cardinality(lost), 0);
END
$$;
INSERT INTO wardmote.prunes VALUES ('wardmote.forget_imports');

GRANT EXECUTE ON FUNCTION wardmote.import_touch(uuid[]), wardmote.import_begin(uuid), wardmote.import_stage(uuid, json), wardmote.import_apply(uuid),
	wardmote.import_fail(uuid, uuid, text, text) TO wardmote_api;
