-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Who works where, and who delivers what: service areas, contacts and their assignments, service entries, referral routes; and who read personal fields of others.

-- --- reads of personal fields -------------------------------------------------------------------------------------------------------

-- One row for each time that an account was shown logged fields of another partner's record (F_LOGGED): who, which record, when; never what was there.
CREATE TABLE wardmote.personal_read (
	seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at         timestamptz NOT NULL DEFAULT now(),
	account_id uuid NOT NULL DEFAULT wardmote.ctx_account(),
	partner_id uuid NOT NULL DEFAULT wardmote.ctx_partner(),
	resource   text NOT NULL,
	record_id  uuid NOT NULL,
	owner_id   uuid NOT NULL
);
CREATE INDEX personal_read_owner ON wardmote.personal_read (owner_id, seq);
CREATE INDEX personal_read_at ON wardmote.personal_read (at);
SELECT wardmote.force_policies('wardmote.personal_read'::regclass);
CREATE POLICY noting ON wardmote.personal_read FOR INSERT TO wardmote_api
	WITH CHECK (partner_id = (SELECT wardmote.ctx_partner()) AND account_id = (SELECT wardmote.ctx_account()));
-- Who read and when is the database's to say.
GRANT INSERT (resource, record_id, owner_id) ON wardmote.personal_read TO wardmote_api;

CREATE VIEW api.personal_read AS
SELECT p.* FROM wardmote.personal_read p
WHERE p.owner_id = (SELECT wardmote.ctx_partner()) AND (SELECT wardmote.ctx_rank()) >= 3;
GRANT SELECT ON api.personal_read TO wardmote_api;

CREATE FUNCTION wardmote.forget_personal_reads() RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
	n bigint;
BEGIN
	DELETE FROM wardmote.personal_read WHERE seq IN (
		SELECT p.seq FROM wardmote.personal_read p WHERE p.at < now() - interval '24 months' ORDER BY p.at LIMIT 200);
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;
INSERT INTO wardmote.prunes VALUES ('wardmote.forget_personal_reads');

-- --- service areas and contacts -----------------------------------------------------------------------------------------------------

CREATE TABLE wardmote.service_area (
	code                   text COLLATE "und-x-icu" NOT NULL CONSTRAINT service_area_code CHECK (char_length(code) BETWEEN 1 AND 100),
	name                   text COLLATE "und-x-icu" NOT NULL CONSTRAINT service_area_name CHECK (char_length(name) BETWEEN 1 AND 200),
	description            text CONSTRAINT service_area_description CHECK (char_length(description) BETWEEN 1 AND 4000),
	accountable_contact_id uuid,
	locality_id            uuid,
	fte_planned            numeric(6, 2) CONSTRAINT service_area_fte_planned CHECK (fte_planned >= 0 AND fte_planned <= 9999),
	fte_in_post            numeric(6, 2) CONSTRAINT service_area_fte_in_post CHECK (fte_in_post >= 0 AND fte_in_post <= 9999),
	search                 tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig,
		code || ' ' || name || ' ' || coalesce(description, ''))) STORED
);
SELECT wardmote.protect('service_area', 'owned');
ALTER TABLE wardmote.service_area ADD CONSTRAINT service_area_code_unique UNIQUE (partner_id, code);
CREATE INDEX service_area_by_name ON wardmote.service_area (audience, name, id);
CREATE INDEX service_area_by_code ON wardmote.service_area (audience, code, id);
CREATE INDEX service_area_by_updated_at ON wardmote.service_area (audience, updated_at, id);
CREATE INDEX service_area_search ON wardmote.service_area USING gin (search);
SELECT wardmote.track('service_area');
SELECT wardmote.refers('service_area', 'locality_id', 'locality', false);

