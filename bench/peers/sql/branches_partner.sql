-- SPDX-License-Identifier: AGPL-3.0-or-later
(@rows WHERE t.audience = '00000000-0000-0000-0000-000000000001'::uuid @rest)
UNION ALL
(@rows WHERE t.audience = '00000000-0000-0000-0000-000000000002'::uuid @rest)
UNION ALL
(@rows WHERE t.audience = (SELECT wardmote.ctx_partner()) @rest)
UNION ALL
(@rows WHERE t.readers @> ARRAY[(SELECT wardmote.ctx_partner())] AND t.grants <> '[]' AND t.visibility = 'private'
	AND t.partner_id <> (SELECT wardmote.ctx_partner()) @rest)
