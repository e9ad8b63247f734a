-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Profiles of places: counts of people by characteristic, and how deprived a place is by a published index.

-- --- counts -------------------------------------------------------------------------------------------------------------------------

-- A count, and what it is a count of: the people of one category, of a base of so many. Counts only: a percentage follows, and none is stored.
CREATE TABLE wardmote.profile_value (
	locality_id  uuid NOT NULL,
	dimension    text COLLATE "und-x-icu" NOT NULL CONSTRAINT profile_value_dimension CHECK (char_length(dimension) BETWEEN 1 AND 100),
	category     text COLLATE "und-x-icu" NOT NULL CONSTRAINT profile_value_category CHECK (char_length(category) BETWEEN 1 AND 200),
	count        integer NOT NULL CONSTRAINT profile_value_count CHECK (count BETWEEN 0 AND 1000000000),
	base         integer CONSTRAINT profile_value_base CHECK (base BETWEEN 0 AND 1000000000),
	source_kind  text NOT NULL CONSTRAINT profile_value_source_kind CHECK (source_kind IN ('resident_profiling', 'core', 'census', 'population_estimate',
		'published_statistics', 'needs_data', 'survey', 'other')),
	as_at        date NOT NULL,
	purpose      text CONSTRAINT profile_value_purpose CHECK (char_length(purpose) BETWEEN 1 AND 500),
	retain_until date,
	estimated    boolean NOT NULL DEFAULT false,
	CONSTRAINT profile_value_count_base CHECK (count <= base),
	CONSTRAINT profile_value_retain_until_order CHECK (retain_until >= as_at),
	-- What partners collected themselves says what for and for how long.
	CONSTRAINT profile_value_purpose_own CHECK (source_kind IN ('census', 'population_estimate', 'published_statistics') OR num_nulls(purpose, retain_until) = 0)
);
SELECT wardmote.protect('profile_value', 'owned');
ALTER TABLE wardmote.profile_value
	ADD CONSTRAINT profile_value_category_unique UNIQUE (partner_id, locality_id, dimension, category, source_kind, as_at),
	-- ... and stays with the partner.
	ADD CONSTRAINT profile_value_visibility_source CHECK (source_kind IN ('census', 'population_estimate', 'published_statistics')
		OR (visibility = 'private' AND grants = '[]'));
CREATE INDEX profile_value_by_dimension ON wardmote.profile_value (audience, dimension, id);
CREATE INDEX profile_value_by_as_at ON wardmote.profile_value (audience, as_at, id);
CREATE INDEX profile_value_by_updated_at ON wardmote.profile_value (audience, updated_at, id);
CREATE INDEX profile_value_ends ON wardmote.profile_value (retain_until) WHERE retain_until IS NOT NULL;
SELECT wardmote.track('profile_value');
SELECT wardmote.refers('profile_value', 'locality_id', 'locality', false);
CREATE INDEX profile_value_ends ON history.profile_value (retain_until) WHERE retain_until IS NOT NULL;

-- A value whose day is over goes with all of its versions, and so does a version whose own day is over. What is left says that there was one. An answer that was
-- stored for one of them is not found any more.
CREATE FUNCTION wardmote.expire_profile_values() RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
	ended uuid[];
	versions bigint;
BEGIN
	WITH over AS (
		SELECT v.id FROM wardmote.profile_value v WHERE v.retain_until < wardmote.today() ORDER BY v.retain_until LIMIT 200 FOR UPDATE SKIP LOCKED
	), gone AS (
		DELETE FROM wardmote.profile_value v USING over WHERE v.id = over.id RETURNING v.id
	)
	SELECT coalesce(array_agg(g.id), '{}') INTO ended FROM gone g;
	DELETE FROM history.profile_value h WHERE h.id = ANY (ended) AND h.operation <> 'delete';
	UPDATE wardmote.idempotency i SET body = NULL WHERE i.record_id = ANY (ended);
	WITH over AS (
		SELECT h.id, h.version FROM history.profile_value h WHERE h.retain_until < wardmote.today()
		LIMIT greatest(200 - cardinality(ended), 0) FOR UPDATE SKIP LOCKED
	), gone AS (
		DELETE FROM history.profile_value h USING over WHERE h.id = over.id AND h.version = over.version RETURNING h.id, h.version
	), answers AS (
		UPDATE wardmote.idempotency i SET body = NULL FROM gone g WHERE i.record_id = g.id AND i.version = g.version
	)
	SELECT count(*) INTO versions FROM gone;
	RETURN cardinality(ended) + versions;
END
$$;
INSERT INTO wardmote.prunes VALUES ('wardmote.expire_profile_values');

-- --- deprivation --------------------------------------------------------------------------------------------------------------------

