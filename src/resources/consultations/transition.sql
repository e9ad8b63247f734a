-- Moves a consultation to the status $1.to. Every unmet gate of the target is named at once.
WITH cur AS (
	SELECT c.* FROM api.consultation c WHERE c.id = $2::uuid
), asked AS (
	SELECT cur.id, cur.version, cur.status AS source, cur.retrospective, $1::jsonb ->> 'to' AS target, $1::jsonb ->> 'reason' AS reason,
		wardmote.may_write(cur.partner_id, cur.writers) AS writable, cur.version = coalesce($3::integer, cur.version) AS current
	FROM cur
), new AS (
	-- The record as it would be, so that the gates see the reason too.
	SELECT jsonb_populate_record(NULL::wardmote.consultation, to_jsonb(cur) || jsonb_build_object(
		'status', a.target,
		'cancelled_reason', CASE a.target WHEN 'cancelled' THEN a.reason ELSE cur.cancelled_reason END,
		'closed_early_reason', CASE WHEN a.target = 'closed' AND cur.close_on > wardmote.today() THEN a.reason ELSE cur.closed_early_reason END
	)) AS record
	FROM cur JOIN asked a USING (id)
), faults AS (
	SELECT '/to' AS pointer, 'illegal_transition' AS code, 'life-cycle' AS rule,
		format('from %s a consultation moves to %s', a.source, coalesce(m.targets, 'no other status')) AS detail
	FROM asked a
	CROSS JOIN LATERAL (
		SELECT string_agg(t.target, ' or ' ORDER BY t.place) AS targets, coalesce(bool_or(t.target = a.target), false) AS legal
		FROM wardmote.consultation_moves(a.source, a.retrospective) AS t
	) AS m
	WHERE NOT m.legal
	UNION ALL
	SELECT g.pointer, g.code, g.rule, g.detail FROM new CROSS JOIN LATERAL wardmote.consultation_gates(new.record) AS g
), moved AS (
	UPDATE wardmote.consultation c
	SET status = (new.record).status, cancelled_reason = (new.record).cancelled_reason, closed_early_reason = (new.record).closed_early_reason
	FROM asked a, new
	WHERE c.id = a.id AND c.version = a.version AND a.writable AND a.current AND NOT EXISTS (SELECT FROM faults)
	RETURNING c.*
), answer AS (
	SELECT CASE WHEN r.id IS NOT NULL THEN 200 WHEN NOT a.writable THEN 403 WHEN NOT a.current THEN 412
			WHEN f.errors IS NOT NULL THEN 409 ELSE wardmote.again() END AS status,
		CASE WHEN r.id IS NOT NULL THEN @record::text WHEN a.writable AND a.current THEN f.errors END AS body,
		r.version::text AS etag, NULL::text AS link
	FROM asked a
	LEFT JOIN moved r ON true
	CROSS JOIN LATERAL (
		SELECT json_agg(json_build_object('pointer', pointer, 'code', code, 'rule', rule, 'detail', detail))::text AS errors FROM faults
	) AS f
)
