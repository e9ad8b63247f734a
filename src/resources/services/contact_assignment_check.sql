SELECT '/valid_to' AS pointer, 'order' AS code, 'valid_to may not be before valid_from' AS detail FROM new WHERE new.valid_to < new.valid_from
UNION ALL
SELECT '/locality_id', 'required', 'an assignment names a locality or a consultation'
FROM new WHERE new.locality_id IS NULL AND new.consultation_id IS NULL
UNION ALL
SELECT '/consultation_id', 'not_allowed', 'an assignment names a locality or a consultation, not both'
FROM new WHERE new.locality_id IS NOT NULL AND new.consultation_id IS NOT NULL
UNION ALL
SELECT '/locality_id', 'required', 'this role is one of a locality'
FROM new WHERE new.locality_id IS NULL AND new.consultation_id IS NOT NULL
	AND new.role IN ('locality_contact', 'councillor', 'neighbourhood_manager')
