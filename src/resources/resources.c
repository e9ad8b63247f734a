/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "wardmote/resources.h"

const struct resource *const resources_all[] = {
	&partner_resource,
	&account_resource,
	&partnership_resource,
	&code_resource,
	&boundary_set_resource,
	&locality_resource,
	&community_resource,
	&consultation_resource,
	&activity_resource,
	&risk_scale_resource,
	&risk_register_resource,
	&risk_resource,
#include "places/resources.inc"
#include "profiles/resources.inc"
#include "community/resources.inc"
#include "services/resources.inc"
	NULL,
};
