/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "wardmote/network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

/* An address as 16 bytes: IPv4 is mapped into IPv6, so that one comparison serves both. */
struct address {
	unsigned char bytes[16];
	bool v4;
};

static bool parse(struct slice text, struct address *ret_address)
{
	char copy[INET6_ADDRSTRLEN];
	if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len) != NULL)
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	*ret_address = (struct address){ .bytes = { [10] = 0xff, [11] = 0xff }, .v4 = true };
	if (inet_pton(AF_INET, copy, ret_address->bytes + 12) == 1)
		return true;
	ret_address->v4 = false;
	return inet_pton(AF_INET6, copy, ret_address->bytes) == 1;
}

static struct slice trim(struct slice text)
{
	while (text.len > 0 && text.ptr[0] == ' ')
		text = (struct slice){ text.ptr + 1, text.len - 1 };
	while (text.len > 0 && text.ptr[text.len - 1] == ' ')
		text.len--;
	return text;
}

/* "address" or "address/bits"; the bits count in 128. */
static bool parse_network(struct slice text, struct address *ret_address, int *ret_bits)
{
	const char *slash = memchr(text.ptr, '/', text.len);
	struct slice address = { text.ptr, slash == NULL ? text.len : (size_t)(slash - text.ptr) };
	if (!parse(address, ret_address))
		return false;
	int most = ret_address->v4 ? 32 : 128, bits = 0;
	size_t digits = slash == NULL ? 0 : text.len - address.len - 1;
	if (slash != NULL && (digits == 0 || digits > 3))
		return false;
	for (size_t i = 0; i < digits; i++) {
		if (slash[1 + i] < '0' || slash[1 + i] > '9')
			return false;
		bits = bits * 10 + (slash[1 + i] - '0');
	}
	*ret_bits = 128 - most + (slash == NULL ? most : bits);
	return bits <= most;
}

static bool covers(const struct address *network, int bits, const struct address *address)
{
	int whole = bits / 8, rest = bits % 8;
	if (memcmp(network->bytes, address->bytes, (size_t)whole) != 0)
		return false;
	unsigned mask = rest == 0 ? 0 : 0xffu << (8 - rest) & 0xffu;
	return rest == 0 || (network->bytes[whole] & mask) == (address->bytes[whole] & mask);
}

/* Takes the first entry off a list; false at its end. */
static bool next_entry(const char **list, struct slice *ret_entry)
{
	if (*list == NULL || **list == '\0')
		return false;
	size_t len = strcspn(*list, ",");
	*ret_entry = trim((struct slice){ *list, len });
	*list += len + ((*list)[len] == ',' ? 1 : 0);
	return true;
}

bool network_list_valid(const char *list)
{
	struct slice entry;
	struct address address;
	int bits;
	while (next_entry(&list, &entry)) {
		if (entry.len == 0 || !parse_network(entry, &address, &bits))
			return false;
	}
	return true;
}

bool network_list_has(const char *list, struct slice text)
{
	struct slice entry;
	struct address address, network;
	int bits;
	if (!parse(text, &address))
		return false;
	while (next_entry(&list, &entry)) {
		if (entry.len > 0 && parse_network(entry, &network, &bits) && covers(&network, bits, &address))
			return true;
	}
	return false;
}

bool network_is_address(struct slice text)
{
	struct address address;
	return parse(text, &address);
}

void network_key(const char *text, char ret_key[NETWORK_KEY_MAX])
{
	struct address address;
	if (!parse(slice_of(text), &address)) {
		snprintf(ret_key, NETWORK_KEY_MAX, "%s", text);
		return;
	}
	/* "::ffff:192.0.2.1", as some proxies write it, is that IPv4 address: not one of a network that has them all */
	bool v4 = memcmp(address.bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0;
	if (!v4)
		memset(address.bytes + 8, 0, 8);
	inet_ntop(v4 ? AF_INET : AF_INET6, address.bytes + (v4 ? 12 : 0), ret_key, NETWORK_KEY_MAX);
}
