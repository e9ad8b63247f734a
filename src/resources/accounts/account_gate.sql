-- Nobody could run the installation any more. Asked of administrators only, who see all accounts; a policy refuses everybody else.
SELECT CASE WHEN new.disabled THEN '/disabled' ELSE '/role' END, 'last_administrator', 'the last active administrator stays one'
FROM new JOIN cur ON cur.id = new.id
WHERE wardmote.ctx_rank() >= 4 AND cur.role = 'administrator' AND NOT cur.disabled AND (new.role <> 'administrator' OR new.disabled)
	AND NOT EXISTS (SELECT FROM api.account a WHERE a.role = 'administrator' AND NOT a.disabled AND a.id <> cur.id)
