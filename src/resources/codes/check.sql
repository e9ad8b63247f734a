SELECT '/maps_to' AS pointer, 'not_allowed' AS code, 'a shared code maps to none' AS detail
FROM new WHERE new.partner_id IS NULL AND new.maps_to IS NOT NULL
UNION ALL
SELECT '/maps_to', 'not_found', 'there is no shared code of this name in the list'
FROM new
WHERE new.partner_id IS NOT NULL AND new.maps_to IS NOT NULL
	AND NOT EXISTS (SELECT FROM api.code c WHERE c.partner_id IS NULL AND c.list = new.list AND c.code = new.maps_to)
