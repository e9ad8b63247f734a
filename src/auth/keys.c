/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The key folder: <kid>.pem with a first line "sign-from: <seconds>", and cursor.key. Several processes read it while one adds or drops a
 * key; those that write take the folder's lock. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "internal.h"
#include "wardmote/clock.h"

#define CURSOR_FILE "cursor.key"
#define SIGN_FROM "sign-from: "

static int folder_open(const char *folder, struct arena *arena, int *ret_fd, const char **ret_error)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		int r = -errno;
		*ret_error = arena_printf(arena, "key folder %s: %s", folder, strerror(-r));
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* Calls `each` for every *.pem of the folder. */
static int folder_walk(int folder, int (*each)(void *context, const char *name), void *context)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		int r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	int r = 0;
	while (r == 0) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (entry == NULL) {
			r = -errno; /* 0 at the end */
			break;
		}
		size_t len = strlen(entry->d_name);
		if (entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, ".pem") == 0)
			r = each(context, entry->d_name);
	}
	closedir(dir);
	return r;
}

/* A key without the line signs from when its file was written. */
static int64_t signs_from(struct slice text, int64_t modified)
{
	const size_t prefix = sizeof(SIGN_FROM) - 1;
	if (strncmp(text.ptr, SIGN_FROM, prefix) != 0)
		return modified;
	char *end;
	errno = 0;
	intmax_t seconds = strtoimax(text.ptr + prefix, &end, 10);
	return errno == 0 && end != text.ptr + prefix && *end == '\n' && seconds > 0 ? (int64_t)seconds : modified;
}

struct loading {
	int folder;
	struct arena *arena;
	struct auth_keys *keys;
	const char **ret_error;
};

static int load_one(void *context, const char *name)
{
	struct loading *loading = context;
	struct auth_keys *keys = loading->keys;
	struct slice text;
	int64_t modified;
	const char *why;
	int r = keyfile_read(loading->folder, name, KEY_FILE_MAX, loading->arena, &text, &modified, loading->ret_error);
	if (r == -ENOENT) /* dropped since we saw its name */
		return 0;
	if (r != 0)
		return r;
	if (keys->n == KEYS_MAX) {
		*loading->ret_error = arena_printf(loading->arena, "more than %d signing keys", KEYS_MAX);
		return -E2BIG;
	}
	struct auth_key *key = &keys->keys[keys->n];
	r = keyfile_parse(text, key, &why);
	if (r == 0 && (strncmp(name, key->kid, KID_TEXT - 1) != 0 || strcmp(name + KID_TEXT - 1, ".pem") != 0)) {
		why = arena_printf(loading->arena, "is not named by its thumbprint: %s.pem", key->kid);
		r = -EINVAL;
	}
	if (r != 0) {
		*loading->ret_error = arena_printf(loading->arena, "%s %s", name, why);
		return r;
	}
	key->signs_from = signs_from(text, modified);
	keys->n++;
	return 0;
}

static int load_cursor(int folder, struct arena *arena, struct auth_keys *keys, const char **ret_error)
{
	struct slice text;
	int64_t modified;
	int r = keyfile_read(folder, CURSOR_FILE, CURSOR_KEY_LEN, arena, &text, &modified, ret_error);
	if (r == 0 && text.len != CURSOR_KEY_LEN) {
		*ret_error = arena_printf(arena, CURSOR_FILE " must hold %d bytes", CURSOR_KEY_LEN);
		r = -EINVAL;
	}
	if (r == 0)
		memcpy(keys->cursor, text.ptr, CURSOR_KEY_LEN);
	if (r == 0)
		tags_secret(keys->cursor, keys->tags);
	return r;
}

static int by_age(const void *a, const void *b)
{
	const struct auth_key *left = a, *right = b;
	if (left->signs_from != right->signs_from)
		return left->signs_from < right->signs_from ? -1 : 1;
	return strcmp(left->kid, right->kid);
}

static int load_keys(int folder, struct arena *arena, struct auth_keys *keys, const char **ret_error)
{
	struct loading loading = { .folder = folder, .arena = arena, .keys = keys, .ret_error = ret_error };
	*ret_error = "the key folder cannot be read";
	int r = folder_walk(folder, load_one, &loading);
	qsort(keys->keys, keys->n, sizeof(*keys->keys), by_age);
	return r;
}

/* NULL with a message: no memory. */
static struct auth_keys *keys_new(const char **ret_error)
{
	struct auth_keys *keys = calloc(1, sizeof(*keys));
	if (keys == NULL)
		*ret_error = "out of memory";
	else
		atomic_init(&keys->refs, 1);
	return keys;
}

int auth_keys_load(const char *folder, struct arena *arena, struct auth_keys **ret_keys, const char **ret_error)
{
	int fd = -1;
	if (sodium_init() < 0) {
		*ret_error = "no source of randomness";
		return -EIO;
	}
	int r = folder_open(folder, arena, &fd, ret_error);
	if (r != 0)
		return r;
	struct auth_keys *keys = keys_new(ret_error);
	if (keys == NULL) {
		close(fd);
		return -ENOMEM;
	}
	r = load_keys(fd, arena, keys, ret_error);
	if (r == 0 && keys->n == 0) {
		*ret_error = arena_printf(arena, "key folder %s holds no signing key", folder);
		r = -ENOENT;
	}
	if (r == 0)
		r = load_cursor(fd, arena, keys, ret_error);
	if (r == 0 && arena_lacking(arena)) {
		*ret_error = "out of memory";
		r = -ENOMEM;
	}
	close(fd);
	if (r == 0)
		*ret_keys = keys;
	else
		auth_keys_unref(keys);
	return r;
}

