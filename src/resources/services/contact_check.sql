-- R34: a person is named in a public role or with consent, what it is for and when it ends.
SELECT '/consent_on' AS pointer, 'consent_required' AS code,
	'a person is named in a public role, or with consent_on, consent_purpose and consent_until' AS detail
FROM new
WHERE num_nonnulls(new.name, new.phone, new.email) > 0 AND NOT new.public_role
	AND num_nulls(new.consent_on, new.consent_purpose, new.consent_until) > 0
UNION ALL
SELECT '/visibility', 'consent_required', 'to be named to everyone takes a public role or consent_public'
FROM new
WHERE new.visibility = 'public' AND num_nonnulls(new.name, new.phone, new.email) > 0 AND NOT new.public_role AND NOT new.consent_public
UNION ALL
SELECT '/consent_until', 'consent_required', 'the consent has ended: nothing about a person can be recorded with it'
FROM new LEFT JOIN cur ON true
WHERE new.consent_until < wardmote.today()
	AND ((new.name IS NOT NULL AND new.name IS DISTINCT FROM cur.name) OR (new.phone IS NOT NULL AND new.phone IS DISTINCT FROM cur.phone)
		OR (new.email IS NOT NULL AND new.email IS DISTINCT FROM cur.email))
UNION ALL
-- A consent of today can be withdrawn today, by an end in the past.
SELECT '/consent_until', 'order', 'consent_until lies after consent_on'
FROM new WHERE new.consent_until <= new.consent_on AND new.consent_until >= wardmote.today()
UNION ALL
-- A grant is not the person's consent: what hangs on it is the owner's to change, since an end erases for good.
SELECT '/' || c.name, 'not_allowed', 'only the owner of the record changes what it says about consent'
FROM new JOIN cur ON cur.partner_id <> wardmote.ctx_partner()
CROSS JOIN LATERAL (VALUES ('public_role', new.public_role IS DISTINCT FROM cur.public_role), ('consent_on', new.consent_on IS DISTINCT FROM cur.consent_on), ('consent_purpose', new.consent_purpose IS DISTINCT FROM cur.consent_purpose), ('consent_until', new.consent_until IS DISTINCT FROM cur.consent_until), ('consent_public', new.consent_public IS DISTINCT FROM cur.consent_public)) AS c (name, differs)
WHERE c.differs
UNION ALL
SELECT '/name', 'not_allowed', 'only the owner of the record empties all that it says about a person'
FROM new JOIN cur ON cur.partner_id <> wardmote.ctx_partner()
WHERE num_nonnulls(cur.name, cur.phone, cur.email) > 0 AND num_nonnulls(new.name, new.phone, new.email) = 0
