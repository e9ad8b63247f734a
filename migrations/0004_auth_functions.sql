-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Sessions and credentials: the only doors to the tables of schema auth. Each function answers one row (status, body, etag, link) like every
-- statement of the server, or none for what the caller may not see. The server hashes secrets and checks passwords; it hands over hashes.
-- What must be remembered although the answer is a refusal (a counted attempt, a family of tokens that ends) returns its status: an error would undo it.

-- --- parts ---

-- What the server signs into an access token.
CREATE FUNCTION auth.grant_body(account wardmote.account, session uuid) RETURNS text
LANGUAGE sql STABLE
AS $$
	SELECT json_build_object('account', account.id, 'partner', account.partner_id, 'role', account.role, 'kind', account.kind,
		'epoch', account.epoch, 'client_id', coalesce(account.client_id, 'wardmote'),
		'scopes', array_to_string(account.scopes, ' '), 'session', session)::text
$$;

-- Counts one attempt; the seconds to wait when there were too many in the window of 15 minutes, else 0.
CREATE FUNCTION auth.throttle_hit(name text, value text, most integer) RETURNS integer
LANGUAGE sql
AS $$
	INSERT INTO auth.throttle AS t (key, count, until)
	VALUES (name || ':' || encode(sha256(convert_to(value, 'UTF8')), 'hex'), 1, now() + interval '15 minutes')
	ON CONFLICT (key) DO UPDATE SET
		count = CASE WHEN t.until <= now() THEN 1 ELSE least(t.count, 1000000) + 1 END,
		until = CASE WHEN t.until <= now() THEN excluded.until ELSE t.until END
	RETURNING CASE WHEN count > most THEN greatest(1, ceil(extract(epoch FROM until - now())))::integer ELSE 0 END
$$;

-- The attempt was good: its login starts anew, its address is not blamed for it.
CREATE FUNCTION auth.throttle_forgive(name text, value text, address text) RETURNS void
LANGUAGE sql
AS $$
	DELETE FROM auth.throttle t WHERE t.key IN (name || ':' || encode(sha256(convert_to(value, 'UTF8')), 'hex'),
		name || ' here:' || encode(sha256(convert_to(concat_ws(E'\n', value, address), 'UTF8')), 'hex'));
	UPDATE auth.throttle t SET count = greatest(t.count - 1, 0)
	WHERE t.key = 'address:' || encode(sha256(convert_to(address, 'UTF8')), 'hex');
$$;

-- At most 20 open sessions per account: the oldest make room.
CREATE FUNCTION auth.session_open(account uuid, refresh_sha256 text, seconds integer) RETURNS uuid
LANGUAGE plpgsql
AS $$
DECLARE
	session uuid;
BEGIN
	DELETE FROM auth.session s WHERE s.account_id = account AND (s.expires_at <= now() OR s.revoked_at < now() - interval '30 days');
	UPDATE auth.session s SET revoked_at = now()
	WHERE s.id IN (SELECT o.id FROM auth.session o WHERE o.account_id = account AND o.revoked_at IS NULL
		ORDER BY o.last_used_at DESC, o.id DESC OFFSET 19);
	INSERT INTO auth.session (account_id, expires_at) VALUES (account, now() + make_interval(secs => seconds)) RETURNING id INTO session;
	INSERT INTO auth.refresh (sha256, session_id, expires_at) VALUES (refresh_sha256, session, now() + make_interval(secs => seconds));
	RETURN session;
END
$$;

-- A new password: every other session and every open code ends, and with the epoch every access token.
CREATE FUNCTION auth.password_store(account uuid, new_hash text, kept_session uuid) RETURNS wardmote.account
LANGUAGE plpgsql
AS $$
DECLARE
	stored wardmote.account;
BEGIN
	INSERT INTO auth.password AS p (account_id, hash) VALUES (account, new_hash)
	ON CONFLICT (account_id) DO UPDATE SET hash = excluded.hash, set_at = now();
	UPDATE auth.session s SET revoked_at = now()
	WHERE s.account_id = account AND s.revoked_at IS NULL AND s.id IS DISTINCT FROM kept_session;
	UPDATE auth.enrolment e SET used_at = now() WHERE e.account_id = account AND e.used_at IS NULL;
	UPDATE wardmote.account a SET epoch = a.epoch + 1 WHERE a.id = account RETURNING a.* INTO stored;
	RETURN stored;
END
$$;

-- --- tokens ---

