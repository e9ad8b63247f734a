-- SPDX-License-Identifier: AGPL-3.0-or-later
-- The records that bench/instructions asks for, the same each time: 20,000 consultations of 20 partners in 200 localities. Fewer rows than ANALYZE
-- samples, so that it finds the same statistics in each run.
-- psql variables: host (uuid of the host partner). Runs as a superuser: triggers are off.
\set ON_ERROR_STOP on
SET session_replication_role = replica;
SET TimeZone = 'UTC';
SET search_path = pg_catalog, public;

CREATE FUNCTION pg_temp.id(what text, n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
	SELECT overlay(overlay(md5(what || n) PLACING '0190a0000' FROM 1) PLACING '7' FROM 13)::uuid
$$;

INSERT INTO wardmote.partner (id, name, kind, created_at, updated_at)
SELECT pg_temp.id('partner', n), 'Partner ' || n, 'council', '2026-01-01', '2026-01-01' FROM generate_series(1, 20) AS n;

INSERT INTO wardmote.boundary_set (id, partner_id, visibility, code, name, tier, created_at, updated_at)
VALUES (pg_temp.id('set', 1), :'host', 'public', 'counted', 'Counted wards', 'local', '2026-01-01', '2026-01-01');
INSERT INTO wardmote.locality (id, partner_id, visibility, boundary_set_id, code, name, geometry, created_at, updated_at)
SELECT pg_temp.id('locality', n), :'host', 'public', pg_temp.id('set', 1), 'W' || n, 'Ward ' || n,
	ST_Multi(ST_MakeEnvelope(n % 20 * 0.1, 50 + n / 20 * 0.1, n % 20 * 0.1 + 0.1, 50.1 + n / 20 * 0.1, 4326)), '2026-01-01', '2026-01-01'
FROM generate_series(1, 200) AS n;

-- Half of the host's own, of which one in eight is open; what is private is the others'.
INSERT INTO wardmote.consultation (id, partner_id, visibility, external_id, title, summary, status, locality_ids,
	take_part_url, contact, purpose, open_on, close_on, created_at, updated_at)
SELECT pg_temp.id('consultation', n), CASE WHEN n % 2 = 0 THEN :'host' ELSE pg_temp.id('partner', 1 + n / 2 % 20) END,
	CASE WHEN n % 7 = 1 AND n % 2 = 1 THEN 'private' ELSE 'public' END, 'C-' || n,
	'Consultation ' || n || ' about ' || (ARRAY['parks', 'libraries', 'buses', 'housing', 'budgets'])[1 + n % 5],
	repeat('What residents and services say about it. ', 1 + n % 6), CASE WHEN n % 16 < 2 THEN 'open' ELSE 'evaluated' END,
	ARRAY[pg_temp.id('locality', 1 + n / 16 % 200)], 'https://example.org/' || n, 'Engagement team',
	'To hear what people want.', date '2020-01-01' + n % 2000, date '2020-02-01' + n % 2000,
	timestamptz '2026-01-01 00:00Z' + n * interval '1 minute', timestamptz '2026-01-01 00:00Z' + n * interval '1 minute'
FROM generate_series(1, 20000) AS n;
VACUUM ANALYZE;
