/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

#include "wardmote/http.h"

enum { BACKLOG = 1024 };

/* "host:port" or "[v6]:port" into its parts. */
static int split_address(const char *address, struct arena *arena, const char **ret_host, const char **ret_port)
{
	const char *colon = strrchr(address, ':');
	if (colon == NULL || colon == address)
		return -EINVAL;
	struct slice host = { address, (size_t)(colon - address) };
	if (host.ptr[0] == '[') {
		if (host.len < 3 || host.ptr[host.len - 1] != ']')
			return -EINVAL;
		host = (struct slice){ host.ptr + 1, host.len - 2 };
	} else if (memchr(host.ptr, ':', host.len) != NULL) {
		return -EINVAL;
	}
	size_t digits = strspn(colon + 1, "0123456789");
	if (digits == 0 || digits > 5 || colon[1 + digits] != '\0')
		return -EINVAL;
	*ret_host = arena_copy(arena, host);
	*ret_port = colon + 1;
	return 0;
}

static int bind_and_listen(const struct addrinfo *info, int *ret_fd)
{
	int fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol);
	if (fd < 0)
		return -errno;
	int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	*ret_fd = fd;
	return 0;
}

static int bound_address(int fd, struct arena *arena, const char **ret_address)
{
	struct sockaddr_storage storage;
	socklen_t len = sizeof storage;
	char host[NI_MAXHOST], port[NI_MAXSERV];
	if (getsockname(fd, (struct sockaddr *)&storage, &len) != 0)
		return -errno;
	if (getnameinfo((struct sockaddr *)&storage, len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -EINVAL;
	*ret_address = arena_printf(arena, storage.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

int http_listen(const char *address, struct arena *arena, int *ret_fd, const char **ret_address)
{
	const char *host, *port;
	int result = split_address(address, arena, &host, &port);
	if (result != 0)
		return result;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *found = NULL;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		return -EADDRNOTAVAIL;
	int fd = -1;
	result = -EADDRNOTAVAIL;
	for (const struct addrinfo *info = found; info != NULL && fd < 0; info = info->ai_next)
		result = bind_and_listen(info, &fd);
	freeaddrinfo(found);
	if (result != 0)
		return result;
	const char *bound;
	result = bound_address(fd, arena, &bound);
	if (result != 0) {
		close(fd);
		return result;
	}
	*ret_fd = fd;
	*ret_address = bound;
	return 0;
}
