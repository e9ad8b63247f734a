SELECT '/valid_to' AS pointer, 'order' AS code, 'valid_to may not be before valid_from' AS detail FROM new WHERE new.valid_to < new.valid_from
UNION ALL
SELECT '/to_partner_id', 'required', 'a route leads to a partner, a service area or a contact'
FROM new WHERE num_nonnulls(new.to_partner_id, new.to_service_area_id, new.to_contact_id) = 0
