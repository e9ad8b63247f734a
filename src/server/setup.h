/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a database administrator runs once; also the way in which `wardmote dev` prepares its own cluster. */
#ifndef WARDMOTE_SERVER_SETUP_H
#define WARDMOTE_SERVER_SETUP_H

#include "wardmote/arena.h"

/* The psql script for a database of this name; NULL when the name is not lower-case letters, digits and underscores. */
const char *setup_script(struct arena *arena, const char *database_name);

#endif
