SELECT '/valid_to' AS pointer, 'order' AS code, 'valid_to may not be before valid_from' AS detail FROM new WHERE new.valid_to < new.valid_from
UNION ALL
SELECT '/changed_on', 'order', 'changed_on may not be before valid_from' FROM new WHERE new.changed_on < new.valid_from
UNION ALL
SELECT '/codes/' || c.n - 1 || '/scheme', 'duplicate', 'a scheme is named once'
FROM new CROSS JOIN LATERAL (
	SELECT v.n, row_number() OVER (PARTITION BY v.e ->> 'scheme' ORDER BY v.n) AS nth FROM jsonb_array_elements(new.codes) WITH ORDINALITY v (e, n)
) c WHERE c.nth > 1
UNION ALL
SELECT '/codes/' || v.n - 1 || '/scheme', 'format', 'the name of a scheme has no colon'
FROM new CROSS JOIN LATERAL jsonb_array_elements(new.codes) WITH ORDINALITY v (e, n) WHERE v.e ->> 'scheme' LIKE '%:%'
UNION ALL
SELECT '/successor_ids', 'self', 'a locality cannot be its own successor' FROM new WHERE new.id = ANY (new.successor_ids)
UNION ALL
SELECT '/parent_id', 'cycle', 'a locality cannot lie within itself, directly or through its parents'
FROM new
WHERE EXISTS (
	WITH RECURSIVE above AS (
		SELECT l.id, l.parent_id FROM api.locality l WHERE l.id = new.parent_id
		UNION
		SELECT l.id, l.parent_id FROM above JOIN api.locality l ON l.id = above.parent_id
	)
	SELECT FROM above WHERE above.id = new.id
)
