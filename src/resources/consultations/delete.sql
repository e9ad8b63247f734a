-- Others may rely on what they have seen. The owner sees every version of its own record.
SELECT '/visibility' AS pointer, 'was_visible' AS code, 'a consultation that was ever shared or public is not deleted: cancel it with its reason' AS detail
FROM cur
WHERE EXISTS (SELECT FROM api.consultation_version v WHERE v.id = cur.id AND v.visibility <> 'private')
