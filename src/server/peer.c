/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who is asking, as an address: the peer, or what trusted proxies say of it. */
#include "request.h"
#include "wardmote/clock.h"
#include "wardmote/network.h"

static struct slice last_entry(struct slice *list)
{
	size_t start = list->len;
	while (start > 0 && list->ptr[start - 1] != ',')
		start--;
	struct slice entry = { list->ptr + start, list->len - start };
	list->len = start > 0 ? start - 1 : 0;
	while (entry.len > 0 && (entry.ptr[0] == ' ' || entry.ptr[0] == '\t'))
		entry = (struct slice){ entry.ptr + 1, entry.len - 1 };
	while (entry.len > 0 && (entry.ptr[entry.len - 1] == ' ' || entry.ptr[entry.len - 1] == '\t'))
		entry.len--;
	return entry;
}

/* X-Forwarded-For is read from its end: each proxy adds whom it heard from, so what stands before the first address that is no trusted proxy may be
 * anybody's invention. */
const char *request_address(struct request *request)
{
	const char *proxies = request->worker->server->config->trusted_proxies, *peer = http_peer(request->exchange);
	if (request->address != NULL)
		return request->address;
	request->address = peer;
	if (proxies[0] == '\0' || !network_list_has(proxies, slice_of(peer)))
		return peer;
	struct slice list = http_header(request->exchange, "x-forwarded-for");
	while (list.len > 0) {
		struct slice entry = last_entry(&list);
		if (!network_is_address(entry))
			break;
		request->address = arena_copy(request->arena, entry);
		if (!network_list_has(proxies, entry))
			break;
	}
	return request->address;
}

uint64_t request_address_hash(struct request *request)
{
	char key[NETWORK_KEY_MAX];
	network_key(request_address(request), key);
	struct slice part = slice_of(key);
	return auth_hash(&part, 1);
}

bool request_stray_allowed(struct request *request)
{
	const struct server *server = request->worker->server;
	long limit = server->config->rate_anonymous;
	if (limit <= 0)
		return true;
	request->rate = rate_take(server->rates, request_address_hash(request), limit, clock_monotonic_us());
	request->limited = !request->rate.allowed;
	if (request->limited)
		respond_problem(request, PROBLEM_TOO_MANY_REQUESTS,
				arena_printf(request->arena, "More than %ld requests in a minute.", request->rate.limit));
	return request->rate.allowed;
}
