WITH answer AS (
	SELECT 200 AS status, json_build_object('version', '3.0', 'profile', 'https://docs.openreferral.org/en/v3.0.0/',
		'openapi_url', wardmote.public_url() || '/openapi.json')::text AS body, NULL::text AS etag, NULL::text AS link
)
