-- SPDX-License-Identifier: AGPL-3.0-or-later
-- The JSON of a row `r` for a partner: its own records in full.
(CASE WHEN r.partner_id = (SELECT wardmote.ctx_partner()) THEN (SELECT row_to_json(o) FROM (SELECT @owner_fields @more) o)
	ELSE (SELECT row_to_json(o) FROM (SELECT @partner_fields @more) o) END)::text
