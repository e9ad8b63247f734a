-- SPDX-License-Identifier: AGPL-3.0-or-later
-- The foundation that every table stands on: identifiers, the caller's context, access rules, history, the change feed, references, idempotency.
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

-- One field of a CSV row (RFC 4180). A leading = + - @ TAB or CR would be run as a formula by a spreadsheet: a ' disarms it.
CREATE FUNCTION wardmote.csv(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN value IS NULL THEN ''
		WHEN value ~ E'^[=+@\t\r-]' THEN '"''' || replace(value, '"', '""') || '"'
		WHEN value ~ E'[",\r\n;]|^ | $' THEN '"' || replace(value, '"', '""') || '"'
		ELSE value END
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
	wardmote.may_write(uuid, uuid[]), wardmote.may_administer(), wardmote.granted(jsonb, text), wardmote.csv(text), wardmote.again(),
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
	EXECUTE format('CREATE OR REPLACE VIEW api.%1$I AS SELECT t.* FROM wardmote.%1$I t WHERE %2$s', thing, wardmote.visible_text('t'));
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
	INTO counts FROM wardmote.reference r WHERE r.other = other_thing;
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

-- --- history ------------------------------------------------------------------------------------------------------------------------

-- Times come from the clock after the row was locked, and never go back: versions follow one another without overlap.
CREATE FUNCTION wardmote.stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		NEW.version := 1;
		NEW.created_at := clock_timestamp();
		NEW.created_by := wardmote.ctx_account();
		NEW.updated_at := NEW.created_at;
	ELSE
		NEW.version := OLD.version + 1;
		NEW.created_at := OLD.created_at;
		NEW.created_by := OLD.created_by;
		NEW.updated_at := greatest(clock_timestamp(), OLD.updated_at + interval '1 microsecond');
	END IF;
	NEW.updated_by := wardmote.ctx_account();
	RETURN NEW;
END
$$;

-- The columns of a table: all, or only those that are stored (a generated one follows from them).
CREATE FUNCTION wardmote.columns_of(thing text, stored_only boolean) RETURNS SETOF name LANGUAGE sql STABLE AS $$
	SELECT attname FROM pg_attribute
	WHERE attrelid = format('wardmote.%I', thing)::regclass AND attnum > 0 AND NOT attisdropped AND NOT (stored_only AND attgenerated <> '')
	ORDER BY attnum
$$;

-- The one column whose value may be too large to repeat in each version (a boundary); NULL when there is none.
CREATE FUNCTION wardmote.large_column(thing text) RETURNS name LANGUAGE sql STABLE AS $$
	SELECT attname FROM pg_attribute WHERE attrelid = format('wardmote.%I', thing)::regclass AND NOT attisdropped
		AND format_type(atttypid, atttypmod) ~ 'geometry\(MultiPolygon' LIMIT 1
$$;

CREATE FUNCTION wardmote.make_history_table(thing text) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
	c record;
BEGIN
	-- INCLUDING GENERATED: audience, readers and search follow a redaction of what they were made from.
	EXECUTE format('CREATE TABLE IF NOT EXISTS history.%1$I (LIKE wardmote.%1$I INCLUDING GENERATED, version_from timestamptz NOT NULL,
		version_to timestamptz NOT NULL, operation text NOT NULL, as_next boolean NOT NULL DEFAULT false, PRIMARY KEY (id, version))', thing);
	FOR c IN SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type, pg_get_expr(d.adbin, d.adrelid) AS expression, a.attgenerated
		FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = format('wardmote.%I', thing)::regclass AND a.attnum > 0 AND NOT a.attisdropped
			AND a.attname NOT IN (SELECT attname FROM pg_attribute WHERE attrelid = format('history.%I', thing)::regclass)
	LOOP
		EXECUTE format('ALTER TABLE history.%I ADD COLUMN %I %s %s', thing, c.attname, c.type,
			CASE c.attgenerated WHEN 's' THEN 'GENERATED ALWAYS AS (' || c.expression || ') STORED' ELSE '' END);
	END LOOP;
	-- A tombstone and a redacted version lack what a record must have.
	FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = format('history.%I', thing)::regclass AND attnotnull AND attnum > 0
		AND attname NOT IN ('id', 'version', 'version_from', 'version_to', 'operation', 'as_next')
	LOOP
		EXECUTE format('ALTER TABLE history.%I ALTER COLUMN %I DROP NOT NULL', thing, c.attname);
	END LOOP;
	PERFORM wardmote.force_policies(format('history.%I', thing)::regclass);
END
$body$;

-- A list as of a date walks the same indexes as the list of today, those that lead with the audience: here those of the history table are made like them. The
-- times at the end of the keys pass over records and versions of other days without a look at the row. An index that later is made CONCURRENTLY on a
-- large table has updated_at among its keys from the start; others are made again.
CREATE FUNCTION wardmote.make_list_indexes(thing text) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
	c record;
BEGIN
	FOR c IN SELECT i.relname, string_agg(pg_get_indexdef(i.oid, k, true), ', ' ORDER BY k) AS keys,
			bool_or(pg_get_indexdef(i.oid, k, true) = 'updated_at') AS is_timed, pg_get_expr(x.indpred, x.indrelid) AS condition
		FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam CROSS JOIN generate_series(1, x.indnkeyatts) k
		WHERE x.indrelid = format('wardmote.%I', thing)::regclass AND NOT x.indisunique AND m.amname = 'btree'
			AND pg_get_indexdef(i.oid, 1, true) = 'audience'
		GROUP BY i.oid, i.relname, x.indpred, x.indrelid
	LOOP
		EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON history.%I (%s, version_to, version_from) %s', c.relname, thing, c.keys, 'WHERE ' || c.condition);
		IF NOT c.is_timed THEN
			EXECUTE format('DROP INDEX wardmote.%I', c.relname);
			EXECUTE format('CREATE INDEX %I ON wardmote.%I (%s, updated_at) %s', c.relname, thing, c.keys, 'WHERE ' || c.condition);
		END IF;
	END LOOP;
	-- What was granted has no audience to walk: without this each version of a moment would be looked at.
	IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = format('history.%I', thing)::regclass AND attname = 'readers') THEN
		EXECUTE format($sql$CREATE INDEX IF NOT EXISTS %I ON history.%I USING gin (readers) WHERE grants <> '[]'$sql$, thing || '_readers', thing);
	END IF;
