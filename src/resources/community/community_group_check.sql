SELECT '/valid_to' AS pointer, 'order' AS code, 'valid_to may not be before valid_from' AS detail FROM new WHERE new.valid_to < new.valid_from
UNION ALL
SELECT '/parent_id', 'cycle', 'a group cannot be a part of itself, directly or through its parents'
FROM new
WHERE EXISTS (
	WITH RECURSIVE above AS (
		SELECT g.id, g.parent_id FROM api.community_group g WHERE g.id = new.parent_id
		UNION
		SELECT g.id, g.parent_id FROM above JOIN api.community_group g ON g.id = above.parent_id
	)
	SELECT FROM above WHERE above.id = new.id
)
UNION ALL
SELECT format('/links/%s/group_id', l.at - 1), 'self', 'a group has no link to itself'
FROM new CROSS JOIN LATERAL jsonb_array_elements(new.links) WITH ORDINALITY AS l (item, at)
WHERE (l.item ->> 'group_id')::uuid = new.id
UNION ALL
SELECT format('/links/%s/group_id', l.at - 1), 'duplicate', 'each kind of link to a group is named once'
FROM new CROSS JOIN LATERAL jsonb_array_elements(new.links) WITH ORDINALITY AS l (item, at)
WHERE EXISTS (
	SELECT FROM jsonb_array_elements(new.links) WITH ORDINALITY AS e (item, at)
	WHERE e.at < l.at AND e.item -> 'group_id' = l.item -> 'group_id' AND e.item -> 'kind' = l.item -> 'kind'
)
UNION ALL
-- R34, as for items of the map.
SELECT '/' || c.name, 'consent_required', 'a person is named in a public role (public_role), or with a consent: when it was given, for what, until when'
FROM new
CROSS JOIN LATERAL (VALUES ('consent_on', new.consent_on::text), ('consent_purpose', new.consent_purpose), ('consent_until', new.consent_until::text)) AS c (name, value)
WHERE num_nonnulls(new.contact_name, new.contact_details) > 0 AND NOT new.public_role AND c.value IS NULL
UNION ALL
SELECT '/visibility', 'consent_required', 'a person is public in a public role only, or with consent to that (consent_public)'
FROM new
WHERE new.visibility = 'public' AND num_nonnulls(new.contact_name, new.contact_details) > 0 AND NOT new.public_role AND NOT new.consent_public
UNION ALL
SELECT '/consent_until', 'consent_required', 'the consent has ended: nothing about a person can be recorded with it'
FROM new LEFT JOIN cur ON true
WHERE new.consent_until < wardmote.today()
	AND ((new.contact_name IS NOT NULL AND new.contact_name IS DISTINCT FROM cur.contact_name)
		OR (new.contact_details IS NOT NULL AND new.contact_details IS DISTINCT FROM cur.contact_details))
UNION ALL
-- A consent of today can be withdrawn today, by an end in the past.
SELECT '/consent_until', 'order', 'a consent ends after the day on which it was given'
FROM new WHERE new.consent_until <= new.consent_on AND new.consent_until >= wardmote.today()
UNION ALL
SELECT '/last_verified_on', 'not_allowed', 'nothing was verified on a day to come' FROM new WHERE new.last_verified_on > wardmote.today()
UNION ALL
-- A grant is not the person's consent: what hangs on it is the owner's to change, since an end erases for good.
SELECT '/' || c.name, 'not_allowed', 'only the owner of the record changes what it says about consent'
FROM new JOIN cur ON cur.partner_id <> wardmote.ctx_partner()
CROSS JOIN LATERAL (VALUES ('public_role', new.public_role IS DISTINCT FROM cur.public_role), ('consent_on', new.consent_on IS DISTINCT FROM cur.consent_on), ('consent_purpose', new.consent_purpose IS DISTINCT FROM cur.consent_purpose), ('consent_until', new.consent_until IS DISTINCT FROM cur.consent_until), ('consent_public', new.consent_public IS DISTINCT FROM cur.consent_public)) AS c (name, differs)
WHERE c.differs
UNION ALL
SELECT '/contact_name', 'not_allowed', 'only the owner of the record empties all that it says about a person'
FROM new JOIN cur ON cur.partner_id <> wardmote.ctx_partner()
WHERE num_nonnulls(cur.contact_name, cur.contact_details) > 0 AND num_nonnulls(new.contact_name, new.contact_details) = 0
