-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Fields of a consultation in the order of the answer; those in braces are for the callers named there (a partner; the partner that owns it).
	r.id, r.partner_id, r.visibility, {owner r.grants, r.external_id,} r.source, r.title, r.summary, r.status, r.trigger, r.stage, r.topics,
	r.audiences, r.methods, r.everyone, r.locality_ids, r.community_ids, r.partners, r.service_area_id, r.lead_contact_id, r.sponsor_contact_id, r.referral_contact_id,
	r.level, r.take_part_url, r.take_part_how, r.contact,
	r.purpose, r.relevance, r.intended_outcome, r.can_influence, r.cannot_influence, r.use_of_information, r.constraints, r.options, r.statutory,
	r.legal_basis, r.announced_on, r.open_on, r.open_on_precision, r.close_on, r.close_on_precision, r.when_text, r.feedback_how,
	r.feedback_due_on, r.round_of_id, {partner r.planned_hours,} {owner r.notes,} r.retrospective, r.as_at, r.cancelled_reason,
	r.closed_early_reason, to_char(r.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at,
	to_char(r.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS updated_at, {owner r.created_by, r.updated_by,} r.version
