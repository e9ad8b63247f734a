-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Bounds of what one request or one file may cost, and what is told of it: places that stand for others, rejects, statistics after a load, boundaries of one set that
-- overlap, and who refers to a record.

-- --- places that stand for others -------------------------------------------------------------------------------------------------------

-- More than this nobody waits for: WM400 becomes a fault of the parameter that the constraint names.
CREATE FUNCTION wardmote.too_wide() RETURNS void LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
	RAISE EXCEPTION 'With match=overlap they may have 5,000 parts, and lead to 20,000 localities. Name fewer or smaller ones, or ask with match=exact.'
		USING ERRCODE = 'WM400', CONSTRAINT = 'locality_ids';
END
$$;

GRANT EXECUTE ON FUNCTION wardmote.too_wide() TO wardmote_api;

-- As before (migrations/0023_overlaps.sql), as far as the bounds let it.
CREATE OR REPLACE FUNCTION wardmote.sharing(asked uuid[]) RETURNS uuid[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
	parts uuid[] := ARRAY(
		WITH RECURSIVE below AS (
			SELECT l.id FROM api.locality l WHERE l.id = ANY (asked)
			UNION
			SELECT l.id FROM below b JOIN api.locality l ON l.parent_id = b.id
		)
		SELECT b.id FROM below b LIMIT 5001);
	found uuid[];
BEGIN
	IF cardinality(parts) <= 5000 THEN
		found := ARRAY(
			WITH RECURSIVE ground AS (
				SELECT p.id FROM unnest(parts) AS p (id)
				UNION
				SELECT o.to_id FROM unnest(parts) AS p (id) JOIN api.locality_overlap o ON o.from_id = p.id
				WHERE o.area_share >= 0.01 OR EXISTS (SELECT FROM api.locality_overlap r WHERE r.from_id = o.to_id AND r.to_id = o.from_id AND r.area_share >= 0.01)
			), above AS (
				SELECT l.id, l.parent_id FROM ground g JOIN api.locality l ON l.id = g.id
				UNION
				SELECT l.id, l.parent_id FROM above a JOIN api.locality l ON l.id = a.parent_id
			)
			SELECT a.id FROM above a LIMIT 20001);
	END IF;
	IF found IS NULL OR cardinality(found) > 20000 THEN
		PERFORM wardmote.too_wide();
	END IF;
	RETURN found;
END
$$;

CREATE OR REPLACE FUNCTION wardmote.matches(asked uuid[]) RETURNS wardmote.locality_match[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
	one uuid;
	pairs wardmote.locality_match[] := '{}';
BEGIN
	FOR one IN SELECT DISTINCT given.id FROM unnest(asked) AS given (id) LOOP
		pairs := pairs || ARRAY(SELECT ROW(l.id, one, NULL, NULL, NULL)::wardmote.locality_match FROM unnest(wardmote.sharing(ARRAY[one])) AS l (id));
		IF cardinality(pairs) > 20000 THEN
			PERFORM wardmote.too_wide();
		END IF;
	END LOOP;
	RETURN ARRAY(SELECT CASE WHEN l.locality_id = l.asked_id THEN ROW(l.locality_id, l.asked_id, 1, 1, 1)::wardmote.locality_match
			ELSE ROW(l.locality_id, l.asked_id, trim_scale(o.area_share), trim_scale(o.population_share), trim_scale(r.area_share))::wardmote.locality_match END
		FROM unnest(pairs) AS l
		LEFT JOIN api.locality_overlap o ON o.from_id = l.locality_id AND o.to_id = l.asked_id
		LEFT JOIN api.locality_overlap r ON r.from_id = l.asked_id AND r.to_id = l.locality_id);
END
$$;

-- --- rejects ------------------------------------------------------------------------------------------------------------------------------

-- What the checks of an import refuse goes from table to table: a file may have millions of lines, and all of them may be wrong.
CREATE UNLOGGED TABLE wardmote.import_refused (
	import_id uuid NOT NULL,
	n         integer NOT NULL,
	code      text,
	reason    text NOT NULL,
	detail    text NOT NULL
);
CREATE INDEX import_refused_by_import ON wardmote.import_refused (import_id, n);
SELECT wardmote.force_policies('wardmote.import_refused'::regclass);

-- Takes the rows out that cannot be applied: the first 10,000 are kept as rejects, all are counted.
DROP FUNCTION wardmote.import_drop(uuid, wardmote.import_reject[]);
CREATE FUNCTION wardmote.import_drop(given uuid) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	refused integer := (SELECT count(*) FROM wardmote.import_refused r WHERE r.import_id = given);
BEGIN
	IF refused = 0 THEN
		RETURN;
	END IF;
	INSERT INTO wardmote.import_reject
	SELECT given, r.n, r.code, r.reason, r.detail FROM wardmote.import_refused r WHERE r.import_id = given ORDER BY r.n
	LIMIT greatest(10000 - (SELECT count(*) FROM wardmote.import_reject k WHERE k.import_id = given), 0)
	ON CONFLICT DO NOTHING;
	UPDATE wardmote.import_work w SET rejected = w.rejected + refused WHERE w.import_id = given;
	DELETE FROM wardmote.import_row r USING wardmote.import_refused x WHERE r.import_id = given AND x.import_id = given AND r.n = x.n;
	DELETE FROM wardmote.import_refused x WHERE x.import_id = given;
END
$$;

-- As before, but for that.
CREATE OR REPLACE FUNCTION wardmote.check_lineage(import anyelement) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	INSERT INTO wardmote.import_refused SELECT import.id, f.n, f.from_code, f.reason, f.detail
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
		) AS f WHERE f.reason IS NOT NULL;
	PERFORM wardmote.import_drop(import.id);
	-- One locality changes once, and in one way.
	INSERT INTO wardmote.import_refused SELECT import.id, f.n, f.from_code, f.reason, f.detail
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
		) AS f;
	PERFORM wardmote.import_drop(import.id);
	INSERT INTO wardmote.import_refused SELECT import.id, f.n, f.from_code, 'too_many', 'A locality has at most 100 successors.'
	FROM (
			SELECT r.n, r.data ->> 'from_code' AS from_code,
				row_number() OVER (PARTITION BY o.id ORDER BY s.id = ANY (o.successor_ids) DESC, r.n)
					+ cardinality(o.successor_ids) - count(*) FILTER (WHERE s.id = ANY (o.successor_ids)) OVER (PARTITION BY o.id) AS nth
			FROM wardmote.import_row r
			JOIN wardmote.locality o ON o.boundary_set_id = import.boundary_set_id AND o.code = r.data ->> 'from_code'
			JOIN wardmote.locality s ON s.boundary_set_id = (import.settings ->> 'to_boundary_set_id')::uuid AND s.code = r.data ->> 'to_code'
			WHERE r.import_id = import.id
		) AS f WHERE f.nth > 100;
	PERFORM wardmote.import_drop(import.id);
