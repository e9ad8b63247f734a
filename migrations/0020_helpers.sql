-- SPDX-License-Identifier: AGPL-3.0-or-later
-- What several families of resources stand on: places from parameters, the server's settings, scopes inside statements, the end of consents, and what is
-- tidied away once a minute.

-- --- places -------------------------------------------------------------------------------------------------------------------------

-- "lon,lat". The text was checked when the request was read.
CREATE FUNCTION wardmote.position(given text) RETURNS public.geometry LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT public.ST_SetSRID(public.ST_MakePoint(split_part(given, ',', 1)::float8, split_part(given, ',', 2)::float8), 4326)
$$;

-- "west,south,east,north", or six numbers with heights, which are dropped. A box whose west is greater than its east goes over the antimeridian and is two.
-- ST_Envelope makes a line or a point of a box without an area: what touches it is found all the same.
CREATE FUNCTION wardmote.box(given text) RETURNS public.geometry LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN west <= east THEN public.ST_Envelope(public.ST_MakeEnvelope(west, south, east, north, 4326))
		ELSE public.ST_Collect(public.ST_Envelope(public.ST_MakeEnvelope(west, south, 180, north, 4326)),
			public.ST_Envelope(public.ST_MakeEnvelope(-180, south, east, north, 4326))) END
	FROM (SELECT n[1] AS west, n[2] AS south, n[cardinality(n) / 2 + 1] AS east, n[cardinality(n) / 2 + 2] AS north
		FROM (SELECT string_to_array(given, ',')::float8[] AS n) AS numbers) AS corners
$$;

-- A box of degrees that holds everything within so many metres: for the index, before the distance itself is asked. A degree is nowhere shorter than 110,500 m
-- to the north, and to the east by the cosine of the latitude; at a pole or the antimeridian the box goes around the world.
CREATE FUNCTION wardmote.around(place public.geometry, metres float8) RETURNS public.geometry LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN west - away < -180 OR east + away > 180 THEN public.ST_MakeEnvelope(-180, greatest(south - high, -90), 180, least(north + high, 90), 4326)
		ELSE public.ST_MakeEnvelope(west - away, greatest(south - high, -90), east + away, least(north + high, 90), 4326) END
	FROM (SELECT public.ST_XMin(place) AS west, public.ST_XMax(place) AS east, public.ST_YMin(place) AS south, public.ST_YMax(place) AS north,
			metres / 110500 AS high) AS b
	CROSS JOIN LATERAL (SELECT greatest(abs(south), abs(north)) + high AS latitude OFFSET 0) AS l
	CROSS JOIN LATERAL (SELECT CASE WHEN latitude >= 89.9 THEN 360 ELSE high / cosd(latitude) END AS away OFFSET 0) AS w
$$;

-- --- the server's settings and the caller's scopes ----------------------------------------------------------------------------------

-- Where this installation is, for links that are absolute; without a slash at its end.
CREATE FUNCTION wardmote.public_url() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(current_setting('wardmote.public_url', true), '')
$$;

-- Does this look like latitude before longitude? It lies outside of the part of the world that the installation is about (setting map_extent), and inside once its
-- axes are changed over. Without that setting nothing does.
CREATE FUNCTION wardmote.axes_swapped(place public.geometry) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(NOT place OPERATOR(public.&&) extent
		AND extent OPERATOR(public.~) public.ST_FlipCoordinates(public.ST_Envelope(place)), false)
	FROM (SELECT wardmote.box(nullif(current_setting('wardmote.map_extent', true), '')) AS extent) AS setting
$$;

-- May the token read this resource? One without scopes may read all that its role lets it. Answers that show records of other resources ask this for each.
CREATE FUNCTION wardmote.may_read(resource text) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(current_setting('wardmote.scopes', true), '') = ''
		OR resource || ':read' = ANY (string_to_array(current_setting('wardmote.scopes', true), ' '))
$$;

GRANT EXECUTE ON FUNCTION wardmote.position(text), wardmote.box(text), wardmote.around(public.geometry, float8), wardmote.public_url(),
	wardmote.axes_swapped(public.geometry), wardmote.may_read(text) TO wardmote_api;

-- --- what is tidied away ------------------------------------------------------------------------------------------------------------

