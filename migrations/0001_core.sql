-- SPDX-License-Identifier: AGPL-3.0-or-later
-- The foundation that every table stands on: identifiers, the caller's context, the change feed, access rules, references. History is in 0002_history.sql.
--
-- A migration that adds a partner-owned resource does, in this order:
--   CREATE TABLE wardmote.<thing> (its own columns only);
--   SELECT wardmote.protect('<thing>', 'owned' | 'admin' | 'shareable');      common columns, policies, view api.<thing>
--   CREATE INDEX ... ON wardmote.<thing> (audience, <sort>, id);              those that lead with audience serve lists, today's and past
--   SELECT wardmote.track('<thing>');                                         history, change log, views api.<thing>_past and _version
--   SELECT wardmote.refers('<thing>', '<column>', '<other>', false);          one line per reference
-- A table with access rules of its own (partner, account) writes its policies and its view api.<thing> itself and then calls track().
-- Later columns: ALTER TABLE wardmote.<thing> ADD COLUMN, then protect() or the view, then track() again: both may be repeated.
--
-- Functions are closed to PUBLIC: whatever a request calls is granted to wardmote_api by name.

ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE SCHEMA wardmote;
CREATE SCHEMA history;
CREATE SCHEMA api;
CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA wardmote, api, auth TO wardmote_api;

-- --- identifiers and the caller -----------------------------------------------------------------------------------------------------

-- UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, then the random bits of a version 4; bits 52 and 53 turn the 4 into a 7.
CREATE FUNCTION wardmote.uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
	SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
		PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$;

-- A setting once used reverts to '' and not to NULL, hence nullif. Call these as (SELECT ...), or they run for each row.
CREATE FUNCTION wardmote.ctx_partner() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT nullif(current_setting('wardmote.partner', true), '')::uuid
$$;
CREATE FUNCTION wardmote.ctx_account() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT nullif(current_setting('wardmote.account', true), '')::uuid
$$;
CREATE FUNCTION wardmote.ctx_rank() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(nullif(current_setting('wardmote.rank', true), '')::integer, 0)
$$;

