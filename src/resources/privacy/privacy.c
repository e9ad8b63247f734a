/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the operations in operations.inc are asked with. */
#include "operations.h"

enum { WORDS_MIN_CHARS = 3, WORDS_MAX_CHARS = 200, RESOURCE_MAX_CHARS = 40, AFTER_MAX_CHARS = 80, FOUND_MAX = 500 };

/* clang-format off */
const struct field personal_search_body[] = {
	{ .name = "text", .type = T_TEXT, .flags = F_REQUIRED | F_PERSONAL, .min = WORDS_MIN_CHARS, .max = WORDS_MAX_CHARS,
	  .purpose = "So that a person's data are found when that person asks.", .retention = "Not kept.",
	  .subjects = "Whoever asks what is recorded.", .basis = "Legal obligation (Art. 6(1)(c)): Art. 15 to 21.",
	  .doc = "Name, telephone number or address to look for: a part of a text. Case, spaces, hyphens, brackets, points and plus signs make no difference; "
		 "without them at least 3 characters.", .example = "\"Sam Example\"" },
	{ .name = "resource", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = RESOURCE_MAX_CHARS, .doc = "Only records of this resource.", .example = "\"contacts\"" },
	{ .name = "after", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = AFTER_MAX_CHARS, .doc = "`next` of the answer before.",
	  .example = "\"contacts/019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708\"" },
	{ .name = "limit", .type = T_INT, .initial = "100", .min = 1, .max = FOUND_MAX, .doc = "Records in one answer.", .example = "100" },
	{ 0 },
};
/* clang-format on */

const int personal_search_statuses[] = { 422, 0 };