-- Functions without parameters that the jobs thread calls once a minute. Each is short, since the change feed waits for it: it deals with a few hundred records
-- at most and answers how many. One that answers 200 or more has more to do and is called again at once.
CREATE TABLE wardmote.prunes (
	function_name text PRIMARY KEY CONSTRAINT prunes_function_name CHECK (function_name ~ '^wardmote\.[a-z_0-9]+$')
);
SELECT wardmote.force_policies('wardmote.prunes'::regclass);

-- The one whose name comes after this, each in a transaction of its own, so that one which takes too long undoes its own work alone: its name (null: there is none),
-- whether it has more to do, and what failed.
CREATE FUNCTION wardmote.prune_next(after text, OUT called text, OUT more boolean, OUT fault text) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public AS $$
DECLARE
	done text;
BEGIN
	more := false;
	SELECT p.function_name INTO called FROM wardmote.prunes p WHERE p.function_name > after ORDER BY p.function_name LIMIT 1;
	IF called IS NULL THEN
		RETURN;
	END IF;
	EXECUTE format('SELECT %s()::text', called) INTO done;
	more := coalesce(done, '') ~ '^\d+$' AND done::numeric >= 200;
EXCEPTION WHEN query_canceled THEN
	fault := called || ': it took too long';
WHEN others THEN
	fault := called || ': ' || SQLERRM;
END
$$;

-- All of them at once.
CREATE FUNCTION wardmote.prune(OUT more boolean, OUT fault text) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
	step record;
BEGIN
	more := false;
	step := wardmote.prune_next('');
	WHILE step.called IS NOT NULL LOOP
		more := more OR step.more;
		fault := nullif(concat_ws('; ', fault, step.fault), '');
		step := wardmote.prune_next(step.called);
	END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION wardmote.prune(), wardmote.prune_next(text) TO wardmote_api;

-- --- the end of a consent -----------------------------------------------------------------------------------------------------------

-- Fields about a person that a table keeps until a day that its rows name, that day included.
CREATE TABLE wardmote.expiry (
	thing        text PRIMARY KEY,
	until_column text NOT NULL,
	columns      text[] NOT NULL CONSTRAINT expiry_columns CHECK (cardinality(columns) > 0)
);
SELECT wardmote.force_policies('wardmote.expiry'::regclass);

-- In the views the fields end with their day, whenever they are emptied: those of a version with its own day, or the record's.
CREATE OR REPLACE FUNCTION wardmote.shown_column(thing text, name text, a text, whole text DEFAULT NULL) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT coalesce((SELECT format('CASE WHEN %1$I.%2$I < (SELECT wardmote.today())%3$s THEN NULL ELSE %1$I.%4$I END', a, e.until_column,
			CASE WHEN whole IS NOT NULL THEN format(' OR EXISTS (SELECT FROM wardmote.%I w WHERE w.id = %s AND w.%I < (SELECT wardmote.today()))',
				e.thing, whole, e.until_column) ELSE '' END, name)
		FROM wardmote.expiry e WHERE e.thing = shown_column.thing AND shown_column.name = ANY (e.columns)), format('%I.%I', a, name))
$$;

-- wardmote.expire_<thing>(), written out in full. At most 200 records a call:
--   a record whose day is over: its fields are emptied, in all of its versions and stored answers;
--   else a version whose own day is over, or whose record has none of the fields any more (the consent was withdrawn): that one's are.
-- A version that names no day (who is known by a public role) stays while the record names somebody. A stored answer that loses its body is rendered again, from what is left of its version.
-- A record that somebody is writing at this moment has its turn a minute later.
CREATE FUNCTION wardmote.make_expire(registered wardmote.expiry) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
	blank text := (SELECT string_agg(format('%I = NULL', c), ', ') FROM unnest(registered.columns) c);
