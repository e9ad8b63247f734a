SELECT '/standard' AS pointer, 'required' AS code, 'a day of publication belongs to a standard' AS detail
FROM new WHERE new.standard IS NULL AND new.standard_published_on IS NOT NULL
