SELECT '/risk_scale_id' AS pointer, 'in_use' AS code, 'the scale is fixed: risks of the register are scored on it' AS detail
FROM new JOIN cur ON cur.id = new.id
WHERE cur.risk_scale_id <> new.risk_scale_id AND wardmote.risk_register_scored(new.id)
