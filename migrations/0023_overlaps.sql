-- SPDX-License-Identifier: AGPL-3.0-or-later
-- How the localities of one boundary set share ground and people with those of another. All of it is derived from localities, in the background: nobody writes it,
-- it has no history, and it may be deleted at any time to be made again.

-- --- shapes in other projections ------------------------------------------------------------------------------------------------------

-- `equal` is on an equal-area projection, so that shares of it are right anywhere; the others are for drawing: to 10 m and to 150 m.
CREATE TABLE wardmote.locality_shape (
	locality_id     uuid PRIMARY KEY REFERENCES wardmote.locality ON DELETE CASCADE,
	boundary_set_id uuid NOT NULL,
	area_m2         float8 NOT NULL,
	equal           public.geometry(MultiPolygon, 6933) NOT NULL,
	web_fine        public.geometry(MultiPolygon, 3857) NOT NULL,
	web_coarse      public.geometry(MultiPolygon, 3857) NOT NULL
);
CREATE INDEX locality_shape_by_set ON wardmote.locality_shape (boundary_set_id, locality_id);
CREATE INDEX locality_shape_equal ON wardmote.locality_shape USING gist (equal);
CREATE INDEX locality_shape_web ON wardmote.locality_shape USING gist (web_fine);
SELECT wardmote.force_policies('wardmote.locality_shape'::regclass);

-- Shapes for drawing of the localities that the caller sees.
CREATE VIEW api.locality_shape AS
	SELECT l.id, l.boundary_set_id, l.code, l.name, l.geometry, s.web_fine, s.web_coarse FROM api.locality l JOIN wardmote.locality_shape s ON s.locality_id = l.id;
GRANT SELECT ON api.locality_shape TO wardmote_api;

-- Lines that were straight in degrees are straight again between the same points: an edge that crossed none may cross one by a hair.
CREATE FUNCTION wardmote.equal_area(shape public.geometry) RETURNS public.geometry LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN public.ST_IsValid(made) THEN made ELSE public.ST_Multi(public.ST_CollectionExtract(public.ST_MakeValid(made), 3)) END
	FROM (SELECT public.ST_Transform(shape, 6933) AS made OFFSET 0) AS transformed
$$;

-- The web's projection ends before the poles.
CREATE FUNCTION wardmote.web_shape(shape public.geometry) RETURNS public.geometry LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT public.ST_Transform(CASE WHEN public.ST_YMax(shape) > 85.06 OR public.ST_YMin(shape) < -85.06
		THEN public.ST_Intersection(shape, public.ST_MakeEnvelope(-180, -85.06, 180, 85.06, 4326)) ELSE shape END, 3857)
$$;

-- Simplified and mended afterwards: to preserve the topology while simplifying takes ten times as long, and seconds for a shape of many teeth. Only what would vanish
-- is done that way.
CREATE FUNCTION wardmote.drawn(shape public.geometry, metres float8) RETURNS public.geometry LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT public.ST_Multi(CASE WHEN public.ST_IsEmpty(quick) THEN public.ST_CollectionExtract(public.ST_SimplifyPreserveTopology(shape, metres), 3) ELSE quick END)
	FROM (SELECT public.ST_CollectionExtract(public.ST_MakeValid(public.ST_Simplify(shape, metres, true), 'method=structure'), 3) AS quick OFFSET 0) AS drawing
$$;

CREATE FUNCTION wardmote.store_shape(id uuid, boundary_set_id uuid, shape public.geometry) RETURNS void LANGUAGE sql VOLATILE AS $$
	INSERT INTO wardmote.locality_shape (locality_id, boundary_set_id, area_m2, equal, web_fine, web_coarse)
	SELECT store_shape.id, store_shape.boundary_set_id, e.area, e.equal, w.fine, wardmote.drawn(w.fine, 150)
	FROM (SELECT m.equal, public.ST_Area(m.equal) AS area FROM (SELECT wardmote.equal_area(shape) AS equal OFFSET 0) AS m) AS e
	CROSS JOIN (SELECT wardmote.drawn(wardmote.web_shape(shape), 10) AS fine OFFSET 0) AS w
	WHERE e.area > 0
