SELECT '/count' AS pointer, 'constraint' AS code, 'a count is at most its base' AS detail FROM new WHERE new.count > new.base
UNION ALL
SELECT '/retain_until', 'order', 'retain_until may not be before as_at' FROM new WHERE new.retain_until < new.as_at
UNION ALL
SELECT '/' || f.field, 'required', 'what a partner collected itself has a purpose and a day until which it is kept'
FROM new CROSS JOIN LATERAL (VALUES ('purpose', new.purpose IS NULL), ('retain_until', new.retain_until IS NULL)) AS f (field, lacks)
WHERE f.lacks AND new.source_kind NOT IN ('census', 'population_estimate', 'published_statistics')
UNION ALL
SELECT '/' || f.field, 'not_published', 'what a partner collected itself is seen by that partner alone'
FROM new CROSS JOIN LATERAL (VALUES ('visibility', new.visibility <> 'private'), ('grants', new.grants <> '[]')) AS f (field, shows)
WHERE f.shows AND new.source_kind NOT IN ('census', 'population_estimate', 'published_statistics')