-- Scores are no counts: they are neither added up nor converted.
CREATE TABLE wardmote.deprivation_value (
	locality_id uuid NOT NULL,
	index_name  text COLLATE "und-x-icu" NOT NULL CONSTRAINT deprivation_value_index_name CHECK (char_length(index_name) BETWEEN 1 AND 60),
	year        integer NOT NULL CONSTRAINT deprivation_value_year CHECK (year BETWEEN 1990 AND 2100),
	domain      text COLLATE "und-x-icu" NOT NULL DEFAULT 'overall' CONSTRAINT deprivation_value_domain CHECK (char_length(domain) BETWEEN 1 AND 60),
	score       numeric(12, 4) CONSTRAINT deprivation_value_score CHECK (score BETWEEN -1000000 AND 1000000),
	rank        integer CONSTRAINT deprivation_value_rank CHECK (rank BETWEEN 1 AND 10000000),
	decile      integer CONSTRAINT deprivation_value_decile CHECK (decile BETWEEN 1 AND 10),
	areas       integer CONSTRAINT deprivation_value_areas CHECK (areas BETWEEN 1 AND 10000000),
	CONSTRAINT deprivation_value_rank_areas CHECK (rank <= areas),
	CONSTRAINT deprivation_value_score_any CHECK (num_nonnulls(score, rank, decile) > 0)
);
SELECT wardmote.protect('deprivation_value', 'owned');
ALTER TABLE wardmote.deprivation_value
	ADD CONSTRAINT deprivation_value_domain_unique UNIQUE (partner_id, locality_id, index_name, year, domain);
CREATE INDEX deprivation_value_by_year ON wardmote.deprivation_value (audience, year, id);
CREATE INDEX deprivation_value_by_updated_at ON wardmote.deprivation_value (audience, updated_at, id);
SELECT wardmote.track('deprivation_value');
SELECT wardmote.refers('deprivation_value', 'locality_id', 'locality', false);

-- --- imports ------------------------------------------------------------------------------------------------------------------------

-- A figure of a cell: null where there is none, and false in `good` where it is no whole number up to `most`.
CREATE FUNCTION wardmote.import_number(given text, most integer, OUT value integer, OUT good boolean) LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN fits THEN given::integer END, fits OR coalesce(given, '') = ''
	FROM (SELECT CASE WHEN given ~ '^[0-9]{1,10}$' THEN given::bigint <= most ELSE false END AS fits) AS f
$$;

-- Does the text of a cell fit a field of one line?
CREATE FUNCTION wardmote.import_line_fits(given text, most integer) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT char_length(given) <= most AND given !~ '[\t\n\r\u2028\u2029]'
$$;

CREATE FUNCTION wardmote.profile_lines(import wardmote.import) RETURNS TABLE (n integer, code text, locality_id uuid, dimension text, category text, count integer,
	base integer, reason text, detail text) LANGUAGE sql STABLE AS $$
	SELECT r.n, c.code, l.id, c.dimension, c.category, k.value, b.value, f.reason, CASE f.reason
		WHEN 'not_found' THEN 'The boundary set has no locality with this code.'
		WHEN 'required' THEN 'A line has a dimension, a category and a count.'
		WHEN 'length' THEN 'A dimension has at most 100 characters and a category 200, on one line.'
		WHEN 'number' THEN 'Count and base are whole numbers up to 1,000,000,000.'
		WHEN 'constraint' THEN 'A count is at most its base.' END
	FROM wardmote.import_row r
	CROSS JOIN LATERAL (SELECT btrim(coalesce(r.data ->> 'locality_code', '')) AS code, btrim(coalesce(r.data ->> 'dimension', '')) AS dimension,
		btrim(coalesce(r.data ->> 'category', '')) AS category, btrim(coalesce(r.data ->> 'count', '')) AS count, btrim(r.data ->> 'base') AS base) AS c
	CROSS JOIN LATERAL wardmote.import_number(c.count, 1000000000) AS k
	CROSS JOIN LATERAL wardmote.import_number(c.base, 1000000000) AS b
	LEFT JOIN api.locality l ON l.boundary_set_id = import.boundary_set_id AND l.code = c.code
	CROSS JOIN LATERAL (SELECT CASE WHEN l.id IS NULL THEN 'not_found' WHEN '' IN (c.dimension, c.category, c.count) THEN 'required'
		WHEN NOT (wardmote.import_line_fits(c.dimension, 100) AND wardmote.import_line_fits(c.category, 200)) THEN 'length'
		WHEN NOT (k.good AND b.good) THEN 'number' WHEN k.value > b.value THEN 'constraint' END AS reason) AS f
	WHERE r.import_id = import.id
$$;

