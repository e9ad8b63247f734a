-- Notes that a table of postcodes has arrived: its length is in $1, $4 is its layout.
WITH made AS (
	INSERT INTO wardmote.import (partner_id, visibility, kind, bytes, settings)
	SELECT wardmote.ctx_partner(), 'private', 'postcodes', ($1::jsonb ->> 'bytes')::bigint, jsonb_strip_nulls(jsonb_build_object('layout', $4::text,
		'as_at', $5::text, 'source', $6::text, 'accept_rest', coalesce($7::text, 'false'),
		'columns', CASE $4::text WHEN 'code-point-open' THEN 'postcode,quality,easting,northing' END,
		'required', CASE $4::text WHEN 'onspd' THEN 'lat,long' END))
	WHERE wardmote.may_administer()
	RETURNING id
), answer AS (
	SELECT 202 AS status, NULL::text AS body, NULL::text AS etag, '/v1/imports/' || id AS link FROM made
)
