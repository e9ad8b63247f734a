WITH answer AS (
	SELECT 200 AS status, wardmote.hsds_organization(p.id)::text AS body, NULL::text AS etag, NULL::text AS link
	FROM api.partner p WHERE p.id = $2 AND EXISTS (SELECT FROM api.service_entry s WHERE s.partner_id = p.id AND s.visibility = 'public')
)
