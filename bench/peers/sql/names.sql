-- SPDX-License-Identifier: AGPL-3.0-or-later
-- What a body may set at any time.
visibility, grants, external_id, source, title, summary, trigger, stage, topics, audiences, methods, everyone, locality_ids, community_ids,
partners, service_area_id, lead_contact_id, sponsor_contact_id, referral_contact_id,
level, take_part_url, take_part_how, contact, purpose, relevance, intended_outcome, can_influence, cannot_influence, use_of_information,
constraints, options, statutory, legal_basis, announced_on, open_on, open_on_precision, close_on, close_on_precision, when_text, feedback_how,
feedback_due_on, round_of_id, planned_hours, notes, as_at
