-- SPDX-License-Identifier: AGPL-3.0-or-later
SELECT @record AS body, r.version::text AS version FROM api.consultation r WHERE r.id = $1::uuid
