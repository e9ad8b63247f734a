SELECT '/valid_to' AS pointer, 'order' AS code, 'valid_to may not be before valid_from' AS detail FROM new WHERE new.valid_to < new.valid_from
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
