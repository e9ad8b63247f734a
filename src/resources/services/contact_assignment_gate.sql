-- R15, R26: one primary holder at a time. What the caller may not see, and what others do at the same moment, the table's trigger refuses.
SELECT '/is_primary' AS pointer, 'overlaps_in_time' AS code,
	format('assignment %s is the primary one for this role and place from %s to %s', o.id, o.valid_from, coalesce(o.valid_to::text, 'now on')) AS detail
FROM new
JOIN api.contact_assignment o ON o.partner_id = new.partner_id AND o.role = new.role AND o.id <> new.id
	AND (o.locality_id = new.locality_id OR o.consultation_id = new.consultation_id)
WHERE new.is_primary AND o.is_primary AND daterange(o.valid_from, o.valid_to, '[]') && daterange(new.valid_from, new.valid_to, '[]')
