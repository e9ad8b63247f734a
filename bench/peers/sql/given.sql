-- SPDX-License-Identifier: AGPL-3.0-or-later
-- The same of the record `n`; members of objects are all there, in one order.
n.visibility,
(SELECT coalesce(jsonb_agg('{"partner_id":null,"right":null}'::jsonb || e ORDER BY at), '[]') FROM jsonb_array_elements(n.grants) WITH ORDINALITY v (e, at)) AS grants,
n.external_id, n.source, n.title, n.summary, n.trigger, n.stage, n.topics, n.audiences, n.methods, n.everyone, n.locality_ids, n.community_ids,
(SELECT coalesce(jsonb_agg('{"partner_id":null,"role":null,"reason":null}'::jsonb || e ORDER BY at), '[]') FROM jsonb_array_elements(n.partners) WITH ORDINALITY v (e, at)) AS partners,
n.service_area_id, n.lead_contact_id, n.sponsor_contact_id, n.referral_contact_id,
n.level, n.take_part_url, n.take_part_how, n.contact, n.purpose, n.relevance, n.intended_outcome, n.can_influence, n.cannot_influence,
n.use_of_information, n.constraints, n.options, n.statutory, n.legal_basis, n.announced_on, n.open_on, n.open_on_precision, n.close_on,
n.close_on_precision, n.when_text, n.feedback_how, n.feedback_due_on, n.round_of_id, n.planned_hours, n.notes, n.as_at
