/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the rows of operations.inc name: general.c takes them into its table. */
#ifndef WARDMOTE_COMMUNITY_OPERATIONS_H
#define WARDMOTE_COMMUNITY_OPERATIONS_H

#include "wardmote/operation.h"

#endif
