-- SPDX-License-Identifier: AGPL-3.0-or-later
-- The JSON of a row `r` for the anonymous; @more: fields of what it refers to.
(SELECT row_to_json(o) FROM (SELECT @anonymous_fields @more) o)::text
