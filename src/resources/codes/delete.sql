SELECT '/code' AS pointer, 'in_use' AS code, format('%s records hold this code', u.n) AS detail
FROM cur CROSS JOIN LATERAL wardmote.code_uses(cur.list, cur.code, cur.partner_id) AS u (n)
WHERE u.n > 0
