SELECT '/published_on' AS pointer, 'required' AS code, 'a published plan says when it was published' AS detail
FROM new WHERE new.status = 'published' AND new.published_on IS NULL
UNION ALL
SELECT format('/partner_contributors/%s/partner_id', p.at - 1), 'duplicate', 'a partner has each role once'
FROM new CROSS JOIN LATERAL jsonb_array_elements(new.partner_contributors) WITH ORDINALITY AS p (item, at)
WHERE EXISTS (SELECT FROM jsonb_array_elements(new.partner_contributors) WITH ORDINALITY AS e (item, at) WHERE e.at < p.at AND e.item = p.item)
UNION ALL
SELECT format('/group_contributors/%s/community_group_id', g.at - 1), 'duplicate', 'a group has each role once'
FROM new CROSS JOIN LATERAL jsonb_array_elements(new.group_contributors) WITH ORDINALITY AS g (item, at)
WHERE EXISTS (SELECT FROM jsonb_array_elements(new.group_contributors) WITH ORDINALITY AS e (item, at) WHERE e.at < g.at AND e.item = g.item)