CREATE FUNCTION auth.client_credentials(client_id text, secret_sha256 text)
RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
	RETURN QUERY
	SELECT 200, auth.grant_body(a, NULL), NULL::text, NULL::text
	FROM wardmote.account a
	WHERE a.client_id = client_credentials.client_id AND NOT a.disabled AND NOT a.suspended
		AND EXISTS (SELECT FROM auth.secret s
			WHERE s.sha256 = secret_sha256 AND s.account_id = a.id AND (s.expires_at IS NULL OR s.expires_at > now()));
	IF NOT FOUND THEN
		RETURN QUERY SELECT 401, NULL::text, NULL::text, NULL::text;
	END IF;
END
$$;

-- Rotation: each refresh token works once. A used one that comes again was stolen, or its answer was lost: the session ends for both.
CREATE FUNCTION auth.refresh(old_sha256 text, new_sha256 text, seconds integer)
RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
	token auth.refresh;
	session auth.session;
	actor wardmote.account;
BEGIN
	SELECT s.* INTO session FROM auth.session s
	WHERE s.id = (SELECT r.session_id FROM auth.refresh r WHERE r.sha256 = old_sha256) FOR UPDATE;
	-- Read behind the session's lock: of two that come at once the second sees the first's use.
	SELECT r.* INTO token FROM auth.refresh r WHERE r.sha256 = old_sha256 FOR UPDATE;
	IF token.used_at IS NOT NULL THEN
		UPDATE auth.session s SET revoked_at = now() WHERE s.id = session.id AND s.revoked_at IS NULL;
	END IF;
	SELECT a.* INTO actor FROM wardmote.account a WHERE a.id = session.account_id AND NOT a.disabled AND NOT a.suspended;
	IF actor.id IS NULL OR token.sha256 IS NULL OR token.used_at IS NOT NULL OR token.expires_at <= now()
		OR session.revoked_at IS NOT NULL OR session.expires_at <= now() THEN
		RETURN QUERY SELECT 400, NULL::text, NULL::text, NULL::text;
		RETURN;
	END IF;
	DELETE FROM auth.refresh r WHERE r.session_id = session.id AND r.expires_at <= now();
	UPDATE auth.refresh r SET used_at = now() WHERE r.sha256 = old_sha256;
	INSERT INTO auth.refresh (sha256, session_id, expires_at) VALUES (new_sha256, session.id, now() + make_interval(secs => seconds));
	UPDATE auth.session s SET last_used_at = now(), expires_at = now() + make_interval(secs => seconds) WHERE s.id = session.id;
	RETURN QUERY SELECT 200, auth.grant_body(actor, session.id), NULL::text, NULL::text;
END
$$;

-- Unknown tokens are fine too (RFC 7009).
CREATE FUNCTION auth.revoke(refresh_sha256 text) RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
	UPDATE auth.session s SET revoked_at = now()
	WHERE s.id = (SELECT r.session_id FROM auth.refresh r WHERE r.sha256 = refresh_sha256) AND s.revoked_at IS NULL;
	RETURN QUERY SELECT 200, NULL::text, NULL::text, NULL::text;
END
$$;

-- Ends one session of an account: log-out, or revocation by its access token, whose claims the server verified.
CREATE FUNCTION auth.session_end(account uuid, session uuid) RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
	UPDATE auth.session s SET revoked_at = now() WHERE s.id = session AND s.account_id = account AND s.revoked_at IS NULL;
	IF FOUND THEN
		RETURN QUERY SELECT 204, NULL::text, NULL::text, NULL::text;
	END IF;
END
$$;

-- --- people ---

-- First half of a login. An unknown login looks like a known one: C compares with a hash of nothing. Login and address together have a name of their own,
-- since what is sent as a login may have a line break in it.
CREATE FUNCTION auth.login_begin(login text, address text) RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
	-- Always in this order, so that two logins cannot deadlock.
	by_address integer := auth.throttle_hit('address', address, 100);
	by_both integer := auth.throttle_hit('login here', concat_ws(E'\n', lower(login), address), 10);
	by_login integer := 0;
BEGIN
	-- What one address was refused does not count against the login: nobody locks out another by guessing from one place.
	IF greatest(by_address, by_both) = 0 THEN
		by_login := auth.throttle_hit('login', lower(login), 100);
	END IF;
	IF greatest(by_address, by_both, by_login) > 0 THEN
		RETURN QUERY SELECT 429, NULL::text, NULL::text, greatest(by_address, by_both, by_login)::text;
		RETURN;
	END IF;
	RETURN QUERY
	SELECT 200, json_build_object('account', a.id, 'hash', p.hash)::text, NULL::text, NULL::text
	FROM (SELECT lower(login_begin.login) AS login) asked
	LEFT JOIN wardmote.account a ON a.login = asked.login AND a.kind = 'person' AND NOT a.disabled AND NOT a.suspended
	LEFT JOIN auth.password p ON p.account_id = a.id;
