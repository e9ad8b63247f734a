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
