-- SPDX-License-Identifier: AGPL-3.0-or-later
SELECT @columns, t.@sort AS sort_key FROM api.consultation t