$$;

CREATE FUNCTION wardmote.locality_shaped() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
	DELETE FROM wardmote.locality_shape s WHERE s.locality_id = NEW.id;
	IF NEW.geometry IS NULL THEN
		DELETE FROM wardmote.locality_overlap o WHERE o.from_id = NEW.id;
		DELETE FROM wardmote.locality_overlap o WHERE o.to_id = NEW.id;
	ELSE
		PERFORM wardmote.store_shape(NEW.id, NEW.boundary_set_id, NEW.geometry);
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER locality_shape_new AFTER INSERT ON wardmote.locality
	FOR EACH ROW WHEN (NEW.geometry IS NOT NULL) EXECUTE FUNCTION wardmote.locality_shaped();
CREATE TRIGGER locality_shape_changed AFTER UPDATE ON wardmote.locality
	FOR EACH ROW WHEN (NEW.geometry IS DISTINCT FROM OLD.geometry) EXECUTE FUNCTION wardmote.locality_shaped();

-- --- what has changed -------------------------------------------------------------------------------------------------------------------

-- `generation` counts the changes of anything that is shown of a set's localities, `area_generation` those of boundaries and populations. The rest is what the last
-- look at the set, at `looked_generation`, found: how many shapes, their mean area, the box around all, and whether each locality has a population and is public.
CREATE TABLE wardmote.boundary_set_state (
	boundary_set_id   uuid PRIMARY KEY REFERENCES wardmote.boundary_set ON DELETE CASCADE,
	generation        bigint NOT NULL DEFAULT 1,
	changed_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
	area_generation   bigint NOT NULL DEFAULT 1,
	area_changed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
	looked_generation bigint,
	shapes            integer NOT NULL DEFAULT 0,
	mean_area         float8,
	extent            public.geometry(Polygon, 6933),
	is_populated      boolean NOT NULL DEFAULT false,
	population_as_at  date
);
SELECT wardmote.force_policies('wardmote.boundary_set_state'::regclass);

CREATE FUNCTION wardmote.count_change(sets uuid[], area_sets uuid[]) RETURNS void LANGUAGE sql VOLATILE AS $$
	INSERT INTO wardmote.boundary_set_state AS s (boundary_set_id)
	SELECT b.id FROM wardmote.boundary_set b WHERE b.id = ANY (sets) ORDER BY b.id
	ON CONFLICT (boundary_set_id) DO UPDATE SET generation = s.generation + 1, changed_at = clock_timestamp(),
		area_generation = s.area_generation + coalesce(s.boundary_set_id = ANY (area_sets), false)::integer,
		area_changed_at = CASE WHEN s.boundary_set_id = ANY (area_sets) THEN clock_timestamp() ELSE s.area_changed_at END
$$;

CREATE FUNCTION wardmote.localities_made() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
	sets uuid[] := (SELECT array_agg(DISTINCT n.boundary_set_id) FROM new_rows n);
BEGIN
	IF sets IS NOT NULL THEN
		PERFORM wardmote.count_change(sets, sets);
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER localities_made AFTER INSERT ON wardmote.locality REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION wardmote.localities_made();

CREATE FUNCTION wardmote.localities_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
	sets uuid[] := (SELECT array_agg(DISTINCT n.boundary_set_id) FROM new_rows n);
BEGIN
	IF sets IS NOT NULL THEN
		PERFORM wardmote.count_change(sets, (SELECT array_agg(DISTINCT n.boundary_set_id) FROM new_rows n JOIN old_rows o ON o.id = n.id
			WHERE n.geometry IS DISTINCT FROM o.geometry OR n.population IS DISTINCT FROM o.population OR n.population_as_at IS DISTINCT FROM o.population_as_at
				OR (n.visibility <> o.visibility AND n.population IS NOT NULL)));
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER localities_changed AFTER UPDATE ON wardmote.locality REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION wardmote.localities_changed();

CREATE FUNCTION wardmote.localities_gone() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
	sets uuid[] := (SELECT array_agg(DISTINCT o.boundary_set_id) FROM old_rows o);
