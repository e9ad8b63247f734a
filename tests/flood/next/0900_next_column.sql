-- SPDX-License-Identifier: AGPL-3.0-or-later
-- What a next version may add while this one serves: a column that nobody has to fill. Tables, views, policies and history follow.
ALTER TABLE wardmote.community ADD COLUMN IF NOT EXISTS next_note text;
SELECT wardmote.protect('community', 'owned');
SELECT wardmote.track('community');
