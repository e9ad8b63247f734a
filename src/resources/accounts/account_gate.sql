-- Nobody could run the installation any more. Administrators, who alone can come here, see all accounts.
SELECT CASE WHEN new.disabled THEN '/disabled' ELSE '/role' END, 'last_administrator', 'the last active administrator stays one'
FROM new JOIN cur ON cur.id = new.id
WHERE cur.role = 'administrator' AND NOT cur.disabled AND (new.role <> 'administrator' OR new.disabled)
	AND NOT EXISTS (SELECT FROM api.account a WHERE a.role = 'administrator' AND NOT a.disabled AND a.id <> cur.id)
