-- $4 resource, $5 record_id, $6 since; $7 limit, $8 and $9 the keys of the last row shown. The view has the rows of the caller's partner, for its managers.
WITH page AS (
	SELECT r.seq, r.record_id, row_number() OVER (ORDER BY r.seq DESC) AS row_n,
		json_build_object('at', to_char(r.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'account_id', r.account_id,
			'partner', json_build_object('id', r.partner_id, 'name', (SELECT p.name FROM api.partner p WHERE p.id = r.partner_id)),
			'resource', r.resource, 'record_id', r.record_id) AS item
	FROM api.personal_read r
	WHERE wardmote.may_read(r.resource) AND ($4::text IS NULL OR r.resource = $4) AND ($5::text IS NULL OR r.record_id = $5::uuid)
		AND ($6::text IS NULL OR r.at >= $6::timestamptz) AND ($8::text IS NULL OR r.seq < $8::bigint) AND ($9::text IS NULL OR $9 <> '')
	ORDER BY r.seq DESC LIMIT $7::integer + 1
), answer AS (
	SELECT 200 AS status, '{"items":[' || coalesce(string_agg(p.item::text, ',' ORDER BY p.row_n) FILTER (WHERE p.row_n <= $7::integer), '') || ']' AS body,
		NULL::text AS etag, max(p.seq || chr(31) || p.record_id) FILTER (WHERE p.row_n = $7::integer AND EXISTS (SELECT FROM page n WHERE n.row_n > $7::integer)) AS link
	FROM page p
)
