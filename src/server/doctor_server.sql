-- What `wardmote doctor` asks of the database server, as the server's own role. $1: the time zone of civil dates. Rows (check, level, finding, mend);
-- a check that finds nothing wrong gives one row "ok". Only system catalogs are read, so that no fault of ours can make it fail.
WITH me AS (
	SELECT *, rolsuper OR rolname = 'wardmote_owner' AS wrong FROM pg_roles WHERE rolname = current_user
), looked_at (n, name, fine) AS (VALUES
	(1, 'server', 'PostgreSQL ' || current_setting('server_version') || ', UTF-8, takes writes and keeps them'),
	(2, 'postgis', (SELECT 'PostGIS ' || extversion FROM pg_extension WHERE extname = 'postgis')),
	(3, 'role', 'connects as ' || current_user || ', which owns nothing and obeys the policies'),
	(4, 'owner', 'wardmote_owner is an ordinary role'),
	(5, 'time zone', $1 || ' is known to the database'),
	(6, 'log', 'the database writes nothing that people wrote into its log')
), fault (name, level, finding, mend) AS (
	SELECT 'server', 'fail', 'PostgreSQL ' || current_setting('server_version') || ' is too old', 'move the database to PostgreSQL 15 or newer'
	WHERE current_setting('server_version_num')::integer < 150000
	UNION ALL
	SELECT 'server', 'fail', 'the database''s encoding is ' || current_setting('server_encoding'), 'make the database with the script of `wardmote setup`'
	WHERE current_setting('server_encoding') <> 'UTF8'
	UNION ALL
	SELECT 'server', 'fail', 'the database takes no writes', 'connect to the primary: name all hosts in the URI, and the server finds it'
	WHERE pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean
	UNION ALL
	SELECT 'server', 'warn', name || ' is off: a crash can lose writes that were acknowledged', 'set ' || name || ' = on'
	FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'
	UNION ALL
	SELECT 'postgis', 'fail', 'the extension postgis is not in this database', 'as a superuser: CREATE EXTENSION postgis SCHEMA public'
	WHERE NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'postgis')
	UNION ALL
	SELECT 'role', 'fail', format('%s %s', rolname, power), 'run the script of `wardmote setup` again, and connect as wardmote_api'
	FROM me, LATERAL (VALUES (rolsuper, 'is a superuser: policies do not hold for it'), (rolbypassrls, 'bypasses policies'),
		(rolcreaterole, 'may make roles'), (rolcreatedb, 'may make databases'), (rolreplication, 'may replicate the whole database')) AS p (has, power)
	WHERE has
	UNION ALL
	SELECT 'role', 'fail', rolname || ' has no part in the role wardmote_api', 'give the server the URI of wardmote_api'
	FROM me WHERE NOT EXISTS (SELECT FROM pg_roles a WHERE a.rolname = 'wardmote_api' AND pg_has_role(me.oid, a.oid, 'USAGE'))
	UNION ALL
	SELECT 'role', 'fail', format('%s may act as %s', me.rolname, o.rolname), format('REVOKE %I FROM %I', o.rolname, me.rolname)
	FROM me JOIN pg_roles o ON o.rolname = 'wardmote_owner' AND pg_has_role(me.oid, o.oid, 'MEMBER') WHERE NOT me.wrong
	UNION ALL
	SELECT 'role', 'fail', format('%s owns %s tables and views', me.rolname, count(*)),
		'hand them to wardmote_owner (ALTER ... OWNER TO), and connect as wardmote_api'
	FROM me JOIN pg_class c ON c.relowner = me.oid AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
	WHERE NOT me.wrong GROUP BY me.rolname
	UNION ALL
	SELECT 'role', 'fail', format('%s may create in the schema %s', me.rolname, n.nspname), format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC, %I', n.nspname, me.rolname)
	FROM me JOIN pg_namespace n ON n.nspname IN ('public', 'wardmote', 'history', 'api', 'auth', 'meta') AND has_schema_privilege(me.oid, n.oid, 'CREATE')
	WHERE NOT me.wrong
	UNION ALL
	SELECT 'owner', 'fail', 'the role wardmote_owner does not exist', 'run the script of `wardmote setup`'
	WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'wardmote_owner')
	UNION ALL
	SELECT 'owner', 'fail', 'wardmote_owner is a superuser or bypasses policies', 'run the script of `wardmote setup` again'
	FROM pg_roles WHERE rolname = 'wardmote_owner' AND (rolsuper OR rolbypassrls)
	UNION ALL
	SELECT 'time zone', 'fail', $1 || ' is not known to the database', 'set timezone to a name of pg_timezone_names'
	WHERE NOT EXISTS (SELECT FROM pg_timezone_names WHERE name = $1)
	UNION ALL
	SELECT 'log', 'warn', s.name || ' is ' || s.setting || ': the database''s log can show what people wrote',
		format('as a superuser: ALTER ROLE %I SET %s = %L', current_user, s.name, q.quiet)
	FROM pg_settings s JOIN (VALUES ('log_error_verbosity', 'terse'), ('log_parameter_max_length', '0'), ('log_parameter_max_length_on_error', '0'))
		AS q (name, quiet) ON q.name = s.name WHERE s.setting <> q.quiet
)
SELECT l.name, coalesce(f.level, 'ok'), coalesce(f.finding, l.fine), f.mend
FROM looked_at l LEFT JOIN fault f ON f.name = l.name ORDER BY l.n, f.level, f.finding
