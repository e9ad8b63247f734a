-- SPDX-License-Identifier: AGPL-3.0-or-later
-- The network that bench/run measures on, the same each time: partners (60) of which a few own most, boundary sets (1 or 6) of 10,000 localities each over
-- the same ground, tiled from the polygons in bench_place (name, geometry), ten years of consultations, registers with risks, and the history and feed that go with them.
-- psql variables: rows (consultations), partners, sets (of boundaries), host (uuid of the host partner), secret (1: all but 100 of them are private to others than
-- the host, and there are no risks). Runs as a superuser: triggers are off, so what they keep is written here.
\set ON_ERROR_STOP on
SET session_replication_role = replica;
SET search_path = pg_catalog, public;
SET maintenance_work_mem = '1GB';
SET TimeZone = 'UTC';
SET row_security = off;

CREATE SCHEMA bench;
-- What is drawn: a number in [0, 1) of its own for each (n, what).
CREATE FUNCTION bench.draw(n bigint, what int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT (hashint8extended(n, what) & 2147483647) / 2147483648.0
$$;
CREATE FUNCTION bench.pick(items text[], n bigint, what int) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT items[1 + trunc(bench.draw(n, what) * cardinality(items))::int]
$$;
-- A UUID of version 7 of its own for each (at, what, n), in the order of `at`.
CREATE FUNCTION bench.id(at timestamptz, what text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT encode(set_byte(set_byte(overlay(decode(md5(what || n), 'hex')
		PLACING substring(int8send((extract(epoch FROM at) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 6, 112 + n::int % 16), 8, 128 + n::int % 64), 'hex')::uuid
$$;
-- A whole number in [0, below), evenly, or with `power` the smaller the likelier.
CREATE FUNCTION bench.at(n bigint, what int, below int, power float8 DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT trunc(below * power(bench.draw(n, what), power))::int
$$;
-- Six words at a time of an engagement officer's prose.
CREATE TABLE bench.phrase AS
SELECT n, string_agg(bench.pick('{residents,services,community,library,housing,transport,health,park,street,safety,young,older,carers,families,schools,budget,
	proposal,changes,views,survey,workshop,feedback,local,partners,plan,improve,review,access,support,energy,climate,cycling,parking,waste,recycling,culture,
	sport,nursery,clinic,flood,planning,heritage,market,square,bus,route,crossing,lighting,tenants,repairs,allotments,playground,drainage,licensing,noise,
	volunteers,translation,language,disability,dementia,school,meals,grants,rents,town,centre,riverside,estate,pathway,consultation}'::text[],
	n * 8 + i, 1), ' ' ORDER BY i) AS text
FROM generate_series(0, 4095) AS n CROSS JOIN generate_series(1, 6) AS i GROUP BY n;
CREATE UNIQUE INDEX ON bench.phrase (n);
CREATE VIEW bench.today AS SELECT date '2026-11-20' AS day;

-- The indexes of big tables are made when the rows are there.
CREATE TABLE bench.index AS SELECT schemaname, indexname, indexdef FROM pg_indexes
	WHERE (schemaname, tablename) IN (('wardmote', 'consultation'), ('history', 'consultation'), ('wardmote', 'risk'), ('wardmote', 'locality'),
		('wardmote', 'locality_shape'))
	AND indexdef NOT LIKE 'CREATE UNIQUE%';
SELECT format('DROP INDEX %I.%I', schemaname, indexname) FROM bench.index \gexec

INSERT INTO wardmote.partner (id, name, kind, created_at, updated_at)
SELECT bench.id('2016-01-01', 'partner', n), 'Partner ' || n, bench.pick('{council,police,health,housing_association,voluntary}', n, 1), '2016-01-01', '2016-01-01'
FROM generate_series(1, :partners) AS n;
CREATE TABLE bench.partner AS SELECT row_number() OVER (ORDER BY id) - 1 AS n, id FROM wardmote.partner WHERE id <> :'host';

INSERT INTO wardmote.code (id, partner_id, visibility, list, code, label, created_at, updated_at)
SELECT bench.id('2016-01-01', 'topic', n), NULL, 'public', 'topic', 'topic-' || n, 'Topic ' || n, '2016-01-01', '2016-01-01' FROM generate_series(1, 24) AS n;

INSERT INTO wardmote.boundary_set (id, partner_id, visibility, code, name, tier, valid_from, licence, created_at, updated_at)
SELECT bench.id('2016-01-01', 'set', n), :'host', 'public', CASE n WHEN 1 THEN 'bench-wards' ELSE 'bench-set-' || n END,
	CASE n WHEN 1 THEN 'Wards of the bench' ELSE 'Set ' || n || ' of the bench' END, 'local', '2016-01-01', 'OGL-UK-3.0', '2016-01-01', '2016-01-01'
FROM generate_series(1, :sets) AS n;

-- Copies of the sample side by side, each a hundredth of a degree further than the sample is wide. Consultations name the localities of the first set; each further one is
-- cut a little elsewhere.
INSERT INTO wardmote.locality (id, partner_id, visibility, boundary_set_id, code, name, population, geometry, created_at, updated_at)
SELECT bench.id('2016-01-01', 'locality', t.n), :'host', 'public', bench.id('2016-01-01', 'set', 1), 'W' || lpad(t.n::text, 5, '0'), t.name || ' ' || t.tile,
	1000 + (bench.draw(t.n, 2) * 9000)::int, ST_Multi(ST_Translate(t.geometry, t.tile % 20 * w.dx, t.tile / 20 * w.dy)), '2016-01-01', '2016-01-01'
FROM (SELECT row_number() OVER (ORDER BY tile, p.name) AS n, tile, p.name, p.geometry FROM bench_place p CROSS JOIN generate_series(0, 10000) AS tile
	WHERE tile * (SELECT count(*) FROM bench_place) < 10000 + (SELECT count(*) FROM bench_place) LIMIT 10000) t
CROSS JOIN (SELECT ST_XMax(e) - ST_XMin(e) + 0.01 AS dx, ST_YMax(e) - ST_YMin(e) + 0.01 AS dy FROM (SELECT ST_Extent(geometry) AS e FROM bench_place) e) w
WHERE t.n <= 10000;
INSERT INTO wardmote.locality (id, partner_id, visibility, boundary_set_id, code, name, geometry, created_at, updated_at)
SELECT bench.id('2016-01-01', 'locality', 10000 * s + row_number() OVER (PARTITION BY s ORDER BY l.code)), :'host', 'public', bench.id('2016-01-01', 'set', s),
	'S' || s || substr(l.code, 2), l.name, ST_Translate(l.geometry, 0.002 * (s - 1), 0.0013 * (s - 1)), '2016-01-01', '2016-01-01'
FROM wardmote.locality l CROSS JOIN generate_series(2, :sets) AS s WHERE l.code LIKE 'W%';
-- As they are drawn. What the sets share is noted as known: fifteen pairs would take longer than all the rest, and bench/rows_places.py measures one.
SELECT count(wardmote.store_shape(id, boundary_set_id, geometry)) AS shapes FROM wardmote.locality \gset
INSERT INTO wardmote.boundary_set_state (boundary_set_id) SELECT id FROM wardmote.boundary_set ON CONFLICT DO NOTHING;
SELECT wardmote.look_at_sets(0) AS looked \gset
INSERT INTO wardmote.overlap_pair (low_set_id, high_set_id, low_generation, high_generation, weights_set_id, weights_generation)
SELECT (low).boundary_set_id, (high).boundary_set_id, (low).area_generation, (high).area_generation, weights_set_id, weights_generation FROM wardmote.overlaps_due();
CREATE TABLE bench.locality AS SELECT row_number() OVER (ORDER BY id) - 1 AS n, id, name FROM wardmote.locality WHERE code LIKE 'W%';
CREATE UNIQUE INDEX ON bench.locality (n);

-- Ten years, evenly; the last 5,000 were changed in the last day.
CREATE TABLE bench.plan AS
SELECT m.n, made, greatest(made, CASE WHEN m.n > :rows - 5000 THEN timestamptz '2026-11-19 12:00Z' + (m.n - (:rows - 5000)) * interval '5 seconds'
		ELSE least(made + bench.draw(m.n, 3) * interval '200 days', timestamptz '2026-11-19 11:59:59Z') END) AS changed,
	o.id AS partner_id, opens, opens + 14 + bench.at(m.n, 6, 70) AS closes, bench.draw(m.n, 7) AS seen, bench.draw(m.n, 8) AS luck,
	bench.at(m.n, 9, 10000, 2) AS place
FROM (SELECT n, made, (made + (20 + bench.draw(n, 5) * 100) * interval '1 day')::date AS opens
	FROM (SELECT n, timestamptz '2016-11-20 00:00Z' + n * (interval '3652 days' / :rows) AS made FROM generate_series(1::bigint, :rows) AS n) d) m
JOIN bench.partner o ON o.n = bench.at(m.n, 4, :partners, 4);
-- The host, which writes in the bench, has a twentieth; where all is secret, a hundred.
UPDATE bench.plan SET partner_id = :'host' WHERE n % CASE WHEN :secret = 1 THEN :rows / 100 ELSE 20 END = 7;
ANALYZE bench.plan;

INSERT INTO wardmote.consultation (id, partner_id, visibility, external_id, title, summary, status, topics, audiences, methods, everyone, locality_ids,
	take_part_url, contact, purpose, statutory, legal_basis, open_on, close_on, feedback_due_on, planned_hours, notes, cancelled_reason, created_at, updated_at)
SELECT bench.id(made, 'consultation', p.n), partner_id,
	CASE WHEN :secret = 1 OR status = 'idea' AND seen < 0.8 THEN 'private' WHEN status IN ('idea', 'planned', 'approved') AND seen < 0.5 THEN 'shared' ELSE 'public' END,
	'C-' || p.n, initcap(w1.text) || ' in ' || l.name, concat_ws(' ', w2.text, w3.text, w4.text, w5.text, w6.text), status,
	ARRAY['topic-' || 1 + bench.at(p.n, 12, 24, 2)], '{residents}', '{survey}', luck < 0.1, CASE WHEN luck < 0.1 THEN '{}' ELSE ARRAY[l.id] END,
	'https://example.org/take-part/' || p.n, 'Engagement team', w3.text || ' ' || w5.text, luck > 0.9, CASE WHEN luck > 0.9 THEN 'Planning Act 2008, s. 47' END,
	opens, closes, closes + 90, bench.at(p.n, 14, 200), CASE WHEN luck < 0.5 THEN w4.text || ' ' || w1.text END,
	CASE WHEN status = 'cancelled' THEN 'not needed any more' END, made, changed
FROM (SELECT *, CASE WHEN luck BETWEEN 0.2 AND 0.23 THEN 'cancelled' WHEN closes < day - 200 THEN 'evaluated' WHEN closes < day - 100 THEN 'fed_back'
		WHEN closes < day - 40 THEN 'analysed' WHEN closes < day THEN 'closed' WHEN opens <= day THEN 'open' WHEN opens < day + 30 THEN 'approved'
		WHEN opens < day + 60 THEN 'planned' ELSE 'idea' END AS status
	FROM bench.plan CROSS JOIN bench.today) p
JOIN bench.locality l ON l.n = p.place
JOIN bench.phrase w1 ON w1.n = bench.at(p.n, 31, 4096)
JOIN bench.phrase w2 ON w2.n = bench.at(p.n, 32, 4096)
JOIN bench.phrase w3 ON w3.n = bench.at(p.n, 33, 4096)
JOIN bench.phrase w4 ON w4.n = bench.at(p.n, 34, 4096)
JOIN bench.phrase w5 ON w5.n = bench.at(p.n, 35, 4096)
JOIN bench.phrase w6 ON w6.n = bench.at(p.n, 36, 4096)
ORDER BY p.n;

INSERT INTO wardmote.risk_scale (id, partner_id, visibility, code, name, likelihood, impact, created_at, updated_at)
SELECT bench.id('2016-01-01', 'scale', 1), :'host', 'public', 'bench', 'One to five', steps, steps, '2016-01-01', '2016-01-01'
FROM (SELECT jsonb_agg(jsonb_build_object('value', n, 'label', n::text) ORDER BY n) AS steps FROM generate_series(1, 5) AS n) s;
INSERT INTO wardmote.risk_register (id, partner_id, visibility, title, risk_scale_id, level, created_at, updated_at)
SELECT bench.id('2016-01-01', 'register', r.n), p.id, (ARRAY['private', 'shared', 'public'])[1 + r.n % 3], 'Register ' || r.n, bench.id('2016-01-01', 'scale', 1),
	'service', '2016-01-01', '2016-01-01'
FROM generate_series(1, 500) AS r (n) JOIN bench.partner p ON p.n = bench.at(r.n, 20, :partners, 4);
INSERT INTO wardmote.risk (id, risk_register_id, partner_id, visibility, title, code, likelihood, impact, mitigation, status, created_at, updated_at)
SELECT bench.id(made, 'risk', x.n), r.id, r.partner_id, r.visibility, initcap(w1.text), 'R' || x.n, 1 + bench.at(x.n, 22, 5), 1 + bench.at(x.n, 23, 5),
	w2.text || ' ' || w3.text, 'open', made, made
FROM (SELECT n, timestamptz '2016-11-20 00:00Z' + n * interval '26 minutes' AS made, bench.id('2016-01-01', 'register', 1 + n % 500) AS register
	FROM generate_series(1, 200000 * (1 - :secret)) AS n) x
JOIN wardmote.risk_register r ON r.id = x.register
JOIN bench.phrase w1 ON w1.n = bench.at(x.n, 21, 4096)
JOIN bench.phrase w2 ON w2.n = bench.at(x.n, 24, 4096)
JOIN bench.phrase w3 ON w3.n = bench.at(x.n, 25, 4096);

SELECT indexdef FROM bench.index \gexec

-- A change for each consultation, in the order of its time, and the feed over them.
INSERT INTO wardmote.change (seq, at, partner_id, resource, record_id, version, operation, fields, audience_after, readers_after)
OVERRIDING SYSTEM VALUE
SELECT (SELECT coalesce(max(seq), 0) FROM wardmote.change) + row_number() OVER (ORDER BY updated_at, id), updated_at, partner_id, 'consultations', id, 1, 'create', '{}', audience, '{}' FROM wardmote.consultation;
INSERT INTO wardmote.feed (position, change) OVERRIDING SYSTEM VALUE SELECT seq, seq FROM wardmote.change ORDER BY seq ON CONFLICT DO NOTHING;
-- What is in the feed does not wait for its place in it.
DELETE FROM wardmote.fresh;
SELECT setval(pg_get_serial_sequence('wardmote.feed', 'position'), (SELECT max(position) FROM wardmote.feed));
SELECT setval(pg_get_serial_sequence('wardmote.change', 'seq'), (SELECT max(seq) FROM wardmote.change)) WHERE pg_get_serial_sequence('wardmote.change', 'seq') IS NOT NULL;
VACUUM (ANALYZE);
