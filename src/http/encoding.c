/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "internal.h"

enum {
	LEVEL_SMALL = 5,
	LEVEL_LARGE = 1, /* above COMPRESS_LARGE, where time in this worker counts more than bytes */
	COMPRESS_LARGE = 256 << 10,
	GZIP_WINDOW = 15 + 16, /* 16 asks zlib for gzip's frame */
	MEMORY_LEVEL = 8,
};

/* The text up to the next separator; *rest goes past it. */
static struct slice next_part(struct slice *rest, char separator)
{
	size_t len = 0;
	while (len < rest->len && rest->ptr[len] != separator)
		len++;
	struct slice part = gate_trim((struct slice){ rest->ptr, len });
	size_t used = len < rest->len ? len + 1 : len;
	*rest = (struct slice){ rest->ptr + used, rest->len - used };
	return part;
}

/* Is the weight ("q=0.8") above zero? Anything that cannot be read is not. */
static bool weight_is_positive(struct slice parameters)
{
	while (parameters.len > 0) {
		struct slice parameter = next_part(&parameters, ';');
		if (parameter.len < 3 || (parameter.ptr[0] | 0x20) != 'q' || parameter.ptr[1] != '=')
			continue;
		for (size_t i = 2; i < parameter.len; i++) {
			if (parameter.ptr[i] >= '1' && parameter.ptr[i] <= '9')
				return true;
			if (parameter.ptr[i] != '0' && parameter.ptr[i] != '.')
				return false;
		}
		return false;
	}
	return true;
}

bool encoding_gzip_accepted(struct slice accept_encoding)
{
	bool any = false;
	while (accept_encoding.len > 0) {
		struct slice parameters = next_part(&accept_encoding, ',');
		struct slice coding = next_part(&parameters, ';');
		if (gate_name_equal(coding, SLICE("gzip")) || gate_name_equal(coding, SLICE("x-gzip")))
			return weight_is_positive(parameters);
		if (slice_is(coding, "*"))
			any = weight_is_positive(parameters);
	}
	return any;
}

const char *encoding_vary(struct arena *arena, const char *vary)
{
	if (vary == NULL || vary[0] == '\0')
		return "Accept-Encoding";
	struct slice rest = slice_of(vary);
	while (rest.len > 0) {
		struct slice name = next_part(&rest, ',');
		if (slice_is(name, "*") || gate_name_equal(name, SLICE("Accept-Encoding")))
			return vary;
	}
	return arena_printf(arena, "%s, Accept-Encoding", vary);
}

/* The worker's one deflate state: setting it up costs more than compressing a page of JSON. */
static int prepare(struct http_server *server, int level)
{
	int result = server->gzip_ready ? deflateReset(&server->gzip)
					: deflateInit2(&server->gzip, level, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
	if (result != Z_OK)
		return -ENOMEM;
	server->gzip_ready = true;
	return deflateParams(&server->gzip, level, Z_DEFAULT_STRATEGY) == Z_OK ? 0 : -EINVAL;
}

int encoding_gzip(struct http_server *server, const struct slice *body, size_t n_body, size_t total, struct slice *ret_gzip)
{
	if (total > UINT_MAX / 2)
		return -EFBIG;
	int result = prepare(server, total > COMPRESS_LARGE ? LEVEL_LARGE : LEVEL_SMALL);
	if (result != 0)
		return result;
	z_stream *stream = &server->gzip;
	size_t bound = deflateBound(stream, total);
	unsigned char *out = malloc(bound);
	if (out == NULL)
		return -ENOMEM;
	stream->next_out = out;
	stream->avail_out = (unsigned)bound;
	for (size_t i = 0; i < n_body; i++) {
		stream->next_in = (unsigned char *)(uintptr_t)body[i].ptr; /* zlib reads it only; its type says otherwise */
		stream->avail_in = (unsigned)body[i].len;
		if (body[i].len > 0 && (deflate(stream, Z_NO_FLUSH) != Z_OK || stream->avail_in > 0))
			goto fail;
	}
	stream->avail_in = 0;
	if (deflate(stream, Z_FINISH) != Z_STREAM_END)
		goto fail;
	*ret_gzip = (struct slice){ (const char *)out, bound - stream->avail_out };
	return 0;
fail:
	free(out);
	return -EIO;
}
