-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Identity: partners and accounts (tracked), and the credential tables of schema auth (forced, never tracked, reached only through
-- the functions of 0004_auth_functions.sql).

CREATE FUNCTION wardmote.role_rank(role text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
	SELECT CASE role WHEN 'administrator' THEN 4 WHEN 'manager' THEN 3 WHEN 'officer' THEN 2 WHEN 'viewer' THEN 1 ELSE 0 END
$$;
GRANT EXECUTE ON FUNCTION wardmote.role_rank(text) TO wardmote_api;

-- --- partners: everybody sees them, administrators run them ---

CREATE TABLE wardmote.partner (
	id uuid PRIMARY KEY DEFAULT wardmote.uuid7(),
	name text COLLATE "und-x-icu" NOT NULL CONSTRAINT partner_name CHECK (char_length(name) BETWEEN 1 AND 200),
	kind text NOT NULL CONSTRAINT partner_kind CHECK (kind IN ('council', 'parish_council', 'housing_association', 'social_landlord',
		'police', 'fire', 'health', 'education', 'voluntary', 'infrastructure_body', 'business_body', 'contractor', 'regulator',
		'private', 'other')),
	code text CONSTRAINT partner_code CHECK (char_length(code) BETWEEN 1 AND 40),
	short_name text CONSTRAINT partner_short_name CHECK (char_length(short_name) BETWEEN 1 AND 60),
	parent_id uuid CONSTRAINT partner_parent_id_self CHECK (parent_id <> id),
	status text NOT NULL DEFAULT 'active' CONSTRAINT partner_status CHECK (status IN ('active', 'suspended', 'left')),
	website text CONSTRAINT partner_website CHECK (char_length(website) <= 2000),
	joined_on date CONSTRAINT partner_joined_on CHECK (joined_on BETWEEN DATE '1000-01-01' AND DATE '9999-12-31'),
	left_on date CONSTRAINT partner_left_on CHECK (left_on BETWEEN DATE '1000-01-01' AND DATE '9999-12-31'),
	source text CONSTRAINT partner_source CHECK (char_length(source) <= 2000),
	-- The one that runs the installation: made by `wardmote account create`, home of the administrators.
	host boolean NOT NULL DEFAULT false,
	-- Everybody sees every partner: the constant that marks public records in tables that partners own.
	audience uuid NOT NULL GENERATED ALWAYS AS ('00000000-0000-0000-0000-000000000001'::uuid) STORED,
	search tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig,
		name || ' ' || coalesce(short_name, '') || ' ' || coalesce(code, ''))) STORED,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	created_by uuid,
	updated_by uuid,
	version integer NOT NULL DEFAULT 1,
	CONSTRAINT partner_membership CHECK (left_on >= joined_on),
	CONSTRAINT partner_host_active CHECK (NOT host OR status = 'active'),
	CONSTRAINT partner_code_unique UNIQUE (code)
);
CREATE UNIQUE INDEX partner_host_unique ON wardmote.partner (host) WHERE host;
CREATE INDEX partner_by_name ON wardmote.partner (name, id);
CREATE INDEX partner_by_created ON wardmote.partner (created_at, id);
CREATE INDEX partner_by_updated ON wardmote.partner (updated_at, id);
CREATE INDEX partner_search ON wardmote.partner USING gin (search);

SELECT wardmote.force_policies('wardmote.partner');
CREATE POLICY reading ON wardmote.partner FOR SELECT TO wardmote_api USING (true);
CREATE POLICY creating ON wardmote.partner FOR INSERT TO wardmote_api
	WITH CHECK ((SELECT wardmote.ctx_rank()) >= 4 AND NOT host);
CREATE POLICY changing ON wardmote.partner FOR UPDATE TO wardmote_api
	USING ((SELECT wardmote.ctx_rank()) >= 4) WITH CHECK ((SELECT wardmote.ctx_rank()) >= 4);
CREATE POLICY deleting ON wardmote.partner FOR DELETE TO wardmote_api
	USING ((SELECT wardmote.ctx_rank()) >= 4 AND NOT host);
GRANT SELECT, INSERT, UPDATE, DELETE ON wardmote.partner TO wardmote_api;

