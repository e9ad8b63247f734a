-- What `wardmote doctor` asks of the tables of a migrated database. $1: a JSON array of the resources {thing, owned, deletes, sorts}. Rows as in
-- doctor_server.sql. Names are looked up in the catalogs and never resolved: the server's role may not even enter some of these schemas.
WITH resource AS (
	SELECT * FROM json_to_recordset($1::json) AS r (thing text, owned boolean, deletes boolean, sorts text[])
), relation AS (
	SELECT c.oid, n.nspname AS place, c.relname AS name, c.relkind AS kind, c.relrowsecurity AND c.relforcerowsecurity AS walled,
		pg_get_userbyid(c.relowner) AS owner
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('wardmote', 'history', 'api', 'auth')
), expected_table AS (
	SELECT place, thing AS name FROM resource, unnest('{wardmote,history}'::text[]) place
), expected_view AS (
	SELECT thing, thing || suffix AS name FROM resource, unnest('{"",_past,_version}'::text[]) suffix
), looked_at (n, name, fine) AS (VALUES
	(1, 'tables', format('%s tables have forced policies', (SELECT count(*) FROM relation WHERE kind IN ('r', 'p') AND place <> 'api'))),
	(2, 'views', format('%s views of the owner', (SELECT count(*) FROM relation WHERE kind = 'v' AND place = 'api'))),
	(3, 'history', 'every resource is tracked, and its history is read through views only'),
	(4, 'policies', 'one for each way of reading and writing a resource'),
	(5, 'indexes', format('one for each of %s sort orders, all valid', (SELECT sum(cardinality(sorts)) FROM resource))),
	(6, 'functions', 'closed to PUBLIC; those that run as the owner have a search path of their own')
), fault (name, level, finding, mend) AS (
	SELECT 'tables', 'fail', format('%s.%s does not exist', e.place, e.name), 'restore it from a backup: a migration that was applied makes it no second time'
	FROM expected_table e LEFT JOIN relation r ON r.place = e.place AND r.name = e.name AND r.kind IN ('r', 'p') WHERE r.oid IS NULL
	UNION ALL
	SELECT 'tables', 'fail', format('%s.%s has no forced policies', place, name), format('as wardmote_owner: SELECT wardmote.force_policies(''%I.%I'')', place, name)
	FROM relation WHERE place <> 'api' AND kind IN ('r', 'p') AND NOT walled
	UNION ALL
	SELECT 'tables', 'fail', format('%s.%s belongs to %s', place, name, owner), format('ALTER TABLE %I.%I OWNER TO wardmote_owner', place, name)
	FROM relation WHERE place <> 'api' AND kind IN ('r', 'p') AND owner <> 'wardmote_owner'
	UNION ALL
	SELECT 'views', 'fail', format('api.%s does not exist', e.name), format('as wardmote_owner: SELECT wardmote.track(%L)', e.thing)
	FROM expected_view e LEFT JOIN relation r ON r.place = 'api' AND r.name = e.name AND r.kind = 'v' WHERE r.oid IS NULL
	UNION ALL
	SELECT 'views', 'fail', format('api.%s belongs to %s', name, owner), format('ALTER VIEW api.%I OWNER TO wardmote_owner', name)
	FROM relation WHERE place = 'api' AND kind = 'v' AND owner <> 'wardmote_owner'
	UNION ALL
	SELECT 'views', 'fail', format('the server may not read api.%s', r.name), format('as wardmote_owner: GRANT SELECT ON api.%I TO wardmote_api', r.name)
	FROM expected_view e JOIN relation r ON r.place = 'api' AND r.name = e.name WHERE NOT has_table_privilege(r.oid, 'SELECT')
	UNION ALL
	SELECT 'history', 'fail', format('%s.%s can be read around its views', place, name), format('as wardmote_owner: REVOKE ALL ON %I.%I FROM PUBLIC, wardmote_api', place, name)
	FROM relation WHERE place IN ('history', 'auth') AND kind IN ('r', 'p') AND has_table_privilege(oid, 'SELECT')
		AND NOT (SELECT rolsuper OR rolname = 'wardmote_owner' FROM pg_roles WHERE rolname = current_user)
	UNION ALL
	SELECT 'history', 'fail', format('wardmote.%s has no working trigger %s', r.thing, t.name), format('as wardmote_owner: SELECT wardmote.track(%L)', r.thing)
	FROM resource r CROSS JOIN unnest('{b_stamp,z_track}'::text[]) t (name)
	WHERE NOT EXISTS (SELECT FROM relation l JOIN pg_trigger g ON g.tgrelid = l.oid
		WHERE l.place = 'wardmote' AND l.name = r.thing AND g.tgname = t.name AND g.tgenabled IN ('O', 'A'))
	UNION ALL
	SELECT 'policies', 'fail', format('wardmote.%s has %s policies for %s, not one', r.thing, n, w.command),
		CASE n WHEN 0 THEN 'restore it from the migration that makes the table' ELSE 'drop those that no migration makes: each one widens access' END
	FROM resource r CROSS JOIN (VALUES ('SELECT', 'r'), ('INSERT', 'a'), ('UPDATE', 'w'), ('DELETE', 'd')) AS w (command, letter)
		CROSS JOIN LATERAL (SELECT count(*) AS n FROM relation l JOIN pg_policy p ON p.polrelid = l.oid AND p.polpermissive
			WHERE l.place = 'wardmote' AND l.name = r.thing AND p.polcmd IN (w.letter, '*')
				AND EXISTS (SELECT FROM unnest(p.polroles) o WHERE o = 0 OR pg_get_userbyid(o) = 'wardmote_api')) AS counted
	WHERE n > 1 OR (n = 0 AND (w.command <> 'DELETE' OR r.deletes))
	UNION ALL
	SELECT 'indexes', 'fail', format('wardmote.%s is sorted by %s without an index', r.thing, s),
		format('as wardmote_owner: CREATE INDEX CONCURRENTLY ON wardmote.%I (%s%I, id%s)', r.thing, CASE WHEN r.owned THEN 'audience, ' ELSE '' END, s,
			CASE WHEN r.owned AND s <> 'updated_at' THEN ', updated_at' ELSE '' END)
	FROM resource r CROSS JOIN unnest(r.sorts) s
	WHERE NOT EXISTS (SELECT FROM relation l JOIN pg_index x ON x.indrelid = l.oid JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam
		WHERE l.place = 'wardmote' AND l.name = r.thing AND m.amname = 'btree' AND x.indisvalid AND x.indpred IS NULL
			-- What follows these keys helps lists as of a date.
			AND array_to_string(ARRAY(SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY k (n, at)
				LEFT JOIN pg_attribute a ON a.attrelid = l.oid AND a.attnum = k.n AND k.n > 0 ORDER BY k.at), ',', '(expression)') || ','
				LIKE replace(CASE WHEN r.owned THEN 'audience,' ELSE '' END || s || ',id,', '_', '\_') || '%')
	UNION ALL
	SELECT 'indexes', 'fail', format('%s.%s is not valid', l.place, i.relname), format('as wardmote_owner: REINDEX INDEX CONCURRENTLY %I.%I', l.place, i.relname)
	FROM relation l JOIN pg_index x ON x.indrelid = l.oid AND NOT (x.indisvalid AND x.indisready) JOIN pg_class i ON i.oid = x.indexrelid
	UNION ALL
	SELECT 'functions', 'fail', format('anyone may call %s.%s', n.nspname, p.proname),
		format('as wardmote_owner: REVOKE EXECUTE ON FUNCTION %I.%I(%s) FROM PUBLIC', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
	FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname IN ('wardmote', 'history', 'api', 'auth') AND has_function_privilege('public', p.oid, 'EXECUTE')
	UNION ALL
	SELECT 'functions', 'fail', format('%s.%s runs as its owner with the caller''s search path', n.nspname, p.proname),
		format('as wardmote_owner: ALTER FUNCTION %I.%I(%s) SET search_path = pg_catalog, public', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
	FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname IN ('wardmote', 'history', 'api', 'auth') AND p.prosecdef
		AND NOT EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s LIKE 'search\_path=%')
)
SELECT l.name, coalesce(f.level, 'ok'), coalesce(f.finding, l.fine), f.mend
FROM looked_at l LEFT JOIN fault f ON f.name = l.name ORDER BY l.n, f.level, f.finding
