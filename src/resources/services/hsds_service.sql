WITH answer AS (
	SELECT 200 AS status, wardmote.hsds_service(s, true, true)::text AS body, NULL::text AS etag, NULL::text AS link
	FROM api.service_entry s WHERE s.id = $2 AND s.visibility = 'public'
)
