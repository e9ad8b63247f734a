-- A partner's own code beside a shared one of the same name would leave open which of the two a record means.
SELECT '/code' AS pointer, 'not_unique' AS code, 'the network already shares a code of this name in the list' AS detail
FROM new
WHERE new.partner_id IS NOT NULL AND NOT EXISTS (SELECT FROM cur)
	AND EXISTS (SELECT FROM api.code c WHERE c.partner_id IS NULL AND c.list = new.list AND c.code = new.code)