BEGIN
	IF sets IS NOT NULL THEN
		DELETE FROM wardmote.locality_overlap p USING old_rows o WHERE p.from_id = o.id;
		DELETE FROM wardmote.locality_overlap p USING old_rows o WHERE p.to_id = o.id;
		PERFORM wardmote.count_change(sets, sets);
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER localities_gone AFTER DELETE ON wardmote.locality REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION wardmote.localities_gone();

-- What is shown of a set's localities may hang on the set's own days.
CREATE FUNCTION wardmote.boundary_set_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
	PERFORM wardmote.count_change(ARRAY[NEW.id], '{}');
	IF NEW.visibility <> OLD.visibility THEN
		UPDATE wardmote.overlap_work SET is_due = true WHERE NOT is_due; -- others may be weighed by its people, or no longer
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER boundary_set_changed AFTER UPDATE ON wardmote.boundary_set FOR EACH ROW EXECUTE FUNCTION wardmote.boundary_set_changed();

-- --- overlaps ---------------------------------------------------------------------------------------------------------------------------

-- What part of the area, and of the people, of from_id lies in to_id. Both directions have a row; a share that rounds to nothing has none. There are no foreign keys,
-- which would lock every locality of two sets: rows go with their localities by the trigger above, and one that comes too late is not shown, and is gone with the
-- next calculation, which the deletion asks for.
CREATE TABLE wardmote.locality_overlap (
	from_id          uuid NOT NULL,
	to_id            uuid NOT NULL,
	from_set_id      uuid NOT NULL,
	to_set_id        uuid NOT NULL,
	area_share       numeric(7,6) NOT NULL CONSTRAINT locality_overlap_area_share CHECK (area_share > 0 AND area_share <= 1),
	population_share numeric(7,6) CONSTRAINT locality_overlap_population_share CHECK (population_share BETWEEN 0 AND 1),
	population_error numeric(7,6) CONSTRAINT locality_overlap_population_error CHECK (population_error BETWEEN 0 AND 1),
	method           text NOT NULL CONSTRAINT locality_overlap_method CHECK (method IN ('area', 'population')),
	weights_set_id   uuid,
	as_at            date NOT NULL,
	PRIMARY KEY (from_id, to_id),
	CONSTRAINT locality_overlap_self CHECK (from_id <> to_id),
	CONSTRAINT locality_overlap_method_population CHECK ((method = 'population') = (population_share IS NOT NULL))
) WITH (fillfactor = 60); -- the people follow the areas, in the same pages
CREATE INDEX locality_overlap_by_target ON wardmote.locality_overlap (from_id, to_set_id);
CREATE INDEX locality_overlap_by_sets ON wardmote.locality_overlap (from_set_id, to_set_id, from_id, to_id);
CREATE INDEX locality_overlap_to ON wardmote.locality_overlap (to_id, from_id);
SELECT wardmote.force_policies('wardmote.locality_overlap'::regclass);
CREATE VIEW api.locality_overlap AS
	SELECT o.from_id, o.to_id, o.from_set_id, o.to_set_id, o.area_share, o.population_share, o.population_error, o.method,
		CASE WHEN EXISTS (SELECT FROM api.boundary_set w WHERE w.id = o.weights_set_id) THEN o.weights_set_id END AS weights_set_id, o.as_at
	FROM wardmote.locality_overlap o JOIN api.locality f ON f.id = o.from_id JOIN api.locality t ON t.id = o.to_id;
GRANT SELECT ON api.locality_overlap TO wardmote_api;

-- Pairs of sets that were calculated, and from what. `error` is what went wrong; that pair has its turn again when one of its sets has changed.
CREATE TABLE wardmote.overlap_pair (
	low_set_id         uuid NOT NULL REFERENCES wardmote.boundary_set ON DELETE CASCADE,
	high_set_id        uuid NOT NULL REFERENCES wardmote.boundary_set ON DELETE CASCADE,
	low_generation     bigint NOT NULL,
	high_generation    bigint NOT NULL,
	weights_set_id     uuid,
	weights_generation bigint,
	computed_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
	seconds            real NOT NULL DEFAULT 0,
	rows               integer NOT NULL DEFAULT 0,
	error              text,
	PRIMARY KEY (low_set_id, high_set_id),
	CONSTRAINT overlap_pair_order CHECK (low_set_id < high_set_id)
);
CREATE INDEX overlap_pair_high ON wardmote.overlap_pair (high_set_id);
SELECT wardmote.force_policies('wardmote.overlap_pair'::regclass);

