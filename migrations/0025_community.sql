-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Communities by their terms, bases and barriers; groups; mapping exercises and what they find; needs; plans of localities.

-- --- codes --------------------------------------------------------------------------------------------------------------------------

ALTER TABLE wardmote.code DROP CONSTRAINT code_list,
	ADD CONSTRAINT code_list CHECK (list IN ('topic', 'audience', 'method', 'community', 'mapping_role'));

-- Which columns hold codes of which list.
CREATE TABLE wardmote.code_holder (
	thing       text NOT NULL,
	column_name text NOT NULL,
	list        text NOT NULL,
	PRIMARY KEY (thing, column_name)
);
SELECT wardmote.force_policies('wardmote.code_holder'::regclass);

-- Registers a column, and makes wardmote.code_uses again, so that nothing is put together at run time: how many records hold a code, seen or unseen by the
-- caller. A partner's own code is not meant where the record's partner has one of the same name.
CREATE FUNCTION wardmote.holds_codes(thing text, column_name text, list text) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
	holders text;
BEGIN
	INSERT INTO wardmote.code_holder VALUES (thing, column_name, list);
	SELECT string_agg(format('SELECT h.partner_id FROM wardmote.%I h WHERE code_list = %L AND h.%I @> ARRAY[code_text]', h.thing, h.list, h.column_name),
		' UNION ALL ' ORDER BY h.thing, h.column_name)
	INTO holders FROM wardmote.code_holder h;
	EXECUTE format($sql$
CREATE OR REPLACE FUNCTION wardmote.code_uses(code_list text, code_text text, owner uuid) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $fn$
	SELECT (
		SELECT count(*)
		FROM (%s) AS holder
		WHERE owner IS NULL OR holder.partner_id = owner OR NOT EXISTS (
			SELECT FROM wardmote.code o WHERE o.list = code_list AND o.code = code_text AND o.partner_id = holder.partner_id)
	) + (
		SELECT count(*) FROM wardmote.code m WHERE owner IS NULL AND m.list = code_list AND m.maps_to = code_text
	)
$fn$
$sql$, holders);
END
$body$;

-- --- communities --------------------------------------------------------------------------------------------------------------------

ALTER TABLE wardmote.community
	ADD COLUMN code              text CONSTRAINT community_code CHECK (char_length(code) BETWEEN 1 AND 100),
	ADD COLUMN codes             text[] NOT NULL DEFAULT '{}' CONSTRAINT community_codes CHECK (cardinality(codes) <= 20),
	ADD COLUMN basis             text[] NOT NULL DEFAULT '{}' CONSTRAINT community_basis CHECK (cardinality(basis) <= 7
		AND basis <@ '{interests,circumstances,backgrounds,disadvantage,need,aspiration,concern}'),
	ADD COLUMN profile_dimension text CONSTRAINT community_profile_dimension CHECK (char_length(profile_dimension) BETWEEN 1 AND 100),
	ADD COLUMN profile_category  text CONSTRAINT community_profile_category CHECK (char_length(profile_category) BETWEEN 1 AND 200),
	ADD COLUMN barriers          jsonb NOT NULL DEFAULT '[]' CONSTRAINT community_barriers CHECK (jsonb_array_length(barriers) <= 20),
	ADD CONSTRAINT community_profile_category_dimension CHECK (profile_category IS NULL OR profile_dimension IS NOT NULL);
-- What earlier versions did not have was empty then.
ALTER TABLE history.community
	ADD COLUMN codes    text[] DEFAULT '{}',
	ADD COLUMN basis    text[] DEFAULT '{}',
	ADD COLUMN barriers jsonb DEFAULT '[]';
SELECT wardmote.protect('community', 'owned');
CREATE INDEX community_codes_idx ON wardmote.community USING gin (codes);
SELECT wardmote.track('community');

-- --- groups -------------------------------------------------------------------------------------------------------------------------