END
$$;

CREATE OR REPLACE FUNCTION wardmote.check_boundaries(import wardmote.import) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	parents uuid := (import.settings ->> 'parent_boundary_set_id')::uuid;
BEGIN
	INSERT INTO wardmote.import_refused SELECT import.id, d.n, d.code, 'duplicate', format('Feature %s has the same code.', d.first)
	FROM (SELECT r.n, r.code, min(r.n) OVER (PARTITION BY r.code) AS first FROM wardmote.import_row r WHERE r.import_id = import.id) d WHERE d.n > d.first;
	PERFORM wardmote.import_drop(import.id);
	INSERT INTO wardmote.import_refused SELECT import.id, r.n, r.code, 'unknown_parent', format('No locality of the boundary set of parents has the code %s.', r.parent_code)
	FROM wardmote.import_row r
		WHERE r.import_id = import.id AND r.parent_code IS NOT NULL
			AND NOT EXISTS (SELECT FROM api.locality p WHERE p.boundary_set_id = parents AND p.code = r.parent_code);
	PERFORM wardmote.import_drop(import.id);
	-- What is read, compared and changed is what the account sees. Of the others it is told what a POST tells: that the code is taken.
	UPDATE wardmote.import_row r SET record_id = l.id FROM api.locality l
	WHERE r.import_id = import.id AND l.boundary_set_id = import.boundary_set_id AND l.code = r.code;
	INSERT INTO wardmote.import_refused SELECT import.id, r.n, r.code, 'exists', 'The set has a locality with this code, which the account may not see.'
	FROM wardmote.import_row r JOIN wardmote.locality l ON l.boundary_set_id = import.boundary_set_id AND l.code = r.code
		WHERE r.import_id = import.id AND r.record_id IS NULL;
	PERFORM wardmote.import_drop(import.id);
	IF import.settings ->> 'existing' = 'update' THEN
		RETURN;
	END IF;
	INSERT INTO wardmote.import_refused SELECT import.id, c.n, c.code, 'exists', 'The set has a locality with this code that differs; existing=update changes it.'
	FROM wardmote.changed_boundaries(import) c;
	PERFORM wardmote.import_drop(import.id);
