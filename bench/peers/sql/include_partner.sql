-- SPDX-License-Identifier: AGPL-3.0-or-later
, (SELECT row_to_json(s) FROM (SELECT i.id, i.name, i.kind FROM api.partner i WHERE i.id = r.partner_id) s) AS partner
