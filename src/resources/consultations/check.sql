-- Dates that one PATCH brings out of order with stored ones.
SELECT '/close_on' AS pointer, 'order' AS code, 'close_on may not be before open_on' AS detail FROM new WHERE new.close_on < new.open_on
UNION ALL
SELECT '/open_on', 'order', 'open_on may not be before announced_on' FROM new WHERE new.open_on < new.announced_on
UNION ALL
SELECT '/feedback_due_on', 'order', 'feedback_due_on may not be before close_on' FROM new WHERE new.feedback_due_on < new.close_on
UNION ALL
-- A record of the past says up to when it is known; nothing else does.
SELECT '/as_at', 'required', 'a retrospective record has an as_at date' FROM new WHERE new.retrospective AND new.as_at IS NULL
UNION ALL
SELECT '/as_at', 'not_allowed', 'only a retrospective record has an as_at date' FROM new WHERE NOT new.retrospective AND new.as_at IS NOT NULL
UNION ALL
SELECT '/status', 'state', 'a consultation starts as an idea and moves by POST /v1/consultations/{id}/transitions'
FROM new WHERE NOT new.retrospective AND new.status <> 'idea' AND NOT EXISTS (SELECT FROM cur)
UNION ALL
SELECT '/status', 'state', 'a retrospective record cannot be open' FROM new WHERE new.retrospective AND new.status = 'open'
UNION ALL
SELECT '/cancelled_reason', 'not_allowed', 'only a cancelled consultation has a cancelled_reason'
FROM new WHERE new.status <> 'cancelled' AND new.cancelled_reason IS NOT NULL
UNION ALL
SELECT '/round_of_id', 'self', 'a consultation cannot be a round of itself' FROM new WHERE new.round_of_id = new.id
UNION ALL
SELECT format('/partners/%s/partner_id', p.at - 1), 'duplicate', 'a partner takes part once'
FROM new CROSS JOIN LATERAL jsonb_array_elements(new.partners) WITH ORDINALITY AS p (item, at)
WHERE EXISTS (
	SELECT FROM jsonb_array_elements(new.partners) WITH ORDINALITY AS q (item, at)
	WHERE q.at < p.at AND lower(q.item ->> 'partner_id') = lower(p.item ->> 'partner_id')
)
UNION ALL
SELECT format('/partners/%s/role', p.at - 1), 'duplicate', 'one partner leads'
FROM new CROSS JOIN LATERAL jsonb_array_elements(new.partners) WITH ORDINALITY AS p (item, at)
WHERE p.item ->> 'role' = 'lead' AND EXISTS (
	SELECT FROM jsonb_array_elements(new.partners) WITH ORDINALITY AS q (item, at)
	WHERE q.at < p.at AND q.item ->> 'role' = 'lead'
)
