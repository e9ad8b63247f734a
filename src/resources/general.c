/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Operations that belong to no resource: entrances, documents and the change feed. Those of a family are in the operations.inc of its folder, and what they
 * name is declared in its operations.h. */
#include "wardmote/resources.h"

#include "accounts/operations.h"
#include "across/operations.h"
#include "community/operations.h"
#include "ogc/operations.h"
#include "places/operations.h"
#include "privacy/operations.h"
#include "profiles/operations.h"
#include "services/operations.h"

/* clang-format off */
static const struct parameter changes_parameters[] = {
	{ .name = "after", .type = T_TEXT, .min = 1, .max = 512, .doc = "Cursor from the `next` link of the last answer; none: from the beginning." },
	{ .name = "limit", .type = T_INT, .min = 1, .doc = "Changes in one answer; 50 by default, more than 500 is taken as 500." },
	{ 0 },
};
/* clang-format on */

static const int not_found[] = { 404, 0 };

/* clang-format off */
const struct operation resources_general[] = {
	{ .id = "get_root", .method = "GET", .path = "/", .verb = V_NATIVE, .native = NATIVE_ROOT, .least = CALLER_ANONYMOUS, .lane = LANE_READ,
	  .summary = "Where to start", .doc = "Links to the versions of the API, its description and the problem types." },
	{ .id = "get_v1", .method = "GET", .path = "/v1", .verb = V_NATIVE, .native = NATIVE_V1, .least = CALLER_ANONYMOUS, .lane = LANE_READ,
	  .summary = "What version 1 offers", .doc = "Links to every collection." },
	{ .id = "get_openapi", .method = "GET", .path = "/openapi.json", .verb = V_NATIVE, .native = NATIVE_OPENAPI, .least = CALLER_ANONYMOUS,
	  .lane = LANE_READ, .summary = "This description", .doc = "The OpenAPI 3.1 document of the running release." },
	{ .id = "list_problems", .method = "GET", .path = "/problems", .verb = V_NATIVE, .native = NATIVE_PROBLEMS, .least = CALLER_ANONYMOUS,
	  .lane = LANE_READ, .summary = "List the problem types", .doc = "Every `type` that an error can have." },
	{ .id = "get_problem", .method = "GET", .path = "/problems/{slug}", .verb = V_NATIVE, .native = NATIVE_PROBLEM, .least = CALLER_ANONYMOUS,
	  .lane = LANE_READ, .statuses = not_found, .summary = "Explain a problem type",
	  .doc = "What happened and what to do: the page that the `type` of an error leads to." },
	{ .id = "get_security_txt", .method = "GET", .path = "/.well-known/security.txt", .verb = V_NATIVE, .native = NATIVE_SECURITY_TXT,
	  .least = CALLER_ANONYMOUS, .lane = LANE_READ, .summary = "Whom to tell about a vulnerability", .doc = "As RFC 9116 describes." },
	{ .id = "list_changes", .method = "GET", .path = "/v1/changes", .verb = V_NATIVE, .native = NATIVE_CHANGES, .least = CALLER_ANONYMOUS,
	  .lane = LANE_READ, .parameters = changes_parameters, .summary = "Follow the changes",
	  .doc = "Every change of a record that the caller could see before or after it, in commit order: resource, id, version, operation and time. A "
		 "record that leaves the caller's sight appears as deleted. Ask again with `after` from the last answer; nothing is skipped." },
#include "accounts/operations.inc"
#include "places/operations.inc"
#include "profiles/operations.inc"
#include "community/operations.inc"
#include "services/operations.inc"
#include "ogc/operations.inc"
#include "across/operations.inc"
#include "privacy/operations.inc"
	{ 0 },
};
/* clang-format on */
