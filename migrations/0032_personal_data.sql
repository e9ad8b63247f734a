-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Finding a person: in which records of the caller's partner a name, a number or an address occurs, whatever the field, today and in earlier versions.

-- What counts of the words: letters, digits and signs other than spaces, hyphens, brackets, points and plus signs.
CREATE FUNCTION wardmote.bare(words text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT translate(normalize(words, NFC), E' -.()+\u00a0', '')
$$;

-- A regular expression, for ~*, that finds them however they are written: with such signs between any two, and letters with accents in one piece or two. It costs a
-- twentieth of normalizing each text that is looked at.
CREATE FUNCTION wardmote.loosely(words text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT string_agg(DISTINCT (SELECT string_agg(CASE WHEN c ~ '^[!-/:-@\[-`{-~]$' THEN '\' || c ELSE c END, E'[-\\s.()+\u00a0]*' ORDER BY n)
		FROM regexp_split_to_table(form, '') WITH ORDINALITY AS t (c, n)), '|')
	FROM (VALUES (wardmote.bare(words)), (normalize(wardmote.bare(words), NFD))) f (form)
$$;

-- The statement that looks through the versions of one thing. Its columns come from the table itself: every text, list of texts, object and list of objects, but closed lists
-- (text with a CHECK of its values). $1 the pattern; $2 the least id, not included; $3 how many records at most.
CREATE FUNCTION wardmote.search_statement(thing text) RETURNS text LANGUAGE sql STABLE AS $body$
	SELECT format($sql$
		SELECT h.id, coalesce(array_agg(DISTINCT f) FILTER (WHERE h.version_to = 'infinity'), '{}'),
			coalesce(array_agg(DISTINCT f) FILTER (WHERE h.version_to <> 'infinity'), '{}'), count(DISTINCT h.version) FILTER (WHERE h.version_to <> 'infinity')
		FROM api.%1$I h CROSS JOIN LATERAL (%2$s) found (f)
		WHERE h.%3$I = (SELECT wardmote.ctx_partner()) AND h.id > $2 AND h.operation <> 'delete' AND concat_ws(chr(31), %4$s) ~* $1
		GROUP BY h.id ORDER BY h.id LIMIT $3$sql$,
		thing || '_version',
		string_agg(CASE a.atttypid
			WHEN 'jsonb'::regtype THEN format($f$SELECT %L || '.' || m.key FROM jsonb_array_elements(%s) e, jsonb_each_text(e) m WHERE m.value ~* $1$f$, a.attname, e.objects)
			ELSE format('SELECT %L WHERE %s ~* $1', a.attname, e.words) END, ' UNION ALL ' ORDER BY a.attnum),
		CASE WHEN wardmote.has_column(thing, 'partner_id') THEN 'partner_id' ELSE 'id' END,
		string_agg(e.words, ', ' ORDER BY a.attnum))
	FROM pg_attribute a
	CROSS JOIN LATERAL (SELECT format('CASE jsonb_typeof(h.%1$I) WHEN ''array'' THEN h.%1$I WHEN ''object'' THEN jsonb_build_array(h.%1$I) END', a.attname) AS objects) o
	CROSS JOIN LATERAL (SELECT o.objects, CASE a.atttypid
		WHEN 'jsonb'::regtype THEN format('(SELECT string_agg(m.value, chr(31)) FROM jsonb_array_elements(%s) e, jsonb_each_text(e) m)', o.objects)
		WHEN 'text[]'::regtype THEN format('array_to_string(h.%I, chr(31))', a.attname) ELSE format('h.%I', a.attname) END AS words) e
	WHERE a.attrelid = format('wardmote.%I', thing)::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		AND a.attname NOT IN ('grants', 'visibility') AND a.atttypid IN ('text'::regtype, 'text[]'::regtype, 'jsonb'::regtype)
		AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = a.attrelid AND c.contype = 'c' AND c.conkey = ARRAY[a.attnum]
			AND pg_get_constraintdef(c.oid) ~ '^CHECK \(\(\w+ = ANY ')
$body$;

-- What is searched: everything that has versions, as far as the scopes of the caller's token reach.
CREATE FUNCTION wardmote.searched() RETURNS TABLE (resource text, thing text) LANGUAGE sql STABLE AS $$
	SELECT wardmote.plural(c.relname), c.relname::text FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
	WHERE s.nspname = 'history' AND c.relkind = 'r' AND wardmote.may_read(wardmote.plural(c.relname))
$$;

-- The records of the caller's partner that hold the words, in the order of resource and id, after `given_after` ("resource/id"). For its managers; it reads the
-- views, so it finds nothing that its caller may not read one by one. Answers stored for repeated requests count as a place of the record that they are about.
CREATE FUNCTION wardmote.find_words(words text, only_resource text, given_after text, most integer)
RETURNS TABLE (resource text, record_id uuid, deleted boolean, current_fields text[], earlier_fields text[], versions bigint, stored_answers bigint)
LANGUAGE plpgsql STABLE AS $body$
DECLARE
	wanted text := wardmote.loosely(words);
	after_resource text := coalesce(split_part(given_after, '/', 1), '');
	after_id uuid := CASE WHEN given_after IS NULL THEN '00000000-0000-0000-0000-000000000000' ELSE split_part(given_after, '/', 2)::uuid END;
	left_over integer := most;
	n bigint;
	t record;
BEGIN
	IF wardmote.ctx_rank() < 3 OR coalesce(length(wardmote.bare(words)), 0) < 3 THEN
		RETURN;
	END IF;
	FOR t IN SELECT s.resource, s.thing FROM wardmote.searched() s
		WHERE s.resource >= after_resource COLLATE "C" AND (only_resource IS NULL OR s.resource = only_resource) ORDER BY s.resource COLLATE "C"
	LOOP
		RETURN QUERY EXECUTE format($sql$
			WITH found (id, fields, past, n) AS (%s),
			answers (id, n) AS (SELECT i.record_id, count(*) FROM wardmote.idempotency i WHERE i.partner_id = (SELECT wardmote.ctx_partner())
				AND split_part(i.path, '/', 3) = $4 AND i.record_id > $2 AND i.body ~* $1 GROUP BY 1)
			SELECT $4, coalesce(f.id, a.id), NOT EXISTS (SELECT FROM api.%I t WHERE t.id = coalesce(f.id, a.id)), coalesce(f.fields, '{}'), coalesce(f.past, '{}'), coalesce(f.n, 0), coalesce(a.n, 0)
			FROM found f FULL JOIN answers a ON a.id = f.id ORDER BY 2 LIMIT $3$sql$, wardmote.search_statement(t.thing), t.thing)
		USING wanted, CASE WHEN t.resource = after_resource THEN after_id ELSE '00000000-0000-0000-0000-000000000000' END, left_over, t.resource;
		GET DIAGNOSTICS n = ROW_COUNT;
		left_over := left_over - n;
		EXIT WHEN left_over <= 0;
	END LOOP;
END
$body$;

GRANT EXECUTE ON FUNCTION wardmote.bare, wardmote.loosely, wardmote.search_statement, wardmote.searched, wardmote.find_words, wardmote.plural, wardmote.has_column TO wardmote_api;
