-- SPDX-License-Identifier: AGPL-3.0-or-later
(@rows WHERE t.audience = '00000000-0000-0000-0000-000000000001'::uuid @rest)