CREATE TABLE wardmote.community_group (
	name                 text COLLATE "und-x-icu" NOT NULL CONSTRAINT community_group_name CHECK (char_length(name) BETWEEN 1 AND 200),
	kind                 text NOT NULL CONSTRAINT community_group_kind CHECK (kind IN ('residents', 'tenants', 'faith', 'youth', 'business', 'voluntary',
		'informal', 'forum', 'panel', 'committee', 'task_and_finish', 'anchor', 'infrastructure', 'social_enterprise')),
	description          text CONSTRAINT community_group_description CHECK (char_length(description) BETWEEN 1 AND 4000),
	locality_id          uuid,
	community_ids        uuid[] NOT NULL DEFAULT '{}' CONSTRAINT community_group_community_ids CHECK (cardinality(community_ids) <= 100),
	size_band            text NOT NULL DEFAULT 'unknown' CONSTRAINT community_group_size_band CHECK (size_band IN ('under_10', '10_to_49', '50_to_199',
		'200_or_more', 'unknown')),
	visible              boolean NOT NULL DEFAULT true,
	claims_to_represent  boolean NOT NULL DEFAULT false,
	self_led             boolean NOT NULL DEFAULT false,
	led_by_community_id  uuid,
	services             text CONSTRAINT community_group_services CHECK (char_length(services) BETWEEN 1 AND 4000),
	preferred_methods    text[] NOT NULL DEFAULT '{}' CONSTRAINT community_group_preferred_methods CHECK (cardinality(preferred_methods) <= 20),
	preferred_level      text CONSTRAINT community_group_preferred_level CHECK (char_length(preferred_level) BETWEEN 1 AND 100),
	parent_id            uuid,
	links                jsonb NOT NULL DEFAULT '[]' CONSTRAINT community_group_links CHECK (jsonb_array_length(links) <= 100),
	point                public.geometry(Point, 4326),
	website              text CONSTRAINT community_group_website CHECK (char_length(website) <= 2000),
	valid_from           date,
	valid_to             date,
	contact_name         text CONSTRAINT community_group_contact_name CHECK (char_length(contact_name) BETWEEN 1 AND 200),
	contact_details      text CONSTRAINT community_group_contact_details CHECK (char_length(contact_details) BETWEEN 1 AND 500),
	public_role          boolean NOT NULL DEFAULT false,
	consent_on           date,
	consent_purpose      text CONSTRAINT community_group_consent_purpose CHECK (char_length(consent_purpose) BETWEEN 1 AND 500),
	consent_until        date,
	consent_public       boolean NOT NULL DEFAULT false,
	last_verified_on     date,
	verified_by          text CONSTRAINT community_group_verified_by CHECK (char_length(verified_by) BETWEEN 1 AND 200),
	search               tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig,
		name || ' ' || coalesce(description, '') || ' ' || coalesce(services, ''))) STORED,
	CONSTRAINT community_group_valid_to_order CHECK (valid_to >= valid_from),
	-- A person is recorded in a public role, or with consent: when it was given, for what, until when.
	CONSTRAINT community_group_consent_until_given CHECK (public_role OR num_nonnulls(contact_name, contact_details) = 0
		OR num_nonnulls(consent_on, consent_purpose, consent_until) = 3)
);
SELECT wardmote.protect('community_group', 'owned');
ALTER TABLE wardmote.community_group
	ADD CONSTRAINT community_group_parent_id_self CHECK (parent_id <> id),
	ADD CONSTRAINT community_group_visibility_person CHECK (visibility <> 'public' OR public_role OR consent_public
		OR num_nonnulls(contact_name, contact_details) = 0);
