SELECT '/locality_id' AS pointer, 'required' AS code, 'a community of place names its locality' AS detail FROM new WHERE new.kind = 'place' AND new.locality_id IS NULL
UNION ALL
SELECT '/place_basis', 'not_allowed', 'only a community of place has a place_basis' FROM new WHERE new.kind <> 'place' AND new.place_basis IS NOT NULL
UNION ALL
SELECT format('/basis/%s', b.at - 1), 'enum', 'one of interests, circumstances, backgrounds, disadvantage, need, aspiration, concern'
FROM new CROSS JOIN LATERAL unnest(new.basis) WITH ORDINALITY AS b (word, at)
WHERE b.word <> ALL ('{interests,circumstances,backgrounds,disadvantage,need,aspiration,concern}')
UNION ALL
SELECT format('/basis/%s', b.at - 1), 'duplicate', 'each basis is named once'
FROM new CROSS JOIN LATERAL unnest(new.basis) WITH ORDINALITY AS b (word, at)
WHERE EXISTS (SELECT FROM unnest(new.basis) WITH ORDINALITY AS e (word, at) WHERE e.at < b.at AND e.word = b.word)
UNION ALL
SELECT '/profile_dimension', 'required', 'a profile_category belongs to a profile_dimension'
FROM new WHERE new.profile_category IS NOT NULL AND new.profile_dimension IS NULL
