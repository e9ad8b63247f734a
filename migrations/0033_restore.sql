-- SPDX-License-Identifier: AGPL-3.0-or-later
-- What a restore from a backup needs: to be noticed, to be told apart from what was there before, and to erase again who was erased meanwhile (docs/backup.md).

-- Set for the database by the script of `wardmote restored`, later than any before: versions and positions of the feed are counted anew after a restore, and what
-- clients kept from before must not be taken for the same. 0: never restored.
CREATE FUNCTION wardmote.era() RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
	SELECT coalesce(nullif(current_setting('wardmote.era', true), '')::bigint, 0)
$$;

CREATE OR REPLACE FUNCTION wardmote.expect_timeline(expected text) RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
BEGIN
	IF ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint + wardmote.era() <> expected::bigint THEN
		RAISE EXCEPTION 'another timeline' USING ERRCODE = 'WM412';
	END IF;
END
$$;

-- Where the database lives. In another cluster it is a copy, and `wardmote doctor` says so until the script of `wardmote restored` has run.
CREATE TABLE wardmote.origin (
	is_only           boolean PRIMARY KEY DEFAULT true CONSTRAINT origin_only CHECK (is_only),
	system_identifier bigint,
	restored_at       timestamptz
);
SELECT wardmote.force_policies('wardmote.origin'::regclass);

-- NULL where the service keeps this to itself.
CREATE FUNCTION wardmote.system_identifier() RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
	RETURN (SELECT c.system_identifier FROM pg_control_system() c);
EXCEPTION WHEN insufficient_privilege OR undefined_function THEN
	RETURN NULL;
END
$$;
INSERT INTO wardmote.origin (system_identifier) VALUES (wardmote.system_identifier());

CREATE FUNCTION wardmote.is_at_home() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
	SELECT coalesce((SELECT o.system_identifier = wardmote.system_identifier() FROM wardmote.origin o), true)
$$;

GRANT EXECUTE ON FUNCTION wardmote.era(), wardmote.is_at_home() TO wardmote_api;

-- Called once after a restore: this is where the database lives now. Sign-ins end: of those that were ended since the backup some would be open again.
CREATE FUNCTION wardmote.settle_in() RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog AS $$
	UPDATE wardmote.origin SET system_identifier = wardmote.system_identifier(), restored_at = now();
	DELETE FROM auth.session;
	DELETE FROM auth.enrolment;
$$;

-- --- who was erased -----------------------------------------------------------------------------------------------------------------

-- What `wardmote erase` did. Accounts and consents say it themselves.
CREATE TABLE wardmote.erasure (
	at        timestamptz NOT NULL DEFAULT clock_timestamp(),
	resource  text NOT NULL,
	record_id uuid NOT NULL,
	fields    text[] NOT NULL,
	PRIMARY KEY (record_id, at)
);
SELECT wardmote.force_policies('wardmote.erasure'::regclass);

