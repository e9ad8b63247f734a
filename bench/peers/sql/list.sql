-- SPDX-License-Identifier: AGPL-3.0-or-later
-- A page: what each audience of the caller has (@branches), merged. `link` is the last row's place in the order when more follow.
WITH merged AS (SELECT b.* FROM (@branches) b ORDER BY b.sort_key @direction, b.id @direction LIMIT $1::integer + 1),
page AS (SELECT m.*, row_number() OVER (ORDER BY m.sort_key @direction, m.id @direction) AS row_n FROM merged m)
SELECT coalesce(string_agg(@record, ',' ORDER BY r.row_n), '') AS body,
	(SELECT l.sort_key::text || chr(31) || l.id FROM page l WHERE l.row_n = $1::integer AND EXISTS (SELECT FROM page n WHERE n.row_n > $1::integer)) AS link
FROM page r WHERE r.row_n <= $1::integer