END
$$;

CREATE OR REPLACE FUNCTION wardmote.apply_postcodes(import wardmote.import) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
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
	INSERT INTO wardmote.import_refused SELECT import.id, l.n, l.postcode, l.reason, l.detail
	FROM wardmote.postcode_lines(import) l WHERE l.reason IS NOT NULL;
	PERFORM wardmote.import_drop(import.id);
	INSERT INTO wardmote.import_refused SELECT import.id, d.n, d.postcode, 'duplicate', format('Line %s has the same postcode.', d.first)
	FROM (SELECT l.n, l.postcode, min(l.n) OVER (PARTITION BY l.postcode) AS first FROM wardmote.postcode_lines(import) l) d WHERE d.n > d.first;
	PERFORM wardmote.import_drop(import.id);
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

CREATE OR REPLACE FUNCTION wardmote.apply_profile_values(import wardmote.import) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	total integer := wardmote.import_starts(import);
	given integer;
	created integer;
	updated integer;
BEGIN
	INSERT INTO wardmote.import_refused SELECT import.id, l.n, l.code, l.reason, l.detail
	FROM wardmote.profile_lines(import) l WHERE l.reason IS NOT NULL;
	PERFORM wardmote.import_drop(import.id);
	INSERT INTO wardmote.import_refused SELECT import.id, d.n, d.code, 'duplicate', format('Line %s has the same category.', d.first)
	FROM (SELECT l.n, l.code, min(l.n) OVER (PARTITION BY l.code, l.dimension, l.category) AS first FROM wardmote.profile_lines(import) l) d WHERE d.n > d.first;
	PERFORM wardmote.import_drop(import.id);
	IF wardmote.import_stops(import, total) THEN
		RETURN;
	END IF;
	SELECT count(*) INTO given FROM wardmote.import_row r WHERE r.import_id = import.id;
	WITH written AS (
		INSERT INTO wardmote.profile_value AS v (partner_id, visibility, source, locality_id, dimension, category, count, base, source_kind, as_at, purpose, retain_until)
		SELECT import.partner_id, import.settings ->> 'visibility', import.settings ->> 'source', l.locality_id, l.dimension, l.category, l.count, l.base,
			import.settings ->> 'source_kind', (import.settings ->> 'as_at')::date, import.settings ->> 'purpose', (import.settings ->> 'retain_until')::date
		FROM wardmote.profile_lines(import) l ORDER BY l.n
		ON CONFLICT ON CONSTRAINT profile_value_category_unique DO UPDATE SET count = EXCLUDED.count, base = EXCLUDED.base,
			purpose = coalesce(EXCLUDED.purpose, v.purpose), retain_until = coalesce(EXCLUDED.retain_until, v.retain_until), source = coalesce(EXCLUDED.source, v.source)
		WHERE ROW(v.count, v.base, v.purpose, v.retain_until, v.source) IS DISTINCT FROM ROW(EXCLUDED.count, EXCLUDED.base,
			coalesce(EXCLUDED.purpose, v.purpose), coalesce(EXCLUDED.retain_until, v.retain_until), coalesce(EXCLUDED.source, v.source))
		RETURNING xmax = 0 AS is_new
	)
	SELECT count(*) FILTER (WHERE w.is_new), count(*) FILTER (WHERE NOT w.is_new) INTO created, updated FROM written w;
	PERFORM wardmote.import_end(import.id, 'done', NULL, ARRAY[total, created, updated, given - created - updated, 0]);
END
$$;

CREATE OR REPLACE FUNCTION wardmote.apply_deprivation_values(import wardmote.import) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	total integer := wardmote.import_starts(import);
	given integer;
	created integer;
	updated integer;
