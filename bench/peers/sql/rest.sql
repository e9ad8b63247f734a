-- SPDX-License-Identifier: AGPL-3.0-or-later
-- In the order of the audience's index. The limit is a constant, which the planner can count on; the page's own is above.
@where ORDER BY t.@sort @direction, t.id @direction LIMIT 501