CREATE TABLE wardmote.contact (
	post            text COLLATE "und-x-icu" NOT NULL CONSTRAINT contact_post CHECK (char_length(post) BETWEEN 1 AND 200),
	kind            text NOT NULL CONSTRAINT contact_kind CHECK (kind IN ('officer', 'councillor', 'portfolio_holder', 'champion', 'ambassador',
		'community_leader')),
	service_area_id uuid,
	name            text CONSTRAINT contact_name CHECK (char_length(name) BETWEEN 1 AND 200),
	phone           text CONSTRAINT contact_phone CHECK (char_length(phone) BETWEEN 1 AND 100),
	email           text CONSTRAINT contact_email CHECK (char_length(email) BETWEEN 3 AND 254),
	website         text CONSTRAINT contact_website CHECK (char_length(website) <= 2000),
	public_role     boolean NOT NULL DEFAULT false,
	consent_on      date,
	consent_purpose text CONSTRAINT contact_consent_purpose CHECK (char_length(consent_purpose) BETWEEN 1 AND 500),
	consent_until   date,
	consent_public  boolean NOT NULL DEFAULT false,
	search          tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, post)) STORED,
	CONSTRAINT contact_consent_until_order CHECK (consent_until > consent_on),
	-- R34: a person is recorded in a public role or with consent, its purpose and its end; and shown to everyone only so.
	CONSTRAINT contact_consent_on_required CHECK (num_nonnulls(name, phone, email) = 0 OR public_role
		OR num_nulls(consent_on, consent_purpose, consent_until) = 0)
);
SELECT wardmote.protect('contact', 'owned');
ALTER TABLE wardmote.contact ADD CONSTRAINT contact_visibility_consent
	CHECK (visibility <> 'public' OR num_nonnulls(name, phone, email) = 0 OR public_role OR consent_public);
CREATE INDEX contact_by_post ON wardmote.contact (audience, post, id);
CREATE INDEX contact_by_updated_at ON wardmote.contact (audience, updated_at, id);
CREATE INDEX contact_search ON wardmote.contact USING gin (search);
SELECT wardmote.track('contact');
SELECT wardmote.refers('contact', 'service_area_id', 'service_area', false);
SELECT wardmote.refers('service_area', 'accountable_contact_id', 'contact', false);
SELECT wardmote.expires('contact', 'consent_until', '{name,phone,email}');

-- --- assignments --------------------------------------------------------------------------------------------------------------------

CREATE TABLE wardmote.contact_assignment (
	contact_id      uuid NOT NULL,
	role            text NOT NULL CONSTRAINT contact_assignment_role CHECK (role IN ('locality_contact', 'councillor', 'lead', 'sponsor', 'accountable',
		'neighbourhood_manager', 'referral')),
	locality_id     uuid,
	consultation_id uuid,
	is_primary      boolean NOT NULL DEFAULT false,
	valid_from      date NOT NULL,
	valid_to        date,
	CONSTRAINT contact_assignment_valid_to CHECK (valid_to >= valid_from),
	CONSTRAINT contact_assignment_locality_id_one CHECK (num_nonnulls(locality_id, consultation_id) = 1),
	CONSTRAINT contact_assignment_locality_id_role CHECK (locality_id IS NOT NULL OR role NOT IN ('locality_contact', 'councillor',
		'neighbourhood_manager'))
);
SELECT wardmote.protect('contact_assignment', 'owned');
CREATE INDEX contact_assignment_by_valid_from ON wardmote.contact_assignment (audience, valid_from, id);
CREATE INDEX contact_assignment_by_updated_at ON wardmote.contact_assignment (audience, updated_at, id);
SELECT wardmote.track('contact_assignment');
SELECT wardmote.refers('contact_assignment', 'contact_id', 'contact', false);
SELECT wardmote.refers('contact_assignment', 'locality_id', 'locality', false);
SELECT wardmote.refers('contact_assignment', 'consultation_id', 'consultation', false);

-- R15, R26: of one partner, role and place (or consultation) there is at most one primary holder on any day. Writers take turns, then look: whoever
-- comes second sees the first. (An exclusion constraint would need a further extension.)
CREATE FUNCTION wardmote.contact_assignment_primary() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'wardmote.contact_assignment', NEW.partner_id, NEW.role,
		coalesce(NEW.locality_id, NEW.consultation_id)), 0));
	IF EXISTS (
		SELECT FROM wardmote.contact_assignment o
		WHERE o.partner_id = NEW.partner_id AND o.role = NEW.role AND o.is_primary AND o.id <> NEW.id
			AND (o.locality_id = NEW.locality_id OR o.consultation_id = NEW.consultation_id)
			AND daterange(o.valid_from, o.valid_to, '[]') && daterange(NEW.valid_from, NEW.valid_to, '[]')
	) THEN
		RAISE EXCEPTION 'another primary holder at that time' USING ERRCODE = '23P01', CONSTRAINT = 'contact_assignment_is_primary_overlap';
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER contact_assignment_primary AFTER INSERT OR UPDATE ON wardmote.contact_assignment
	FOR EACH ROW WHEN (NEW.is_primary) EXECUTE FUNCTION wardmote.contact_assignment_primary();