BEGIN
	INSERT INTO wardmote.import_refused SELECT import.id, l.n, l.code, l.reason, l.detail
	FROM wardmote.deprivation_lines(import) l WHERE l.reason IS NOT NULL;
	PERFORM wardmote.import_drop(import.id);
	INSERT INTO wardmote.import_refused SELECT import.id, d.n, d.code, 'duplicate', format('Line %s has the same domain.', d.first)
	FROM (SELECT l.n, l.code, min(l.n) OVER (PARTITION BY l.code, l.domain) AS first FROM wardmote.deprivation_lines(import) l) d WHERE d.n > d.first;
	PERFORM wardmote.import_drop(import.id);
	IF wardmote.import_stops(import, total) THEN
		RETURN;
	END IF;
	SELECT count(*) INTO given FROM wardmote.import_row r WHERE r.import_id = import.id;
	WITH written AS (
		INSERT INTO wardmote.deprivation_value AS v (partner_id, visibility, source, locality_id, index_name, year, domain, score, rank, decile, areas)
		SELECT import.partner_id, import.settings ->> 'visibility', import.settings ->> 'source', l.locality_id, import.settings ->> 'index_name',
			(import.settings ->> 'year')::integer, l.domain, l.score, l.rank, l.decile, (import.settings ->> 'areas')::integer
		FROM wardmote.deprivation_lines(import) l ORDER BY l.n
		ON CONFLICT ON CONSTRAINT deprivation_value_domain_unique DO UPDATE SET score = EXCLUDED.score, rank = EXCLUDED.rank, decile = EXCLUDED.decile,
			areas = coalesce(EXCLUDED.areas, v.areas), source = coalesce(EXCLUDED.source, v.source)
		WHERE ROW(v.score, v.rank, v.decile, v.areas, v.source) IS DISTINCT FROM ROW(EXCLUDED.score, EXCLUDED.rank, EXCLUDED.decile,
			coalesce(EXCLUDED.areas, v.areas), coalesce(EXCLUDED.source, v.source))
		RETURNING xmax = 0 AS is_new
	)
	SELECT count(*) FILTER (WHERE w.is_new), count(*) FILTER (WHERE NOT w.is_new) INTO created, updated FROM written w;
	PERFORM wardmote.import_end(import.id, 'done', NULL, ARRAY[total, created, updated, given - created - updated, 0]);
END
$$;

-- --- boundaries of one set that overlap ---------------------------------------------------------------------------------------------------

ALTER TABLE wardmote.import ADD COLUMN overlapping_count integer CONSTRAINT import_overlapping_count CHECK (overlapping_count >= 0);
SELECT wardmote.protect('import', 'owned');
SELECT wardmote.track('import');

-- The ground that two boundaries share. Where PostGIS cannot tell, none: nothing hangs on it.
CREATE FUNCTION wardmote.shared_ground(one public.geometry, other public.geometry) RETURNS float8 LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	RETURN CASE WHEN public.ST_Intersects(one, other) THEN public.ST_Area(public.ST_Intersection(one, other)) ELSE 0 END;
EXCEPTION WHEN internal_error OR data_exception THEN
	RETURN 0;
END
$$;

-- How many pairs of localities of the set share a hundredth of the area of either, of which one is in the file; they are named beside the rejects, as far as there is
-- room. For 20 seconds: null where that was too short. Those that are never in force on the same day may lie where they like.
CREATE FUNCTION wardmote.import_overlaps(import wardmote.import) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	pair record;
	shared float8;
	pairs integer := 0;
	began timestamptz := clock_timestamp();
