-- SPDX-License-Identifier: AGPL-3.0-or-later
-- The limit is a constant, which the planner can count on; the page's own is above.
@where ORDER BY @order LIMIT 501
