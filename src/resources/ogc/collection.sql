-- One collection. $4 its id.
WITH answer AS (
	SELECT 200 AS status, wardmote.ogc_describe(c)::text AS body, NULL::text AS etag, NULL::text AS link FROM api.ogc_collection c WHERE c.id = $4
)
