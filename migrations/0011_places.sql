-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Places: boundary sets, their localities, and communities.

CREATE TABLE wardmote.boundary_set (
	code           text COLLATE "und-x-icu" NOT NULL CONSTRAINT boundary_set_code CHECK (char_length(code) BETWEEN 1 AND 100),
	name           text COLLATE "und-x-icu" NOT NULL CONSTRAINT boundary_set_name CHECK (char_length(name) BETWEEN 1 AND 200),
	tier           text CONSTRAINT boundary_set_tier CHECK (tier IN ('neighbourhood', 'local', 'area', 'strategic')),
	valid_from     date,
	valid_to       date,
	attribution    text CONSTRAINT boundary_set_attribution CHECK (char_length(attribution) BETWEEN 1 AND 4000),
	licence        text CONSTRAINT boundary_set_licence CHECK (char_length(licence) BETWEEN 1 AND 500),
	expected_count integer CONSTRAINT boundary_set_expected_count CHECK (expected_count BETWEEN 0 AND 1000000),
	search         tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, code || ' ' || name)) STORED,
	CONSTRAINT boundary_set_valid_to CHECK (valid_to >= valid_from)
);
SELECT wardmote.protect('boundary_set', 'admin');
ALTER TABLE wardmote.boundary_set ADD CONSTRAINT boundary_set_code_unique UNIQUE (code);
CREATE INDEX boundary_set_by_name ON wardmote.boundary_set (audience, name, id);
CREATE INDEX boundary_set_by_code ON wardmote.boundary_set (audience, code, id);
CREATE INDEX boundary_set_by_updated_at ON wardmote.boundary_set (audience, updated_at, id);
CREATE INDEX boundary_set_search ON wardmote.boundary_set USING gin (search);
SELECT wardmote.track('boundary_set');

CREATE TABLE wardmote.locality (
	boundary_set_id  uuid NOT NULL,
	code             text COLLATE "und-x-icu" NOT NULL CONSTRAINT locality_code CHECK (char_length(code) BETWEEN 1 AND 100),
	name             text COLLATE "und-x-icu" NOT NULL CONSTRAINT locality_name CHECK (char_length(name) BETWEEN 1 AND 200),
	parent_id        uuid,
	population       integer CONSTRAINT locality_population CHECK (population BETWEEN 0 AND 100000000),
	population_as_at date,
	households       integer CONSTRAINT locality_households CHECK (households BETWEEN 0 AND 100000000),
	valid_from       date,
	valid_to         date,
	successor_ids    uuid[] NOT NULL DEFAULT '{}' CONSTRAINT locality_successor_ids CHECK (cardinality(successor_ids) <= 100),
	geometry         public.geometry(MultiPolygon, 4326) CONSTRAINT locality_geometry CHECK (public.ST_IsValid(geometry)),
	search           tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, code || ' ' || name)) STORED,
	CONSTRAINT locality_valid_to CHECK (valid_to >= valid_from)
);
SELECT wardmote.protect('locality', 'admin');
ALTER TABLE wardmote.locality
	ADD CONSTRAINT locality_parent_id_self CHECK (parent_id <> id),
	ADD CONSTRAINT locality_code_unique UNIQUE (boundary_set_id, code),
	ADD CONSTRAINT locality_successor_ids_self CHECK (id <> ALL (successor_ids));
CREATE INDEX locality_by_name ON wardmote.locality (audience, name, id);
CREATE INDEX locality_by_code ON wardmote.locality (audience, code, id);
CREATE INDEX locality_by_updated_at ON wardmote.locality (audience, updated_at, id);
CREATE INDEX locality_set_by_name ON wardmote.locality (audience, boundary_set_id, name, id);
CREATE INDEX locality_geometry ON wardmote.locality USING gist (geometry);
CREATE INDEX locality_search ON wardmote.locality USING gin (search);
SELECT wardmote.track('locality');
SELECT wardmote.refers('locality', 'boundary_set_id', 'boundary_set', false);
SELECT wardmote.refers('locality', 'parent_id', 'locality', false);
SELECT wardmote.refers('locality', 'successor_ids', 'locality', true);

-- Parents stay a tree. A new locality closes no circle, since nothing names it yet; moving two under each other at once would, so moves take turns.
CREATE FUNCTION wardmote.locality_tree() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(hashtextextended('wardmote.locality.parent_id', 0));
	IF EXISTS (
		WITH RECURSIVE above AS (
			SELECT l.id, l.parent_id FROM wardmote.locality l WHERE l.id = NEW.parent_id
			UNION
			SELECT l.id, l.parent_id FROM above JOIN wardmote.locality l ON l.id = above.parent_id
		)
		SELECT FROM above WHERE above.id = NEW.id
	) THEN
		RAISE EXCEPTION 'a locality cannot lie within itself' USING ERRCODE = '23514', CONSTRAINT = 'locality_parent_id_cycle';
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER locality_tree AFTER UPDATE OF parent_id ON wardmote.locality
	FOR EACH ROW WHEN (NEW.parent_id IS DISTINCT FROM OLD.parent_id) EXECUTE FUNCTION wardmote.locality_tree();

CREATE TABLE wardmote.community (
	name         text COLLATE "und-x-icu" NOT NULL CONSTRAINT community_name CHECK (char_length(name) BETWEEN 1 AND 200),
	kind         text NOT NULL CONSTRAINT community_kind CHECK (kind IN ('place', 'identity', 'interest')),
	description  text CONSTRAINT community_description CHECK (char_length(description) BETWEEN 1 AND 4000),
	locality_id  uuid,
	place_basis  text CONSTRAINT community_place_basis CHECK (place_basis IN ('live', 'work', 'social')),
	seldom_heard boolean NOT NULL DEFAULT false,
	local_term   text CONSTRAINT community_local_term CHECK (char_length(local_term) BETWEEN 1 AND 200),
	support_need text CONSTRAINT community_support_need CHECK (support_need IN ('low', 'medium', 'high')),
	search       tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, name || ' ' || coalesce(description, ''))) STORED,
	CONSTRAINT community_locality_id CHECK (kind <> 'place' OR locality_id IS NOT NULL),
	CONSTRAINT community_place_basis_kind CHECK (kind = 'place' OR place_basis IS NULL)
);
SELECT wardmote.protect('community', 'owned');
CREATE INDEX community_by_name ON wardmote.community (audience, name, id);
CREATE INDEX community_by_updated_at ON wardmote.community (audience, updated_at, id);
CREATE INDEX community_search ON wardmote.community USING gin (search);
SELECT wardmote.track('community');
SELECT wardmote.refers('community', 'locality_id', 'locality', false);
