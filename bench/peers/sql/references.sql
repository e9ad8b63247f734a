-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Places in the record `new` that refer to what the caller cannot see, or that contradict each other.
SELECT '/topics/' || u.n - 1 AS pointer FROM new CROSS JOIN LATERAL unnest(new.topics) WITH ORDINALITY u (code, n)
	WHERE NOT EXISTS (SELECT FROM api.code o WHERE o.list = 'topic' AND o.code = u.code)
UNION ALL
SELECT '/audiences/' || u.n - 1 FROM new CROSS JOIN LATERAL unnest(new.audiences) WITH ORDINALITY u (code, n)
	WHERE NOT EXISTS (SELECT FROM api.code o WHERE o.list = 'audience' AND o.code = u.code)
UNION ALL
SELECT '/methods/' || u.n - 1 FROM new CROSS JOIN LATERAL unnest(new.methods) WITH ORDINALITY u (code, n)
	WHERE NOT EXISTS (SELECT FROM api.code o WHERE o.list = 'method' AND o.code = u.code)
UNION ALL
SELECT '/locality_ids/' || u.n - 1 FROM new CROSS JOIN LATERAL unnest(new.locality_ids) WITH ORDINALITY u (id, n)
	WHERE NOT EXISTS (SELECT FROM api.locality o WHERE o.id = u.id)
UNION ALL
SELECT '/community_ids/' || u.n - 1 FROM new CROSS JOIN LATERAL unnest(new.community_ids) WITH ORDINALITY u (id, n)
	WHERE NOT EXISTS (SELECT FROM api.community o WHERE o.id = u.id)
UNION ALL
SELECT '/grants/' || u.n - 1 FROM new CROSS JOIN LATERAL jsonb_array_elements(new.grants) WITH ORDINALITY u (item, n)
	WHERE NOT EXISTS (SELECT FROM api.partner o WHERE o.id = (u.item ->> 'partner_id')::uuid)
UNION ALL
SELECT '/partners/' || u.n - 1 FROM new CROSS JOIN LATERAL jsonb_array_elements(new.partners) WITH ORDINALITY u (item, n)
	WHERE NOT EXISTS (SELECT FROM api.partner o WHERE o.id = (u.item ->> 'partner_id')::uuid)
	OR EXISTS (SELECT FROM jsonb_array_elements(new.partners) WITH ORDINALITY v (item, n)
		WHERE v.n < u.n AND (v.item -> 'partner_id' = u.item -> 'partner_id' OR v.item ->> 'role' = 'lead' AND u.item ->> 'role' = 'lead'))
UNION ALL
SELECT '/round_of_id' FROM new WHERE new.round_of_id IS NOT NULL AND NOT EXISTS (SELECT FROM api.consultation o WHERE o.id = new.round_of_id)
UNION ALL
SELECT '/service_area_id' FROM new WHERE new.service_area_id IS NOT NULL AND NOT EXISTS (SELECT FROM api.service_area o WHERE o.id = new.service_area_id)
UNION ALL
SELECT '/lead_contact_id' FROM new WHERE new.lead_contact_id IS NOT NULL AND NOT EXISTS (SELECT FROM api.contact o WHERE o.id = new.lead_contact_id)
UNION ALL
SELECT '/sponsor_contact_id' FROM new WHERE new.sponsor_contact_id IS NOT NULL AND NOT EXISTS (SELECT FROM api.contact o WHERE o.id = new.sponsor_contact_id)
UNION ALL
SELECT '/referral_contact_id' FROM new WHERE new.referral_contact_id IS NOT NULL AND NOT EXISTS (SELECT FROM api.contact o WHERE o.id = new.referral_contact_id)
