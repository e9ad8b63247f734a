/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Faults as text, "name code; name code", in the order found: what the tests compare. */
#ifndef WARDMOTE_TESTS_FAULTS_H
#define WARDMOTE_TESTS_FAULTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wardmote/problem.h"

static inline const char *faults_text(const struct faults *faults)
{
	struct buffer text = { .arena = faults->arena };
	for (size_t i = 0; i < faults->n; i++)
		buffer_format(&text, "%s%s %s", i > 0 ? "; " : "", faults->rows[i].name, faults->rows[i].code);
	return text.ptr == NULL ? "" : text.ptr;
}

#endif