-- A locality and those that it lies in. Run as the caller: what is hidden ends the way up.
CREATE FUNCTION wardmote.locality_and_above(locality uuid) RETURNS SETOF uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
	WITH RECURSIVE above AS (
		SELECT l.id, l.parent_id FROM api.locality l WHERE l.id = locality
		UNION
		SELECT l.id, l.parent_id FROM above JOIN api.locality l ON l.id = above.parent_id
	)
	SELECT above.id FROM above
$$;
GRANT EXECUTE ON FUNCTION wardmote.locality_and_above(uuid) TO wardmote_api;

-- --- services -----------------------------------------------------------------------------------------------------------------------

CREATE TABLE wardmote.service_entry (
	name                       text COLLATE "und-x-icu" NOT NULL CONSTRAINT service_entry_name CHECK (char_length(name) BETWEEN 1 AND 200),
	service_area_id            uuid,
	description                text CONSTRAINT service_entry_description CHECK (char_length(description) BETWEEN 1 AND 4000),
	status                     text NOT NULL DEFAULT 'active' CONSTRAINT service_entry_status CHECK (status IN ('active', 'inactive',
		'temporarily_closed', 'defunct')),
	locality_ids               uuid[] NOT NULL DEFAULT '{}' CONSTRAINT service_entry_locality_ids CHECK (cardinality(locality_ids) <= 500),
	point                      public.geometry(Point, 4326),
	address                    text CONSTRAINT service_entry_address CHECK (char_length(address) BETWEEN 1 AND 500),
	standard                   text CONSTRAINT service_entry_standard CHECK (char_length(standard) BETWEEN 1 AND 4000),
	standard_published_on      date,
	accountable_contact_id     uuid,
	co_located_partner_ids     uuid[] NOT NULL DEFAULT '{}' CONSTRAINT service_entry_co_located_partner_ids
		CHECK (cardinality(co_located_partner_ids) <= 100),
	jointly_managed_partner_ids uuid[] NOT NULL DEFAULT '{}' CONSTRAINT service_entry_jointly_managed_partner_ids
		CHECK (cardinality(jointly_managed_partner_ids) <= 100),
	topics                     text[] NOT NULL DEFAULT '{}' CONSTRAINT service_entry_topics CHECK (cardinality(topics) <= 20),
	url                        text CONSTRAINT service_entry_url CHECK (char_length(url) <= 2000),
	email                      text CONSTRAINT service_entry_email CHECK (char_length(email) BETWEEN 3 AND 254),
	phone                      text CONSTRAINT service_entry_phone CHECK (char_length(phone) BETWEEN 1 AND 100),
	opening                    text CONSTRAINT service_entry_opening CHECK (char_length(opening) BETWEEN 1 AND 500),
	eligibility                text CONSTRAINT service_entry_eligibility CHECK (char_length(eligibility) BETWEEN 1 AND 4000),
	search                     tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig,
		name || ' ' || coalesce(description, '') || ' ' || coalesce(standard, ''))) STORED,
	CONSTRAINT service_entry_standard_published_on_needs CHECK (standard_published_on IS NULL OR standard IS NOT NULL)
);
SELECT wardmote.protect('service_entry', 'owned');
CREATE INDEX service_entry_by_name ON wardmote.service_entry (audience, name, id);
CREATE INDEX service_entry_by_updated_at ON wardmote.service_entry (audience, updated_at, id);
CREATE INDEX service_entry_topics ON wardmote.service_entry USING gin (topics);
CREATE INDEX service_entry_point ON wardmote.service_entry USING gist (point);
CREATE INDEX service_entry_search ON wardmote.service_entry USING gin (search);
SELECT wardmote.track('service_entry');
SELECT wardmote.refers('service_entry', 'service_area_id', 'service_area', false);
SELECT wardmote.refers('service_entry', 'locality_ids', 'locality', true);
SELECT wardmote.refers('service_entry', 'accountable_contact_id', 'contact', false);
SELECT wardmote.refers('service_entry', 'co_located_partner_ids', 'partner', true);
SELECT wardmote.refers('service_entry', 'jointly_managed_partner_ids', 'partner', true);

