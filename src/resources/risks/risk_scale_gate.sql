-- Risks of every partner count, also those that the caller does not see; the answer tells the values, which are the caller's own.
SELECT '/' || u.axis AS pointer, 'in_use' AS code, format('risks have the value %s', u.value) AS detail
FROM new JOIN cur ON cur.id = new.id CROSS JOIN LATERAL wardmote.risk_scale_lost(new.id, new.likelihood, new.impact) AS u (axis, value)
