-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Consultations and the gates of their life.

CREATE TABLE wardmote.consultation (
	title               text COLLATE "und-x-icu" NOT NULL CONSTRAINT consultation_title CHECK (char_length(title) BETWEEN 1 AND 200),
	summary             text CONSTRAINT consultation_summary CHECK (char_length(summary) BETWEEN 1 AND 4000),
	status              text NOT NULL DEFAULT 'idea' CONSTRAINT consultation_status CHECK (status IN ('idea', 'planned', 'approved', 'open',
		'closed', 'analysed', 'fed_back', 'evaluated', 'cancelled')),
	trigger             text CONSTRAINT consultation_trigger CHECK (trigger IN ('significant_decision', 'agree_priorities', 'design_services',
		'plan_services', 'procure_services', 'measure_performance', 'develop_policy')),
	stage               text CONSTRAINT consultation_stage CHECK (stage IN ('planning', 'development', 'delivery', 'evaluation')),
	topics              text[] NOT NULL DEFAULT '{}' CONSTRAINT consultation_topics CHECK (cardinality(topics) <= 20),
	audiences           text[] NOT NULL DEFAULT '{}' CONSTRAINT consultation_audiences CHECK (cardinality(audiences) <= 50),
	methods             text[] NOT NULL DEFAULT '{}' CONSTRAINT consultation_methods CHECK (cardinality(methods) <= 20),
	everyone            boolean NOT NULL DEFAULT false,
	locality_ids        uuid[] NOT NULL DEFAULT '{}' CONSTRAINT consultation_locality_ids CHECK (cardinality(locality_ids) <= 500),
	community_ids       uuid[] NOT NULL DEFAULT '{}' CONSTRAINT consultation_community_ids CHECK (cardinality(community_ids) <= 100),
	partners            jsonb NOT NULL DEFAULT '[]' CONSTRAINT consultation_partners CHECK (jsonb_array_length(partners) <= 50),
	level               text CONSTRAINT consultation_level CHECK (char_length(level) BETWEEN 1 AND 100),
	take_part_url       text CONSTRAINT consultation_take_part_url CHECK (char_length(take_part_url) <= 2000),
	take_part_how       text CONSTRAINT consultation_take_part_how CHECK (char_length(take_part_how) BETWEEN 1 AND 4000),
	contact             text CONSTRAINT consultation_contact CHECK (char_length(contact) BETWEEN 1 AND 500),
	purpose             text CONSTRAINT consultation_purpose CHECK (char_length(purpose) BETWEEN 1 AND 4000),
	relevance           text CONSTRAINT consultation_relevance CHECK (char_length(relevance) BETWEEN 1 AND 4000),
	intended_outcome    text CONSTRAINT consultation_intended_outcome CHECK (char_length(intended_outcome) BETWEEN 1 AND 4000),
	can_influence       text CONSTRAINT consultation_can_influence CHECK (char_length(can_influence) BETWEEN 1 AND 4000),
	cannot_influence    text CONSTRAINT consultation_cannot_influence CHECK (char_length(cannot_influence) BETWEEN 1 AND 4000),
	use_of_information  text CONSTRAINT consultation_use_of_information CHECK (char_length(use_of_information) BETWEEN 1 AND 4000),
	constraints         text CONSTRAINT consultation_constraints CHECK (char_length(constraints) BETWEEN 1 AND 4000),
	options             text[] NOT NULL DEFAULT '{}' CONSTRAINT consultation_options CHECK (cardinality(options) <= 20),
	statutory           boolean NOT NULL DEFAULT false,
	legal_basis         text CONSTRAINT consultation_legal_basis CHECK (char_length(legal_basis) BETWEEN 1 AND 500),
	announced_on        date,
	open_on             date,
	open_on_precision   text NOT NULL DEFAULT 'day' CONSTRAINT consultation_open_on_precision CHECK (open_on_precision IN ('day', 'month', 'year')),
	close_on            date,
	close_on_precision  text NOT NULL DEFAULT 'day' CONSTRAINT consultation_close_on_precision CHECK (close_on_precision IN ('day', 'month', 'year')),
	when_text           text CONSTRAINT consultation_when_text CHECK (char_length(when_text) BETWEEN 1 AND 500),
	feedback_how        text CONSTRAINT consultation_feedback_how CHECK (char_length(feedback_how) BETWEEN 1 AND 4000),
	feedback_due_on     date,
	round_of_id         uuid,
	planned_hours       integer CONSTRAINT consultation_planned_hours CHECK (planned_hours BETWEEN 0 AND 1000000),
	notes               text CONSTRAINT consultation_notes CHECK (char_length(notes) BETWEEN 1 AND 4000),
	retrospective       boolean NOT NULL DEFAULT false,
	as_at               date,
	cancelled_reason    text CONSTRAINT consultation_cancelled_reason CHECK (char_length(cancelled_reason) BETWEEN 1 AND 4000),
	closed_early_reason text CONSTRAINT consultation_closed_early_reason CHECK (char_length(closed_early_reason) BETWEEN 1 AND 4000),
	-- An undated consultation comes after all dated ones.
	open_on_sort        date NOT NULL GENERATED ALWAYS AS (coalesce(open_on, 'infinity'::date)) STORED,
	close_on_sort       date NOT NULL GENERATED ALWAYS AS (coalesce(close_on, 'infinity'::date)) STORED,
	-- What everyone who sees the record may read, and no more: q= must not find what it cannot show.
	search              tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig,
		title || ' ' || coalesce(summary, '') || ' ' || coalesce(take_part_how, '') || ' ' || coalesce(purpose, ''))) STORED,
	CONSTRAINT consultation_close_on_order CHECK (close_on >= open_on),
	CONSTRAINT consultation_open_on_order CHECK (open_on >= announced_on),
	CONSTRAINT consultation_feedback_due_on_order CHECK (feedback_due_on >= close_on),
	CONSTRAINT consultation_as_at_retrospective CHECK (retrospective = (as_at IS NOT NULL)),
	CONSTRAINT consultation_status_retrospective CHECK (NOT (retrospective AND status = 'open')),
	CONSTRAINT consultation_cancelled_reason_status CHECK (cancelled_reason IS NULL OR status = 'cancelled')
);
SELECT wardmote.protect('consultation', 'owned');
ALTER TABLE wardmote.consultation ADD CONSTRAINT consultation_round_of_id_self CHECK (round_of_id <> id);
CREATE INDEX consultation_by_open_on ON wardmote.consultation (audience, open_on_sort, id);
CREATE INDEX consultation_by_close_on ON wardmote.consultation (audience, close_on_sort, id);
CREATE INDEX consultation_by_title ON wardmote.consultation (audience, title, id);
CREATE INDEX consultation_by_updated_at ON wardmote.consultation (audience, updated_at, id);
CREATE INDEX consultation_status_by_open_on ON wardmote.consultation (audience, status, open_on_sort, id);
CREATE INDEX consultation_topics ON wardmote.consultation USING gin (topics);
CREATE INDEX consultation_audiences ON wardmote.consultation USING gin (audiences);
CREATE INDEX consultation_search ON wardmote.consultation USING gin (search);
SELECT wardmote.track('consultation');
SELECT wardmote.refers('consultation', 'locality_ids', 'locality', true);
SELECT wardmote.refers('consultation', 'community_ids', 'community', true);
SELECT wardmote.refers('consultation', 'partners', 'partner', true, 'partner_id');
SELECT wardmote.refers('consultation', 'round_of_id', 'consultation', false);