-- Of each pair of sets that may overlap, in either order: is it calculated (done), not yet, or from what has changed since?
CREATE VIEW api.overlap_state AS
	SELECT f.id AS from_set_id, t.id AS to_set_id, p.computed_at,
		CASE WHEN p.error IS NOT NULL THEN 'failed' WHEN p.low_set_id IS NULL THEN 'pending'
			WHEN p.low_generation = low.area_generation AND p.high_generation = high.area_generation THEN 'done' ELSE 'stale' END AS state
	FROM api.boundary_set f JOIN api.boundary_set t ON t.id <> f.id
	JOIN wardmote.boundary_set_state low ON low.boundary_set_id = least(f.id, t.id)
	JOIN wardmote.boundary_set_state high ON high.boundary_set_id = greatest(f.id, t.id)
	LEFT JOIN wardmote.overlap_pair p ON p.low_set_id = low.boundary_set_id AND p.high_set_id = high.boundary_set_id
	WHERE EXISTS (SELECT FROM wardmote.locality_shape s WHERE s.boundary_set_id = f.id) AND EXISTS (SELECT FROM wardmote.locality_shape s WHERE s.boundary_set_id = t.id);
GRANT SELECT ON api.overlap_state TO wardmote_api;

-- --- calculating them ---------------------------------------------------------------------------------------------------------------------

CREATE TYPE wardmote.overlap_piece AS (f uuid, t uuid, f_area float8, t_area float8, shared float8);

-- The ground that localities of the two sets share. Edges that only touch share none.
CREATE FUNCTION wardmote.overlap_pieces(low uuid, high uuid) RETURNS wardmote.overlap_piece[] LANGUAGE sql STABLE
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
	SELECT coalesce(array_agg(ROW(f.locality_id, t.locality_id, f.area_m2, t.area_m2,
		CASE WHEN t.equal OPERATOR(public.@) f.equal AND public.ST_Covers(f.equal, t.equal) THEN t.area_m2
			WHEN f.equal OPERATOR(public.@) t.equal AND public.ST_CoveredBy(f.equal, t.equal) THEN f.area_m2
			ELSE public.ST_Area(public.ST_Intersection(f.equal, t.equal)) END)::wardmote.overlap_piece), '{}')
	FROM wardmote.locality_shape f JOIN wardmote.locality_shape t ON f.equal OPERATOR(public.&&) t.equal
	WHERE f.boundary_set_id = low AND t.boundary_set_id = high AND public.ST_Intersects(f.equal, t.equal)
$$;

-- Shares by area, both ways. Members of one set that overlap by slivers add up to a little more than the whole: that is taken off. Where they truly overlap each keeps
-- its own share.
CREATE FUNCTION wardmote.overlap_areas(low uuid, high uuid, pieces wardmote.overlap_piece[]) RETURNS bigint LANGUAGE sql VOLATILE SET jit = off AS $$
	WITH directed AS (
		SELECT p.f AS from_id, p.t AS to_id, low AS from_set_id, high AS to_set_id, p.shared / p.f_area AS share FROM unnest(pieces) p
		UNION ALL
		SELECT p.t, p.f, high, low, p.shared / p.t_area FROM unnest(pieces) p
	), summed AS (
		SELECT d.*, sum(d.share) OVER (PARTITION BY d.from_set_id, d.from_id) AS total FROM directed d
	), rounded AS (
		SELECT s.from_id, s.to_id, s.from_set_id, s.to_set_id,
			least(1, round((CASE WHEN s.total > 1.000001 AND s.total < 1.02 THEN s.share / s.total ELSE s.share END)::numeric, 6)) AS share
		FROM summed s
	), stored AS (
		INSERT INTO wardmote.locality_overlap (from_id, to_id, from_set_id, to_set_id, area_share, method, as_at)
		SELECT r.from_id, r.to_id, r.from_set_id, r.to_set_id, r.share, 'area', wardmote.today() FROM rounded r WHERE r.share > 0
		RETURNING 1
	)
	SELECT count(*) FROM stored