END
$body$;

-- The trigger function of one table, written out in full: nothing is looked up or put together when a row changes.
CREATE FUNCTION wardmote.make_history_trigger(thing text) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
	large text := wardmote.large_column(thing);
	stored text[] := ARRAY(SELECT wardmote.columns_of(thing, true));
	owned boolean := wardmote.has_column(thing, 'audience');
	readers boolean := wardmote.has_column(thing, 'readers');
	owner text := CASE WHEN wardmote.has_column(thing, 'partner_id') THEN 'partner_id' ELSE 'id' END;
	names text := (SELECT string_agg(quote_ident(c), ', ') FROM unnest(stored) c);
	-- What identifies a deleted record and says who may know: the rest of its tombstone is empty.
	tomb text[] := ARRAY(SELECT c FROM unnest(stored) c WHERE c IN ('id', 'partner_id', 'visibility', 'grants', 'external_id', 'created_at', 'created_by'));
	same text := CASE WHEN large IS NULL THEN 'false' ELSE format('OLD.%1$I IS NOT DISTINCT FROM NEW.%1$I', large) END;
	kept text := (SELECT string_agg(CASE WHEN c = large THEN format('CASE WHEN same THEN NULL ELSE OLD.%I END', c) ELSE format('OLD.%I', c) END, ', ')
		FROM unnest(stored) c);
	old_readers text := CASE WHEN readers THEN 'OLD.readers' ELSE 'NULL' END;
	new_readers text := CASE WHEN readers THEN 'NEW.readers' ELSE 'NULL' END;
