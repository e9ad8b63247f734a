/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the text settings accept. Pure functions; private to src/base. */
#ifndef WARDMOTE_CONFIG_CHECK_H
#define WARDMOTE_CONFIG_CHECK_H

#include <stdbool.h>

bool check_not_empty(const char *text);
bool check_address(const char *text); /* host:port, [v6]:port, port 0 to 65535 */
bool check_url_or_empty(const char *text); /* http(s)://host[:port][/path], no slash at the end, no query */
bool check_origins(const char *text); /* http(s)://host[:port], separated by commas; may be empty */
bool check_log_level(const char *text);
bool check_pooler(const char *text); /* none, transaction */
bool check_transactions(const char *text); /* implicit, explicit */
bool check_timezone(const char *text);
bool check_extent_or_empty(const char *text); /* four numbers between commas: west, south, east, north; west may be greater than east */

#endif