$$;

-- Shares by people, where the small areas of `weights`, each with its population, cover at least nine tenths of a locality. A small area that an edge splits gives its
-- people by area. The error is how far a share is off where, in each small area that the other locality's edge splits,
-- all of them live on the side of the larger part.
CREATE FUNCTION wardmote.overlap_people(low uuid, high uuid, weights uuid) RETURNS void LANGUAGE sql VOLATILE SET enable_nestloop = off SET jit = off AS $$
	WITH weight AS MATERIALIZED (
		SELECT l.id, l.population::float8 AS people, s.area_m2 FROM wardmote.locality l JOIN wardmote.locality_shape s ON s.locality_id = l.id
		WHERE l.boundary_set_id = weights
	), held AS MATERIALIZED (
		SELECT o.from_id AS c, o.to_id AS id, o.to_set_id AS set_id, o.area_share::float8 AS share FROM wardmote.locality_overlap o
		WHERE o.from_set_id = weights AND o.to_set_id IN (low, high)
		UNION ALL
		SELECT w.id, w.id, weights, 1 FROM weight w WHERE weights IN (low, high)
	), total AS MATERIALIZED (
		SELECT h.id, sum(w.people * h.share) AS people FROM held h JOIN weight w ON w.id = h.c JOIN wardmote.locality_shape s ON s.locality_id = h.id
		GROUP BY h.id, s.area_m2 HAVING sum(w.area_m2 * h.share) >= 0.9 * s.area_m2 AND sum(w.people * h.share) > 0
	), part AS MATERIALIZED (
		SELECT f.id AS f, t.id AS t, w.people, w.people * f.share * least(t.share, 1 - t.share) AS f_unsure,
			w.people * t.share * least(f.share, 1 - f.share) AS t_unsure, CASE WHEN f.share >= 0.9995 THEN t.share WHEN t.share >= 0.9995 THEN f.share ELSE (
			SELECT public.ST_Area(public.ST_Intersection(public.ST_Intersection(a.equal, b.equal), d.equal)) / a.area_m2
			FROM wardmote.locality_shape a, wardmote.locality_shape b, wardmote.locality_shape d WHERE a.locality_id = w.id AND b.locality_id = f.id AND d.locality_id = t.id
		) END AS share
		FROM held f JOIN held t ON t.c = f.c JOIN weight w ON w.id = f.c
		WHERE f.set_id = low AND t.set_id = high
	), shared AS MATERIALIZED (
		SELECT p.f, p.t, sum(p.people * p.share) AS people, sum(p.f_unsure) AS f_unsure, sum(p.t_unsure) AS t_unsure FROM part p GROUP BY p.f, p.t
	), directed AS (
		SELECT s.f AS from_id, s.t AS to_id, s.people, s.f_unsure AS unsure FROM shared s UNION ALL SELECT s.t, s.f, s.people, s.t_unsure FROM shared s
	), row AS (
		SELECT o.from_id, o.to_id, least(1, coalesce(d.people, 0) / t.people) AS share, least(1, coalesce(d.unsure, 0) / t.people) AS unsure
		FROM wardmote.locality_overlap o JOIN total t ON t.id = o.from_id LEFT JOIN directed d ON d.from_id = o.from_id AND d.to_id = o.to_id
		WHERE (o.from_set_id, o.to_set_id) IN ((low, high), (high, low))
	)
	UPDATE wardmote.locality_overlap o SET method = 'population', population_share = round(r.share::numeric, 6), population_error = round(r.unsure::numeric, 6),
		weights_set_id = weights, as_at = coalesce((SELECT s.population_as_at FROM wardmote.boundary_set_state s WHERE s.boundary_set_id = weights), o.as_at)
	FROM row r WHERE o.from_id = r.from_id AND o.to_id = r.to_id
$$;

