-- What it was made from and what became of it, step by step. $2 the locality. Ten steps are enough for any history, and bound one that goes in a circle.
WITH RECURSIVE asked AS (
	SELECT l.id FROM api.locality l WHERE l.id = $2
), earlier AS (
	SELECT a.id, 0 AS depth FROM asked a
	UNION
	SELECT p.id, e.depth + 1 FROM earlier e JOIN api.locality p ON p.successor_ids @> ARRAY[e.id] WHERE e.depth < 10
), later AS (
	SELECT a.id, 0 AS depth FROM asked a
	UNION
	SELECT s.id, e.depth + 1
	FROM later e JOIN api.locality p ON p.id = e.id CROSS JOIN LATERAL unnest(p.successor_ids) AS named (id) JOIN api.locality s ON s.id = named.id
	WHERE e.depth < 10
), reached AS (
	SELECT e.id, min(e.depth) AS depth FROM later e GROUP BY e.id
), step AS (
	SELECT DISTINCT ON (n.id) n.id, n.depth, p.change_kind, coalesce(p.changed_on, p.valid_to + 1) AS changed_on
	FROM reached e JOIN api.locality p ON p.id = e.id CROSS JOIN LATERAL unnest(p.successor_ids) AS named (id)
	JOIN reached n ON n.id = named.id AND n.depth = e.depth + 1
	ORDER BY n.id, 4, p.id
), predecessors AS (
	SELECT l.id, l.code, l.name, l.boundary_set_id, l.change_kind, coalesce(l.changed_on, l.valid_to + 1) AS changed_on, n.depth
	FROM (SELECT e.id, min(e.depth) AS depth FROM earlier e GROUP BY e.id) n JOIN api.locality l ON l.id = n.id
	WHERE n.depth > 0
), successors AS (
	SELECT l.id, l.code, l.name, l.boundary_set_id, step.change_kind, step.changed_on, step.depth
	FROM step JOIN api.locality l ON l.id = step.id
), answer AS (
	SELECT 200 AS status, json_build_object(
		'predecessors', (SELECT coalesce(json_agg(row_to_json(p) ORDER BY p.depth, p.changed_on DESC, p.code, p.id), '[]') FROM predecessors p),
		'successors', (SELECT coalesce(json_agg(row_to_json(s) ORDER BY s.depth, s.changed_on, s.code, s.id), '[]') FROM successors s))::text AS body,
		NULL::text AS etag, NULL::text AS link
	FROM asked
)
