-- SPDX-License-Identifier: AGPL-3.0-or-later
-- $1: the merge patch, already checked against its schema; $2: id; $3: the version that If-Match names, NULL for any. No row: not there for the caller.
WITH cur AS MATERIALIZED (SELECT t AS whole, t.id, t.version, t.partner_id, t.writers FROM wardmote.consultation t WHERE t.id = $2::uuid),
new AS MATERIALIZED (SELECT n AS whole, @given FROM cur CROSS JOIN LATERAL jsonb_populate_record(cur.whole, $1::jsonb) n),
faults AS MATERIALIZED (@references),
gates AS MATERIALIZED (SELECT g.pointer FROM new CROSS JOIN LATERAL wardmote.consultation_gates(new.whole) g),
verdict AS MATERIALIZED (
	SELECT CASE WHEN NOT wardmote.may_write(cur.partner_id, cur.writers) THEN 403
		WHEN $1::jsonb ?| '{visibility,grants,external_id,notes}' AND NOT wardmote.owns(cur.partner_id) THEN 403
		WHEN cur.version <> $3::integer THEN 412
		WHEN EXISTS (SELECT FROM faults) THEN 422
		WHEN EXISTS (SELECT FROM gates) THEN 409
		WHEN cur.whole IS DISTINCT FROM new.whole THEN 0
		ELSE 200 END AS status
	FROM cur CROSS JOIN new
),
changed AS (
	UPDATE wardmote.consultation t SET (@names) = (SELECT @names FROM new)
	FROM cur, verdict WHERE verdict.status = 0 AND t.id = cur.id AND t.version = cur.version
	RETURNING t.*
),
stored AS (
	SELECT * FROM changed
	UNION ALL
	SELECT (cur.whole).* FROM cur, verdict WHERE verdict.status = 200
)
SELECT 200 AS status, @record AS body, r.version::text AS version, r.id::text AS id FROM stored r
UNION ALL
SELECT CASE status WHEN 0 THEN 412 ELSE status END, CASE status WHEN 422 THEN (SELECT json_agg(pointer)::text FROM faults)
	WHEN 409 THEN (SELECT json_agg(pointer)::text FROM gates) END, NULL, NULL
FROM verdict WHERE status <> 200 AND NOT EXISTS (SELECT FROM stored)