SELECT wardmote.refers('partner', 'parent_id', 'partner', false);

-- --- accounts: their partner's managers run them ---

-- Is this a set of public keys (RFC 7517), each with a name of its own and one algorithm, and nothing private in it? That the numbers are good keys is the server's to say.
CREATE FUNCTION wardmote.public_jwks(jwks jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog
AS $$
	SELECT CASE WHEN jsonb_typeof(jwks) = 'object' AND jsonb_typeof(jwks -> 'keys') = 'array' AND length(jwks::text) <= 32768 THEN
		jsonb_array_length(jwks -> 'keys') BETWEEN 1 AND 10
		AND (SELECT bool_and(CASE WHEN jsonb_typeof(k) = 'object' THEN char_length(k ->> 'kid') BETWEEN 1 AND 128
				AND (k ->> 'kty', k ->> 'alg') IN (('RSA', 'RS256'), ('RSA', 'PS256'), ('EC', 'ES256'), ('OKP', 'EdDSA'), ('OKP', 'Ed25519'))
				AND NOT k ?| '{d,p,q,dp,dq,qi,oth,k}' ELSE false END) AND count(DISTINCT k ->> 'kid') = count(*)
			FROM jsonb_array_elements(jwks -> 'keys') k)
		ELSE false END
$$;
GRANT EXECUTE ON FUNCTION wardmote.public_jwks(jsonb) TO wardmote_api;

CREATE TABLE wardmote.account (
	id uuid PRIMARY KEY DEFAULT wardmote.uuid7(),
	partner_id uuid NOT NULL,
	kind text NOT NULL CONSTRAINT account_kind CHECK (kind IN ('person', 'service')),
	role text NOT NULL CONSTRAINT account_role CHECK (role IN ('viewer', 'officer', 'manager', 'administrator')),
	name text COLLATE "und-x-icu" NOT NULL CONSTRAINT account_name CHECK (char_length(name) BETWEEN 1 AND 200),
	login text CONSTRAINT account_login CHECK (login = lower(login) AND char_length(login) BETWEEN 3 AND 200 AND login !~ '[[:space:]]'),
	-- NULL: everything that the role allows.
	scopes text[] CONSTRAINT account_scopes CHECK (cardinality(scopes) <= 40),
	-- Public keys of a program: it signs assertions with their private halves, instead of a secret or beside it.
	jwks jsonb CONSTRAINT account_jwks CHECK (jwks IS NULL OR (kind = 'service' AND wardmote.public_jwks(jwks))),
	disabled boolean NOT NULL DEFAULT false,
	-- Reserved for accounts that a trusted outside identity provider vouches for.
	issuer text CONSTRAINT account_issuer CHECK (char_length(issuer) BETWEEN 1 AND 500),
	subject text CONSTRAINT account_subject CHECK (char_length(subject) BETWEEN 1 AND 255),
	client_id text GENERATED ALWAYS AS (CASE kind WHEN 'service' THEN 'wmc_' || translate(id::text, '-', '') END) STORED,
	-- When an administrator of another partner last issued a code for this account: shown to its partner.
	recovered_at timestamptz,
	erased_at timestamptz,
	-- Its partner is not active: kept here by a trigger, so that acting needs no join.
	suspended boolean NOT NULL DEFAULT false,
	-- Access tokens carry it; whatever must void them at once raises it.
	epoch integer NOT NULL DEFAULT 1 CONSTRAINT account_epoch CHECK (epoch > 0),
	-- Its partner hears of each change, and so of what others do to its accounts.
	audience uuid NOT NULL GENERATED ALWAYS AS (partner_id) STORED,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	created_by uuid,
	updated_by uuid,
	version integer NOT NULL DEFAULT 1,
	CONSTRAINT account_person_login CHECK (CASE kind WHEN 'person' THEN login IS NOT NULL OR erased_at IS NOT NULL ELSE login IS NULL END),
	CONSTRAINT account_outside_identity CHECK ((issuer IS NULL) = (subject IS NULL)),
	CONSTRAINT account_login_unique UNIQUE (login),
	CONSTRAINT account_client_id_unique UNIQUE (client_id),
	CONSTRAINT account_subject_unique UNIQUE (issuer, subject)
);
CREATE INDEX account_by_name ON wardmote.account (name, id);
CREATE INDEX account_by_created ON wardmote.account (created_at, id);
CREATE INDEX account_by_updated ON wardmote.account (updated_at, id);
CREATE INDEX account_by_partner ON wardmote.account (partner_id, name, id);

SELECT wardmote.refers('account', 'partner_id', 'partner', false);

-- Has this partner a person who can run its accounts? From then on administrators of the host leave them alone.
CREATE FUNCTION wardmote.has_manager(partner uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
	RETURN EXISTS (SELECT FROM wardmote.account a
		WHERE a.partner_id = partner AND a.kind = 'person' AND a.role IN ('manager', 'administrator') AND NOT a.disabled);
END
$$;

-- May the caller create and change accounts of this partner with this role?
CREATE FUNCTION wardmote.may_manage(partner uuid, role text) RETURNS boolean
LANGUAGE sql STABLE
AS $$
	SELECT CASE
		WHEN wardmote.ctx_rank() >= 4 AND partner = wardmote.ctx_partner() THEN true
		WHEN wardmote.ctx_rank() >= 4 THEN role <> 'administrator' AND NOT wardmote.has_manager(partner)
		WHEN wardmote.ctx_rank() = 3 THEN partner = wardmote.ctx_partner() AND role <> 'administrator'
		ELSE false
	END
$$;
-- The scopes of the caller's token narrow whom it may give rights: a token without scopes (setting empty) narrows nothing.
CREATE FUNCTION wardmote.within_scopes(scopes text[]) RETURNS boolean
LANGUAGE sql STABLE
AS $$
	SELECT coalesce(current_setting('wardmote.scopes', true), '') = ''
		OR coalesce(scopes <@ string_to_array(current_setting('wardmote.scopes', true), ' '), false)
$$;
GRANT EXECUTE ON FUNCTION wardmote.has_manager(uuid), wardmote.may_manage(uuid, text), wardmote.within_scopes(text[]) TO wardmote_api;

SELECT wardmote.force_policies('wardmote.account');
CREATE POLICY reading ON wardmote.account FOR SELECT TO wardmote_api
	USING (id = (SELECT wardmote.ctx_account())
		OR (partner_id = (SELECT wardmote.ctx_partner()) AND (SELECT wardmote.ctx_rank()) >= 3)
		OR (SELECT wardmote.ctx_rank()) >= 4);
CREATE POLICY creating ON wardmote.account FOR INSERT TO wardmote_api
	WITH CHECK (wardmote.may_manage(partner_id, role));
CREATE POLICY changing ON wardmote.account FOR UPDATE TO wardmote_api
	USING (erased_at IS NULL AND wardmote.may_manage(partner_id, role)) WITH CHECK (wardmote.may_manage(partner_id, role));
GRANT SELECT, INSERT, UPDATE ON wardmote.account TO wardmote_api;

-- --- credentials: hashes only, in no history ---

CREATE TABLE auth.secret (
	sha256 text PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
	account_id uuid NOT NULL REFERENCES wardmote.account ON DELETE CASCADE,
	created_at timestamptz NOT NULL DEFAULT now(),
	expires_at timestamptz
);
CREATE INDEX secret_account ON auth.secret (account_id);

CREATE TABLE auth.password (
	account_id uuid PRIMARY KEY REFERENCES wardmote.account ON DELETE CASCADE,
	hash text NOT NULL CHECK (hash LIKE '$argon2id$%'),
	set_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE auth.session (
	id uuid PRIMARY KEY DEFAULT wardmote.uuid7(),
	account_id uuid NOT NULL REFERENCES wardmote.account ON DELETE CASCADE,
	created_at timestamptz NOT NULL DEFAULT now(),
	last_used_at timestamptz NOT NULL DEFAULT now(),
	expires_at timestamptz NOT NULL,
	revoked_at timestamptz
);
CREATE INDEX session_account ON auth.session (account_id, created_at);
CREATE INDEX session_expires ON auth.session (expires_at);

-- A session's refresh tokens, used ones included: presenting a used one again ends the session.
CREATE TABLE auth.refresh (
	sha256 text PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
	session_id uuid NOT NULL REFERENCES auth.session ON DELETE CASCADE,
	created_at timestamptz NOT NULL DEFAULT now(),
	expires_at timestamptz NOT NULL,
	used_at timestamptz
);
CREATE INDEX refresh_session ON auth.refresh (session_id);

CREATE TABLE auth.enrolment (
	sha256 text PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
	account_id uuid NOT NULL REFERENCES wardmote.account ON DELETE CASCADE,
	created_at timestamptz NOT NULL DEFAULT now(),
	created_by uuid,
	expires_at timestamptz NOT NULL,
	used_at timestamptz
);
CREATE INDEX enrolment_account ON auth.enrolment (account_id);

-- Failed attempts by hashed login and hashed address; whole again at `until`.
CREATE TABLE auth.throttle (
	key text PRIMARY KEY,
	count integer NOT NULL,
	until timestamptz NOT NULL
);
CREATE INDEX throttle_until ON auth.throttle (until);

SELECT wardmote.force_policies(t)
FROM unnest('{auth.secret,auth.password,auth.session,auth.refresh,auth.enrolment,auth.throttle}'::regclass[]) t;

-- --- guards ---

CREATE FUNCTION wardmote.partner_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
	IF TG_OP = 'UPDATE' AND NEW.host <> OLD.host THEN
		RAISE EXCEPTION 'the host is made once' USING ERRCODE = 'WM403';
	END IF;
	IF NEW.parent_id IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.parent_id IS DISTINCT FROM OLD.parent_id) THEN
		-- Two moves at once could close a circle that neither sees: one after the other.
		PERFORM pg_advisory_xact_lock(hashtextextended('wardmote.partner.parent_id', 0));
		IF EXISTS (
			WITH RECURSIVE up AS (
				SELECT p.id, p.parent_id FROM wardmote.partner p WHERE p.id = NEW.parent_id
				UNION
				SELECT p.id, p.parent_id FROM wardmote.partner p JOIN up ON p.id = up.parent_id
			)
			SELECT FROM up WHERE up.id = NEW.id
		) THEN
			RAISE EXCEPTION 'a partner cannot be above itself' USING ERRCODE = '23514', CONSTRAINT = 'partner_parent_id_cycle';
		END IF;
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER a_guard BEFORE INSERT OR UPDATE ON wardmote.partner FOR EACH ROW EXECUTE FUNCTION wardmote.partner_guard();

CREATE FUNCTION wardmote.partner_suspends() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
	UPDATE wardmote.account a SET suspended = (NEW.status <> 'active')
	WHERE a.partner_id = NEW.id AND a.suspended <> (NEW.status <> 'active');
	RETURN NULL;
END
$$;
CREATE TRIGGER suspends AFTER UPDATE ON wardmote.partner FOR EACH ROW
	WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION wardmote.partner_suspends();

CREATE FUNCTION wardmote.account_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
	home wardmote.partner;
BEGIN
	-- The lock keeps a suspension that runs at the same time from missing a new account.
	SELECT p.* INTO home FROM wardmote.partner p WHERE p.id = NEW.partner_id FOR SHARE;
	IF NEW.role = 'administrator' AND NOT coalesce(home.host, false) THEN
		RAISE EXCEPTION 'administrators belong to the host' USING ERRCODE = 'WM403';
	END IF;
	-- A key is a credential: a token with scopes gives none to an account that may do more.
	IF NEW.jwks IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.jwks IS DISTINCT FROM OLD.jwks) AND NOT wardmote.within_scopes(NEW.scopes) THEN
		RAISE EXCEPTION 'the account has wider scopes' USING ERRCODE = 'WM403';
	END IF;
	IF TG_OP = 'INSERT' THEN
		NEW.suspended := coalesce(home.status <> 'active', false);
		NEW.epoch := 1;
		RETURN NEW;
	END IF;
	NEW.epoch := greatest(NEW.epoch, OLD.epoch);
	IF NEW.epoch = OLD.epoch AND (OLD.role, OLD.scopes, OLD.partner_id, OLD.disabled, OLD.suspended)
		IS DISTINCT FROM (NEW.role, NEW.scopes, NEW.partner_id, NEW.disabled, NEW.suspended) THEN
		NEW.epoch := OLD.epoch + 1;
	END IF;
	-- A key that is taken away is not trusted any more: nor is what was obtained with it.
	IF NEW.epoch = OLD.epoch AND EXISTS (SELECT k FROM jsonb_array_elements(OLD.jwks -> 'keys') k
		EXCEPT SELECT k FROM jsonb_array_elements(NEW.jwks -> 'keys') k) THEN
		NEW.epoch := OLD.epoch + 1;
	END IF;
	IF OLD.role = 'administrator' AND NOT OLD.disabled AND (NEW.role <> 'administrator' OR NEW.disabled) THEN
		-- Two who disable each other at once: one after the other, and the second finds itself the last.
		PERFORM pg_advisory_xact_lock(hashtextextended('wardmote.account.administrator', 0));
		IF NOT EXISTS (SELECT FROM wardmote.account a WHERE a.role = 'administrator' AND NOT a.disabled AND a.id <> OLD.id) THEN
			RAISE EXCEPTION 'the last active administrator stays one' USING ERRCODE = '23514', CONSTRAINT = 'account_last_administrator';
		END IF;
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER a_guard BEFORE INSERT OR UPDATE ON wardmote.account FOR EACH ROW EXECUTE FUNCTION wardmote.account_guard();

-- An account that may not act any more has no open session and no open code: being enabled again does not revive them.
CREATE FUNCTION wardmote.account_closes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
	UPDATE auth.session s SET revoked_at = now() WHERE s.account_id = NEW.id AND s.revoked_at IS NULL;
	DELETE FROM auth.enrolment e WHERE e.account_id = NEW.id AND e.used_at IS NULL;
	RETURN NULL;
END
$$;
CREATE TRIGGER closes AFTER UPDATE ON wardmote.account FOR EACH ROW
	WHEN ((NEW.disabled AND NOT OLD.disabled) OR (NEW.suspended AND NOT OLD.suspended)) EXECUTE FUNCTION wardmote.account_closes();

-- The server makes the first credential of a new account and hands over its hash as a setting of the same transaction, so that account and
-- credential are stored by one ordinary create. Nothing set (a bulk load): the account starts without one.
CREATE FUNCTION wardmote.account_first_credential() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
	hash text := nullif(current_setting('wardmote.credential', true), '');
BEGIN
	IF hash IS NOT NULL AND NEW.kind = 'service' THEN
		INSERT INTO auth.secret (sha256, account_id) VALUES (hash, NEW.id);
	ELSIF hash IS NOT NULL THEN
		INSERT INTO auth.enrolment (sha256, account_id, created_by, expires_at)
		VALUES (hash, NEW.id, wardmote.ctx_account(), now() + interval '72 hours');
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER first_credential AFTER INSERT ON wardmote.account FOR EACH ROW EXECUTE FUNCTION wardmote.account_first_credential();

-- --- the views through which the server reads, and history ---

CREATE VIEW api.partner AS SELECT * FROM wardmote.partner;
CREATE VIEW api.account AS
SELECT * FROM wardmote.account a
WHERE a.id = (SELECT wardmote.ctx_account())
	OR (a.partner_id = (SELECT wardmote.ctx_partner()) AND (SELECT wardmote.ctx_rank()) >= 3)
	OR (SELECT wardmote.ctx_rank()) >= 4;

-- Who may act now: the first statement of each segment looks here, before there is any context.
CREATE VIEW api.acting AS
SELECT a.id, a.epoch, a.partner_id, wardmote.role_rank(a.role) AS rank FROM wardmote.account a WHERE NOT a.disabled AND NOT a.suspended;
CREATE VIEW api.acting_session AS
SELECT s.id, s.account_id FROM auth.session s WHERE s.revoked_at IS NULL AND s.expires_at > now();

GRANT SELECT ON api.partner, api.account, api.acting, api.acting_session TO wardmote_api;

SELECT wardmote.track('partner');
SELECT wardmote.track('account');
