-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Activities, and what holds a code.

CREATE TABLE wardmote.activity (
	title               text COLLATE "und-x-icu" NOT NULL CONSTRAINT activity_title CHECK (char_length(title) BETWEEN 1 AND 200),
	kind                text NOT NULL CONSTRAINT activity_kind CHECK (kind IN ('event', 'meeting', 'workshop', 'visit', 'survey', 'submission', 'panel',
		'grant', 'publication', 'community_development', 'capacity_building', 'co_production', 'facility_access', 'training', 'outreach',
		'brokering', 'democracy', 'other')),
	description         text CONSTRAINT activity_description CHECK (char_length(description) BETWEEN 1 AND 4000),
	status              text NOT NULL DEFAULT 'planned' CONSTRAINT activity_status CHECK (status IN ('planned', 'held', 'cancelled')),
	cancelled_reason    text CONSTRAINT activity_cancelled_reason CHECK (char_length(cancelled_reason) BETWEEN 1 AND 4000),
	consultation_id     uuid,
	delivery            text CONSTRAINT activity_delivery CHECK (delivery IN ('direct', 'signposted', 'joint')),
	led_by              text CONSTRAINT activity_led_by CHECK (led_by IN ('partner', 'joint', 'community')),
	starts_on           date,
	starts_on_precision text NOT NULL DEFAULT 'day' CONSTRAINT activity_starts_on_precision CHECK (starts_on_precision IN ('day', 'month', 'year')),
	ends_on             date,
	ends_on_precision   text NOT NULL DEFAULT 'day' CONSTRAINT activity_ends_on_precision CHECK (ends_on_precision IN ('day', 'month', 'year')),
	start_time          time,
	end_time            time,
	when_text           text CONSTRAINT activity_when_text CHECK (char_length(when_text) BETWEEN 1 AND 500),
	recurrence          text CONSTRAINT activity_recurrence CHECK (char_length(recurrence) BETWEEN 1 AND 500),
	venue               text CONSTRAINT activity_venue CHECK (char_length(venue) BETWEEN 1 AND 500),
	point               public.geometry(Point, 4326),
	accessibility       text CONSTRAINT activity_accessibility CHECK (char_length(accessibility) BETWEEN 1 AND 4000),
	contact             text CONSTRAINT activity_contact CHECK (char_length(contact) BETWEEN 1 AND 500),
	locality_ids        uuid[] NOT NULL DEFAULT '{}' CONSTRAINT activity_locality_ids CHECK (cardinality(locality_ids) <= 500),
	community_ids       uuid[] NOT NULL DEFAULT '{}' CONSTRAINT activity_community_ids CHECK (cardinality(community_ids) <= 100),
	topics              text[] NOT NULL DEFAULT '{}' CONSTRAINT activity_topics CHECK (cardinality(topics) <= 20),
	audiences           text[] NOT NULL DEFAULT '{}' CONSTRAINT activity_audiences CHECK (cardinality(audiences) <= 50),
	methods             text[] NOT NULL DEFAULT '{}' CONSTRAINT activity_methods CHECK (cardinality(methods) <= 20),
	level               text CONSTRAINT activity_level CHECK (char_length(level) BETWEEN 1 AND 100),
	attended            integer CONSTRAINT activity_attended CHECK (attended BETWEEN 0 AND 10000000),
	hours               integer CONSTRAINT activity_hours CHECK (hours BETWEEN 0 AND 1000000),
	outcome             text CONSTRAINT activity_outcome CHECK (char_length(outcome) BETWEEN 1 AND 4000),
	notes               text CONSTRAINT activity_notes CHECK (char_length(notes) BETWEEN 1 AND 4000),
	retrospective       boolean NOT NULL DEFAULT false,
	as_at               date,
	-- An undated activity comes after all dated ones.
	starts_on_sort      date NOT NULL GENERATED ALWAYS AS (coalesce(starts_on, 'infinity'::date)) STORED,
	search              tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig,
		title || ' ' || coalesce(description, '') || ' ' || coalesce(venue, '') || ' ' || coalesce(outcome, ''))) STORED,
	CONSTRAINT activity_ends_on_order CHECK (ends_on >= starts_on),
	CONSTRAINT activity_end_time_order CHECK (end_time >= start_time OR ends_on <> starts_on),
	CONSTRAINT activity_as_at_retrospective CHECK (retrospective = (as_at IS NOT NULL)),
	CONSTRAINT activity_cancelled_reason_status CHECK (cancelled_reason IS NULL OR status = 'cancelled')
);
SELECT wardmote.protect('activity', 'owned');
CREATE INDEX activity_by_starts_on ON wardmote.activity (audience, starts_on_sort, id);
CREATE INDEX activity_by_title ON wardmote.activity (audience, title, id);
CREATE INDEX activity_by_updated_at ON wardmote.activity (audience, updated_at, id);
CREATE INDEX activity_topics ON wardmote.activity USING gin (topics);
CREATE INDEX activity_audiences ON wardmote.activity USING gin (audiences);
CREATE INDEX activity_point ON wardmote.activity USING gist (point);
CREATE INDEX activity_search ON wardmote.activity USING gin (search);
SELECT wardmote.track('activity');
SELECT wardmote.refers('activity', 'consultation_id', 'consultation', false);
SELECT wardmote.refers('activity', 'locality_ids', 'locality', true);
SELECT wardmote.refers('activity', 'community_ids', 'community', true);

-- How many records hold a code, seen or unseen by the caller. A partner's own code is not meant where the record's partner has one of the same name.
CREATE FUNCTION wardmote.code_uses(code_list text, code_text text, owner uuid) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
	SELECT (
		SELECT count(*)
		FROM (
			SELECT c.partner_id FROM wardmote.consultation c
			WHERE CASE code_list WHEN 'topic' THEN c.topics WHEN 'audience' THEN c.audiences ELSE c.methods END @> ARRAY[code_text]
			UNION ALL
			SELECT a.partner_id FROM wardmote.activity a
			WHERE CASE code_list WHEN 'topic' THEN a.topics WHEN 'audience' THEN a.audiences ELSE a.methods END @> ARRAY[code_text]
		) AS holder
		WHERE owner IS NULL OR holder.partner_id = owner OR NOT EXISTS (
			SELECT FROM wardmote.code o WHERE o.list = code_list AND o.code = code_text AND o.partner_id = holder.partner_id)
	) + (
		SELECT count(*) FROM wardmote.code m WHERE owner IS NULL AND m.list = code_list AND m.maps_to = code_text
	)
$$;
GRANT EXECUTE ON FUNCTION wardmote.code_uses(text, text, uuid) TO wardmote_api;
