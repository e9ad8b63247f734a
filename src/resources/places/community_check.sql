SELECT '/locality_id' AS pointer, 'required' AS code, 'a community of place names its locality' AS detail FROM new WHERE new.kind = 'place' AND new.locality_id IS NULL
UNION ALL
SELECT '/place_basis', 'not_allowed', 'only a community of place has a place_basis' FROM new WHERE new.kind <> 'place' AND new.place_basis IS NOT NULL
