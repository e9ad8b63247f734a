-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Clients that prove themselves by a signed assertion (RFC 7523), tokens that were revoked one by one (RFC 7009), and what others may know of a token (RFC 7662).

-- Assertions that were used, under a hash of client and jti, until they would be refused for their age. A good signature comes before: nobody else can fill it.
CREATE TABLE auth.assertion (
	sha256 text PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
	until timestamptz NOT NULL
);
CREATE INDEX assertion_until ON auth.assertion (until);

-- Access tokens of programs that were revoked before their end.
CREATE TABLE auth.revoked (
	jti uuid PRIMARY KEY,
	until timestamptz NOT NULL
);
CREATE INDEX revoked_until ON auth.revoked (until);

SELECT wardmote.force_policies(t) FROM unnest('{auth.assertion,auth.revoked}'::regclass[]) t;

-- The first statement of each segment looks here, before there is any context.
CREATE VIEW api.revoked_token AS SELECT r.jti FROM auth.revoked r;
GRANT SELECT ON api.revoked_token TO wardmote_api;

-- The key that an assertion names (without a name: the only one there is), or null, alike for a client that does not exist and one that has no such key.
CREATE FUNCTION auth.client_key(client_id text, kid text) RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
AS $$
	SELECT 200, (SELECT k.key::text FROM wardmote.account a CROSS JOIN LATERAL jsonb_array_elements(a.jwks -> 'keys') AS k (key)
		WHERE a.client_id = client_key.client_id AND NOT a.disabled AND NOT a.suspended
			AND CASE WHEN client_key.kid IS NULL THEN jsonb_array_length(a.jwks -> 'keys') = 1 ELSE k.key ->> 'kid' = client_key.kid END),
		NULL::text, NULL::text
$$;

-- The assertion was signed with `key`: it counts once, and only while the account still has that key. Of several at once one finds the row new.
CREATE FUNCTION auth.client_assertion(client_id text, key text, sha256 text, ends bigint) RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
	actor wardmote.account;
BEGIN
	SELECT a.* INTO actor FROM wardmote.account a
	WHERE a.client_id = client_assertion.client_id AND NOT a.disabled AND NOT a.suspended
		AND a.jwks -> 'keys' @> jsonb_build_array(client_assertion.key::jsonb) FOR SHARE;
	IF actor.id IS NOT NULL THEN
		INSERT INTO auth.assertion (sha256, until) VALUES (client_assertion.sha256, to_timestamp(ends)) ON CONFLICT DO NOTHING;
	END IF;
	IF actor.id IS NULL OR NOT FOUND THEN
		RETURN QUERY SELECT 401, NULL::text, NULL::text, NULL::text;
		RETURN;
	END IF;
	RETURN QUERY SELECT 200, auth.grant_body(actor, NULL), NULL::text, NULL::text;
END
$$;

-- Ends every secret of a service account, and the tokens obtained with them: from then on it has its keys alone.
CREATE FUNCTION auth.secrets_end(account uuid) RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
	target wardmote.account := auth.managed(account);
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
	DELETE FROM auth.secret s WHERE s.account_id = target.id;
	IF FOUND THEN
		UPDATE wardmote.account a SET epoch = a.epoch + 1 WHERE a.id = target.id;
	END IF;
	RETURN QUERY SELECT 204, NULL::text, NULL::text, NULL::text;
END
$$;

-- One access token of a program, whose claims the server verified.
CREATE FUNCTION auth.revoke_token(jti uuid, ends bigint) RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog
AS $$
	INSERT INTO auth.revoked (jti, until) VALUES (revoke_token.jti, to_timestamp(ends)) ON CONFLICT DO NOTHING;
	SELECT 200, NULL::text, NULL::text, NULL::text;
$$;

-- What the client `caller` may know of a token whose claims the server verified. Who may see the account may know whether its token holds: its own; with the
-- scope accounts:read, managers those of their partner and administrators all. 404 for all else, and for a token that would be refused.
CREATE FUNCTION auth.introspect(caller uuid, reads boolean, account uuid, epoch integer, session uuid, jti uuid)
RETURNS TABLE (status integer, body text, etag text, link text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
AS $$
	SELECT 200, json_build_object('login', t.login)::text, NULL::text, NULL::text
	FROM wardmote.account c JOIN wardmote.account t ON t.id = introspect.account
	WHERE c.id = introspect.caller AND NOT c.disabled AND NOT c.suspended
		AND (t.id = c.id OR (reads AND (wardmote.role_rank(c.role) >= 4 OR (wardmote.role_rank(c.role) = 3 AND t.partner_id = c.partner_id))))
		AND t.epoch = introspect.epoch AND NOT t.disabled AND NOT t.suspended
		AND (introspect.session IS NULL OR EXISTS (SELECT FROM auth.session s
			WHERE s.id = introspect.session AND s.account_id = t.id AND s.revoked_at IS NULL AND s.expires_at > now()))
		AND NOT EXISTS (SELECT FROM auth.revoked r WHERE r.jti = introspect.jti)
$$;

CREATE FUNCTION wardmote.forget_clients() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
	assertions bigint;
	tokens bigint;
BEGIN
	DELETE FROM auth.assertion a WHERE a.ctid = ANY (ARRAY(SELECT o.ctid FROM auth.assertion o WHERE o.until < now() LIMIT 500));
	GET DIAGNOSTICS assertions = ROW_COUNT;
	DELETE FROM auth.revoked r WHERE r.ctid = ANY (ARRAY(SELECT o.ctid FROM auth.revoked o WHERE o.until < now() LIMIT 500));
	GET DIAGNOSTICS tokens = ROW_COUNT;
	RETURN assertions + tokens;
END
$$;
INSERT INTO wardmote.prunes VALUES ('wardmote.forget_clients');

GRANT EXECUTE ON FUNCTION auth.client_key, auth.client_assertion, auth.secrets_end, auth.revoke_token, auth.introspect TO wardmote_api;
