-- $2 account.
WITH input AS (
	SELECT $1::jsonb AS body, $2::uuid AS id, $3::integer AS version
),
answer AS (
	SELECT r.status, r.body, r.etag, r.link FROM input CROSS JOIN LATERAL auth.secrets_end(input.id) AS r
)