-- --- the life cycle -----------------------------------------------------------------------------------------------------------------

-- Dates of consultations are civil dates where the installation is; the server sets wardmote.timezone on its connections.
CREATE FUNCTION wardmote.today() RETURNS date LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT (now() AT TIME ZONE coalesce(nullif(current_setting('wardmote.timezone', true), ''), 'Europe/London'))::date
$$;

-- Where a status stands in the life of a consultation; cancelled is outside of it.
CREATE FUNCTION wardmote.consultation_place(status text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT array_position('{idea,planned,approved,open,closed,analysed,fed_back,evaluated}', status)
$$;

-- The statuses that may follow: the next one, and cancelled until it is closed. What is past has never been open here: it goes around that.
CREATE FUNCTION wardmote.consultation_moves(status text, retrospective boolean) RETURNS TABLE (target text, place integer)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT s.target, s.place::integer
	FROM unnest('{idea,planned,approved,open,closed,analysed,fed_back,evaluated,cancelled}'::text[]) WITH ORDINALITY AS s (target, place)
	WHERE CASE
		WHEN s.target = 'cancelled' THEN wardmote.consultation_place(status) <= 4
		WHEN retrospective THEN s.place = wardmote.consultation_place(status) + CASE status WHEN 'approved' THEN 2 ELSE 1 END
		ELSE s.place = wardmote.consultation_place(status) + 1
	END
$$;

-- What the status of a consultation needs and the record lacks, all at once; a status needs what the ones before it need. Asked before a move (of the
-- record as it would be) and before every other change. Pointers name fields of the record, or the reason of the move.
CREATE FUNCTION wardmote.consultation_gates(c wardmote.consultation) RETURNS TABLE (pointer text, code text, rule text, detail text)
LANGUAGE sql STABLE AS $$
	SELECT g.pointer, g.code, g.rule, g.detail
	FROM (VALUES
		('planned', '/close_on', 'order', 'R09', 'close_on may not be before open_on', c.close_on < c.open_on),
		('planned', '/locality_ids', 'required', 'planned.target', 'name a locality, a community or an audience, or set everyone',
			NOT c.everyone AND c.locality_ids = '{}' AND c.community_ids = '{}' AND c.audiences = '{}'),
		('planned', '/visibility', 'visibility', 'R32', 'from planned on all partners see it: make it shared or public', c.visibility = 'private'),
		('approved', '/legal_basis', 'required', 'R08', 'a statutory consultation names its legal basis', c.statutory AND c.legal_basis IS NULL),
		('approved', '/open_on', 'required', 'R09', 'say when it opens', c.open_on IS NULL),
		('approved', '/close_on', 'required', 'R09', 'say when it closes', c.close_on IS NULL),
		('open', '/visibility', 'visibility', 'open.public', 'an open consultation is public', c.visibility = 'shared'),
		('open', '/summary', 'required', 'open.summary', 'say in a few sentences what it is about', c.summary IS NULL),
		('open', '/take_part_url', 'required', 'open.take-part', 'say where or how to take part: take_part_url or take_part_how',
			c.take_part_url IS NULL AND c.take_part_how IS NULL),
		('closed', '/reason', 'required', 'closed.early', 'give a reason to close it before close_on',
			c.close_on > wardmote.today() AND c.closed_early_reason IS NULL),
		('cancelled', '/reason', 'required', 'cancelled.reason', 'give a reason to cancel it', c.cancelled_reason IS NULL)
	) AS g (state, pointer, code, rule, detail, unmet)
	WHERE g.unmet AND NOT c.retrospective
		AND CASE c.status WHEN 'cancelled' THEN g.state = 'cancelled'
			ELSE wardmote.consultation_place(g.state) <= wardmote.consultation_place(c.status) END
$$;

GRANT EXECUTE ON FUNCTION wardmote.today(), wardmote.consultation_place(text), wardmote.consultation_moves(text, boolean),
	wardmote.consultation_gates(wardmote.consultation) TO wardmote_api;
