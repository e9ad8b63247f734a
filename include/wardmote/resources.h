/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What this server serves: the list of its resources and the operations that belong to none. Const data, read by catalog_new. */
#ifndef WARDMOTE_RESOURCES_H
#define WARDMOTE_RESOURCES_H

#include "wardmote/operation.h"

/* NULL-terminated, in the order in which documents list them. */
extern const struct resource *const resources_all[];
/* Ended by a row without id. */
extern const struct operation resources_general[];

extern const struct resource partner_resource;
extern const struct resource account_resource;
extern const struct resource partnership_resource;
extern const struct resource code_resource;
extern const struct resource boundary_set_resource;
extern const struct resource locality_resource;
extern const struct resource community_resource;
extern const struct resource consultation_resource;
extern const struct resource activity_resource;
extern const struct resource risk_scale_resource;
extern const struct resource risk_register_resource;
extern const struct resource risk_resource;
/* places/ */
extern const struct resource import_resource;
/* profiles/ */
extern const struct resource profile_value_resource;
extern const struct resource deprivation_value_resource;
extern const struct resource priority_designation_resource;
/* community/ */
extern const struct resource community_group_resource;
extern const struct resource mapping_exercise_resource;
extern const struct resource map_item_resource;
extern const struct resource need_resource;
extern const struct resource locality_plan_resource;
/* services/ */
extern const struct resource service_area_resource;
extern const struct resource contact_resource;
extern const struct resource contact_assignment_resource;
extern const struct resource service_entry_resource;
extern const struct resource referral_route_resource;

#endif
