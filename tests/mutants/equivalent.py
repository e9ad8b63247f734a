# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mutants that change nothing that anybody could notice, each with the proof. As few as can be: whatever could be noticed gets a test instead."""

PROOFS = {
    # A boundary set is administered: to refer to one takes wardmote.may_administer(). Who writes a locality is asked just that before (sql_forbidden, R_ADMIN), and
    # is answered 403 where it is not so: the row of the fault about the reference is never made.
    "field:localities.boundary_set_id:any reference": "the writer was asked for the same right before",
    # --- where the next condition refuses the same, in the same words ---
    "src/auth/jws.c jws_object: base64url_decode(space, size, part, &len) != 0 -> false #c393ef": "libsodium gives no bytes where it fails, and nothing is no JSON",
    "src/auth/token.c auth_token_verify: base64url_decode(signature, sizeof(signature), parts.signature, &signature_len) != 0 -> false #06913d":
        "libsodium gives no bytes where it fails, which is no signature's length",
    "src/auth/token.c take_text: !json_is_string(value) -> false #b36180": "what is no string is 0 long, which is refused",
    "src/auth/jws.c jws_time: !json_is_integer(value) -> false #fc10aa": "what is no integer is 0, which is refused",
    "src/resources/accounts/clients.c flow_token_parse: form_text(arena, form, \"grant_type\", 64, &grant) != 0 -> false #485900": "grant is still NULL, which is refused",
    "src/resources/accounts/flows.c narrow: span == 0 -> false #38a7ec": "has_word() finds no empty word in any list",
    "src/server/request.c bearer: field.len < 8 -> false #ae0f95": "a field ends in NUL and has no blank before it: a shorter one differs from 'Bearer ' there",
    # --- claims of who is not signed in are zero: not scoped ---
    "src/server/request.c stage_include: !request->authenticated -> false #99f018": "auth_has_scope() allows everything to claims that are not scoped",
    "src/server/native_changes.c heard_resources: !request->authenticated -> false #99f018": "the next alternative is true of them",
    "src/server/native_changes.c heard_resources: !request->claims.scoped -> false #ba85ed": "auth_has_scope() allows them all: the list names every resource",
    "src/server/native_auth.c run_revoke: error == 0 -> true #6b1b91": "the claims of what is no access token are empty: no session",
    # --- what a function returns that nobody reads: the faults that it adds are what counts ---
    "src/server/request.c validate_resource: body_validate(request->arena, request->match.route->shape, modes[operation->verb], byte... -> true #9b455f": "request_body() counts faults",
    "src/server/request.c check_body: body_validate_fields(request->arena, operation->body, bytes, &request->call.body, &requ... -> true #2cc85c": "request_body() counts faults",
    "src/server/request.c check_body: validate_resource(request, bytes) -> true #0d452f": "request_body() counts faults",
    "src/server/request.c take_key: good -> true #770e60": "request_body() counts faults",
    "src/server/request.c take_if_none_match: request->call.create_only -> true #b5ae1d": "request_body() counts faults",
    "src/server/request.c stage_preconditions: good -> true #770e60": "it has answered, and request_body() does nothing then",
    "src/server/request.c open_cursor: auth_unseal(request->arena, request->worker->keys, query->cursor, &plain) == 0 -> true #f95e94": "what was not opened is empty, and no cursor",
    # --- nothing leads there ---
    "src/server/native_changes.c read_position: plain.len < 9 -> false #12d8a5": "only what we sealed is opened, and none of our cursors is shorter",
    "src/server/native_auth.c login_hashed: flow->login.hash != NULL -> true #e59e0a":
        "without a hash the password was compared with a hash of 32 random bytes that nobody kept; and login_finish() knows no account without one",
    "src/server/result.c cache_control: (operation->flags & OP_NO_STORE) -> false #36fbb6": "operations with this flag are native: they name their own",
    "src/server/result.c asks_for_personal: shape != NULL -> true #e89a44": "operations without a shape are native, too",
    "src/api/sql.c sql_replay: s.method = $%d::text -> true #4cb364": "only POST takes a key (test_only_post_takes_a_key)",
    "src/server/segment.c -: s.account_id = a.id -> true #550bef": "both ids are from one token that we signed, of one row; no statement gives a session to another account",
    "src/api/sql_list.c is_own_only: query->sort != NULL -> true #199a8a": "every list has an order",
    "src/api/sql_list.c is_own_only: query->sort != NULL && query->sort->audience == A_OWNER -> false #e95359": "no order is for owners only (test_no_order_is_for_owners_only)",
    "src/api/sql_faults.c sql_is_owners_alone: (flags & R_OWNED) -> true #4ebe90": "asked about resources that partners own only",
    "src/api/sql_faults.c sql_is_owners_alone: !(field->flags & F_READONLY) -> true #27d29f": "a body that names such a field was refused, and no initial value is of one",
    "src/api/sql_faults.c may_refer: !(target->flags & R_OWNED) -> false #ffe66e": "asked about references that must be the writer's, which lead to owned records only",
    "src/server/request.c stage_authenticate: bearer(field, &request->token) -> true #21f083": "the token that was not read is empty, and that does not hold",
    "src/server/result.c respond_result: request->probe -> false #3e06ce": "a probe's row says 403, which is refused by its status",
    # --- the same rows, found or written in another way ---
    "src/api/sql_faults.c is_news: !changes(sql) -> false #bdf5c8": "without a stored record NOT EXISTS (cur) is true",
    "src/api/sql_faults.c sql_faults: field->flags & F_READONLY -> false #3c30db": "the faults of such a field are of references, codes, geometry or changes that none of them can have",
    "src/api/sql_render.c sql_render_object: ((fields | sql->call->query.include) & ~others) == 0 -> false #7b260f": "both branches of the CASE show the same then",
    "src/api/sql_list.c add_branches: is_own_only(sql) -> false #b7613c": "the view and the filter decide what is listed, branches how it is found",
    "src/api/sql_list.c add_branches: sql->call->caller == CALLER_ANONYMOUS -> false #a98ea3": "the further branches are empty for who has no partner: the view decides",
    "src/api/sql.c sql_replay: s.version IS NULL -> true #6276fe": "who made a version owned the record, was granted it, or it was shared or public: it sees that version for as long as the record",
}