struct auth_keys *auth_keys_ref(struct auth_keys *keys)
{
	atomic_fetch_add_explicit(&keys->refs, 1, memory_order_relaxed);
	return keys;
}

void auth_keys_unref(struct auth_keys *keys)
{
	if (keys == NULL || atomic_fetch_sub_explicit(&keys->refs, 1, memory_order_acq_rel) != 1)
		return;
	sodium_memzero(keys, sizeof(*keys));
	free(keys);
}

const struct auth_key *auth_keys_signing(const struct auth_keys *keys, int64_t now)
{
	for (size_t i = keys->n; i > 0; i--)
		if (keys->keys[i - 1].signs_from <= now)
			return &keys->keys[i - 1];
	return &keys->keys[0];
}

const struct auth_key *auth_keys_find(const struct auth_keys *keys, struct slice kid)
{
	for (size_t i = 0; i < keys->n; i++)
		if (slice_is(kid, keys->keys[i].kid))
			return &keys->keys[i];
	return NULL;
}

struct slice auth_jwks(struct arena *arena, const struct auth_keys *keys)
{
	struct buffer text = { .arena = arena };
	buffer_text(&text, "{\"keys\":[");
	for (size_t i = 0; i < keys->n; i++) {
		const struct auth_key *key = &keys->keys[i];
		char x[KID_TEXT], y[KID_TEXT];
		base64url_encode(x, sizeof(x), key->x, sizeof(key->x));
		base64url_encode(y, sizeof(y), key->y, sizeof(key->y));
		buffer_format(
		    &text,
		    "%s{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}",
		    i == 0 ? "" : ",", key->kid, x, y);
	}
	buffer_text(&text, "]}");
	return buffer_slice(&text);
}

static int create_cursor(int folder)
{
	unsigned char key[CURSOR_KEY_LEN];
	if (faccessat(folder, CURSOR_FILE, F_OK, 0) == 0)
		return 0;
	randombytes_buf(key, sizeof(key));
	int r = keyfile_write(folder, CURSOR_FILE, (struct slice){ (const char *)key, sizeof(key) });
	sodium_memzero(key, sizeof(key));
	return r == -EEXIST ? 0 : r;
}

static int create_signing(int folder, int64_t from, struct arena *arena, const char **ret_kid)
{
	struct auth_key key;
	int r = keyfile_generate(&key);
	if (r != 0)
		return r;
	char text[PEM_MAX + 64], name[KID_TEXT + 4];
	int len = snprintf(text, sizeof(text), SIGN_FROM "%" PRId64 "\n%s", from, key.private_pem);
	snprintf(name, sizeof(name), "%s.pem", key.kid);
	r = keyfile_write(folder, name, (struct slice){ text, (size_t)len });
	if (r == 0)
		*ret_kid = arena_copy(arena, slice_of(key.kid));
	sodium_memzero(&key, sizeof(key));
	sodium_memzero(text, sizeof(text));
	return r;
}

/* Opens and locks the folder for a change and loads what is in it; what fails leaves nothing open. */
static int folder_hold(const char *folder, struct arena *arena, int *ret_fd, struct auth_keys **ret_keys, const char **ret_error)
{
	int fd = -1;
	int r = folder_open(folder, arena, &fd, ret_error);
	if (r != 0)
		return r;
	struct auth_keys *keys = keys_new(ret_error);
	if (keys == NULL) {
		close(fd);
		return -ENOMEM;
	}
	r = flock(fd, LOCK_EX) == 0 ? 0 : -errno;
	*ret_error = r == 0 ? NULL : "the key folder cannot be locked";
	if (r == 0)
		r = load_keys(fd, arena, keys, ret_error);
	if (r != 0) {
		auth_keys_unref(keys);
		close(fd);
		return r;
	}
	*ret_fd = fd;
	*ret_keys = keys;
	return 0;
}

int auth_keys_create(const char *folder, struct arena *arena, const char **ret_kid, const char **ret_error)
{
	int fd;
	struct auth_keys *keys;
	if (sodium_init() < 0) {
		*ret_error = "no source of randomness";
		return -EIO;
	}
	if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
		int r = -errno;
		*ret_error = arena_printf(arena, "key folder %s: %s", folder, strerror(-r));
		return r;
	}
	int r = folder_hold(folder, arena, &fd, &keys, ret_error);
	if (r != 0)
		return r;
	if (keys->n == KEYS_MAX) {
		*ret_error = "the key folder is full: retire keys first";
		r = -ENOSPC;
	} else {
		r = create_cursor(fd);
		if (r == 0)
			r = create_signing(fd, clock_wall_seconds() + (keys->n == 0 ? 0 : SIGN_DELAY_SECONDS), arena, ret_kid);
		if (r != 0)
			*ret_error = arena_printf(arena, "key folder %s: %s", folder, strerror(-r));
	}
	auth_keys_unref(keys);
	close(fd);
	return r;
}

int auth_keys_retire(const char *folder, long retire_seconds, struct arena *arena, const char **ret_error)
{
	int fd;
	struct auth_keys *keys;
	int r = folder_hold(folder, arena, &fd, &keys, ret_error);
	if (r != 0)
		return r;
	int64_t now = clock_wall_seconds();
	for (size_t i = 0; r == 0 && i + 1 < keys->n; i++) {
		/* The next newer one took over then. */
		if (keys->keys[i + 1].signs_from + retire_seconds > now)
			break;
		r = unlinkat(fd, arena_printf(arena, "%s.pem", keys->keys[i].kid), 0) == 0 ? 0 : -errno;
		if (r != 0)
			*ret_error = arena_printf(arena, "%s.pem: %s", keys->keys[i].kid, strerror(-r));
	}
	auth_keys_unref(keys);
	close(fd);
	return r;
}
