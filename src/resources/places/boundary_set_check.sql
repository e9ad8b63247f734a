SELECT '/valid_to' AS pointer, 'order' AS code, 'valid_to may not be before valid_from' AS detail FROM new WHERE new.valid_to < new.valid_from
UNION ALL
SELECT '/code', 'not_allowed', 'the map has this name for something else: choose another code'
FROM new WHERE new.code LIKE 'map-items%' OR new.code IN ('consultations', 'activities')