BEGIN
	FOR pair IN
		SELECT r.n, r.code, o.code AS other_code, f.equal, f.area_m2, t.equal AS other_equal, t.area_m2 AS other_area_m2
		FROM wardmote.import_row r
		JOIN wardmote.locality l ON l.boundary_set_id = import.boundary_set_id AND l.code = r.code
		JOIN wardmote.locality_shape f ON f.locality_id = l.id
		JOIN wardmote.locality_shape t ON t.boundary_set_id = f.boundary_set_id AND t.locality_id <> f.locality_id AND t.equal OPERATOR(public.&&) f.equal
		JOIN api.locality o ON o.id = t.locality_id
		LEFT JOIN wardmote.import_row s ON s.import_id = import.id AND s.code = o.code
		WHERE r.import_id = import.id AND (s.n IS NULL OR r.n < s.n)
			AND coalesce(l.valid_from, '-infinity') <= coalesce(o.valid_to, o.changed_on - 1, 'infinity')
			AND coalesce(o.valid_from, '-infinity') <= coalesce(l.valid_to, l.changed_on - 1, 'infinity')
	LOOP
		IF clock_timestamp() > began + interval '20 seconds' THEN
			pairs := NULL;
			EXIT;
		END IF;
		shared := wardmote.shared_ground(pair.equal, pair.other_equal);
		IF shared >= 0.01 * least(pair.area_m2, pair.other_area_m2) THEN
			pairs := pairs + 1;
			INSERT INTO wardmote.import_refused VALUES (import.id, pair.n, pair.code, 'overlap', format('%s (%s %% of its own area, %s %% of that one''s)',
				pair.other_code, trim_scale(round((100 * shared / pair.area_m2)::numeric, 1)), trim_scale(round((100 * shared / pair.other_area_m2)::numeric, 1))));
		END IF;
	END LOOP;
	INSERT INTO wardmote.import_reject AS k (import_id, n, code, reason, detail)
	SELECT import.id, x.n, min(x.code), 'overlap', left('It lies on the ground of ' || string_agg(x.detail, ', ' ORDER BY x.place) FILTER (WHERE x.place <= 3)
		|| CASE WHEN count(*) > 3 THEN format(', and of %s more', count(*) - 3) ELSE '' END || '.', 1000)
	FROM (SELECT r.*, row_number() OVER (PARTITION BY r.n ORDER BY r.detail) AS place FROM wardmote.import_refused r WHERE r.import_id = import.id) AS x
	GROUP BY x.n ORDER BY x.n LIMIT greatest(10000 - (SELECT count(*) FROM wardmote.import_reject w WHERE w.import_id = import.id), 0)
	ON CONFLICT (import_id, n) DO UPDATE SET detail = left(k.detail || ' ' || EXCLUDED.detail, 1000);
	DELETE FROM wardmote.import_refused r WHERE r.import_id = import.id;
	RETURN pairs;
END
$$;

CREATE OR REPLACE FUNCTION wardmote.import_end(given uuid, outcome text, why text, counts integer[]) RETURNS void LANGUAGE sql VOLATILE AS $$
	UPDATE wardmote.import i SET state = outcome, reason = left(why, 500), ended_at = clock_timestamp(), features = counts[1], created_count = counts[2],
		updated_count = counts[3], unchanged_count = counts[4], repaired_count = counts[5], overlapping_count = counts[6],
		rejected_count = coalesce((SELECT w.rejected FROM wardmote.import_work w WHERE w.import_id = given), 0)
	WHERE i.id = given AND i.state IN ('queued', 'running');
	DELETE FROM wardmote.import_row r WHERE r.import_id = given;
	DELETE FROM wardmote.import_work w WHERE w.import_id = given;
$$;

CREATE OR REPLACE FUNCTION wardmote.apply_boundaries(import wardmote.import) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
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
	PERFORM wardmote.import_end(import.id, 'done', NULL, ARRAY[total, created, updated, known - updated, repaired, wardmote.import_overlaps(import)]);
END
$$;

-- --- statistics after a load --------------------------------------------------------------------------------------------------------------

-- What the planner knows of tables that were just filled: until somebody looks it takes them for as small as they were. Whoever else works on a table has precedence.
CREATE FUNCTION wardmote.analyse(tables regclass[]) RETURNS void LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
	filled regclass;
BEGIN
	FOREACH filled IN ARRAY tables LOOP
		BEGIN
			EXECUTE format('ANALYZE %s', filled);
		EXCEPTION WHEN lock_not_available THEN
			NULL;
		END;
	END LOOP;
END
$$;

-- After an import that changed some hundreds of records, in a transaction of its own: what was stored does not wait for it.
CREATE FUNCTION wardmote.import_analyse(given uuid, account uuid) RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
	SELECT wardmote.analyse(CASE i.kind WHEN 'boundaries' THEN '{wardmote.locality,wardmote.locality_shape}'::regclass[] WHEN 'lineage' THEN '{wardmote.locality}'
		WHEN 'postcodes' THEN '{wardmote.postcode}' WHEN 'profile_values' THEN '{wardmote.profile_value}' ELSE '{wardmote.deprivation_value}' END)
	FROM wardmote.import i
	WHERE i.id = given AND i.created_by = account AND i.state = 'done' AND i.created_count + i.updated_count >= 200
$$;
GRANT EXECUTE ON FUNCTION wardmote.import_analyse(uuid, uuid) TO wardmote_api;

