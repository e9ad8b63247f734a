-- Wardmote: what the administrator of a PostgreSQL server runs once after a restore of any kind, as a superuser, before the server starts:
--
--   wardmote restored | psql -X -v ON_ERROR_STOP=1
--
-- From then on versions, tags and cursors of before are told from those of today, and all sign-ins have ended. It may be run again. See docs/backup.md.
\set ON_ERROR_STOP on
\connect :"database"
-- Seconds since 2020: later than any restore before, more than any timeline.
SELECT format('ALTER DATABASE %I SET wardmote.era = %L', current_database(), greatest(extract(epoch FROM now())::bigint - 1577836800, wardmote.era() + 1000)) \gexec
SELECT wardmote.settle_in() \g /dev/null
SELECT 'this database is at home here since ' || restored_at AS "wardmote" FROM wardmote.origin;
