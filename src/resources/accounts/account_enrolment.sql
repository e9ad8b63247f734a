-- $2 account; the code's hash is the setting wardmote.credential.
WITH input AS (
	SELECT $1::jsonb AS body, $2::uuid AS id, $3::integer AS version
),
answer AS (
	SELECT r.status, r.body, r.etag, r.link FROM input CROSS JOIN LATERAL auth.enrolment_create(input.id) AS r
)
