-- SPDX-License-Identifier: AGPL-3.0-or-later
-- As act.sql, for the token of a person who signed in: while the session ($4) holds.
SELECT set_config('wardmote.account', a.id::text, true), set_config('wardmote.partner', a.partner_id::text, true),
	set_config('wardmote.rank', a.rank::text, true), set_config('wardmote.scopes', $3::text, true)
FROM api.acting a WHERE a.id = $1::uuid AND a.epoch = $2::int AND EXISTS (SELECT FROM api.acting_session s WHERE s.id = $4::uuid AND s.account_id = a.id)