-- What is to be calculated, and with whose people: the finest set of which each locality has a population and that is no coarser than either of the two. It is one that
-- everybody sees whole, since everybody who sees the pair sees what comes of it. Pairs with that set itself come first, since the others stand on them. `apart`: not
-- even the boxes around them meet.
CREATE FUNCTION wardmote.overlaps_due(OUT low wardmote.boundary_set_state, OUT high wardmote.boundary_set_state, OUT weights_set_id uuid, OUT weights_generation bigint,
	OUT apart boolean) RETURNS SETOF record LANGUAGE sql STABLE AS $$
	SELECT l, h, w.boundary_set_id, w.area_generation, NOT l.extent OPERATOR(public.&&) h.extent
	FROM wardmote.boundary_set_state l JOIN wardmote.boundary_set_state h ON l.boundary_set_id < h.boundary_set_id
	LEFT JOIN wardmote.overlap_pair p ON p.low_set_id = l.boundary_set_id AND p.high_set_id = h.boundary_set_id
	LEFT JOIN LATERAL (
		SELECT s.boundary_set_id, s.area_generation FROM wardmote.boundary_set_state s JOIN wardmote.boundary_set b ON b.id = s.boundary_set_id
		WHERE b.visibility = 'public' AND s.is_populated AND s.shapes > 0 AND s.mean_area <= least(l.mean_area, h.mean_area)
			AND s.extent OPERATOR(public.&&) l.extent AND s.extent OPERATOR(public.&&) h.extent
		-- Rather one that may cover nine tenths of the smaller side, or else as much of it as any: a few estates do not take the place of a census.
		ORDER BY round(least(0.9, s.shapes * s.mean_area / least(l.shapes * l.mean_area, h.shapes * h.mean_area))::numeric, 1) DESC, s.mean_area, s.boundary_set_id
		LIMIT 1
	) w ON l.extent OPERATOR(public.&&) h.extent
	WHERE l.shapes > 0 AND h.shapes > 0 AND l.looked_generation = l.area_generation AND h.looked_generation = h.area_generation
		AND (p.low_set_id IS NULL OR p.low_generation <> l.area_generation OR p.high_generation <> h.area_generation
			OR (p.weights_set_id, p.weights_generation) IS DISTINCT FROM (w.boundary_set_id, w.area_generation))
	ORDER BY 5 DESC, w.boundary_set_id IS NULL, w.boundary_set_id NOT IN (l.boundary_set_id, h.boundary_set_id), least(l.mean_area, h.mean_area),
		l.boundary_set_id, h.boundary_set_id
$$;

-- Looks again at the sets that have changed and have been at rest for a while.
CREATE FUNCTION wardmote.look_at_sets(settle_seconds float8) RETURNS bigint LANGUAGE sql VOLATILE AS $$
	WITH changed AS (
		SELECT s.boundary_set_id, s.area_generation FROM wardmote.boundary_set_state s
		WHERE s.looked_generation IS DISTINCT FROM s.area_generation AND s.area_changed_at <= clock_timestamp() - make_interval(secs => settle_seconds)
		ORDER BY s.boundary_set_id FOR UPDATE SKIP LOCKED
	), found AS (
		SELECT c.boundary_set_id, c.area_generation, count(s.locality_id) AS shapes, avg(s.area_m2) AS mean_area,
			public.ST_SetSRID(public.ST_Envelope(public.ST_Extent(s.equal)::public.geometry), 6933) AS extent,
			coalesce(bool_and(l.population IS NOT NULL AND l.visibility = 'public'), false) AS is_populated, max(l.population_as_at) AS population_as_at
		FROM changed c LEFT JOIN wardmote.locality_shape s ON s.boundary_set_id = c.boundary_set_id LEFT JOIN wardmote.locality l ON l.id = s.locality_id
		GROUP BY c.boundary_set_id, c.area_generation
	), looked AS (
		UPDATE wardmote.boundary_set_state s SET looked_generation = f.area_generation, shapes = f.shapes, mean_area = f.mean_area, extent = f.extent,
			is_populated = f.is_populated, population_as_at = f.population_as_at
		FROM found f WHERE s.boundary_set_id = f.boundary_set_id RETURNING 1
	)
	SELECT count(*) FROM looked
