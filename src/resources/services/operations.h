/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the rows of operations.inc name: general.c takes them into its table. */
#ifndef WARDMOTE_SERVICES_OPERATIONS_H
#define WARDMOTE_SERVICES_OPERATIONS_H

#include "wardmote/operation.h"

extern const struct parameter hsds_services_parameters[], hsds_organizations_parameters[], personal_reads_parameters[];
extern const int hsds_not_found[];
extern const char hsds_root_sql[], hsds_services_sql[], hsds_service_sql[], hsds_organizations_sql[], hsds_organization_sql[],
    personal_reads_sql[];
extern const char hsds_root_json[], hsds_services_json[], hsds_service_json[], hsds_organizations_json[], hsds_organization_json[],
    personal_reads_json[];

#endif
