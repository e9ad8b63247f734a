-- $1 body, $2 account; the new secret's hash is the setting wardmote.credential.
WITH input AS (
	SELECT $1::jsonb AS body, $2::uuid AS id, $3::integer AS version
),
answer AS (
	SELECT r.status, r.body, r.etag, r.link
	FROM input CROSS JOIN LATERAL auth.secret_rotate(input.id, coalesce((input.body ->> 'grace_seconds')::integer, 86400)) AS r
)