BEGIN
	EXECUTE format($sql$
CREATE OR REPLACE FUNCTION wardmote.%1$I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $fn$
DECLARE
	ended timestamptz;
	same boolean := false;
	logged bigint;
BEGIN
	IF TG_OP = 'INSERT' THEN
		INSERT INTO wardmote.change (at, account_id, partner_id, resource, record_id, version, operation, fields, audience_after, readers_after)
		VALUES (NEW.updated_at, NEW.updated_by, NEW.%2$I, %3$L, NEW.id, NEW.version, 'create', '{}', %4$s, %5$s) RETURNING seq INTO logged;
	ELSIF TG_OP = 'UPDATE' THEN
		same := %6$s;
		INSERT INTO history.%7$I (%8$s, version_from, version_to, operation, as_next)
		VALUES (%9$s, OLD.updated_at, NEW.updated_at, CASE OLD.version WHEN 1 THEN 'create' ELSE 'update' END, same);
		INSERT INTO wardmote.change (at, account_id, partner_id, resource, record_id, version, operation, fields,
			audience_before, audience_after, readers_before, readers_after)
		VALUES (NEW.updated_at, NEW.updated_by, NEW.%2$I, %3$L, NEW.id, NEW.version, 'update', array_remove(ARRAY[%10$s]::text[], NULL),
			%11$s, %4$s, %12$s, %5$s) RETURNING seq INTO logged;
	ELSE
		ended := greatest(clock_timestamp(), OLD.updated_at + interval '1 microsecond');
		INSERT INTO history.%7$I (%8$s, version_from, version_to, operation)
		VALUES (%9$s, OLD.updated_at, ended, CASE OLD.version WHEN 1 THEN 'create' ELSE 'update' END);
		INSERT INTO history.%7$I (%13$s, version, updated_at, updated_by, version_from, version_to, operation)
		VALUES (%14$s, OLD.version + 1, ended, wardmote.ctx_account(), ended, 'infinity', 'delete');
		INSERT INTO wardmote.change (at, account_id, partner_id, resource, record_id, version, operation, fields, audience_before, readers_before)
		VALUES (ended, wardmote.ctx_account(), OLD.%2$I, %3$L, OLD.id, OLD.version + 1, 'delete', '{}', %11$s, %12$s) RETURNING seq INTO logged;
	END IF;
	INSERT INTO wardmote.fresh VALUES (logged);
	RETURN NULL;
END $fn$
$sql$, 'track_' || thing, owner, wardmote.plural(thing), CASE WHEN owned THEN 'NEW.audience' ELSE 'NULL' END, new_readers, same, thing, names, kept,
		(SELECT string_agg(format('CASE WHEN OLD.%1$I IS DISTINCT FROM NEW.%1$I THEN %1$L END', c), ', ') FROM unnest(stored) c
			WHERE c NOT IN ('id', 'created_at', 'created_by', 'updated_at', 'updated_by', 'version')),
		CASE WHEN owned THEN 'OLD.audience' ELSE 'NULL' END, old_readers,
		array_to_string(tomb, ', '), 'OLD.' || array_to_string(tomb, ', OLD.'));
	EXECUTE format('DROP TRIGGER IF EXISTS b_stamp ON wardmote.%1$I; DROP TRIGGER IF EXISTS z_track ON wardmote.%1$I;
		CREATE TRIGGER b_stamp BEFORE INSERT OR UPDATE ON wardmote.%1$I FOR EACH ROW EXECUTE FUNCTION wardmote.stamp();
		CREATE TRIGGER z_track AFTER INSERT OR UPDATE OR DELETE ON wardmote.%1$I FOR EACH ROW EXECUTE FUNCTION wardmote.%2$I()', thing, 'track_' || thing);
END
$body$;

-- api.<thing>_past: the earlier versions and the tombstone; api.<thing>_version: those and the current one. Each has the time from version_from (included) to
-- version_to (not included); they are not called valid_from and valid_to, since places have fields of those names. A version is seen by its own visibility,
-- and only by who sees the record now; the past of a deleted record is its owner's. That is asked record by record: EXISTS would read the whole table first.
CREATE FUNCTION wardmote.make_version_views(thing text) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
	large text := wardmote.large_column(thing);
	owner text := CASE WHEN wardmote.has_column(thing, 'partner_id') THEN 'partner_id' ELSE 'id' END;
	rule text := CASE WHEN wardmote.has_column(thing, 'audience') THEN wardmote.visible_text('h', wardmote.has_column(thing, 'readers')) ELSE 'true' END;
	earlier text := (SELECT string_agg(CASE WHEN c = large THEN format('CASE WHEN NOT h.as_next THEN h.%1$I ELSE (SELECT n.%1$I FROM (
			SELECT m.version, m.%1$I FROM history.%2$I m WHERE m.id = h.id AND m.version > h.version AND NOT m.as_next
			UNION ALL SELECT m.version, m.%1$I FROM wardmote.%2$I m WHERE m.id = h.id) n ORDER BY n.version LIMIT 1) END AS %1$I', c, thing)
		ELSE format('h.%I', c) END, ', ') FROM wardmote.columns_of(thing, false) c);
	columns text := (SELECT string_agg(format('t.%I', c), ', ') FROM wardmote.columns_of(thing, false) c);
