-- Wardmote: what the administrator of a PostgreSQL server (15 or newer, with PostGIS) runs once, as a superuser:
--
--   wardmote setup | psql -X -v ON_ERROR_STOP=1 -v owner_password=... -v api_password=...
--
-- It makes two ordinary roles and one database. CREATE EXTENSION postgis is the only step that needs a superuser; afterwards
-- `wardmote migrate` connects as wardmote_owner and `wardmote serve` as wardmote_api. It may be run again. A password that is not
-- given is not set (certificates, peer, or a later \password).
\set ON_ERROR_STOP on

-- Neither the log nor pg_stat_statements keeps the passwords below. (A managed service may not let its administrator set these.)
SELECT count(set_config(name, value, false)) FROM (VALUES ('log_statement', 'none'), ('log_min_duration_statement', '-1'), ('log_min_error_statement', 'panic'),
	('log_min_duration_sample', '-1'), ('log_transaction_sample_rate', '0'), ('pg_stat_statements.track', 'none')) AS quiet (name, value)
WHERE has_parameter_privilege(current_user, name, 'SET') \g /dev/null

-- wardmote_owner owns all tables and functions; only `wardmote migrate` and `wardmote account create` use it.
SELECT 'CREATE ROLE wardmote_owner' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'wardmote_owner') \gexec
ALTER ROLE wardmote_owner LOGIN;
\if :{?owner_password}
ALTER ROLE wardmote_owner PASSWORD :'owner_password';
\endif

-- wardmote_api is what the server connects as: it owns nothing and sees rows through views and policies only.
SELECT 'CREATE ROLE wardmote_api' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'wardmote_api') \gexec
ALTER ROLE wardmote_api LOGIN;
\if :{?api_password}
ALTER ROLE wardmote_api PASSWORD :'api_password';
\endif

-- Neither may do more than that. Only a superuser may so much as mention these attributes, so they are left alone where they are as they should be.
SELECT format('ALTER ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', rolname) FROM pg_roles
WHERE rolname IN ('wardmote_owner', 'wardmote_api') AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls) \gexec

-- What people write must not reach the database's log: the values of parameters, nor "Key (login)=(...) already exists." The message and the statement's
-- text, which holds no value, stay. `wardmote doctor` says where this could not be set.
SELECT format('ALTER ROLE %I SET %s = %L', role, name, value)
FROM (VALUES ('wardmote_owner'), ('wardmote_api')) AS r (role),
	(VALUES ('log_error_verbosity', 'terse'), ('log_parameter_max_length', '0'), ('log_parameter_max_length_on_error', '0')) AS s (name, value)
WHERE has_parameter_privilege(current_user, name, 'SET') \gexec

-- Managed services let an administrator who is no superuser create a database for a role only as a member of it.
SELECT 'GRANT wardmote_owner TO CURRENT_USER' WHERE NOT pg_has_role(current_user, 'wardmote_owner', 'MEMBER') \gexec

SELECT format('CREATE DATABASE %I OWNER wardmote_owner TEMPLATE template0 ENCODING ''UTF8'' LC_COLLATE ''C.UTF-8'' LC_CTYPE ''C.UTF-8''', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO wardmote_owner, wardmote_api;
GRANT CREATE ON DATABASE :"database" TO wardmote_owner;

\connect :"database"
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
CREATE EXTENSION IF NOT EXISTS postgis SCHEMA public;
