SELECT '/impact' AS pointer, 'required' AS code, 'likelihood and impact are given together or not at all' AS detail
FROM new WHERE new.likelihood IS NOT NULL AND new.impact IS NULL
UNION ALL
SELECT '/likelihood', 'required', 'likelihood and impact are given together or not at all'
FROM new WHERE new.likelihood IS NULL AND new.impact IS NOT NULL
UNION ALL
-- The scale may be hidden from the caller; who may write to a register, or to a risk in it, may know its scale.
SELECT '/' || m.axis, 'not_in_scale', format('the scale of the register allows %s', m.allowed)
FROM new
JOIN api.risk_register r ON r.id = new.risk_register_id
CROSS JOIN LATERAL wardmote.risk_scale_misses(r.risk_scale_id, new.likelihood, new.impact) AS m (axis, allowed)
WHERE wardmote.may_write(r.partner_id, r.writers) OR EXISTS (SELECT FROM cur WHERE cur.risk_register_id = r.id)