$$;

CREATE FUNCTION wardmote.calculate_overlap(low uuid, high uuid, weights uuid, apart boolean) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	n bigint;
BEGIN
	DELETE FROM wardmote.locality_overlap o WHERE o.from_set_id = low AND o.to_set_id = high;
	DELETE FROM wardmote.locality_overlap o WHERE o.from_set_id = high AND o.to_set_id = low;
	IF apart THEN
		RETURN 0;
	END IF;
	n := wardmote.overlap_areas(low, high, wardmote.overlap_pieces(low, high));
	IF weights IS NOT NULL AND n > 0 THEN
		PERFORM wardmote.overlap_people(low, high, weights);
	END IF;
	RETURN n;
END
$$;

-- Whether there may be something to calculate: what is due is a question about every pair of sets, too dear to ask once a second of a server at rest.
CREATE TABLE wardmote.overlap_work (
	is_due boolean NOT NULL
);
INSERT INTO wardmote.overlap_work VALUES (false);
SELECT wardmote.force_policies('wardmote.overlap_work'::regclass);

CREATE FUNCTION wardmote.boundary_set_gone() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
	UPDATE wardmote.overlap_work SET is_due = true WHERE NOT is_due; -- others may have been weighed by its people
	RETURN NULL;
END
$$;
CREATE TRIGGER boundary_set_gone AFTER DELETE ON wardmote.boundary_set FOR EACH STATEMENT EXECUTE FUNCTION wardmote.boundary_set_gone();

-- One pair, and what there is to tell of it. A pair that fails, or takes longer than a statement may, is noted with the reason and left until it changes.
CREATE FUNCTION wardmote.settle_overlap(low wardmote.boundary_set_state, high wardmote.boundary_set_state, weights uuid, weights_generation bigint,
	OUT seconds real, OUT fault text) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	began timestamptz := clock_timestamp();
	n bigint := 0;
BEGIN
	BEGIN
		n := wardmote.calculate_overlap(low.boundary_set_id, high.boundary_set_id, weights, NOT low.extent OPERATOR(public.&&) high.extent);
	EXCEPTION WHEN query_canceled THEN
		IF clock_timestamp() < began + interval '9 minutes' THEN
			RAISE; -- the server stops
		END IF;
		fault := 'it took longer than ten minutes';
	WHEN others THEN
		fault := left(SQLERRM, 500);
	END;
	seconds := extract(epoch FROM clock_timestamp() - began);
	INSERT INTO wardmote.overlap_pair AS p (low_set_id, high_set_id, low_generation, high_generation, weights_set_id, weights_generation, seconds, rows, error)
	VALUES (low.boundary_set_id, high.boundary_set_id, low.area_generation, high.area_generation, weights, settle_overlap.weights_generation,
		settle_overlap.seconds, n, fault)
	ON CONFLICT ON CONSTRAINT overlap_pair_pkey DO UPDATE SET low_generation = EXCLUDED.low_generation, high_generation = EXCLUDED.high_generation,
		weights_set_id = EXCLUDED.weights_set_id, weights_generation = EXCLUDED.weights_generation, computed_at = clock_timestamp(),
		seconds = EXCLUDED.seconds, rows = EXCLUDED.rows, error = EXCLUDED.error;
END
$$;