CREATE INDEX community_group_by_name ON wardmote.community_group (audience, name, id);
CREATE INDEX community_group_by_updated_at ON wardmote.community_group (audience, updated_at, id);
CREATE INDEX community_group_preferred_methods_idx ON wardmote.community_group USING gin (preferred_methods);
CREATE INDEX community_group_point ON wardmote.community_group USING gist (point);
CREATE INDEX community_group_search ON wardmote.community_group USING gin (search);
SELECT wardmote.track('community_group');
SELECT wardmote.refers('community_group', 'locality_id', 'locality', false);
SELECT wardmote.refers('community_group', 'community_ids', 'community', true);
SELECT wardmote.refers('community_group', 'led_by_community_id', 'community', false);
SELECT wardmote.refers('community_group', 'parent_id', 'community_group', false);
SELECT wardmote.refers('community_group', 'links', 'community_group', true, 'group_id');
SELECT wardmote.expires('community_group', 'consent_until', '{contact_name,contact_details}');

-- Groups stay a tree, as localities do.
CREATE FUNCTION wardmote.community_group_tree() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(hashtextextended('wardmote.community_group.parent_id', 0));
	IF EXISTS (
		WITH RECURSIVE above AS (
			SELECT g.id, g.parent_id FROM wardmote.community_group g WHERE g.id = NEW.parent_id
			UNION
			SELECT g.id, g.parent_id FROM above JOIN wardmote.community_group g ON g.id = above.parent_id
		)
		SELECT FROM above WHERE above.id = NEW.id
	) THEN
		RAISE EXCEPTION 'a group cannot be a part of itself' USING ERRCODE = '23514', CONSTRAINT = 'community_group_parent_id_cycle';
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER community_group_tree AFTER UPDATE OF parent_id ON wardmote.community_group
	FOR EACH ROW WHEN (NEW.parent_id IS DISTINCT FROM OLD.parent_id) EXECUTE FUNCTION wardmote.community_group_tree();

-- --- the community map --------------------------------------------------------------------------------------------------------------

CREATE TABLE wardmote.mapping_exercise (
	title             text COLLATE "und-x-icu" NOT NULL CONSTRAINT mapping_exercise_title CHECK (char_length(title) BETWEEN 1 AND 200),
	locality_id       uuid NOT NULL,
	status            text NOT NULL DEFAULT 'planned' CONSTRAINT mapping_exercise_status CHECK (status IN ('planned', 'held')),
	held_on           date,
	held_on_precision text NOT NULL DEFAULT 'day' CONSTRAINT mapping_exercise_held_on_precision CHECK (held_on_precision IN ('day', 'month', 'year')),
	partner_ids       uuid[] NOT NULL DEFAULT '{}' CONSTRAINT mapping_exercise_partner_ids CHECK (cardinality(partner_ids) <= 50),
	roles             text[] NOT NULL DEFAULT '{}' CONSTRAINT mapping_exercise_roles CHECK (cardinality(roles) <= 20),
	method            text CONSTRAINT mapping_exercise_method CHECK (char_length(method) BETWEEN 1 AND 4000),
	notes             text CONSTRAINT mapping_exercise_notes CHECK (char_length(notes) BETWEEN 1 AND 4000),
	-- Without a date it comes after all that have one.
	held_on_sort      date NOT NULL GENERATED ALWAYS AS (coalesce(held_on, 'infinity'::date)) STORED,
	search            tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, title || ' ' || coalesce(method, ''))) STORED,
	CONSTRAINT mapping_exercise_held_on_status CHECK (status <> 'held' OR held_on IS NOT NULL)
);
SELECT wardmote.protect('mapping_exercise', 'owned');
CREATE INDEX mapping_exercise_by_title ON wardmote.mapping_exercise (audience, title, id);
CREATE INDEX mapping_exercise_by_held_on ON wardmote.mapping_exercise (audience, held_on_sort, id);
CREATE INDEX mapping_exercise_by_updated_at ON wardmote.mapping_exercise (audience, updated_at, id);
CREATE INDEX mapping_exercise_roles_idx ON wardmote.mapping_exercise USING gin (roles);
CREATE INDEX mapping_exercise_search ON wardmote.mapping_exercise USING gin (search);
SELECT wardmote.track('mapping_exercise');
SELECT wardmote.refers('mapping_exercise', 'locality_id', 'locality', false);
SELECT wardmote.refers('mapping_exercise', 'partner_ids', 'partner', true);

