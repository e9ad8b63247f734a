-- SPDX-License-Identifier: AGPL-3.0-or-later
-- History (track, redact), and the answers kept for idempotency keys. It stands on 0001_core.

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
	-- An account has an audience for its lists, but no visibility: who sees it now sees its past.
	rule text := CASE WHEN wardmote.has_column(thing, 'visibility') THEN wardmote.visible_text('h', wardmote.has_column(thing, 'readers')) ELSE 'true' END;
	earlier text := (SELECT string_agg(CASE WHEN c = large THEN format('CASE WHEN NOT h.as_next THEN h.%1$I ELSE (SELECT n.%1$I FROM (
			SELECT m.version, m.%1$I FROM history.%2$I m WHERE m.id = h.id AND m.version > h.version AND NOT m.as_next
			UNION ALL SELECT m.version, m.%1$I FROM wardmote.%2$I m WHERE m.id = h.id) n ORDER BY n.version LIMIT 1) END AS %1$I', c, thing)
		ELSE format('%s AS %I', wardmote.shown_column(thing, c, 'h', 'h.id'), c) END, ', ') FROM wardmote.columns_of(thing, false) c);
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

-- What the operator calls (`wardmote erase`) where a text turns out to name a person: the fields of one record are emptied today, in every earlier version and in
-- stored answers; "field.member" is a text in each row of a list. A text that must be there becomes "erased". Accounts have an operation of the API for it. Returns how many versions there are.
CREATE FUNCTION wardmote.erase(resource text, record uuid, fields text[]) RETURNS bigint LANGUAGE plpgsql AS $body$
DECLARE
	thing text := (SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'history'::regnamespace AND c.relkind = 'r' AND wardmote.plural(c.relname) = resource);
	blanks text;
	n bigint;
BEGIN
	IF thing IS NULL OR resource = 'accounts' THEN
		RAISE EXCEPTION 'no such resource here (an account is erased with POST /v1/accounts/{id}/erasure)';
	END IF;
	SELECT string_agg(format(CASE WHEN a.atttypid = 'jsonb'::regtype THEN $sql$%1$I = (SELECT coalesce(jsonb_agg(e || (SELECT coalesce(jsonb_object_agg(m, 'erased'), '{}')
			FROM unnest(%4$L::text[]) m WHERE jsonb_typeof(e -> m) = 'string')), '[]') FROM jsonb_array_elements(%1$I) e)$sql$
		ELSE '%1$I = CASE WHEN %1$I IS NOT NULL THEN %2$L::%3$s END' END, a.attname, CASE WHEN NOT a.attnotnull THEN NULL
		WHEN a.atttypid = 'text'::regtype THEN 'erased' ELSE '{}' END, a.atttypid::regtype, f.members), ', '), sum(f.n) INTO blanks, n
	FROM (SELECT split_part(g, '.', 1) AS name, array_agg(nullif(split_part(g, '.', 2), '')) AS members, count(*) AS n FROM unnest(fields) g GROUP BY 1) f
	JOIN pg_attribute a ON a.attrelid = format('wardmote.%I', thing)::regclass AND a.attname = f.name AND a.attgenerated = ''
		AND a.attname NOT IN ('grants', 'visibility', 'status') AND CASE WHEN array_position(f.members, NULL) IS NULL THEN a.atttypid = 'jsonb'::regtype
			ELSE a.atttypid IN ('text'::regtype, 'text[]'::regtype) AND f.n = 1 END;
	IF n IS DISTINCT FROM cardinality(fields) THEN
		RAISE EXCEPTION 'not each of these fields is a text of %', resource;
	END IF;
	EXECUTE format('UPDATE wardmote.%I SET %s WHERE id = $1', thing, blanks) USING record;
	EXECUTE format('UPDATE history.%I SET %s WHERE id = $1', thing, blanks) USING record;
	GET DIAGNOSTICS n = ROW_COUNT;
	IF n = 0 THEN
		RAISE EXCEPTION 'no such record';
	END IF;
	DELETE FROM wardmote.idempotency i WHERE i.record_id = record;
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
CREATE INDEX idempotency_record_id ON wardmote.idempotency (record_id); -- what a consent's end empties
SELECT wardmote.force_policies('wardmote.idempotency'::regclass);
CREATE POLICY own ON wardmote.idempotency TO wardmote_api USING (partner_id = (SELECT wardmote.ctx_partner()))
	WITH CHECK (partner_id = (SELECT wardmote.ctx_partner()));
GRANT SELECT, INSERT, DELETE ON wardmote.idempotency TO wardmote_api;

CREATE FUNCTION wardmote.key_lifetime() RETURNS interval LANGUAGE sql STABLE AS $$
	SELECT make_interval(hours => coalesce(nullif(current_setting('wardmote.idempotency_hours', true), '')::integer, 24))
$$;

-- After a failover a version's number may be given a second time: a former primary can have shown one that was lost with it. So If-Match names the timeline, too.
CREATE FUNCTION wardmote.expect_timeline(expected text) RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
BEGIN
	IF ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint <> expected::bigint THEN
		RAISE EXCEPTION 'another timeline' USING ERRCODE = 'WM412';
	END IF;
END
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
GRANT EXECUTE ON FUNCTION wardmote.key_lifetime(), wardmote.claim_key(text, text, text, text), wardmote.expect_timeline(text), wardmote.forget_keys() TO wardmote_api;
