-- SPDX-License-Identifier: AGPL-3.0-or-later
-- What people look for: the open consultations of a place. They are few of all that a place has had.

CREATE INDEX consultation_open_locality_ids ON wardmote.consultation USING gin (locality_ids) WHERE status = 'open';
