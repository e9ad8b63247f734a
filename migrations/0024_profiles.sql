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
CREATE INDEX profile_value_ends ON history.profile_value (retain_until) WHERE count IS NOT NULL AND retain_until IS NOT NULL;

-- A value whose day is over goes, and so do its counts from all of its versions; and those of a version whose own day is over.
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
	UPDATE history.profile_value h SET count = NULL, base = NULL WHERE h.id = ANY (ended) AND h.count IS NOT NULL;
	UPDATE wardmote.idempotency i SET body = NULL WHERE i.record_id = ANY (ended);
	WITH over AS (
		SELECT h.id, h.version FROM history.profile_value h WHERE h.count IS NOT NULL AND h.retain_until < wardmote.today()
		LIMIT greatest(200 - cardinality(ended), 0) FOR UPDATE SKIP LOCKED
	), emptied AS (
		UPDATE history.profile_value h SET count = NULL, base = NULL FROM over WHERE h.id = over.id AND h.version = over.version RETURNING h.id, h.version
	), answers AS (
		UPDATE wardmote.idempotency i SET body = NULL FROM emptied e WHERE i.record_id = e.id AND i.version = e.version
	)
	SELECT count(*) INTO versions FROM emptied;
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