BEGIN
	EXECUTE format($sql$
CREATE OR REPLACE FUNCTION wardmote.%1$I() RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $fn$
DECLARE
	ended uuid[];
	versions bigint;
BEGIN
	IF NOT pg_try_advisory_xact_lock(7742, 2) THEN
		RETURN 0;
	END IF;
	WITH over AS (
		SELECT t.id FROM wardmote.%2$I t WHERE %4$s IS NOT NULL AND t.%3$I < wardmote.today() ORDER BY t.%3$I LIMIT 200 FOR UPDATE SKIP LOCKED
	), emptied AS (
		UPDATE wardmote.%2$I t SET %6$s FROM over WHERE t.id = over.id RETURNING t.id
	)
	SELECT coalesce(array_agg(e.id), '{}') INTO ended FROM emptied e;
	IF cardinality(ended) > 0 THEN
		UPDATE history.%2$I h SET %6$s WHERE h.id = ANY (ended) AND %5$s IS NOT NULL;
		UPDATE wardmote.idempotency i SET body = NULL WHERE i.record_id = ANY (ended);
	END IF;
	WITH day AS (
		SELECT h.id, h.version FROM history.%2$I h
		WHERE %5$s IS NOT NULL AND h.%3$I < wardmote.today() ORDER BY h.%3$I
		LIMIT greatest(200 - cardinality(ended), 0) FOR UPDATE OF h SKIP LOCKED
	), withdrawn AS (
		SELECT h.id, h.version FROM history.%2$I h JOIN wardmote.%2$I t ON t.id = h.id
		WHERE %5$s IS NOT NULL AND %4$s IS NULL
		LIMIT greatest(200 - cardinality(ended), 0) FOR UPDATE OF h SKIP LOCKED
	), over AS (
		SELECT d.id, d.version FROM day d UNION SELECT w.id, w.version FROM withdrawn w
	), emptied AS (
		UPDATE history.%2$I h SET %6$s FROM over WHERE h.id = over.id AND h.version = over.version RETURNING h.id, h.version
	), answers AS (
		UPDATE wardmote.idempotency i SET body = NULL FROM emptied e WHERE i.record_id = e.id AND i.version = e.version
	)
	SELECT count(*) INTO versions FROM emptied;
	RETURN cardinality(ended) + versions;
END $fn$
$sql$, 'expire_' || registered.thing, registered.thing, registered.until_column,
		(SELECT 'coalesce(' || string_agg(format('t.%I', c), ', ') || ')' FROM unnest(registered.columns) c),
		(SELECT 'coalesce(' || string_agg(format('h.%I', c), ', ') || ')' FROM unnest(registered.columns) c), blank);
END
$body$;

-- Called by the migration that makes such a table, after track(); once more when its fields change. The fields are texts that may be empty.
CREATE FUNCTION wardmote.expires(thing text, until_column text, columns text[]) RETURNS void LANGUAGE plpgsql SET client_min_messages = warning AS $body$
DECLARE
	registered wardmote.expiry := ROW(thing, until_column, columns);
	fits integer := (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = format('history.%I', thing)::regclass AND NOT a.attisdropped AND a.attgenerated = ''
		AND ((a.attname = ANY (columns) AND a.atttypid = 'text'::regtype) OR (a.attname = until_column AND a.atttypid = 'date'::regtype)));
	needed integer := (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = format('wardmote.%I', thing)::regclass AND a.attname = ANY (columns) AND a.attnotnull);
	place text;
BEGIN
	IF fits <> cardinality(columns) + 1 OR needed > 0 THEN
		RAISE EXCEPTION 'not each of these columns of % is a text that may be empty, or % is no date', thing, until_column;
	END IF;
	INSERT INTO wardmote.expiry VALUES (registered.*) ON CONFLICT ON CONSTRAINT expiry_pkey
		DO UPDATE SET until_column = EXCLUDED.until_column, columns = EXCLUDED.columns;
	PERFORM wardmote.make_expire(registered);
	PERFORM wardmote.make_view(thing);
	PERFORM wardmote.make_version_views(thing);
	-- Only rows that have something to lose: a look once a minute costs nothing.
	FOREACH place IN ARRAY '{wardmote,history}'::text[] LOOP
		EXECUTE format('DROP INDEX IF EXISTS %I.%I', place, thing || '_expiry');
		EXECUTE format('CREATE INDEX %I ON %I.%I (%I) WHERE coalesce(%s) IS NOT NULL', thing || '_expiry', place, thing, until_column,
			(SELECT string_agg(quote_ident(c), ', ') FROM unnest(columns) c));
	END LOOP;
	INSERT INTO wardmote.prunes VALUES ('wardmote.expire_' || thing) ON CONFLICT DO NOTHING;
END
$body$;

-- All of them at once: what the jobs thread does table by table. How many records and versions lost their fields.
CREATE FUNCTION wardmote.expire() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	named text;
	done bigint;
	total bigint := 0;
BEGIN
	FOR named IN SELECT e.thing FROM wardmote.expiry e ORDER BY e.thing LOOP
		EXECUTE format('SELECT wardmote.%I()', 'expire_' || named) INTO done;
		total := total + done;
	END LOOP;
	RETURN total;
END
$$;
