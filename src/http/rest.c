/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A kept connection that nobody uses. The library writes zeros over its whole pool after each request, so that thousands of them would hold all of it in
 * memory for nothing. Given back to the kernel, pages of zeros come again as pages of zeros when they are touched: the library sees no difference.
 *
 * Where the pool lies the library does not say, but when no byte came but those of whole requests, none was skipped, and it has put the head of each at the
 * pool's first byte; and none of the next request has come that might lie there. Both show in one comparison with what the kernel counted. That it still has a
 * pool shows there, too: before it drops the pool of a connection the library shuts its socket down, and what lies there then is somebody else's. */
#include "internal.h"

#include <linux/tcp.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ESTABLISHED = 1 }; /* TCP_ESTABLISHED of <netinet/tcp.h>; see connection.c */

void rest_note_head(struct http_connection *connection, const char *method)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	connection->head_at = method;
	connection->taken += info == NULL ? 0 : info->header_size;
}

void rest_note_body(struct http_connection *connection, size_t len)
{
	connection->taken += len;
}

void rest_begin(struct http_connection *connection)
{
	struct tcp_info info;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t pool = (uintptr_t)connection->head_at;
	if (connection->pair != NULL) /* what the kernel counts is not what the library got */
		return;
	if (!connection->server->layout_known || pool == 0 || pool % page != 0 || CONNECTION_MEMORY < page)
		return;
	/* A kernel that does not count says 0. */
	if (connection_tcp_info(connection, &info) && info.tcpi_state == ESTABLISHED && info.tcpi_bytes_received == connection->taken)
		(void)madvise((void *)pool, CONNECTION_MEMORY - CONNECTION_MEMORY % page,
			      MADV_DONTNEED); /* else it stays resident, no worse */
}
