-- no-transaction
DROP INDEX CONCURRENTLY IF EXISTS wardmote.community_by_next_note;
CREATE INDEX CONCURRENTLY community_by_next_note ON wardmote.community (audience, next_note, id, updated_at);
