SELECT '/ends_on' AS pointer, 'order' AS code, 'ends_on may not be before starts_on' AS detail FROM new WHERE new.ends_on < new.starts_on
UNION ALL
-- An activity of several days may end in the morning.
SELECT '/end_time', 'order', 'end_time may not be before start_time on the same day'
FROM new WHERE new.end_time < new.start_time AND coalesce(new.ends_on = new.starts_on, new.ends_on IS NULL)
UNION ALL
SELECT '/cancelled_reason', 'not_allowed', 'only a cancelled activity has a cancelled_reason'
FROM new WHERE new.status <> 'cancelled' AND new.cancelled_reason IS NOT NULL
UNION ALL
SELECT '/as_at', 'required', 'a retrospective record has an as_at date' FROM new WHERE new.retrospective AND new.as_at IS NULL
UNION ALL
SELECT '/as_at', 'not_allowed', 'only a retrospective record has an as_at date' FROM new WHERE NOT new.retrospective AND new.as_at IS NOT NULL
UNION ALL
SELECT format('/locality_shares/%s/locality_id', s.at - 1), 'shares', 'a share is of one of locality_ids'
FROM new CROSS JOIN LATERAL jsonb_array_elements(new.locality_shares) WITH ORDINALITY AS s (item, at)
WHERE NOT (s.item ->> 'locality_id')::uuid = ANY (new.locality_ids)
UNION ALL
SELECT format('/locality_shares/%s/locality_id', s.at - 1), 'duplicate', 'a locality has one share'
FROM new CROSS JOIN LATERAL jsonb_array_elements(new.locality_shares) WITH ORDINALITY AS s (item, at)
WHERE EXISTS (
	SELECT FROM jsonb_array_elements(new.locality_shares) WITH ORDINALITY AS e (item, at)
	WHERE e.at < s.at AND e.item ->> 'locality_id' = s.item ->> 'locality_id'
)
UNION ALL
SELECT '/locality_shares', 'shares', format('the shares add up to 1, not to %s', trim_scale(total.share))
FROM new CROSS JOIN LATERAL (SELECT sum((e.item ->> 'share')::numeric) AS share FROM jsonb_array_elements(new.locality_shares) AS e (item)) AS total
WHERE abs(total.share - 1) > 0.001
