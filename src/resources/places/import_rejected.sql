-- What of the import $2 could not be taken, or not as it was, in the order of the file: a page of $4 rows after the $5th feature.
WITH cur AS (
	SELECT i.id FROM api.import i WHERE i.id = $2::uuid
), page AS (
	SELECT r.n, r.code, r.reason, r.detail FROM cur JOIN api.import_reject r ON r.import_id = cur.id
	WHERE r.n > coalesce($5::integer, 0) ORDER BY r.n LIMIT $4::integer + 1
), shown AS (
	SELECT * FROM page ORDER BY n LIMIT $4::integer
), answer AS (
	SELECT 200 AS status, '{"items":' || coalesce((SELECT json_agg(json_build_object('n', n, 'code', code, 'reason', reason, 'detail', detail)
			ORDER BY n)::text FROM shown), '[]') AS body,
		NULL::text AS etag, CASE WHEN (SELECT count(*) FROM page) > $4::integer THEN (SELECT max(n)::text FROM shown) || chr(31) || cur.id END AS link
	FROM cur
)
