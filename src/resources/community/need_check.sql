SELECT '/locality_id' AS pointer, 'required' AS code, 'a need has a locality, a community, or both' AS detail
FROM new WHERE new.locality_id IS NULL AND new.community_id IS NULL
UNION ALL
SELECT '/reason', 'required', 'a need that was declined has a reason' FROM new WHERE new.status = 'declined' AND new.reason IS NULL
