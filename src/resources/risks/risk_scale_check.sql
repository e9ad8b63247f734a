SELECT format('/likelihood/%s/value', s.at - 1) AS pointer, 'duplicate' AS code, 'a value occurs once' AS detail
FROM new CROSS JOIN LATERAL jsonb_array_elements(new.likelihood) WITH ORDINALITY AS s (step, at)
WHERE EXISTS (
	SELECT FROM jsonb_array_elements(new.likelihood) WITH ORDINALITY AS e (step, at)
	WHERE e.at < s.at AND e.step -> 'value' = s.step -> 'value'
)
UNION ALL
SELECT format('/impact/%s/value', s.at - 1), 'duplicate', 'a value occurs once'
FROM new CROSS JOIN LATERAL jsonb_array_elements(new.impact) WITH ORDINALITY AS s (step, at)
WHERE EXISTS (
	SELECT FROM jsonb_array_elements(new.impact) WITH ORDINALITY AS e (step, at)
	WHERE e.at < s.at AND e.step -> 'value' = s.step -> 'value'
)
