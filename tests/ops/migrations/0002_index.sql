-- no-transaction
DROP INDEX CONCURRENTLY IF EXISTS demo.item_name;
CREATE INDEX CONCURRENTLY item_name
	ON demo.item (name);
