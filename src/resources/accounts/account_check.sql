SELECT '/login', 'required', 'a person signs in with a login' FROM new WHERE new.kind = 'person' AND new.login IS NULL AND new.erased_at IS NULL
UNION ALL
SELECT '/login', 'not_allowed', 'only a person has a login; a service account has a client_id' FROM new
WHERE new.kind = 'service' AND new.login IS NOT NULL
UNION ALL
SELECT '/login', 'format', 'a login is in lower case, has 3 to 200 characters and no spaces' FROM new
WHERE new.login <> lower(new.login) OR new.login ~ '[[:space:]]'
UNION ALL
SELECT '/role', 'not_allowed', 'administrators belong to the host partner' FROM new
WHERE new.role = 'administrator' AND EXISTS (SELECT FROM api.partner p WHERE p.id = new.partner_id AND NOT p.host)
UNION ALL
SELECT format('/scopes/%s', s.at - 1), 'unknown_scope', 'a scope is the name of a resource, a colon, and read or write; see /.well-known/oauth-authorization-server'
FROM new CROSS JOIN LATERAL unnest(new.scopes) WITH ORDINALITY AS s (scope, at)
WHERE s.scope !~ '^(partners|accounts|partnerships|codes|boundary-sets|localities|communities|consultations|activities|risk-scales|risk-registers|risks|imports|profile-values|deprivation-values|priority-designations|community-groups|mapping-exercises|map-items|needs|locality-plans|service-areas|contacts|contact-assignments|service-entries|referral-routes):(read|write)$'
UNION ALL
SELECT format('/scopes/%s', s.at - 1), 'duplicate', 'a scope is named once'
FROM new CROSS JOIN LATERAL unnest(new.scopes) WITH ORDINALITY AS s (scope, at)
WHERE EXISTS (SELECT FROM unnest(new.scopes) WITH ORDINALITY AS t (scope, at) WHERE t.at < s.at AND t.scope = s.scope)
UNION ALL
SELECT '/jwks', 'not_allowed', 'only a service account has keys; a person has a password' FROM new WHERE new.kind = 'person' AND new.jwks IS NOT NULL
UNION ALL
SELECT '/jwks', 'not_allowed', 'a token with scopes gives no key to an account that has more than it has itself'
FROM new LEFT JOIN cur ON true
WHERE new.jwks IS NOT NULL AND NOT wardmote.within_scopes(new.scopes) AND new.jwks IS DISTINCT FROM cur.jwks
UNION ALL
SELECT '/scopes', 'not_allowed', 'a token with scopes gives no account more than it has itself'
FROM new LEFT JOIN cur ON true
WHERE NOT wardmote.within_scopes(new.scopes) AND (cur.id IS NULL OR new.scopes IS DISTINCT FROM cur.scopes)
