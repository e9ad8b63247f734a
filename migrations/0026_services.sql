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
	WITH CHECK (partner_id = (SELECT wardmote.ctx_partner()) AND account_id = (SELECT wardmote.ctx_account()) AND owner_id <> partner_id
		AND resource IN ('contacts', 'community-groups', 'map-items'));
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

-- Who holds a code.
SELECT wardmote.holds_codes('service_entry', 'topics', 'topic'), wardmote.holds_codes('referral_route', 'topics', 'topic');

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

-- --- Open Referral (HSDS 3.0) -------------------------------------------------------------------------------------------------------

-- The id of a part that is no record of ours, always the same for the same name: a UUID of version 3.
CREATE FUNCTION wardmote.hsds_id(part_name text) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT encode(set_byte(set_byte(h, 6, (get_byte(h, 6) & 15) | 48), 8, (get_byte(h, 8) & 63) | 128), 'hex')::uuid
	FROM (SELECT decode(md5(part_name), 'hex') AS h) AS hash
$$;

-- A partner as an organization. HSDS asks for a description: the kind of body, in words.
CREATE FUNCTION wardmote.hsds_organization(partner uuid) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT json_strip_nulls(json_build_object('id', p.id, 'name', p.name, 'alternate_name', p.short_name,
		'description', upper(left(p.kind, 1)) || replace(substr(p.kind, 2), '_', ' '), 'website', p.website, 'parent_organization_id', p.parent_id))
	FROM api.partner p WHERE p.id = partner
$$;

-- What a service has more than one of. Each part only as far as it is public, and the token may read such records.
CREATE FUNCTION wardmote.hsds_contacts(service api.service_entry) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT json_agg(json_build_object('id', wardmote.hsds_id('contact ' || service.id || ' ' || c.id), 'name', c.name, 'title', c.post,
		'department', a.name, 'email', c.email,
		'phones', CASE WHEN c.phone IS NOT NULL THEN json_build_array(json_build_object('id', wardmote.hsds_id('phone ' || c.id), 'number', c.phone)) END))
	FROM api.contact c LEFT JOIN api.service_area a ON a.id = c.service_area_id AND a.visibility = 'public' AND wardmote.may_read('service-areas')
	WHERE c.id = service.accountable_contact_id AND c.visibility = 'public' AND wardmote.may_read('contacts')
$$;

-- Boundaries are drawn from the shapes that are there for drawing: the whole ones of a country would take longer than a request may.
CREATE FUNCTION wardmote.hsds_service_areas(service api.service_entry, drawn boolean) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT json_agg(json_build_object('id', wardmote.hsds_id('service_area ' || service.id || ' ' || l.id), 'name', l.name,
		'extent', public.ST_AsGeoJSON(g.simple, 5), 'extent_type', CASE WHEN g.simple IS NOT NULL THEN 'geojson' END) ORDER BY u.n)
	FROM unnest(service.locality_ids) WITH ORDINALITY u (id, n)
	JOIN api.locality l ON l.id = u.id
	LEFT JOIN api.locality_shape s ON drawn AND s.id = l.id
	CROSS JOIN LATERAL (SELECT wardmote.simplified(public.ST_Transform(CASE
		WHEN greatest(public.ST_XMax(s.web_coarse) - public.ST_XMin(s.web_coarse), public.ST_YMax(s.web_coarse) - public.ST_YMin(s.web_coarse)) > 45000
		THEN s.web_coarse ELSE s.web_fine END, 4326)) AS simple OFFSET 0) AS g
	WHERE l.visibility = 'public' AND wardmote.may_read('localities')
$$;

-- Topics as terms, and the published standard as a text of its own.
CREATE FUNCTION wardmote.hsds_attributes(service api.service_entry) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT json_agg(x.attribute ORDER BY x.n)
	FROM (
		SELECT u.n, json_build_object('id', wardmote.hsds_id('attribute ' || service.id || ' ' || u.code), 'link_type', 'topic', 'link_entity', 'service',
			'taxonomy_term', json_build_object('id', wardmote.hsds_id('topic ' || u.code), 'code', u.code, 'name', coalesce(c.label, u.code),
				'description', coalesce(c.description, c.label, u.code), 'taxonomy', 'topic')) AS attribute
		FROM unnest(service.topics) WITH ORDINALITY u (code, n)
		LEFT JOIN LATERAL (SELECT k.label, k.description FROM api.code k WHERE k.list = 'topic' AND k.code = u.code AND k.visibility = 'public'
			ORDER BY k.partner_id IS DISTINCT FROM service.partner_id LIMIT 1) AS c ON true
		UNION ALL
		SELECT 0, json_build_object('id', wardmote.hsds_id('standard ' || service.id), 'link_type', 'service standard', 'link_entity', 'service',
			'value', service.standard)
		WHERE service.standard IS NOT NULL
	) AS x
$$;

CREATE FUNCTION wardmote.hsds_locations(service api.service_entry) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT json_build_array(json_build_object('id', wardmote.hsds_id('service_at_location ' || service.id),
		'location', json_build_object('id', wardmote.hsds_id('location ' || service.id), 'location_type', 'physical', 'name', service.address,
			'latitude', public.ST_Y(service.point), 'longitude', public.ST_X(service.point))))
	WHERE service.point IS NOT NULL OR service.address IS NOT NULL
$$;

-- A service entry as a service: what it has one of, or all, its areas with boundaries or without. HSDS knows no null.
CREATE FUNCTION wardmote.hsds_service(service api.service_entry, whole boolean, drawn boolean) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT json_strip_nulls(json_build_object('id', service.id, 'name', service.name, 'description', service.description, 'url', service.url,
		'email', service.email, 'status', replace(service.status, '_', ' '), 'eligibility_description', service.eligibility,
		'last_modified', to_char(service.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
		'organization', wardmote.hsds_organization(service.partner_id),
		'phones', CASE WHEN whole AND service.phone IS NOT NULL THEN
			json_build_array(json_build_object('id', wardmote.hsds_id('phone ' || service.id), 'number', service.phone)) END,
		'schedules', CASE WHEN whole AND service.opening IS NOT NULL THEN
			json_build_array(json_build_object('id', wardmote.hsds_id('schedule ' || service.id), 'description', service.opening)) END,
		'contacts', CASE WHEN whole THEN wardmote.hsds_contacts(service) END,
		'service_areas', CASE WHEN whole THEN wardmote.hsds_service_areas(service, drawn) END,
		'service_at_locations', CASE WHEN whole THEN wardmote.hsds_locations(service) END,
		'attributes', CASE WHEN whole THEN wardmote.hsds_attributes(service) END))
$$;

-- A page of HSDS around its contents.
CREATE FUNCTION wardmote.hsds_page(total bigint, page bigint, size bigint, contents json) RETURNS json LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT json_build_object('total_items', total, 'total_pages', pages, 'page_number', page, 'size', json_array_length(contents),
		'first_page', page = 1, 'last_page', page >= pages, 'empty', json_array_length(contents) = 0, 'contents', contents)
	FROM (SELECT greatest((total + size - 1) / size, 1) AS pages) AS counted
$$;

GRANT EXECUTE ON FUNCTION wardmote.hsds_id(text), wardmote.hsds_organization(uuid), wardmote.hsds_contacts(api.service_entry),
	wardmote.hsds_service_areas(api.service_entry, boolean), wardmote.hsds_attributes(api.service_entry), wardmote.hsds_locations(api.service_entry),
	wardmote.hsds_service(api.service_entry, boolean, boolean), wardmote.hsds_page(bigint, bigint, bigint, json) TO wardmote_api;
