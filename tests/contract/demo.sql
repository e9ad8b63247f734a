-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Tables of the resources in demo.c, made as a migration makes them.
CREATE TABLE wardmote.partner (name text NOT NULL, kind text);
SELECT wardmote.add_common_columns('partner');
ALTER TABLE wardmote.partner ADD COLUMN audience uuid GENERATED ALWAYS AS ('00000000-0000-0000-0000-000000000001'::uuid) STORED;
SELECT wardmote.force_policies('wardmote.partner');
CREATE VIEW api.partner AS SELECT * FROM wardmote.partner;
GRANT SELECT ON api.partner TO wardmote_api;
GRANT SELECT, INSERT, UPDATE ON wardmote.partner TO wardmote_api;
CREATE POLICY reading ON wardmote.partner FOR SELECT TO wardmote_api USING (true);
CREATE POLICY creating ON wardmote.partner FOR INSERT TO wardmote_api WITH CHECK (wardmote.may_administer());
CREATE POLICY changing ON wardmote.partner FOR UPDATE TO wardmote_api USING (wardmote.may_administer());
SELECT wardmote.track('partner');

CREATE TABLE wardmote.code (list text NOT NULL, code text NOT NULL, label text NOT NULL);
SELECT wardmote.protect('code', 'shareable');
SELECT wardmote.track('code');

CREATE TABLE wardmote.place (name text COLLATE "und-x-icu" NOT NULL, geometry geometry(MultiPolygon, 4326), parent_id uuid, population integer);
SELECT wardmote.protect('place', 'admin');
CREATE INDEX place_name ON wardmote.place (audience, name, id);
CREATE INDEX place_updated ON wardmote.place (audience, updated_at, id);
CREATE INDEX place_geometry ON wardmote.place USING gist (geometry);
SELECT wardmote.track('place');
SELECT wardmote.refers('place', 'parent_id', 'place', false);

CREATE TABLE wardmote.note (title text COLLATE "und-x-icu" NOT NULL, body text, kind text NOT NULL CONSTRAINT note_kind CHECK (kind IN ('memo','minute')),
  pinned boolean NOT NULL, open_on date, open_sort date NOT NULL GENERATED ALWAYS AS (coalesce(open_on, 'infinity')) STORED, start_time time,
  seen_at timestamptz, place_id uuid, place_ids uuid[] NOT NULL, topics text[] NOT NULL, tags text[] NOT NULL, members jsonb NOT NULL, internal text, website text,
  status text NOT NULL DEFAULT 'idea', hours integer, fee numeric(8,2), parts jsonb NOT NULL DEFAULT '[]', after_id uuid,
  search tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('english', title || ' ' || coalesce(body, ''))) STORED);
SELECT wardmote.protect('note', 'owned');
CREATE INDEX note_title ON wardmote.note (audience, title, id);
CREATE INDEX note_updated ON wardmote.note (audience, updated_at, id);
CREATE INDEX note_open ON wardmote.note (audience, open_sort, id);
CREATE INDEX note_search ON wardmote.note USING gin (search);
SELECT wardmote.track('note');
SELECT wardmote.refers('note', 'after_id', 'note', false);
SELECT wardmote.refers('note', 'place_id', 'place', false);
SELECT wardmote.refers('note', 'place_ids', 'place', true);
SELECT wardmote.refers('note', 'members', 'partner', true, 'partner_id');
