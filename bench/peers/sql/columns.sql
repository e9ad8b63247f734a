-- SPDX-License-Identifier: AGPL-3.0-or-later
-- The columns that any of the field lists needs.
t.id, t.partner_id, t.visibility, t.grants, t.external_id, t.source, t.title, t.summary, t.status, t.trigger, t.stage, t.topics, t.audiences,
t.methods, t.everyone, t.locality_ids, t.community_ids, t.partners, t.service_area_id, t.lead_contact_id, t.sponsor_contact_id, t.referral_contact_id,
t.level, t.take_part_url, t.take_part_how, t.contact, t.purpose, t.relevance,
t.intended_outcome, t.can_influence, t.cannot_influence, t.use_of_information, t.constraints, t.options, t.statutory, t.legal_basis, t.announced_on,
t.open_on, t.open_on_precision, t.close_on, t.close_on_precision, t.when_text, t.feedback_how, t.feedback_due_on, t.round_of_id, t.planned_hours,
t.notes, t.retrospective, t.as_at, t.cancelled_reason, t.closed_early_reason, t.created_at, t.updated_at, t.created_by, t.updated_by, t.version
