SELECT '/left_on' AS pointer, 'order' AS code, 'left_on may not be before joined_on' AS detail FROM new WHERE new.left_on < new.joined_on
UNION ALL
SELECT '/status', 'state', 'the host stays active' FROM new JOIN cur ON cur.id = new.id WHERE cur.host AND new.status <> 'active'
UNION ALL
SELECT '/parent_id', 'cycle', 'a partner cannot be a part of itself, directly or through its parents'
FROM new
WHERE EXISTS (
	WITH RECURSIVE above AS (
		SELECT p.id, p.parent_id FROM api.partner p WHERE p.id = new.parent_id
		UNION
		SELECT p.id, p.parent_id FROM above JOIN api.partner p ON p.id = above.parent_id
	)
	SELECT FROM above WHERE above.id = new.id
)
