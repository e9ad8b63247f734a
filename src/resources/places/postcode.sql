-- Where a postcode is, and in which localities of every set. $4 the postcode, $5 the day whose boundaries are asked for (null: all editions).
WITH found AS (
	SELECT p.postcode, p.point, p.quality, p.as_at, p.source FROM api.postcode p WHERE p.postcode = wardmote.postcode_key($4)
), within AS (
	SELECT l.id, l.code, l.name, CASE WHEN wardmote.may_read('boundary-sets') THEN (
		SELECT row_to_json(shown) FROM (SELECT s.id, s.code, s.name, s.tier, s.attribution, s.licence FROM api.boundary_set s WHERE s.id = l.boundary_set_id) shown
	) END AS boundary_set
	FROM found f JOIN api.locality l ON l.geometry && f.point AND ST_Covers(l.geometry, f.point)
	WHERE $5 IS NULL OR (coalesce(l.valid_from, '-infinity') <= $5::date AND coalesce(l.valid_to, l.changed_on - 1, 'infinity') >= $5::date
		AND NOT EXISTS (SELECT FROM api.boundary_set s WHERE s.id = l.boundary_set_id
			AND ((l.valid_from IS NULL AND s.valid_from > $5::date) OR (coalesce(l.valid_to, l.changed_on) IS NULL AND s.valid_to < $5::date))))
), answer AS (
	SELECT 200 AS status, json_build_object('postcode', regexp_replace(f.postcode, '(...)$', ' \1'), 'point', ST_AsGeoJSON(f.point, 6)::json,
		'quality', f.quality, 'as_at', f.as_at, 'source', f.source,
		'localities', (SELECT coalesce(json_agg(row_to_json(w) ORDER BY w.boundary_set ->> 'code', w.code, w.id), '[]') FROM within w))::text AS body,
		NULL::text AS etag, NULL::text AS link
	FROM found f
)
