SELECT '/locality_id' AS pointer, 'required' AS code, 'an item of the map has a locality, a point, or both' AS detail
FROM new WHERE new.locality_id IS NULL AND new.point IS NULL
UNION ALL
SELECT '/point', 'not_allowed', 'where a person is found is not recorded: name the locality' FROM new
WHERE new.kind = 'key_player_individual' AND new.point IS NOT NULL
UNION ALL
SELECT '/' || p.name, 'not_allowed', 'only a key_player_individual is a person'
FROM new CROSS JOIN LATERAL (VALUES ('person_name', new.person_name), ('person_role', new.person_role), ('person_contact', new.person_contact)) AS p (name, value)
WHERE new.kind <> 'key_player_individual' AND p.value IS NOT NULL
UNION ALL
-- R34: a private person is recorded with consent, purpose and end only, and made public only where the consent says so.
SELECT '/' || c.name, 'consent_required', 'a person is recorded in a public role (public_role), or with a consent: when it was given, for what, until when'
FROM new
CROSS JOIN LATERAL (VALUES ('consent_on', new.consent_on::text), ('consent_purpose', new.consent_purpose), ('consent_until', new.consent_until::text)) AS c (name, value)
WHERE new.kind = 'key_player_individual' AND NOT new.public_role AND c.value IS NULL
UNION ALL
SELECT '/visibility', 'consent_required', 'a person is public in a public role only, or with consent to that (consent_public)'
FROM new WHERE new.visibility = 'public' AND new.kind = 'key_player_individual' AND NOT new.public_role AND NOT new.consent_public
UNION ALL
SELECT '/consent_until', 'consent_required', 'the consent has ended: nothing about a person can be recorded with it'
FROM new LEFT JOIN cur ON true
WHERE new.consent_until < wardmote.today() AND ((new.person_name IS NOT NULL AND new.person_name IS DISTINCT FROM cur.person_name)
	OR (new.person_role IS NOT NULL AND new.person_role IS DISTINCT FROM cur.person_role)
	OR (new.person_contact IS NOT NULL AND new.person_contact IS DISTINCT FROM cur.person_contact))
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
SELECT '/person_name', 'not_allowed', 'only the owner of the record empties all that it says about a person'
FROM new JOIN cur ON cur.partner_id <> wardmote.ctx_partner()
WHERE num_nonnulls(cur.person_name, cur.person_role, cur.person_contact) > 0 AND num_nonnulls(new.person_name, new.person_role, new.person_contact) = 0
