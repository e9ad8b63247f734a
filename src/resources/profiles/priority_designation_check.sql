SELECT '/valid_to' AS pointer, 'order' AS code, 'valid_to may not be before valid_from' AS detail FROM new WHERE new.valid_to < new.valid_from
UNION ALL
SELECT '/locality_id', 'required', 'a designation names a locality or a community' FROM new WHERE new.locality_id IS NULL AND new.community_id IS NULL
UNION ALL
SELECT '/community_id', 'not_allowed', 'a designation names a locality or a community, not both'
FROM new WHERE new.locality_id IS NOT NULL AND new.community_id IS NOT NULL
UNION ALL
SELECT '/reason_text', 'required', 'the reason other is told in reason_text' FROM new WHERE new.reason = 'other' AND new.reason_text IS NULL
UNION ALL
SELECT '/' || f.field, 'evidence_required', f.detail
FROM new CROSS JOIN LATERAL (VALUES
	('index_name', new.index_name IS NULL, 'the reason deprivation_index names the index'),
	('evidence_date', new.evidence_date IS NULL, 'the reason deprivation_index has the day of its evidence'),
	('rank', new.rank IS NULL AND new.score IS NULL, 'the reason deprivation_index has a rank or a score')
) AS f (field, is_missing, detail)
WHERE new.reason = 'deprivation_index' AND f.is_missing
