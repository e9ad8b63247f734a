CREATE SCHEMA demo;
CREATE TABLE demo.item (id integer PRIMARY KEY, name text);
INSERT INTO demo.item SELECT n, 'item ' || n FROM generate_series(1, 1000) AS n;