BEGIN
	EXECUTE format('DROP VIEW IF EXISTS api.%I, api.%I', thing || '_version', thing || '_past');
	EXECUTE format($sql$
CREATE VIEW api.%1$I AS
SELECT h.version_from, h.version_to, h.operation, %2$s
FROM history.%3$I h
WHERE %4$s AND coalesce((SELECT true FROM api.%3$I t WHERE t.id = h.id),
	(SELECT true FROM history.%3$I d WHERE d.id = h.id AND d.operation = 'delete' AND d.%5$I = (SELECT wardmote.ctx_partner())))
$sql$, thing || '_past', earlier, thing, rule, owner);
	EXECUTE format($sql$
CREATE VIEW api.%1$I AS
SELECT t.updated_at AS version_from, 'infinity'::timestamptz AS version_to, CASE t.version WHEN 1 THEN 'create' ELSE 'update' END AS operation, %2$s
FROM api.%3$I t
UNION ALL
SELECT t.version_from, t.version_to, t.operation, %2$s
FROM api.%4$I t
$sql$, thing || '_version', columns, thing, thing || '_past');
	EXECUTE format('GRANT SELECT ON api.%I, api.%I TO wardmote_api', thing || '_version', thing || '_past');
END
$body$;

CREATE FUNCTION wardmote.track(thing text) RETURNS void LANGUAGE plpgsql SET client_min_messages = warning AS $body$
DECLARE
	c name;
BEGIN
	IF to_regclass(format('api.%I', thing)) IS NULL THEN
		RAISE EXCEPTION 'make the view api.% first (protect does)', thing;
	END IF;
	PERFORM wardmote.add_common_columns(thing);
	-- PostgreSQL takes "infinity" as a date; no record has one.
	FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = format('wardmote.%I', thing)::regclass AND attnum > 0 AND NOT attisdropped
		AND attgenerated = '' AND atttypid IN ('date'::regtype, 'timestamptz'::regtype)
		AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = attrelid AND conname = thing || '_' || attname || '_finite')
	LOOP
		EXECUTE format('ALTER TABLE wardmote.%I ADD CONSTRAINT %I CHECK (isfinite(%I))', thing, thing || '_' || c || '_finite', c);
	END LOOP;
	PERFORM wardmote.make_history_table(thing);
	PERFORM wardmote.make_list_indexes(thing);
	PERFORM wardmote.make_history_trigger(thing);
	PERFORM wardmote.make_version_views(thing);
	PERFORM wardmote.make_dependants(thing);
