-- SPDX-License-Identifier: AGPL-3.0-or-later
-- $1: the body, already checked against its schema. What a constraint or policy refuses is an error; what refers to nothing is told here.
WITH new AS MATERIALIZED (
	SELECT wardmote.uuid7() AS id, n.partner_id, n.status, n.retrospective, n.cancelled_reason, @given
	FROM jsonb_populate_record(NULL::wardmote.consultation, '{"visibility":"private","grants":[],"status":"idea","topics":[],"audiences":[],"methods":[],
		"everyone":false,"locality_ids":[],"community_ids":[],"partners":[],"options":[],"statutory":false,"open_on_precision":"day",
		"close_on_precision":"day","retrospective":false}'::jsonb || jsonb_build_object('partner_id', wardmote.ctx_partner()) || $1::jsonb) n
),
faults AS MATERIALIZED (
	@references
	UNION ALL
	SELECT '/status' FROM new WHERE new.status <> 'idea' AND NOT new.retrospective
),
made AS (
	INSERT INTO wardmote.consultation (id, partner_id, status, retrospective, cancelled_reason, @names)
	SELECT id, partner_id, status, retrospective, cancelled_reason, @names FROM new WHERE NOT EXISTS (SELECT FROM faults)
	RETURNING *
)
SELECT 201 AS status, @record AS body, r.version::text AS version, r.id::text AS id FROM made r
UNION ALL
SELECT 422, json_agg(pointer)::text, NULL, NULL FROM faults HAVING count(*) > 0