END
$$;

-- Second half: `matched` is the verdict on `hash`, which must still be the account's until the session is there for all to see: who changes the password, or
-- ends the account, then ends this session, too. All of them lock the account first, then the password, then what hangs on it.
CREATE FUNCTION auth.login_finish(account uuid, hash text, matched boolean, login text, address text, refresh_sha256 text, seconds integer)
RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
	actor wardmote.account;
BEGIN
	SELECT a.* INTO actor FROM wardmote.account a JOIN auth.password p ON p.account_id = a.id
	WHERE matched AND a.id = login_finish.account AND p.hash = login_finish.hash AND NOT a.disabled AND NOT a.suspended FOR SHARE;
	IF actor.id IS NULL THEN
		RETURN QUERY SELECT 401, NULL::text, NULL::text, NULL::text;
		RETURN;
	END IF;
	PERFORM auth.throttle_forgive('login', lower(login_finish.login), address);
	RETURN QUERY SELECT 200, auth.grant_body(actor, auth.session_open(actor.id, refresh_sha256, seconds)), NULL::text, NULL::text;
END
$$;

-- Is the code good? Asked first, so that nobody makes the server hash passwords for codes that are not.
CREATE FUNCTION auth.enrol_begin(code_sha256 text, address text) RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
	wait integer := auth.throttle_hit('address', address, 100);
BEGIN
	IF wait > 0 THEN
		RETURN QUERY SELECT 429, NULL::text, NULL::text, wait::text;
		RETURN;
	END IF;
	RETURN QUERY
	SELECT 200, json_build_object('account', a.id)::text, NULL::text, NULL::text
	FROM auth.enrolment e JOIN wardmote.account a ON a.id = e.account_id
	WHERE e.sha256 = code_sha256 AND e.used_at IS NULL AND e.expires_at > now() AND NOT a.disabled AND NOT a.suspended;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 422, NULL::text, NULL::text, NULL::text;
	END IF;
END
$$;

CREATE FUNCTION auth.enrol_finish(code_sha256 text, new_hash text, address text, refresh_sha256 text, seconds integer)
RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
	code auth.enrolment;
	actor wardmote.account;
BEGIN
	SELECT a.* INTO actor FROM wardmote.account a WHERE a.id = (SELECT e.account_id FROM auth.enrolment e WHERE e.sha256 = code_sha256)
		AND NOT a.disabled AND NOT a.suspended FOR NO KEY UPDATE;
	SELECT e.* INTO code FROM auth.enrolment e WHERE e.sha256 = code_sha256 FOR UPDATE;
	IF actor.id IS NULL OR code.sha256 IS NULL OR code.used_at IS NOT NULL OR code.expires_at <= now() THEN
		RETURN QUERY SELECT 422, NULL::text, NULL::text, NULL::text;
		RETURN;
	END IF;
	-- The code is the person: the change is theirs.
	PERFORM set_config('wardmote.account', actor.id::text, true), set_config('wardmote.partner', actor.partner_id::text, true);
	PERFORM auth.throttle_forgive('login', actor.login, address);
	actor := auth.password_store(actor.id, new_hash, NULL);
	RETURN QUERY SELECT 200, auth.grant_body(actor, auth.session_open(actor.id, refresh_sha256, seconds)), NULL::text, NULL::text;
END
$$;

-- The caller's own hash, for a change of password. Counted like a login: a stolen token is no licence to guess.
CREATE FUNCTION auth.password_begin(address text) RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
	by_address integer := auth.throttle_hit('address', address, 100);
	by_account integer := auth.throttle_hit('password', wardmote.ctx_account()::text, 10);
BEGIN
	IF greatest(by_address, by_account) > 0 THEN
		RETURN QUERY SELECT 429, NULL::text, NULL::text, greatest(by_address, by_account)::text;
		RETURN;
	END IF;
	RETURN QUERY
	SELECT 200, json_build_object('account', p.account_id, 'hash', p.hash)::text, NULL::text, NULL::text
	FROM auth.password p WHERE p.account_id = wardmote.ctx_account();
	IF NOT FOUND THEN
		RETURN QUERY SELECT 409, NULL::text, NULL::text, NULL::text;
	END IF;