CREATE TABLE wardmote.referral_route (
	title              text COLLATE "und-x-icu" NOT NULL CONSTRAINT referral_route_title CHECK (char_length(title) BETWEEN 1 AND 200),
	topics             text[] NOT NULL DEFAULT '{}' CONSTRAINT referral_route_topics CHECK (cardinality(topics) <= 20),
	locality_ids       uuid[] NOT NULL DEFAULT '{}' CONSTRAINT referral_route_locality_ids CHECK (cardinality(locality_ids) <= 500),
	to_partner_id      uuid,
	to_service_area_id uuid,
	to_contact_id      uuid,
	how                text CONSTRAINT referral_route_how CHECK (char_length(how) BETWEEN 1 AND 4000),
	within_days        integer CONSTRAINT referral_route_within_days CHECK (within_days BETWEEN 0 AND 365),
	valid_from         date,
	valid_to           date,
	search             tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, title || ' ' || coalesce(how, ''))) STORED,
	CONSTRAINT referral_route_valid_to CHECK (valid_to >= valid_from),
	CONSTRAINT referral_route_to_partner_id_one CHECK (num_nonnulls(to_partner_id, to_service_area_id, to_contact_id) > 0)
);
SELECT wardmote.protect('referral_route', 'owned');
CREATE INDEX referral_route_by_title ON wardmote.referral_route (audience, title, id);
CREATE INDEX referral_route_by_updated_at ON wardmote.referral_route (audience, updated_at, id);
CREATE INDEX referral_route_topics ON wardmote.referral_route USING gin (topics);
CREATE INDEX referral_route_search ON wardmote.referral_route USING gin (search);
SELECT wardmote.track('referral_route');
SELECT wardmote.refers('referral_route', 'locality_ids', 'locality', true);
SELECT wardmote.refers('referral_route', 'to_partner_id', 'partner', false);
SELECT wardmote.refers('referral_route', 'to_service_area_id', 'service_area', false);
SELECT wardmote.refers('referral_route', 'to_contact_id', 'contact', false);

-- Who holds a code: those of before, service entries and referral routes.
ALTER FUNCTION wardmote.code_uses(text, text, uuid) RENAME TO code_uses_elsewhere;
REVOKE EXECUTE ON FUNCTION wardmote.code_uses_elsewhere(text, text, uuid) FROM wardmote_api;
CREATE FUNCTION wardmote.code_uses(code_list text, code_text text, owner uuid) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
	SELECT wardmote.code_uses_elsewhere(code_list, code_text, owner) + (
		SELECT count(*)
		FROM (
			SELECT s.partner_id FROM wardmote.service_entry s WHERE code_list = 'topic' AND s.topics @> ARRAY[code_text]
			UNION ALL
			SELECT r.partner_id FROM wardmote.referral_route r WHERE code_list = 'topic' AND r.topics @> ARRAY[code_text]
		) AS holder
		WHERE owner IS NULL OR holder.partner_id = owner OR NOT EXISTS (
			SELECT FROM wardmote.code o WHERE o.list = code_list AND o.code = code_text AND o.partner_id = holder.partner_id)
	)
$$;
GRANT EXECUTE ON FUNCTION wardmote.code_uses(text, text, uuid) TO wardmote_api;

-- --- who answers for a consultation or an activity ----------------------------------------------------------------------------------

ALTER TABLE wardmote.consultation ADD COLUMN lead_contact_id uuid, ADD COLUMN sponsor_contact_id uuid, ADD COLUMN referral_contact_id uuid,
	ADD COLUMN service_area_id uuid;
SELECT wardmote.protect('consultation', 'owned');
SELECT wardmote.track('consultation');
SELECT wardmote.refers('consultation', 'lead_contact_id', 'contact', false);
SELECT wardmote.refers('consultation', 'sponsor_contact_id', 'contact', false);
SELECT wardmote.refers('consultation', 'referral_contact_id', 'contact', false);
SELECT wardmote.refers('consultation', 'service_area_id', 'service_area', false);
ALTER TABLE wardmote.activity ADD COLUMN lead_contact_id uuid;
SELECT wardmote.protect('activity', 'owned');
SELECT wardmote.track('activity');
SELECT wardmote.refers('activity', 'lead_contact_id', 'contact', false);
