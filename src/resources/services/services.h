/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the descriptors of services share. */
#ifndef WARDMOTE_RESOURCES_SERVICES_H
#define WARDMOTE_RESOURCES_SERVICES_H

#include "wardmote/resource.h"

/* What a contact is responsible for. */
extern const char *const contact_roles[];

enum {
	PHONE_MAX_CHARS = 100,
	EMAIL_MIN_CHARS = 3,
	EMAIL_MAX_CHARS = 254,
};

#endif
