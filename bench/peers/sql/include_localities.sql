-- SPDX-License-Identifier: AGPL-3.0-or-later
, (SELECT coalesce(json_agg(row_to_json(s) ORDER BY u.n), '[]') FROM unnest(r.locality_ids) WITH ORDINALITY u (id, n)
	CROSS JOIN LATERAL (SELECT i.id, i.code, i.name FROM api.locality i WHERE i.id = u.id OFFSET 0) s) AS localities