CREATE FUNCTION wardmote.deprivation_lines(import wardmote.import) RETURNS TABLE (n integer, code text, locality_id uuid, domain text, score numeric, rank integer,
	decile integer, reason text, detail text) LANGUAGE sql STABLE AS $$
	SELECT r.n, c.code, l.id, c.domain, s.value, k.value, d.value, f.reason, CASE f.reason
		WHEN 'not_found' THEN 'The boundary set has no locality with this code.'
		WHEN 'required' THEN 'A line has a score, a rank or a decile.'
		WHEN 'length' THEN 'A domain has at most 60 characters, on one line.'
		WHEN 'number' THEN 'A score is a number within a million of 0, a rank is a whole number from 1, a decile one from 1 to 10.'
		WHEN 'constraint' THEN 'A rank is at most the number of areas, that of the import or else that of the value that is there.' END
	FROM wardmote.import_row r
	CROSS JOIN LATERAL (SELECT btrim(coalesce(r.data ->> 'locality_code', '')) AS code, coalesce(nullif(btrim(r.data ->> 'domain'), ''), 'overall') AS domain,
		coalesce(btrim(r.data ->> 'score'), '') AS score, btrim(r.data ->> 'rank') AS rank, btrim(r.data ->> 'decile') AS decile) AS c
	CROSS JOIN LATERAL (SELECT CASE WHEN c.score ~ '^-?[0-9]{1,7}([.][0-9]{1,20})?$' THEN round(c.score::numeric, 4) END AS value) AS s
	CROSS JOIN LATERAL wardmote.import_number(c.rank, 10000000) AS k
	CROSS JOIN LATERAL wardmote.import_number(c.decile, 10) AS d
	LEFT JOIN api.locality l ON l.boundary_set_id = import.boundary_set_id AND l.code = c.code
	-- the areas of a value that is there stay where the import says none
	LEFT JOIN api.deprivation_value v ON v.partner_id = import.partner_id AND v.locality_id = l.id AND v.index_name = import.settings ->> 'index_name'
		AND v.year = (import.settings ->> 'year')::integer AND v.domain = c.domain
	CROSS JOIN LATERAL (SELECT CASE WHEN l.id IS NULL THEN 'not_found' WHEN NOT wardmote.import_line_fits(c.domain, 60) THEN 'length'
		WHEN (c.score <> '' AND s.value IS NULL) OR abs(s.value) > 1000000 OR NOT (k.good AND d.good) OR 0 IN (k.value, d.value) THEN 'number'
		WHEN num_nonnulls(s.value, k.value, d.value) = 0 THEN 'required'
		WHEN k.value > coalesce((import.settings ->> 'areas')::integer, v.areas) THEN 'constraint' END AS reason) AS f
	WHERE r.import_id = import.id
$$;

-- Ends an import of which lines were rejected, unless the others are to be stored all the same.
CREATE FUNCTION wardmote.import_stops(import wardmote.import, total integer) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF import.settings ->> 'accept_rest' = 'true' OR (SELECT w.rejected = 0 FROM wardmote.import_work w WHERE w.import_id = import.id) THEN
		RETURN false;
	END IF;
	PERFORM wardmote.import_end(import.id, 'rejected', 'Nothing was stored, since lines were rejected; accept_rest=true stores the others.',
		ARRAY[total, 0, 0, 0, 0]);
	RETURN true;
END
$$;

-- How many lines there were. The files of one partner take turns, and what they are about must still be seen.
CREATE FUNCTION wardmote.import_starts(import wardmote.import) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM api.boundary_set s WHERE s.id = import.boundary_set_id) THEN
		RAISE EXCEPTION 'the account may not see this boundary set any more' USING ERRCODE = 'WM403';
	END IF;
	PERFORM pg_advisory_xact_lock(hashtextextended('wardmote.import ' || import.kind || import.partner_id, 0));
	RETURN (SELECT count(*) FROM wardmote.import_row r WHERE r.import_id = import.id)
		+ (SELECT w.rejected FROM wardmote.import_work w WHERE w.import_id = import.id);
END
$$;

-- A value that is there gets the counts of the file, and its purpose, end and source where the import names them; who sees it stays as it is.
CREATE FUNCTION wardmote.apply_profile_values(import wardmote.import) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	total integer := wardmote.import_starts(import);
	given integer;
	created integer;
	updated integer;
BEGIN
	PERFORM wardmote.import_drop(import.id, (SELECT array_agg(ROW(import.id, l.n, l.code, l.reason, l.detail)::wardmote.import_reject)
		FROM wardmote.profile_lines(import) l WHERE l.reason IS NOT NULL));
	PERFORM wardmote.import_drop(import.id, (SELECT array_agg(ROW(import.id, d.n, d.code, 'duplicate', format('Line %s has the same category.', d.first))::wardmote.import_reject)
		FROM (SELECT l.n, l.code, min(l.n) OVER (PARTITION BY l.code, l.dimension, l.category) AS first FROM wardmote.profile_lines(import) l) d WHERE d.n > d.first));
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

CREATE FUNCTION wardmote.apply_deprivation_values(import wardmote.import) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	total integer := wardmote.import_starts(import);
	given integer;
	created integer;
	updated integer;
BEGIN
	PERFORM wardmote.import_drop(import.id, (SELECT array_agg(ROW(import.id, l.n, l.code, l.reason, l.detail)::wardmote.import_reject)
		FROM wardmote.deprivation_lines(import) l WHERE l.reason IS NOT NULL));
	PERFORM wardmote.import_drop(import.id, (SELECT array_agg(ROW(import.id, d.n, d.code, 'duplicate', format('Line %s has the same domain.', d.first))::wardmote.import_reject)
		FROM (SELECT l.n, l.code, min(l.n) OVER (PARTITION BY l.code, l.domain) AS first FROM wardmote.deprivation_lines(import) l) d WHERE d.n > d.first));
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
