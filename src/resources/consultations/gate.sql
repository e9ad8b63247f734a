-- What the state needs must stay: a change may not take the summary from an open consultation, or hide a planned one.
SELECT g.pointer, g.code, g.rule || ': ' || g.detail AS detail
FROM new CROSS JOIN LATERAL wardmote.consultation_gates(jsonb_populate_record(NULL::wardmote.consultation, to_jsonb(new))) AS g
WHERE EXISTS (SELECT FROM cur)