-- One step: a look at what has changed, then pairs of sets for about a second. `pending` is how many are left, null where that is as it was; when `done` is false there is
-- nothing to do, or somebody else does it.
CREATE FUNCTION wardmote.overlap_step(settle_seconds float8, OUT done boolean, OUT pending bigint, OUT seconds real, OUT fault text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
	due record;
	pair record;
	began timestamptz := clock_timestamp();
BEGIN
	done := false;
	IF NOT pg_try_advisory_xact_lock(7742, 3) THEN
		RETURN;
	END IF;
	IF wardmote.look_at_sets(settle_seconds) = 0 AND NOT (SELECT w.is_due FROM wardmote.overlap_work w) THEN
		RETURN;
	END IF;
	pending := 0;
	FOR due IN SELECT d.*, count(*) OVER () AS n FROM wardmote.overlaps_due() WITH ORDINALITY d ORDER BY d.ordinality LOOP
		pending := CASE WHEN done THEN pending ELSE due.n END;
		EXIT WHEN done AND clock_timestamp() > began + interval '1 second';
		pair := wardmote.settle_overlap(due.low, due.high, due.weights_set_id, due.weights_generation);
		seconds := pair.seconds;
		fault := coalesce(pair.fault, fault);
		pending := pending - 1;
		done := true;
	END LOOP;
	UPDATE wardmote.overlap_work w SET is_due = (overlap_step.pending > 0) WHERE w.is_due <> (overlap_step.pending > 0);
END
$$;
GRANT EXECUTE ON FUNCTION wardmote.overlap_step(float8) TO wardmote_api;

-- --- asking by them -----------------------------------------------------------------------------------------------------------------------

-- These localities, what they are parts of and their own parts, and all that share at least a hundredth of the ground of either side with one of them or of their parts,
-- with what those are parts of. Only what the caller sees leads anywhere.
CREATE FUNCTION wardmote.sharing(asked uuid[]) RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
	WITH RECURSIVE below AS (
		SELECT l.id FROM api.locality l WHERE l.id = ANY (asked)
		UNION
		SELECT l.id FROM below b JOIN api.locality l ON l.parent_id = b.id
	), ground AS (
		SELECT b.id FROM below b
		UNION
		SELECT o.to_id FROM below b JOIN api.locality_overlap o ON o.from_id = b.id
		WHERE o.area_share >= 0.01 OR EXISTS (SELECT FROM api.locality_overlap r WHERE r.from_id = o.to_id AND r.to_id = o.from_id AND r.area_share >= 0.01)
	), above AS (
		SELECT l.id, l.parent_id FROM ground g JOIN api.locality l ON l.id = g.id
		UNION
		SELECT l.id, l.parent_id FROM above a JOIN api.locality l ON l.id = a.parent_id
	)
	SELECT coalesce(array_agg(a.id), '{}') FROM above a
$$;

-- Which locality answers which of those that were asked for, and by how much: of its own area and people, and of the other's area. Who is a part by parent_id alone has no
-- figures.
CREATE TYPE wardmote.locality_match AS (locality_id uuid, asked_id uuid, area_share numeric, population_share numeric, asked_area_share numeric);

CREATE FUNCTION wardmote.matches(asked uuid[]) RETURNS wardmote.locality_match[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(array_agg(CASE WHEN l.id = a.id THEN ROW(l.id, a.id, 1, 1, 1)::wardmote.locality_match
		ELSE ROW(l.id, a.id, trim_scale(o.area_share), trim_scale(o.population_share), trim_scale(r.area_share))::wardmote.locality_match END), '{}')
	FROM (SELECT DISTINCT given.id FROM unnest(asked) AS given (id)) a CROSS JOIN LATERAL unnest(wardmote.sharing(ARRAY[a.id])) AS l (id)
	LEFT JOIN api.locality_overlap o ON o.from_id = l.id AND o.to_id = a.id
	LEFT JOIN api.locality_overlap r ON r.from_id = a.id AND r.to_id = l.id
$$;

CREATE FUNCTION wardmote.matched(locality_ids uuid[], matches wardmote.locality_match[]) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(json_agg(row_to_json(m) ORDER BY m.area_share DESC NULLS LAST, m.locality_id, m.asked_id), '[]')
	FROM unnest(matches) m WHERE m.locality_id = ANY (locality_ids)
$$;
GRANT EXECUTE ON FUNCTION wardmote.sharing(uuid[]), wardmote.matches(uuid[]), wardmote.matched(uuid[], wardmote.locality_match[]) TO wardmote_api;

-- --- the localities that are there already ----------------------------------------------------------------------------------------------

SELECT wardmote.store_shape(l.id, l.boundary_set_id, l.geometry) FROM wardmote.locality l WHERE l.geometry IS NOT NULL;
INSERT INTO wardmote.boundary_set_state (boundary_set_id) SELECT b.id FROM wardmote.boundary_set b;
