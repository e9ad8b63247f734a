/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Internet addresses as text: lists of networks, and what of an address stands for one client. */
#ifndef WARDMOTE_NETWORK_H
#define WARDMOTE_NETWORK_H

#include "wardmote/slice.h"

enum { NETWORK_KEY_MAX = 64 };

/* Is this a list of addresses and networks ("127.0.0.1, 10.0.0.0/8, ::1"), separated by commas? The empty list is one. */
bool network_list_valid(const char *list);
/* Is the address in a network of the list? False for what is no address. */
bool network_list_has(const char *list, struct slice address);
/* Is it an IPv4 or IPv6 address? */
bool network_is_address(struct slice address);
/* What a limit for one client counts by: an IPv4 address as it is, an IPv6 address without its last 64 bits (one site has them all). */
void network_key(const char *address, char ret_key[NETWORK_KEY_MAX]);

#endif
