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

-- What a locality is ready to be worked with by: does it lack a plan that is agreed or published, a contact in force on the day, a map (an exercise that was held, or
-- an item), a need, a count of its people of the last 24 months? Of this very locality, as far as the caller sees; null where the token may not read what would tell.
CREATE FUNCTION wardmote.lacks(locality uuid, what text, day date) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT CASE what
		WHEN 'plan' THEN CASE WHEN wardmote.may_read('locality-plans') THEN NOT EXISTS (SELECT FROM api.locality_plan p
			WHERE p.locality_id = locality AND p.status IN ('agreed', 'published')) END
		WHEN 'contact' THEN CASE WHEN wardmote.may_read('contact-assignments') THEN NOT EXISTS (SELECT FROM api.contact_assignment a
			WHERE a.locality_id = locality AND a.valid_from <= day AND coalesce(a.valid_to, 'infinity') >= day) END
		WHEN 'map' THEN CASE WHEN wardmote.may_read('map-items') AND wardmote.may_read('mapping-exercises') THEN NOT EXISTS (SELECT FROM api.mapping_exercise e
			WHERE e.locality_id = locality AND e.status = 'held') AND NOT EXISTS (SELECT FROM api.map_item m WHERE m.locality_id = locality) END
		WHEN 'need' THEN CASE WHEN wardmote.may_read('needs') THEN NOT EXISTS (SELECT FROM api.need n WHERE n.locality_id = locality) END
		WHEN 'profile' THEN CASE WHEN wardmote.may_read('profile-values') THEN NOT EXISTS (SELECT FROM api.profile_value v
			WHERE v.locality_id = locality AND v.as_at > day - interval '24 months' AND v.as_at <= day) END
	END
$$;
GRANT EXECUTE ON FUNCTION wardmote.lacks(uuid, text, date) TO wardmote_api;
