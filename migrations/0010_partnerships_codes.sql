-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Partnerships, and the code lists.

CREATE TABLE wardmote.partnership (
	name        text COLLATE "und-x-icu" NOT NULL CONSTRAINT partnership_name CHECK (char_length(name) BETWEEN 1 AND 200),
	kind        text NOT NULL DEFAULT 'other' CONSTRAINT partnership_kind CHECK (kind IN ('cpp', 'lsp', 'city_partnership', 'other')),
	description text CONSTRAINT partnership_description CHECK (char_length(description) BETWEEN 1 AND 4000),
	members     jsonb NOT NULL DEFAULT '[]' CONSTRAINT partnership_members CHECK (jsonb_array_length(members) <= 200),
	search      tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, name || ' ' || coalesce(description, ''))) STORED
);
SELECT wardmote.protect('partnership', 'admin');
CREATE INDEX partnership_by_name ON wardmote.partnership (audience, name, id);
CREATE INDEX partnership_by_updated_at ON wardmote.partnership (audience, updated_at, id);
CREATE INDEX partnership_search ON wardmote.partnership USING gin (search);
SELECT wardmote.track('partnership');
SELECT wardmote.refers('partnership', 'members', 'partner', true, 'partner_id');

CREATE TABLE wardmote.code (
	list        text NOT NULL CONSTRAINT code_list CHECK (list IN ('topic', 'audience', 'method')),
	code        text COLLATE "und-x-icu" NOT NULL CONSTRAINT code_code CHECK (char_length(code) BETWEEN 1 AND 100),
	label       text COLLATE "und-x-icu" NOT NULL CONSTRAINT code_label CHECK (char_length(label) BETWEEN 1 AND 200),
	description text CONSTRAINT code_description CHECK (char_length(description) BETWEEN 1 AND 4000),
	maps_to     text CONSTRAINT code_maps_to CHECK (char_length(maps_to) BETWEEN 1 AND 100),
	search      tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig,
		code || ' ' || label || ' ' || coalesce(description, ''))) STORED
);
SELECT wardmote.protect('code', 'shareable');
ALTER TABLE wardmote.code
	ADD CONSTRAINT code_code_unique UNIQUE NULLS NOT DISTINCT (list, code, partner_id),
	ADD CONSTRAINT code_maps_to_owner CHECK (partner_id IS NOT NULL OR maps_to IS NULL);
CREATE INDEX code_by_code ON wardmote.code (audience, code, id);
CREATE INDEX code_by_label ON wardmote.code (audience, label, id);
CREATE INDEX code_by_updated_at ON wardmote.code (audience, updated_at, id);
CREATE INDEX code_maps_to ON wardmote.code (list, maps_to) WHERE maps_to IS NOT NULL;
CREATE INDEX code_search ON wardmote.code USING gin (search);
SELECT wardmote.track('code');