END
$$;

CREATE FUNCTION auth.password_change(old_hash text, new_hash text, session uuid, address text)
RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
	PERFORM FROM wardmote.account a JOIN auth.password p ON p.account_id = a.id WHERE a.id = wardmote.ctx_account() AND p.hash = old_hash FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 409, NULL::text, NULL::text, NULL::text;
		RETURN;
	END IF;
	PERFORM auth.throttle_forgive('password', wardmote.ctx_account()::text, address);
	PERFORM auth.password_store(wardmote.ctx_account(), new_hash, session);
	RETURN QUERY SELECT 204, NULL::text, NULL::text, NULL::text;
END
$$;

CREATE FUNCTION auth.my_sessions(current_session uuid) RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
AS $$
	SELECT 200, json_build_object('items', coalesce(json_agg(json_build_object(
			'id', s.id,
			'created_at', to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
			'last_used_at', to_char(s.last_used_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
			'expires_at', to_char(s.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
			'current', s.id IS NOT DISTINCT FROM current_session) ORDER BY s.last_used_at DESC, s.id DESC), '[]'::json),
			'links', '[]'::json)::text,
		NULL::text, NULL::text
	FROM auth.session s
	WHERE s.account_id = wardmote.ctx_account() AND s.revoked_at IS NULL AND s.expires_at > now()
$$;

-- All sessions of the caller, the one in use included.
CREATE FUNCTION auth.my_sessions_end() RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
	UPDATE auth.session s SET revoked_at = now() WHERE s.account_id = wardmote.ctx_account() AND s.revoked_at IS NULL;
	RETURN QUERY SELECT 204, NULL::text, NULL::text, NULL::text;
END
$$;

-- --- managing accounts ---

-- The account as the caller may see it: a function of the owner sees all, so it asks the caller's view. Held, so that a sign-in that is under way comes before
-- or after.
CREATE FUNCTION auth.managed(account uuid) RETURNS wardmote.account
LANGUAGE sql
AS $$
	SELECT a FROM wardmote.account a WHERE a.id = (SELECT v.id FROM api.account v WHERE v.id = account) FOR NO KEY UPDATE
$$;

-- The hash of the new secret is the setting wardmote.credential; the secret before it works for `grace` more seconds.
CREATE FUNCTION auth.secret_rotate(account uuid, grace integer) RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
	target wardmote.account := auth.managed(account);
	fresh text := nullif(current_setting('wardmote.credential', true), '');
	ends timestamptz := now() + make_interval(secs => grace);
BEGIN
	IF target.id IS NULL THEN
		RETURN;
	ELSIF NOT wardmote.may_manage(target.partner_id, target.role) OR NOT wardmote.within_scopes(target.scopes)
		OR target.erased_at IS NOT NULL THEN
		RETURN QUERY SELECT 403, '[]', NULL::text, NULL::text;
		RETURN;
	ELSIF target.kind <> 'service' THEN
		RETURN QUERY SELECT 409, '[{"pointer":"/kind","code":"not_a_service","detail":"only service accounts have secrets"}]',
			NULL::text, NULL::text;
		RETURN;
	END IF;
	DELETE FROM auth.secret s WHERE s.account_id = target.id AND s.expires_at IS NOT NULL;
	IF grace > 0 THEN
		UPDATE auth.secret s SET expires_at = ends WHERE s.account_id = target.id;
	ELSE
		-- The old secret is known to somebody: what it obtained ends with it.
		DELETE FROM auth.secret s WHERE s.account_id = target.id;
		UPDATE wardmote.account a SET epoch = a.epoch + 1 WHERE a.id = target.id;
	END IF;
	INSERT INTO auth.secret (sha256, account_id) VALUES (fresh, target.id);
	RETURN QUERY SELECT 201, json_build_object('account_id', target.id, 'client_id', target.client_id,
		'previous_expires_at', to_char(ends AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text,
		NULL::text, '/v1/accounts/' || target.id;
END
$$;

-- A one-time code with which a person sets a password; the code before it ends. An administrator may help a manager of another partner
-- back in: that shows in the account.
CREATE FUNCTION auth.enrolment_create(account uuid) RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
	target wardmote.account := auth.managed(account);
	fresh text := nullif(current_setting('wardmote.credential', true), '');
	ends timestamptz := now() + interval '72 hours';
	recovery boolean := wardmote.ctx_rank() >= 4 AND target.partner_id <> wardmote.ctx_partner();
BEGIN
	IF target.id IS NULL THEN
		RETURN;
	ELSIF target.erased_at IS NOT NULL OR NOT wardmote.within_scopes(target.scopes)
		OR NOT (wardmote.may_manage(target.partner_id, target.role) OR (recovery AND target.role = 'manager')) THEN
		RETURN QUERY SELECT 403, '[]', NULL::text, NULL::text;
		RETURN;
	ELSIF target.kind <> 'person' THEN
		RETURN QUERY SELECT 409, '[{"pointer":"/kind","code":"not_a_person","detail":"a service account has secrets instead"}]',
			NULL::text, NULL::text;
		RETURN;
	ELSIF target.disabled OR target.suspended THEN
		RETURN QUERY SELECT 409, '[{"pointer":"/disabled","code":"not_active","detail":"the account or its partner is not active"}]',
			NULL::text, NULL::text;
		RETURN;
	END IF;
	DELETE FROM auth.enrolment e WHERE e.account_id = target.id AND e.used_at IS NULL;
	INSERT INTO auth.enrolment (sha256, account_id, created_by, expires_at) VALUES (fresh, target.id, wardmote.ctx_account(), ends);
	IF recovery THEN
		UPDATE wardmote.account a SET recovered_at = now() WHERE a.id = target.id;
	END IF;
	RETURN QUERY SELECT 201, json_build_object('account_id', target.id,
		'expires_at', to_char(ends AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text, NULL::text, '/v1/accounts/' || target.id;
END
$$;

-- Blanks a person in the row, in its history and in stored answers, and ends the account. That it existed and what it changed stays.
CREATE FUNCTION auth.erase(account uuid) RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
	target wardmote.account := auth.managed(account);
BEGIN
	IF target.id IS NULL THEN
		RETURN;
	ELSIF NOT wardmote.may_manage(target.partner_id, target.role) THEN
		RETURN QUERY SELECT 403, '[]', NULL::text, NULL::text;
		RETURN;
	ELSIF target.role = 'administrator' AND NOT target.disabled
		AND NOT EXISTS (SELECT FROM wardmote.account a WHERE a.role = 'administrator' AND NOT a.disabled AND a.id <> target.id) THEN
		RETURN QUERY SELECT 409, '[{"pointer":"","code":"last_administrator","detail":"the last active administrator stays one"}]',
			NULL::text, NULL::text;
		RETURN;
	END IF;
	IF target.erased_at IS NULL THEN
		IF target.login IS NOT NULL THEN
			DELETE FROM auth.throttle t WHERE t.key = 'login:' || encode(sha256(convert_to(target.login, 'UTF8')), 'hex');
		END IF;
		DELETE FROM auth.secret s WHERE s.account_id = target.id;
		DELETE FROM auth.password p WHERE p.account_id = target.id;
		UPDATE wardmote.account a SET name = 'erased', login = NULL, issuer = NULL, subject = NULL, jwks = NULL, disabled = true,
			erased_at = now(), epoch = a.epoch + 1
		WHERE a.id = target.id;
		DELETE FROM auth.session s WHERE s.account_id = target.id;
		DELETE FROM auth.enrolment e WHERE e.account_id = target.id;
		PERFORM wardmote.redact('account', target.id, ARRAY['name', 'login', 'issuer', 'subject']);
		DELETE FROM wardmote.idempotency i WHERE i.record_id = target.id;
	END IF;
	RETURN QUERY SELECT 204, NULL::text, NULL::text, NULL::text;
END
$$;

-- --- housekeeping ---

-- What is over and serves no check any more; called now and then by the server's jobs thread.
CREATE FUNCTION auth.sweep() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog
AS $$
	DELETE FROM auth.throttle t WHERE t.until < now();
	DELETE FROM auth.session s WHERE s.expires_at < now() OR s.revoked_at < now() - interval '30 days';
	DELETE FROM auth.enrolment e WHERE e.expires_at < now() - interval '30 days';
	DELETE FROM auth.secret s WHERE s.expires_at < now();
$$;

GRANT EXECUTE ON FUNCTION auth.client_credentials, auth.refresh, auth.revoke, auth.session_end, auth.login_begin, auth.login_finish,
	auth.enrol_begin, auth.enrol_finish, auth.password_begin, auth.password_change, auth.my_sessions, auth.my_sessions_end,
	auth.secret_rotate, auth.enrolment_create, auth.erase, auth.sweep TO wardmote_api;