CREATE TABLE wardmote.map_item (
	name                text COLLATE "und-x-icu" NOT NULL CONSTRAINT map_item_name CHECK (char_length(name) BETWEEN 1 AND 200),
	kind                text NOT NULL CONSTRAINT map_item_kind CHECK (kind IN ('key_player_individual', 'key_player_group', 'key_player_partner',
		'facility', 'activity')),
	aspect              text NOT NULL DEFAULT 'neutral' CONSTRAINT map_item_aspect CHECK (aspect IN ('strength', 'gap', 'aspiration', 'neutral')),
	mapping_exercise_id uuid,
	locality_id         uuid,
	point               public.geometry(Point, 4326),
	use                 text CONSTRAINT map_item_use CHECK (char_length(use) BETWEEN 1 AND 4000),
	extension_idea      text CONSTRAINT map_item_extension_idea CHECK (char_length(extension_idea) BETWEEN 1 AND 4000),
	ownership           text CONSTRAINT map_item_ownership CHECK (ownership IN ('partner', 'community', 'private')),
	venue               boolean,
	step_free           boolean,
	hearing_loop        boolean,
	public_transport    boolean,
	interpreter         boolean,
	accessibility       text CONSTRAINT map_item_accessibility CHECK (char_length(accessibility) BETWEEN 1 AND 4000),
	community_group_id  uuid,
	key_partner_id      uuid,
	person_name         text CONSTRAINT map_item_person_name CHECK (char_length(person_name) BETWEEN 1 AND 200),
	person_role         text CONSTRAINT map_item_person_role CHECK (char_length(person_role) BETWEEN 1 AND 200),
	person_contact      text CONSTRAINT map_item_person_contact CHECK (char_length(person_contact) BETWEEN 1 AND 500),
	public_role         boolean NOT NULL DEFAULT false,
	consent_on          date,
	consent_purpose     text CONSTRAINT map_item_consent_purpose CHECK (char_length(consent_purpose) BETWEEN 1 AND 500),
	consent_until       date,
	consent_public      boolean NOT NULL DEFAULT false,
	last_verified_on    date,
	verified_by         text CONSTRAINT map_item_verified_by CHECK (char_length(verified_by) BETWEEN 1 AND 200),
	-- What nobody ever verified comes before all that somebody did.
	last_verified_sort  date NOT NULL GENERATED ALWAYS AS (coalesce(last_verified_on, '-infinity'::date)) STORED,
	search              tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig,
		name || ' ' || coalesce(use, '') || ' ' || coalesce(extension_idea, ''))) STORED,
	CONSTRAINT map_item_locality_id_place CHECK (num_nonnulls(locality_id, point) > 0),
	CONSTRAINT map_item_point_person CHECK (kind <> 'key_player_individual' OR point IS NULL),
	CONSTRAINT map_item_person_name_kind CHECK (kind = 'key_player_individual' OR num_nonnulls(person_name, person_role, person_contact) = 0),
	CONSTRAINT map_item_consent_until_given CHECK (public_role OR kind <> 'key_player_individual'
		OR num_nonnulls(consent_on, consent_purpose, consent_until) = 3)
);
SELECT wardmote.protect('map_item', 'owned');
ALTER TABLE wardmote.map_item ADD CONSTRAINT map_item_visibility_person CHECK (visibility <> 'public' OR kind <> 'key_player_individual' OR public_role
	OR consent_public);