-- May the caller create and delete records of this partner? Records of nobody (shared codes) are the administrators'.
CREATE FUNCTION wardmote.owns(partner_id uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN partner_id IS NULL THEN wardmote.ctx_rank() >= 4
		ELSE wardmote.ctx_rank() >= 2 AND coalesce(partner_id = wardmote.ctx_partner(), false) END
$$;
-- May the caller change a record of this partner that names these writers?
CREATE FUNCTION wardmote.may_write(partner_id uuid, writers uuid[]) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT wardmote.owns(partner_id) OR (wardmote.ctx_rank() >= 2 AND coalesce(wardmote.ctx_partner() = ANY (writers), false))
$$;
CREATE FUNCTION wardmote.may_administer() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT wardmote.ctx_rank() >= 4
$$;

-- Partners named by grants: "read" gives all of them (who may write may read), "write" only those.
CREATE FUNCTION wardmote.granted(grants jsonb, access text) RETURNS uuid[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT coalesce(array_agg(DISTINCT (g ->> 'partner_id')::uuid), '{}')
	FROM jsonb_array_elements(grants) AS g WHERE access = 'read' OR g ->> 'right' = access
$$;

-- Somebody else's change came between reading and writing: the server runs the whole segment again (at most three times).
CREATE FUNCTION wardmote.again() RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	RAISE EXCEPTION 'changed meanwhile' USING ERRCODE = '40001';
END
$$;

-- Is this version not the current one any more? Asked after a write that hit nothing: volatile, so that it sees what was committed since.
CREATE FUNCTION wardmote.moved_on(thing text, id uuid, version integer) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	current boolean;
BEGIN
	EXECUTE format('SELECT EXISTS (SELECT FROM api.%I t WHERE t.id = $1 AND t.version = $2)', thing) INTO current USING id, version;
	RETURN NOT current;
END
$$;

GRANT EXECUTE ON FUNCTION wardmote.uuid7(), wardmote.ctx_partner(), wardmote.ctx_account(), wardmote.ctx_rank(), wardmote.owns(uuid),
	wardmote.may_write(uuid, uuid[]), wardmote.may_administer(), wardmote.granted(jsonb, text), wardmote.again(),
	wardmote.moved_on(text, uuid, integer) TO wardmote_api;

-- The API's name of a thing: boundary_set -> boundary-sets, locality -> localities.
CREATE FUNCTION wardmote.plural(thing text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT replace(CASE WHEN thing ~ '[^aeiou]y$' THEN regexp_replace(thing, 'y$', 'ies') ELSE thing || 's' END, '_', '-')
$$;

-- Who sees a row, as SQL text over the alias `a`: the one statement of this rule, pasted into views and policies.
CREATE FUNCTION wardmote.visible_text(a text, has_readers boolean DEFAULT true, suffix text DEFAULT '') RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT format('(%1$s = ''00000000-0000-0000-0000-000000000001''::uuid'
		' OR (%1$s = ''00000000-0000-0000-0000-000000000002''::uuid AND (SELECT wardmote.ctx_partner()) IS NOT NULL)'
		' OR %1$s = (SELECT wardmote.ctx_partner())'
		|| CASE WHEN has_readers THEN ' OR %2$s @> ARRAY[(SELECT wardmote.ctx_partner())]' ELSE '' END || ')',
		a || '.audience' || suffix, a || '.readers' || suffix)
$$;

CREATE FUNCTION wardmote.has_column(thing text, name text) RETURNS boolean LANGUAGE sql STABLE AS $$
	SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = format('wardmote.%I', thing)::regclass AND attname = name AND NOT attisdropped)
$$;

-- --- the change log and its feed ----------------------------------------------------------------------------------------------------

-- One row per change of a record: facts and field names, never values. Audience and readers before and after decide who hears of it.
CREATE TABLE wardmote.change (
	seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at              timestamptz NOT NULL,
	account_id      uuid,
	partner_id      uuid,
	resource        text NOT NULL,
	record_id       uuid NOT NULL,
	version         integer NOT NULL,
	operation       text NOT NULL CONSTRAINT change_operation CHECK (operation IN ('create', 'update', 'delete')),
	fields          text[] NOT NULL,
	audience_before uuid,
	audience_after  uuid,
	readers_before  uuid[],
	readers_after   uuid[]
);
CREATE UNIQUE INDEX change_record ON wardmote.change (record_id, version);

-- Identity values are not in commit order: a slow transaction commits a low one late. So each change is queued in `fresh`, and one sequencer gives
-- the queued changes that it can see the next positions. A position, once readable, has no lower one appear after it.
CREATE TABLE wardmote.fresh (change bigint PRIMARY KEY);
CREATE TABLE wardmote.feed (
	position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	change   bigint NOT NULL UNIQUE
);

CREATE FUNCTION wardmote.sequence_changes() RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
	n bigint := 0;
BEGIN
	-- The next holder's statement below takes its snapshot after our commit, so that positions are handed out one transaction at a time.
	IF pg_try_advisory_xact_lock(7742, 1) THEN
		WITH taken AS (DELETE FROM wardmote.fresh RETURNING change)
		INSERT INTO wardmote.feed (change) SELECT change FROM taken ORDER BY change;
		GET DIAGNOSTICS n = ROW_COUNT;
	END IF;
	RETURN n;
END
$$;
GRANT EXECUTE ON FUNCTION wardmote.sequence_changes() TO wardmote_api;

-- What the caller hears: a record that comes into sight is a create, one that leaves it a delete (tombstone). A change that is not a tombstone is
-- told only while the record can still be seen, so that a hidden record's past is hidden too. Accounts have no visibility of their own: who hears of one
-- is who sees it in api.account.
DO $do$
BEGIN
	EXECUTE format($view$
CREATE VIEW api.change AS
SELECT f.position, c.at, c.resource, c.record_id, c.version,
	CASE WHEN NOT seen.after THEN 'delete' WHEN NOT seen.before THEN 'create' ELSE 'update' END AS operation
FROM wardmote.feed f
JOIN wardmote.change c ON c.seq = f.change
CROSS JOIN LATERAL (SELECT c.resource = 'accounts' AS is_account, c.record_id = (SELECT wardmote.ctx_account())
	OR (c.partner_id = (SELECT wardmote.ctx_partner()) AND (SELECT wardmote.ctx_rank()) >= 3) OR (SELECT wardmote.ctx_rank()) >= 4 AS is_seen) AS account
CROSS JOIN LATERAL (SELECT
	coalesce(CASE WHEN account.is_account THEN account.is_seen AND c.operation <> 'create' ELSE %1$s END, false) AS before,
	coalesce(CASE WHEN account.is_account THEN account.is_seen ELSE %2$s END, false) AS after OFFSET 0) AS seen
WHERE (seen.before AND NOT seen.after)
	OR (seen.after AND (account.is_account
		OR (SELECT coalesce(%3$s, false) FROM wardmote.change l WHERE l.record_id = c.record_id ORDER BY l.version DESC LIMIT 1)))
$view$, wardmote.visible_text('c', true, '_before'), wardmote.visible_text('c', true, '_after'), wardmote.visible_text('l', true, '_after'));
END
$do$;
GRANT SELECT ON api.change TO wardmote_api;

-- --- access -------------------------------------------------------------------------------------------------------------------------

-- Forced row-level security with the owner's own policy; without it views, triggers and migrations of the owner would see no row.
CREATE FUNCTION wardmote.force_policies(relation regclass) RETURNS void LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
	EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
	EXECUTE format('DROP POLICY IF EXISTS owner ON %s', relation);
	EXECUTE format('CREATE POLICY owner ON %s TO wardmote_owner USING (true) WITH CHECK (true)', relation);
END
$$;
SELECT wardmote.force_policies(t) FROM unnest('{wardmote.change,wardmote.fresh,wardmote.feed}'::regclass[]) t;

CREATE FUNCTION wardmote.add_common_columns(thing text) RETURNS void LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
	EXECUTE format($sql$
ALTER TABLE wardmote.%1$I
	ADD COLUMN IF NOT EXISTS id uuid PRIMARY KEY DEFAULT wardmote.uuid7(),
	ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
	ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now(),
	ADD COLUMN IF NOT EXISTS created_by uuid,
	ADD COLUMN IF NOT EXISTS updated_by uuid,
	ADD COLUMN IF NOT EXISTS version integer NOT NULL DEFAULT 1
$sql$, thing);
END
$$;

-- Last wall behind the statements' own checks: the owner of a record never changes, its visibility and grants are its owner's business, grants a
-- manager's. TG_ARGV[0] is the kind. The owner role (migrations, definer functions) may do anything.
CREATE FUNCTION wardmote.guard_owned() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	before jsonb := '[]';
BEGIN
	IF current_user = 'wardmote_owner' OR (TG_ARGV[0] = 'admin' AND wardmote.may_administer()) THEN
		RETURN NEW;
	END IF;
	IF TG_OP = 'UPDATE' THEN
		before := OLD.grants;
		IF NEW.partner_id IS DISTINCT FROM OLD.partner_id
			OR (NEW.visibility <> OLD.visibility AND NOT wardmote.owns(OLD.partner_id))
			OR (NEW.grants <> OLD.grants AND NOT wardmote.owns(OLD.partner_id)) THEN
			RAISE EXCEPTION 'only its owner may change who sees a record' USING ERRCODE = 'WM403';
		END IF;
	END IF;
	IF NEW.grants <> before AND wardmote.ctx_rank() < 3 THEN
		RAISE EXCEPTION 'only a manager may grant' USING ERRCODE = 'WM403';
	END IF;
	RETURN NEW;
END
$$;

-- What the views show of a table's row `a`: 0020 has the fields about a person end with their day. `whole`: the record whose version `a` is.
CREATE FUNCTION wardmote.shown_column(thing text, name text, a text, whole text DEFAULT NULL) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT format('%I.%I', a, name)
$$;

-- Kinds: owned (a partner's records), admin (administrators write, for any partner), shareable (as owned; those of nobody are the administrators').
CREATE FUNCTION wardmote.protect(thing text, kind text) RETURNS void LANGUAGE plpgsql SET client_min_messages = warning AS $body$
DECLARE
	administers text := 'wardmote.may_administer() AND ' || wardmote.visible_text(thing);
	write_rule text := CASE kind WHEN 'admin' THEN administers ELSE 'wardmote.may_write(partner_id, writers)' END;
	owner_rule text := CASE kind WHEN 'admin' THEN administers ELSE 'wardmote.owns(partner_id)' END;
	fresh boolean := NOT wardmote.has_column(thing, 'audience');
BEGIN
	IF kind NOT IN ('owned', 'admin', 'shareable') THEN
		RAISE EXCEPTION 'unknown kind of table: %', kind;
	END IF;
	PERFORM wardmote.add_common_columns(thing);
	IF fresh THEN
		EXECUTE format($sql$
ALTER TABLE wardmote.%1$I
	ADD COLUMN partner_id uuid %2$s,
	ADD COLUMN visibility text NOT NULL CONSTRAINT %3$I CHECK (visibility IN ('private', 'shared', 'public')),
	ADD COLUMN grants jsonb NOT NULL DEFAULT '[]' CONSTRAINT %4$I CHECK (jsonb_typeof(grants) = 'array'),
	ADD COLUMN external_id text CONSTRAINT %5$I CHECK (length(external_id) BETWEEN 1 AND 200),
	ADD COLUMN source text CONSTRAINT %6$I CHECK (length(source) <= 2000),
	ADD COLUMN audience uuid GENERATED ALWAYS AS (CASE visibility WHEN 'public' THEN '00000000-0000-0000-0000-000000000001'::uuid
		WHEN 'shared' THEN '00000000-0000-0000-0000-000000000002'::uuid ELSE partner_id END) STORED,
	ADD COLUMN readers uuid[] GENERATED ALWAYS AS (CASE WHEN grants = '[]' THEN '{}' ELSE wardmote.granted(grants, 'read') END) STORED,
	ADD COLUMN writers uuid[] GENERATED ALWAYS AS (CASE WHEN grants = '[]' THEN '{}' ELSE wardmote.granted(grants, 'write') END) STORED,
	ADD CONSTRAINT %7$I CHECK (partner_id IS NOT NULL OR visibility <> 'private')
$sql$, thing, CASE kind WHEN 'shareable' THEN '' ELSE 'NOT NULL' END, thing || '_visibility', thing || '_grants', thing || '_external_id',
			thing || '_source', thing || '_owner');
		-- Records without an external id are all distinct; those of nobody (partner_id null) are one partner's here.
		EXECUTE format('CREATE UNIQUE INDEX %I ON wardmote.%I (partner_id, external_id) NULLS NOT DISTINCT WHERE external_id IS NOT NULL',
			thing || '_external_id_key', thing);
		EXECUTE format($sql$CREATE INDEX %I ON wardmote.%I USING gin (readers) WHERE grants <> '[]'$sql$, thing || '_readers', thing);
		PERFORM wardmote.refers(thing, 'partner_id', 'partner', false);
		PERFORM wardmote.refers(thing, 'grants', 'partner', true, 'partner_id');
		EXECUTE format('CREATE TRIGGER a_guard BEFORE INSERT OR UPDATE ON wardmote.%I FOR EACH ROW EXECUTE FUNCTION wardmote.guard_owned(%L)',
			thing, kind);
		PERFORM wardmote.force_policies(format('wardmote.%I', thing)::regclass);
		EXECUTE format('CREATE POLICY reading ON wardmote.%1$I FOR SELECT TO wardmote_api USING %2$s', thing, wardmote.visible_text(thing));
		EXECUTE format('CREATE POLICY creating ON wardmote.%1$I FOR INSERT TO wardmote_api WITH CHECK (%2$s)', thing, owner_rule);
		EXECUTE format('CREATE POLICY changing ON wardmote.%1$I FOR UPDATE TO wardmote_api USING (%2$s) WITH CHECK (%2$s)', thing, write_rule);
		EXECUTE format('CREATE POLICY deleting ON wardmote.%1$I FOR DELETE TO wardmote_api USING (%2$s)', thing, owner_rule);
		EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON wardmote.%I TO wardmote_api', thing);
	END IF;
	PERFORM wardmote.make_view(thing);
END
$body$;

CREATE FUNCTION wardmote.make_view(thing text) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
	EXECUTE format('CREATE OR REPLACE VIEW api.%1$I AS SELECT %3$s FROM wardmote.%1$I t WHERE %2$s', thing, wardmote.visible_text('t'),
		(SELECT string_agg(format('%s AS %I', wardmote.shown_column(thing, attname, 't'), attname), ', ' ORDER BY attnum) FROM pg_attribute
			WHERE attrelid = format('wardmote.%I', thing)::regclass AND attnum > 0 AND NOT attisdropped));
	EXECUTE format('GRANT SELECT ON api.%I TO wardmote_api', thing);
END
$body$;

-- --- references ---------------------------------------------------------------------------------------------------------------------

-- Who refers to whom. `member`: the column is a jsonb array of objects, and this member of each holds the id.
CREATE TABLE wardmote.reference (
	thing       text NOT NULL,
	column_name text NOT NULL,
	member      text,
	other       text NOT NULL,
	is_array    boolean NOT NULL,
	released    boolean NOT NULL DEFAULT false, -- by a delete of the other, which it does not stop
	PRIMARY KEY (thing, column_name, other)
);
SELECT wardmote.force_policies('wardmote.reference'::regclass);

-- wardmote.dependants_<other>(id): how many records of which resource refer to a record, seen or unseen by the caller; a record's references
-- to itself do not count. Made again with each new reference, so that nothing is put together at run time.
CREATE FUNCTION wardmote.make_dependants(other_thing text) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
	counts text;
BEGIN
	SELECT string_agg(format('SELECT %L, %L, count(*) FROM wardmote.%I d WHERE %s%s', wardmote.plural(r.thing), r.column_name, r.thing,
		CASE WHEN r.member IS NOT NULL THEN format('d.%I @> jsonb_build_array(jsonb_build_object(%L, $1))', r.column_name, r.member)
			WHEN r.is_array THEN format('d.%I @> ARRAY[$1]', r.column_name)
			ELSE format('d.%I = $1', r.column_name) END,
		CASE WHEN r.thing = other_thing THEN ' AND d.id <> $1' ELSE '' END), ' UNION ALL ' ORDER BY r.thing, r.column_name)
	INTO counts FROM wardmote.reference r WHERE r.other = other_thing AND NOT r.released;
	EXECUTE format('CREATE OR REPLACE FUNCTION wardmote.%I(uuid) RETURNS TABLE (resource text, field text, n bigint)
		LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS %L', 'dependants_' || other_thing,
		coalesce('SELECT * FROM (' || counts || ') AS found (resource, field, n) WHERE n > 0', 'SELECT NULL::text, NULL::text, 0::bigint WHERE false'));
	EXECUTE format('GRANT EXECUTE ON FUNCTION wardmote.%I(uuid) TO wardmote_api', 'dependants_' || other_thing);
END
$body$;

-- Registers a reference and walls it in: a foreign key where the column is one id; for arrays a trigger that locks what it names, and one on the target
-- that refuses to delete what is named. The statements look first, with answers for people; this is what no race gets past.
CREATE FUNCTION wardmote.refers(thing text, column_name text, other text, is_array boolean, member text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $body$
DECLARE
	name text := thing || '_' || column_name || '_fkey';
	ids text := CASE WHEN member IS NULL THEN format('NEW.%I', column_name)
		ELSE format('ARRAY(SELECT DISTINCT (e ->> %L)::uuid FROM jsonb_array_elements(NEW.%I) e)', member, column_name) END;
	named text := CASE WHEN member IS NULL THEN format('d.%I @> ARRAY[OLD.id]', column_name)
		ELSE format('d.%I @> jsonb_build_array(jsonb_build_object(%L, OLD.id))', column_name, member) END;
BEGIN
	INSERT INTO wardmote.reference VALUES (thing, column_name, member, other, is_array);
	PERFORM wardmote.make_dependants(other);
	IF member IS NULL THEN
		EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON wardmote.%I USING %s (%I)', thing || '_' || column_name || '_idx', thing,
			CASE WHEN is_array THEN 'gin' ELSE 'btree' END, column_name);
	END IF;
	IF NOT is_array AND member IS NULL THEN
		EXECUTE format('ALTER TABLE wardmote.%I ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES wardmote.%I (id)', thing, name, column_name, other);
		RETURN;
	END IF;
	EXECUTE format($sql$
CREATE FUNCTION wardmote.%1$I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $fn$
BEGIN
	IF TG_OP = 'DELETE' THEN
		IF EXISTS (SELECT FROM wardmote.%2$I d WHERE %3$s AND d.id <> OLD.id) THEN
			RAISE EXCEPTION 'still referred to' USING ERRCODE = '23503', CONSTRAINT = %1$L;
		END IF;
		RETURN OLD;
	END IF;
	IF (SELECT count(*) FROM (SELECT FROM wardmote.%4$I o WHERE o.id = ANY (%5$s) FOR KEY SHARE) found)
		<> (SELECT count(DISTINCT i) FROM unnest(%5$s) i) THEN
		RAISE EXCEPTION 'refers to nothing' USING ERRCODE = '23503', CONSTRAINT = %1$L;
	END IF;
	RETURN NULL;
END $fn$;
CREATE TRIGGER %1$I AFTER INSERT OR UPDATE OF %6$I ON wardmote.%2$I FOR EACH ROW WHEN (NEW.%6$I <> %7$L) EXECUTE FUNCTION wardmote.%1$I();
CREATE TRIGGER %8$I BEFORE DELETE ON wardmote.%4$I FOR EACH ROW EXECUTE FUNCTION wardmote.%1$I();
$sql$, name, thing, named, other, ids, column_name, CASE WHEN member IS NULL THEN '{}' ELSE '[]' END, name || '_kept');
END
$body$;
