/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Risk scales: the values that likelihood and impact may take. They need not be contiguous (Norwich: impact 1, 2, 3, 5, 6). */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char risk_scale_check_sql[];
extern const char risk_scale_gate_sql[];

/* clang-format off */
static const struct field steps[] = {
	{ .name = "value", .type = T_INT, .flags = F_REQUIRED, .min = 0, .max = 1000, .doc = "The number.", .example = "5" },
	{ .name = "label", .type = T_TEXT, .flags = F_REQUIRED, .min = 1, .max = NAME_MAX_CHARS, .names = NAMES_NOBODY, .doc = "The number in words.",
	  .example = "\"major\"" },
	{ 0 },
};

static const struct field fields[] = {
	{ .name = "code", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Short name of the scale, unique in the network.", .example = "\"norwich-2008\"" },
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Name of the scale.", .example = "\"Risk matrix\"" },
	{ .name = "likelihood", .type = T_OBJECTS, .members = steps, .flags = F_REQUIRED | F_SUMMARY, .min = 1, .max = 20,
	  .doc = "Values of likelihood, each once.", .example = "[{\"value\":1,\"label\":\"rare\"},{\"value\":2,\"label\":\"unlikely\"}]" },
	{ .name = "impact", .type = T_OBJECTS, .members = steps, .flags = F_REQUIRED | F_SUMMARY, .min = 1, .max = 20,
	  .doc = "Values of impact, each once.", .example = "[{\"value\":3,\"label\":\"moderate\"},{\"value\":5,\"label\":\"major\"}]" },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "name", .type = "text" },
	{ .name = "code", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource risk_scale_resource = {
	.name = "risk-scales",
	.thing = "risk_scale",
	.doc =
	    "A risk scale says which values likelihood and impact may take. A scale in use cannot lose a value that a risk has. Scores of "
	    "different scales are never mixed.",
	.flags = R_OWNED | R_ADMIN | R_UNIQUE,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_ADMINISTRATOR,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.check_sql = risk_scale_check_sql,
	.gate_sql = risk_scale_gate_sql,
	.example =
	    "{\"code\":\"three-steps\",\"name\":\"Three steps\",\"likelihood\":[{\"value\":1,\"label\":\"rare\"},{\"value\":2,\"label\":"
	    "\"possible\"},{\"value\":3,\"label\":\"likely\"}],\"impact\":[{\"value\":1,\"label\":\"minor\"},{\"value\":3,\"label\":"
	    "\"moderate\"},{\"value\":5,\"label\":\"major\"}]}",
};