CREATE INDEX map_item_by_name ON wardmote.map_item (audience, name, id);
CREATE INDEX map_item_by_last_verified_on ON wardmote.map_item (audience, last_verified_sort, id);
CREATE INDEX map_item_by_updated_at ON wardmote.map_item (audience, updated_at, id);
CREATE INDEX map_item_point ON wardmote.map_item USING gist (point);
CREATE INDEX map_item_search ON wardmote.map_item USING gin (search);
SELECT wardmote.track('map_item');
SELECT wardmote.refers('map_item', 'mapping_exercise_id', 'mapping_exercise', false);
SELECT wardmote.refers('map_item', 'locality_id', 'locality', false);
SELECT wardmote.refers('map_item', 'community_group_id', 'community_group', false);
SELECT wardmote.refers('map_item', 'key_partner_id', 'partner', false);
SELECT wardmote.expires('map_item', 'consent_until', '{person_name,person_role,person_contact}');

-- --- needs and plans ----------------------------------------------------------------------------------------------------------------

CREATE TABLE wardmote.need (
	title               text COLLATE "und-x-icu" NOT NULL CONSTRAINT need_title CHECK (char_length(title) BETWEEN 1 AND 200),
	kind                text NOT NULL DEFAULT 'service' CONSTRAINT need_kind CHECK (kind IN ('capacity_building', 'service', 'both')),
	nature              text NOT NULL DEFAULT 'need' CONSTRAINT need_nature CHECK (nature IN ('problem', 'want', 'need', 'aspiration')),
	description         text CONSTRAINT need_description CHECK (char_length(description) BETWEEN 1 AND 4000),
	locality_id         uuid,
	community_id        uuid,
	origin              text NOT NULL DEFAULT 'community' CONSTRAINT need_origin CHECK (origin IN ('community', 'agency', 'mapping', 'consultation')),
	evidence            jsonb NOT NULL DEFAULT '[]' CONSTRAINT need_evidence CHECK (jsonb_array_length(evidence) <= 20),
	status              text NOT NULL DEFAULT 'open' CONSTRAINT need_status CHECK (status IN ('open', 'acted_on', 'met', 'declined')),
	reason              text CONSTRAINT need_reason CHECK (char_length(reason) BETWEEN 1 AND 4000),
	map_item_id         uuid,
	consultation_id     uuid,
	partner_ids         uuid[] NOT NULL DEFAULT '{}' CONSTRAINT need_partner_ids CHECK (cardinality(partner_ids) <= 50),
	raised_on           date,
	raised_on_precision text NOT NULL DEFAULT 'day' CONSTRAINT need_raised_on_precision CHECK (raised_on_precision IN ('day', 'month', 'year')),
	-- Without a date it comes before all that have one, so that the newest first means what is known to be new.
	raised_on_sort      date NOT NULL GENERATED ALWAYS AS (coalesce(raised_on, '-infinity'::date)) STORED,
	search              tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, title || ' ' || coalesce(description, ''))) STORED,
	CONSTRAINT need_locality_id_or_community CHECK (num_nonnulls(locality_id, community_id) > 0),
	CONSTRAINT need_reason_declined CHECK (status <> 'declined' OR reason IS NOT NULL)
);
SELECT wardmote.protect('need', 'owned');
CREATE INDEX need_by_title ON wardmote.need (audience, title, id);
CREATE INDEX need_by_raised_on ON wardmote.need (audience, raised_on_sort, id);
CREATE INDEX need_by_updated_at ON wardmote.need (audience, updated_at, id);
CREATE INDEX need_search ON wardmote.need USING gin (search);
SELECT wardmote.track('need');
SELECT wardmote.refers('need', 'locality_id', 'locality', false);
SELECT wardmote.refers('need', 'community_id', 'community', false);
SELECT wardmote.refers('need', 'map_item_id', 'map_item', false);
SELECT wardmote.refers('need', 'consultation_id', 'consultation', false);
SELECT wardmote.refers('need', 'partner_ids', 'partner', true);

