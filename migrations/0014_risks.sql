-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Risk scales, registers and risks.

CREATE TABLE wardmote.risk_scale (
	code       text COLLATE "und-x-icu" NOT NULL CONSTRAINT risk_scale_code CHECK (char_length(code) BETWEEN 1 AND 100),
	name       text COLLATE "und-x-icu" NOT NULL CONSTRAINT risk_scale_name CHECK (char_length(name) BETWEEN 1 AND 200),
	likelihood jsonb NOT NULL CONSTRAINT risk_scale_likelihood CHECK (jsonb_array_length(likelihood) BETWEEN 1 AND 20),
	impact     jsonb NOT NULL CONSTRAINT risk_scale_impact CHECK (jsonb_array_length(impact) BETWEEN 1 AND 20),
	search     tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, code || ' ' || name)) STORED
);
SELECT wardmote.protect('risk_scale', 'admin');
ALTER TABLE wardmote.risk_scale ADD CONSTRAINT risk_scale_code_unique UNIQUE (code);
CREATE INDEX risk_scale_by_name ON wardmote.risk_scale (audience, name, id);
CREATE INDEX risk_scale_by_code ON wardmote.risk_scale (audience, code, id);
CREATE INDEX risk_scale_by_updated_at ON wardmote.risk_scale (audience, updated_at, id);
CREATE INDEX risk_scale_search ON wardmote.risk_scale USING gin (search);
SELECT wardmote.track('risk_scale');

CREATE TABLE wardmote.risk_register (
	title             text COLLATE "und-x-icu" NOT NULL CONSTRAINT risk_register_title CHECK (char_length(title) BETWEEN 1 AND 200),
	risk_scale_id     uuid NOT NULL,
	code              text CONSTRAINT risk_register_code CHECK (char_length(code) BETWEEN 1 AND 100),
	level             text CONSTRAINT risk_register_level CHECK (level IN ('corporate', 'service', 'project', 'partnership')),
	consultation_id   uuid,
	description       text CONSTRAINT risk_register_description CHECK (char_length(description) BETWEEN 1 AND 4000),
	as_at             date,
	review_every_days integer CONSTRAINT risk_register_review_every_days CHECK (review_every_days BETWEEN 1 AND 3660),
	search            tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, title || ' ' || coalesce(description, ''))) STORED
);
SELECT wardmote.protect('risk_register', 'owned');
CREATE INDEX risk_register_by_title ON wardmote.risk_register (audience, title, id);
CREATE INDEX risk_register_by_updated_at ON wardmote.risk_register (audience, updated_at, id);
CREATE INDEX risk_register_search ON wardmote.risk_register USING gin (search);
SELECT wardmote.track('risk_register');
SELECT wardmote.refers('risk_register', 'risk_scale_id', 'risk_scale', false);
SELECT wardmote.refers('risk_register', 'consultation_id', 'consultation', false);

CREATE TABLE wardmote.risk (
	risk_register_id uuid NOT NULL,
	title            text COLLATE "und-x-icu" NOT NULL CONSTRAINT risk_title CHECK (char_length(title) BETWEEN 1 AND 500),
	code             text COLLATE "und-x-icu" CONSTRAINT risk_code CHECK (char_length(code) BETWEEN 1 AND 100),
	objective        text CONSTRAINT risk_objective CHECK (char_length(objective) BETWEEN 1 AND 4000),
	consequences     text CONSTRAINT risk_consequences CHECK (char_length(consequences) BETWEEN 1 AND 4000),
	mitigation       text CONSTRAINT risk_mitigation CHECK (char_length(mitigation) BETWEEN 1 AND 4000),
	likelihood       integer CONSTRAINT risk_likelihood CHECK (likelihood BETWEEN 0 AND 1000),
	impact           integer CONSTRAINT risk_impact CHECK (impact BETWEEN 0 AND 1000),
	score            integer GENERATED ALWAYS AS (likelihood * impact) STORED,
	status           text NOT NULL DEFAULT 'open' CONSTRAINT risk_status CHECK (status IN ('open', 'closed', 'occurred')),
	note             text CONSTRAINT risk_note CHECK (char_length(note) BETWEEN 1 AND 4000),
	-- A risk that is not assessed comes before all scores: missing is less than nothing, and never zero.
	score_sort       integer NOT NULL GENERATED ALWAYS AS (coalesce(likelihood * impact, -1)) STORED,
	code_sort        text COLLATE "und-x-icu" NOT NULL GENERATED ALWAYS AS (coalesce(code, '')) STORED,
	search           tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, title || ' ' || coalesce(objective, '') || ' '
		|| coalesce(consequences, '') || ' ' || coalesce(mitigation, ''))) STORED,
	CONSTRAINT risk_impact_pair CHECK ((likelihood IS NULL) = (impact IS NULL))
);
SELECT wardmote.protect('risk', 'owned');
ALTER TABLE wardmote.risk ADD CONSTRAINT risk_code_unique UNIQUE (risk_register_id, code);
CREATE INDEX risk_by_score ON wardmote.risk (audience, score_sort, id);
CREATE INDEX risk_by_code ON wardmote.risk (audience, code_sort, id);
CREATE INDEX risk_by_title ON wardmote.risk (audience, title, id);
CREATE INDEX risk_by_updated_at ON wardmote.risk (audience, updated_at, id);
CREATE INDEX risk_search ON wardmote.risk USING gin (search);
SELECT wardmote.track('risk');
SELECT wardmote.refers('risk', 'risk_register_id', 'risk_register', false);