END
$body$;

-- Erasure: blanks columns in every earlier version; that there was a change stays known. Returns how many versions it touched.
CREATE FUNCTION wardmote.redact(thing text, record uuid, columns text[]) RETURNS bigint LANGUAGE plpgsql AS $body$
DECLARE
	n bigint;
BEGIN
	EXECUTE format('UPDATE history.%I SET %s WHERE id = $1', thing, (SELECT string_agg(format('%I = NULL', c), ', ') FROM unnest(columns) c))
	USING record;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$body$;

-- --- idempotency --------------------------------------------------------------------------------------------------------------------

-- Answers given under an Idempotency-Key, written in the transaction of the write itself. An answer over 32 KiB is kept as (thing, record, version).
CREATE TABLE wardmote.idempotency (
	partner_id uuid NOT NULL DEFAULT wardmote.ctx_partner(),
	method     text NOT NULL,
	path       text NOT NULL,
	key        text NOT NULL,
	hash       text NOT NULL,
	status     integer NOT NULL,
	body       text,
	etag       text,
	link       text,
	record_id  uuid,
	version    integer,
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (partner_id, method, path, key)
);
CREATE INDEX idempotency_created_at ON wardmote.idempotency (created_at);
SELECT wardmote.force_policies('wardmote.idempotency'::regclass);
CREATE POLICY own ON wardmote.idempotency TO wardmote_api USING (partner_id = (SELECT wardmote.ctx_partner()))
	WITH CHECK (partner_id = (SELECT wardmote.ctx_partner()));
GRANT SELECT, INSERT, DELETE ON wardmote.idempotency TO wardmote_api;

CREATE FUNCTION wardmote.key_lifetime() RETURNS interval LANGUAGE sql STABLE AS $$
	SELECT make_interval(hours => coalesce(nullif(current_setting('wardmote.idempotency_hours', true), '')::integer, 24))
$$;

-- Its own step before the statement, so that the statement's snapshot is later than the lock: exactly one of several equal requests writes.
CREATE FUNCTION wardmote.claim_key(given_key text, given_method text, given_path text, given_hash text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	stored record;
BEGIN
	IF NOT pg_try_advisory_xact_lock(hashtextextended(concat_ws(E'\n', wardmote.ctx_partner(), given_method, given_path, given_key), 7742)) THEN
		RAISE EXCEPTION 'in flight' USING ERRCODE = 'WM409';
	END IF;
	SELECT i.hash, i.created_at INTO stored FROM wardmote.idempotency i
	WHERE i.partner_id = wardmote.ctx_partner() AND i.method = given_method AND i.path = given_path AND i.key = given_key;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	IF stored.created_at < now() - wardmote.key_lifetime() THEN
		DELETE FROM wardmote.idempotency i
		WHERE i.partner_id = wardmote.ctx_partner() AND i.method = given_method AND i.path = given_path AND i.key = given_key;
	ELSIF stored.hash <> given_hash THEN
		RAISE EXCEPTION 'key reused' USING ERRCODE = 'WM422';
	ELSE
		RAISE EXCEPTION 'replay' USING ERRCODE = 'WM001';
	END IF;
END
$$;

-- Housekeeping for the jobs thread, which acts for no partner.
CREATE FUNCTION wardmote.forget_keys() RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
	n bigint;
BEGIN
	DELETE FROM wardmote.idempotency WHERE created_at < now() - wardmote.key_lifetime();
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;
GRANT EXECUTE ON FUNCTION wardmote.key_lifetime(), wardmote.claim_key(text, text, text, text), wardmote.forget_keys() TO wardmote_api;