CREATE TABLE wardmote.locality_plan (
	title                text COLLATE "und-x-icu" NOT NULL CONSTRAINT locality_plan_title CHECK (char_length(title) BETWEEN 1 AND 200),
	locality_id          uuid NOT NULL,
	kind                 text NOT NULL CONSTRAINT locality_plan_kind CHECK (kind IN ('profile', 'neighbourhood', 'community')),
	edition              text CONSTRAINT locality_plan_edition CHECK (char_length(edition) BETWEEN 1 AND 100),
	description          text CONSTRAINT locality_plan_description CHECK (char_length(description) BETWEEN 1 AND 4000),
	status               text NOT NULL DEFAULT 'draft' CONSTRAINT locality_plan_status CHECK (status IN ('draft', 'agreed', 'published', 'superseded')),
	due_on               date,
	published_on         date,
	mapping_exercise_id  uuid,
	priority_need_ids    uuid[] NOT NULL DEFAULT '{}' CONSTRAINT locality_plan_priority_need_ids CHECK (cardinality(priority_need_ids) <= 100),
	partner_contributors jsonb NOT NULL DEFAULT '[]' CONSTRAINT locality_plan_partner_contributors CHECK (jsonb_array_length(partner_contributors) <= 50),
	group_contributors   jsonb NOT NULL DEFAULT '[]' CONSTRAINT locality_plan_group_contributors CHECK (jsonb_array_length(group_contributors) <= 50),
	url                  text CONSTRAINT locality_plan_url CHECK (char_length(url) <= 2000),
	-- Without a date it comes after all that have one.
	due_on_sort          date NOT NULL GENERATED ALWAYS AS (coalesce(due_on, 'infinity'::date)) STORED,
	search               tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, title || ' ' || coalesce(description, ''))) STORED,
	CONSTRAINT locality_plan_published_on_status CHECK (status <> 'published' OR published_on IS NOT NULL)
);
SELECT wardmote.protect('locality_plan', 'owned');
CREATE INDEX locality_plan_by_title ON wardmote.locality_plan (audience, title, id);
CREATE INDEX locality_plan_by_due_on ON wardmote.locality_plan (audience, due_on_sort, id);
CREATE INDEX locality_plan_by_updated_at ON wardmote.locality_plan (audience, updated_at, id);
CREATE INDEX locality_plan_search ON wardmote.locality_plan USING gin (search);
SELECT wardmote.track('locality_plan');
SELECT wardmote.refers('locality_plan', 'locality_id', 'locality', false);
SELECT wardmote.refers('locality_plan', 'mapping_exercise_id', 'mapping_exercise', false);
SELECT wardmote.refers('locality_plan', 'priority_need_ids', 'need', true);
SELECT wardmote.refers('locality_plan', 'partner_contributors', 'partner', true, 'partner_id');
SELECT wardmote.refers('locality_plan', 'group_contributors', 'community_group', true, 'community_group_id');

-- --- what activities do about it ----------------------------------------------------------------------------------------------------

ALTER TABLE wardmote.activity
	ADD COLUMN map_item_id uuid,
	ADD COLUMN need_ids    uuid[] NOT NULL DEFAULT '{}' CONSTRAINT activity_need_ids CHECK (cardinality(need_ids) <= 50);
ALTER TABLE history.activity ADD COLUMN need_ids uuid[] DEFAULT '{}';
SELECT wardmote.protect('activity', 'owned');
SELECT wardmote.track('activity');
SELECT wardmote.refers('activity', 'map_item_id', 'map_item', false);
SELECT wardmote.refers('activity', 'need_ids', 'need', true);

SELECT wardmote.holds_codes(h.thing, h.column_name, h.list)
FROM (VALUES ('consultation', 'topics', 'topic'), ('consultation', 'audiences', 'audience'), ('consultation', 'methods', 'method'),
	('activity', 'topics', 'topic'), ('activity', 'audiences', 'audience'), ('activity', 'methods', 'method'), ('community', 'codes', 'community'),
	('community_group', 'preferred_methods', 'method'), ('mapping_exercise', 'roles', 'mapping_role')) AS h (thing, column_name, list);
