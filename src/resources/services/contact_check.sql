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
SELECT '/consent_until', 'order', 'consent_until lies after consent_on' FROM new WHERE new.consent_until <= new.consent_on