CREATE OR REPLACE FUNCTION wardmote.overlap_step(settle_seconds float8, OUT done boolean, OUT pending bigint, OUT seconds real, OUT fault text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
	due record;
	pair record;
	began timestamptz := clock_timestamp();
BEGIN
	done := false;
	IF NOT pg_try_advisory_xact_lock(7742, 3) THEN
		RETURN;
	END IF;
	IF wardmote.look_at_sets(settle_seconds) = 0 AND NOT (SELECT w.is_due FROM wardmote.overlap_work w) THEN
		RETURN;
	END IF;
	pending := 0;
	FOR due IN SELECT d.*, count(*) OVER () AS n FROM wardmote.overlaps_due() WITH ORDINALITY d ORDER BY d.ordinality LOOP
		pending := CASE WHEN done THEN pending ELSE due.n END;
		EXIT WHEN done AND clock_timestamp() > began + interval '1 second';
		pair := wardmote.settle_overlap(due.low, due.high, due.weights_set_id, due.weights_generation);
		seconds := pair.seconds;
		fault := coalesce(pair.fault, fault);
		pending := pending - 1;
		done := true;
	END LOOP;
	UPDATE wardmote.overlap_work w SET is_due = (overlap_step.pending > 0) WHERE w.is_due <> (overlap_step.pending > 0);
	IF pending = 0 AND (SELECT sum(p.rows) FROM wardmote.overlap_pair p
			WHERE p.computed_at > coalesce(greatest(pg_stat_get_last_analyze_time('wardmote.locality_overlap'::regclass),
				pg_stat_get_last_autoanalyze_time('wardmote.locality_overlap'::regclass)), '-infinity')) >= 1000 THEN
		PERFORM wardmote.analyse('{wardmote.locality_overlap}');
	END IF;
END
$$;

-- --- who refers to a record ---------------------------------------------------------------------------------------------------------------

-- wardmote.dependants_<other>(id): how many records that the caller sees refer to a record, by resource and field; and a row without these where others do, too: of
-- those it is not told how many they are, nor what. A record's references to itself do not count. Made again with each new reference, so that nothing is put together
-- at run time. A new table is referred to before it has its view: the body is checked when it first runs.
CREATE FUNCTION wardmote.dependants_text(other_thing text) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT string_agg(format('SELECT %1$L, %2$L, CASE WHEN wardmote.may_read(%1$L) THEN (SELECT count(*) FROM api.%3$I d WHERE %4$s) ELSE 0 END, '
			'(SELECT count(*) FROM wardmote.%3$I d WHERE %4$s)', wardmote.plural(r.thing), r.column_name, r.thing,
		CASE WHEN r.member IS NOT NULL THEN format('d.%I @> jsonb_build_array(jsonb_build_object(%L, $1))', r.column_name, r.member)
			WHEN r.is_array THEN format('d.%I @> ARRAY[$1]', r.column_name)
			ELSE format('d.%I = $1', r.column_name) END
		|| CASE WHEN r.thing = other_thing THEN ' AND d.id <> $1' ELSE '' END), ' UNION ALL ' ORDER BY r.thing, r.column_name)
	FROM wardmote.reference r WHERE r.other = other_thing AND NOT r.released
$$;

CREATE OR REPLACE FUNCTION wardmote.make_dependants(other_thing text) RETURNS void LANGUAGE plpgsql SET check_function_bodies = off AS $body$
BEGIN
	EXECUTE format('CREATE OR REPLACE FUNCTION wardmote.%I(uuid) RETURNS TABLE (resource text, field text, n bigint)
		LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS %L', 'dependants_' || other_thing,
		coalesce('WITH found (resource, field, seen, n) AS MATERIALIZED (' || wardmote.dependants_text(other_thing) || ')
			SELECT f.resource, f.field, f.seen FROM found f WHERE f.seen > 0
			UNION ALL SELECT NULL, NULL, NULL WHERE EXISTS (SELECT FROM found f WHERE f.n > f.seen)',
			'SELECT NULL::text, NULL::text, 0::bigint WHERE false'));
	EXECUTE format('GRANT EXECUTE ON FUNCTION wardmote.%I(uuid) TO wardmote_api', 'dependants_' || other_thing);
END
$body$;
SELECT wardmote.make_dependants(o.other) FROM (SELECT DISTINCT r.other FROM wardmote.reference r) AS o;
