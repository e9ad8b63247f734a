-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Reads across tables: what is near, who is missing, the profile of a place. What they share, and the indexes that they go by.

-- A date that a source gives by its month or year is stored as that one's first day: this is its last.
CREATE FUNCTION wardmote.last_day(day date, exactness text) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE exactness WHEN 'month' THEN (day + interval '1 month' - interval '1 day')::date WHEN 'year' THEN (day + interval '1 year' - interval '1 day')::date
		ELSE day END
$$;

-- Does a locality exist on a day? As it says itself, else as its boundary set does.
CREATE FUNCTION wardmote.in_force(valid_from date, valid_to date, changed_on date, boundary_set uuid, day date) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(valid_from, '-infinity') <= day AND coalesce(valid_to, changed_on - 1, 'infinity') >= day AND NOT EXISTS (
		SELECT FROM api.boundary_set s WHERE s.id = boundary_set AND ((in_force.valid_from IS NULL AND s.valid_from > day)
			OR (coalesce(in_force.valid_to, changed_on) IS NULL AND s.valid_to < day)))
$$;
GRANT EXECUTE ON FUNCTION wardmote.last_day(date, text), wardmote.in_force(date, date, date, uuid, date) TO wardmote_api;
