SELECT format('/members/%s/to', m.at - 1) AS pointer, 'order' AS code, 'to may not be before from' AS detail
FROM new CROSS JOIN LATERAL jsonb_array_elements(new.members) WITH ORDINALITY AS m (item, at)
WHERE (m.item ->> 'to')::date < (m.item ->> 'from')::date
UNION ALL
-- The same partner again only after its earlier membership ended.
SELECT format('/members/%s/partner_id', m.at - 1), 'duplicate', 'a partner has one membership at a time'
FROM new CROSS JOIN LATERAL jsonb_array_elements(new.members) WITH ORDINALITY AS m (item, at)
WHERE EXISTS (
	SELECT FROM jsonb_array_elements(new.members) WITH ORDINALITY AS n (item, at)
	WHERE n.at < m.at AND lower(n.item ->> 'partner_id') = lower(m.item ->> 'partner_id')
		AND coalesce((n.item ->> 'from')::date, '-infinity') <= coalesce((m.item ->> 'to')::date, 'infinity')
		AND coalesce((m.item ->> 'from')::date, '-infinity') <= coalesce((n.item ->> 'to')::date, 'infinity')
)
