-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Priority: which neighbourhoods and communities a partner puts first, why and since when; and what activities cost, and for which place.

CREATE TABLE wardmote.priority_designation (
	locality_id   uuid,
	community_id  uuid,
	status        text NOT NULL DEFAULT 'priority' CONSTRAINT priority_designation_status CHECK (status IN ('priority', 'targeted')),
	reason        text NOT NULL CONSTRAINT priority_designation_reason CHECK (reason IN ('deprivation_index', 'profile', 'remoteness', 'service_exclusion',
		'rural_isolation', 'poor_transport', 'other')),
	reason_text   text CONSTRAINT priority_designation_reason_text CHECK (char_length(reason_text) BETWEEN 1 AND 4000),
	index_name    text CONSTRAINT priority_designation_index_name CHECK (char_length(index_name) BETWEEN 1 AND 60),
	rank          integer CONSTRAINT priority_designation_rank CHECK (rank BETWEEN 1 AND 1000000),
	score         numeric(12,4) CONSTRAINT priority_designation_score CHECK (score BETWEEN -1000000 AND 1000000),
	decile        integer CONSTRAINT priority_designation_decile CHECK (decile BETWEEN 1 AND 10),
	evidence_date date,
	set_by        text CONSTRAINT priority_designation_set_by CHECK (char_length(set_by) BETWEEN 1 AND 200),
	valid_from    date NOT NULL,
	valid_to      date,
	CONSTRAINT priority_designation_valid_to_order CHECK (valid_to >= valid_from),
	CONSTRAINT priority_designation_locality_id_or_community CHECK (num_nonnulls(locality_id, community_id) = 1),
	-- The texts that go with a reason are asked for when it is written. Here they may go, so that a name that got into one can be erased.
	CONSTRAINT priority_designation_evidence_date_index CHECK (reason <> 'deprivation_index'
		OR (evidence_date IS NOT NULL AND num_nonnulls(rank, score) > 0))
);
SELECT wardmote.protect('priority_designation', 'owned');
CREATE INDEX priority_designation_by_valid_from ON wardmote.priority_designation (audience, valid_from, id);
CREATE INDEX priority_designation_by_updated_at ON wardmote.priority_designation (audience, updated_at, id);
SELECT wardmote.track('priority_designation');
SELECT wardmote.refers('priority_designation', 'locality_id', 'locality', false);
SELECT wardmote.refers('priority_designation', 'community_id', 'community', false);

-- --- what an activity costs, and for whom it is ---------------------------------------------------------------------------------------

ALTER TABLE wardmote.activity
	ADD COLUMN investment_type text CONSTRAINT activity_investment_type CHECK (investment_type IN ('hard', 'soft')),
	ADD COLUMN locality_shares jsonb NOT NULL DEFAULT '[]' CONSTRAINT activity_locality_shares CHECK (jsonb_typeof(locality_shares) = 'array'
		AND jsonb_array_length(locality_shares) <= 500),
	ADD COLUMN cost_pence      bigint CONSTRAINT activity_cost_pence CHECK (cost_pence BETWEEN 0 AND 100000000000);
-- What earlier versions did not have was empty then.
ALTER TABLE history.activity ADD COLUMN locality_shares jsonb DEFAULT '[]';
SELECT wardmote.protect('activity', 'owned');
SELECT wardmote.track('activity');
SELECT wardmote.refers('activity', 'locality_shares', 'locality', true, 'locality_id');
