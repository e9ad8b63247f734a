INSERT INTO demo.item VALUES (0, 'must not stay');
DELETE FROM demo.item WHERE id = 0 AND (SELECT count(*) FROM demo.permission) > 0;