ALTER FUNCTION wardmote.erase(text, uuid, text[]) RENAME TO erase_texts;
CREATE FUNCTION wardmote.erase(resource text, record uuid, fields text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint := wardmote.erase_texts(resource, record, fields);
BEGIN
	INSERT INTO wardmote.erasure (resource, record_id, fields) VALUES (resource, record, fields);
	RETURN n;
END
$$;

-- All that took a person out, and which accounts were ended: ids and names of fields, never what was in them. Fields kept by consent are told once they are gone,
-- whoever emptied them, or the record with them.
CREATE FUNCTION wardmote.erasures() RETURNS TABLE (at timestamptz, resource text, id uuid, fields text[]) LANGUAGE plpgsql STABLE AS $body$
DECLARE
	registered wardmote.expiry;
BEGIN
	RETURN QUERY SELECT e.at, e.resource, e.record_id, e.fields FROM wardmote.erasure e;
	RETURN QUERY SELECT a.erased_at, 'accounts', a.id, '{name,login,issuer,subject}'::text[] FROM wardmote.account a WHERE a.erased_at IS NOT NULL;
	RETURN QUERY SELECT a.updated_at, 'accounts', a.id, '{disabled}'::text[] FROM wardmote.account a WHERE a.disabled AND a.erased_at IS NULL;
	FOR registered IN SELECT * FROM wardmote.expiry e ORDER BY e.thing LOOP
		RETURN QUERY EXECUTE format($sql$
			SELECT max(c.at), %1$L, t.id, %2$L::text[] FROM wardmote.%3$I t JOIN wardmote.change c ON c.record_id = t.id AND c.fields && %2$L::text[]
			WHERE coalesce(%4$s) IS NULL GROUP BY t.id
			UNION ALL SELECT h.version_from, %1$L, h.id, %2$L::text[] FROM history.%3$I h WHERE h.operation = 'delete'$sql$,
			wardmote.plural(registered.thing), registered.columns, registered.thing,
			(SELECT string_agg(format('t.%I', c), ', ') FROM unnest(registered.columns) c));
	END LOOP;
END
$body$;

-- An account is blanked, or only ended, as auth.erase does it for a manager.
CREATE FUNCTION wardmote.erase_account(account uuid, whole boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM auth.session s WHERE s.account_id = account;
	DELETE FROM auth.enrolment e WHERE e.account_id = account;
	IF NOT whole THEN
		UPDATE wardmote.account a SET disabled = true, epoch = a.epoch + 1 WHERE a.id = account AND NOT a.disabled;
		RETURN;
	END IF;
	DELETE FROM auth.secret s WHERE s.account_id = account;
	DELETE FROM auth.password p WHERE p.account_id = account;
	UPDATE wardmote.account a SET name = 'erased', login = NULL, issuer = NULL, subject = NULL, disabled = true, erased_at = now(), epoch = a.epoch + 1
	WHERE a.id = account AND a.erased_at IS NULL;
	PERFORM wardmote.redact('account', account, ARRAY['name', 'login', 'issuer', 'subject']);
	DELETE FROM wardmote.idempotency i WHERE i.record_id = account;
END
$$;

-- One line of a list that was kept outside the database, after a restore: "done", "known" (the backup has it), or "absent" (the record is younger than the backup).
CREATE FUNCTION wardmote.erase_again(line jsonb) RETURNS text LANGUAGE plpgsql AS $body$
DECLARE
	e record;
	thing text;
	is_there boolean;
BEGIN
	SELECT * INTO e FROM jsonb_to_record(line) AS r (at timestamptz, resource text, id uuid, fields text[]);
	IF e.at IS NULL OR e.id IS NULL OR cardinality(e.fields) IS NULL THEN
		RAISE EXCEPTION 'no line of `wardmote erasures`';
	ELSIF EXISTS (SELECT FROM wardmote.erasure d WHERE d.record_id = e.id AND d.at = e.at) THEN
		RETURN 'known';
	END IF;
	thing := (SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'history'::regnamespace AND c.relkind = 'r' AND wardmote.plural(c.relname) = e.resource);
	IF thing IS NULL THEN
		RAISE EXCEPTION 'no such resource: %', e.resource;
	END IF;
	EXECUTE format('SELECT EXISTS (SELECT FROM wardmote.%1$I t WHERE t.id = $1) OR EXISTS (SELECT FROM history.%1$I h WHERE h.id = $1)', thing)
	INTO is_there USING e.id;
	IF NOT is_there THEN
		RETURN 'absent';
	-- What this database remembers has been done, whatever came after: a new consent, an account that was opened again.
	ELSIF EXISTS (SELECT FROM wardmote.change c WHERE c.record_id = e.id AND c.at = e.at) THEN
		RETURN 'known';
	ELSIF EXISTS (SELECT FROM wardmote.erasures() k WHERE k.id = e.id AND k.at = e.at AND k.fields = e.fields) THEN
		RETURN 'known';
	ELSIF thing = 'account' THEN
		PERFORM wardmote.erase_account(e.id, e.fields <> '{disabled}');
	ELSE
		PERFORM wardmote.erase_texts(e.resource, e.id, e.fields);
	END IF;
	-- Of the day on which it was done first, so that the next list tells the same.
	INSERT INTO wardmote.erasure VALUES (e.at, e.resource, e.id, e.fields) ON CONFLICT DO NOTHING;
	RETURN 'done';
END
$body$;

-- --- what a dump must be able to make again -----------------------------------------------------------------------------------------

-- pg_restore runs without a search path, where "IS DISTINCT FROM" finds more than one operator for boundaries. A function has a path of its own.
CREATE FUNCTION wardmote.is_other_shape(one public.geometry, other public.geometry) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, public AS $$
	SELECT one IS DISTINCT FROM other
$$;
GRANT EXECUTE ON FUNCTION wardmote.is_other_shape(public.geometry, public.geometry) TO wardmote_api;
DROP TRIGGER locality_shape_changed ON wardmote.locality;
CREATE TRIGGER locality_shape_changed AFTER UPDATE ON wardmote.locality
	FOR EACH ROW WHEN (wardmote.is_other_shape(NEW.geometry, OLD.geometry)) EXECUTE FUNCTION wardmote.locality_shaped();
