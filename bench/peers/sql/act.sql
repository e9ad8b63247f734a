-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Who acts, until the end of the transaction: the token's account, epoch and scopes. No row: the token does not hold any more.
SELECT set_config('wardmote.account', a.id::text, true), set_config('wardmote.partner', a.partner_id::text, true),
	set_config('wardmote.rank', a.rank::text, true), set_config('wardmote.scopes', $3::text, true)
FROM api.acting a WHERE a.id = $1::uuid AND a.epoch = $2::int