-- --- values of the scale, and only those --------------------------------------------------------------------------------------------

-- No value (a risk that is not assessed) is in every scale.
CREATE FUNCTION wardmote.risk_scale_has(steps jsonb, value integer) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT value IS NULL OR steps @> jsonb_build_array(jsonb_build_object('value', value))
$$;

-- The axes whose value is not in the scale, with the values that are.
CREATE FUNCTION wardmote.risk_scale_misses(scale uuid, likelihood integer, impact integer) RETURNS TABLE (axis text, allowed text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
	SELECT a.axis, (SELECT string_agg(v.step ->> 'value', ', ' ORDER BY (v.step ->> 'value')::integer) FROM jsonb_array_elements(a.steps) AS v (step))
	FROM wardmote.risk_scale s
	CROSS JOIN LATERAL (VALUES ('likelihood', s.likelihood, $2), ('impact', s.impact, $3)) AS a (axis, steps, value)
	WHERE s.id = scale AND NOT wardmote.risk_scale_has(a.steps, a.value)
$$;

-- The values that a scale would lose although risks have them.
CREATE FUNCTION wardmote.risk_scale_lost(scale uuid, likelihood jsonb, impact jsonb) RETURNS TABLE (axis text, value integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
	SELECT DISTINCT a.axis, a.value
	FROM wardmote.risk_register g
	JOIN wardmote.risk r ON r.risk_register_id = g.id
	CROSS JOIN LATERAL (VALUES ('likelihood', $2, r.likelihood), ('impact', $3, r.impact)) AS a (axis, steps, value)
	WHERE g.risk_scale_id = scale AND NOT wardmote.risk_scale_has(a.steps, a.value)
	ORDER BY a.axis DESC, a.value
$$;

CREATE FUNCTION wardmote.risk_register_scored(register uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
	SELECT EXISTS (SELECT FROM wardmote.risk r WHERE r.risk_register_id = register AND r.likelihood IS NOT NULL)
$$;

GRANT EXECUTE ON FUNCTION wardmote.risk_scale_has(jsonb, integer), wardmote.risk_scale_misses(uuid, integer, integer),
	wardmote.risk_scale_lost(uuid, jsonb, jsonb), wardmote.risk_register_scored(uuid) TO wardmote_api;

-- The walls behind the statements' own checks. A risk holds its register and scale still while it is written, so that neither changes under it.
CREATE FUNCTION wardmote.risk_in_scale() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
	scale uuid;
	missed text;
BEGIN
	SELECT g.risk_scale_id INTO scale FROM wardmote.risk_register g WHERE g.id = NEW.risk_register_id FOR SHARE;
	PERFORM FROM wardmote.risk_scale s WHERE s.id = scale FOR SHARE;
	SELECT m.axis INTO missed FROM wardmote.risk_scale_misses(scale, NEW.likelihood, NEW.impact) AS m LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'not in the scale' USING ERRCODE = '23514', CONSTRAINT = format('risk_%s_scale', missed);
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER risk_in_scale AFTER INSERT OR UPDATE OF likelihood, impact ON wardmote.risk
	FOR EACH ROW WHEN (NEW.likelihood IS NOT NULL) EXECUTE FUNCTION wardmote.risk_in_scale();

CREATE FUNCTION wardmote.risk_scale_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
	lost text;
BEGIN
	SELECT l.axis INTO lost FROM wardmote.risk_scale_lost(NEW.id, NEW.likelihood, NEW.impact) AS l LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'a risk has this value' USING ERRCODE = '23514', CONSTRAINT = format('risk_scale_%s_in_use', lost);
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER risk_scale_kept AFTER UPDATE OF likelihood, impact ON wardmote.risk_scale FOR EACH ROW EXECUTE FUNCTION wardmote.risk_scale_kept();

CREATE FUNCTION wardmote.risk_register_fixed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
	IF wardmote.risk_register_scored(NEW.id) THEN
		RAISE EXCEPTION 'the scale is fixed' USING ERRCODE = '23514', CONSTRAINT = 'risk_register_risk_scale_id_fixed';
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER risk_register_fixed AFTER UPDATE OF risk_scale_id ON wardmote.risk_register
	FOR EACH ROW WHEN (NEW.risk_scale_id <> OLD.risk_scale_id) EXECUTE FUNCTION wardmote.risk_register_fixed();
