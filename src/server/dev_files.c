/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "dev.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int dev_fail(struct dev *dev, int error, const char *format, ...)
{
	va_list args;
	char text[1024];
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	dev->error = arena_copy(dev->arena, slice_of(text));
	return error < 0 ? error : -EIO;
}

const char *dev_hash(struct dev *dev)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a: no secret, only a short name */
	for (const char *at = dev->folder; *at != '\0'; at++)
		hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
	return arena_printf(dev->arena, "%016" PRIx64, hash);
}

static const char *inside(struct dev *dev, const char *name)
{
	return arena_printf(dev->arena, "%s/%s", dev->folder, name);
}

/* mkdir -p; passable for others, since PostgreSQL may run as another user: what is secret inside has its own mode. */
static int make_folders(struct dev *dev, const char *path)
{
	char *copy = arena_copy(dev->arena, slice_of(path));
	for (char *at = copy + 1; at[-1] != '\0'; at++) {
		char c = *at;
		if (c != '/' && c != '\0')
			continue;
		*at = '\0';
		if (mkdir(copy, 0755) != 0 && errno != EEXIST)
			return dev_fail(dev, -errno, "cannot make the folder %s: %s", copy, strerror(errno));
		*at = c;
	}
	return 0;
}

static int take_lock(struct dev *dev)
{
	const char *path = inside(dev, "lock");
	dev->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (dev->lock < 0)
		return dev_fail(dev, -errno, "cannot open %s: %s", path, strerror(errno));
	if (flock(dev->lock, LOCK_EX | LOCK_NB) != 0)
		return dev_fail(dev, -errno, "another `wardmote dev` runs in %s: stop it, or give --data another folder", dev->folder);
	return 0;
}

static const char *member(struct dev *dev, const json_t *tree, const char *name)
{
	const char *text = json_string_value(json_object_get(tree, name));
	return text == NULL ? NULL : arena_copy(dev->arena, slice_of(text));
}

/* What has been there before. A folder without dev.json is a new one, or lost its credentials: new ones are made then. */
static int read_state(struct dev *dev)
{
	const char *path = inside(dev, "dev.json");
	json_error_t error;
	json_t *tree = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (tree == NULL && access(path, F_OK) == 0)
		return dev_fail(dev, -EINVAL, "%s: %s", path, error.text);
	dev->state = (struct dev_state){
		.api_password = member(dev, tree, "database_password"),
		.owner_password = member(dev, tree, "database_owner_password"),
		.client_id = member(dev, tree, "client_id"),
		.client_secret = member(dev, tree, "client_secret"),
		.sample = member(dev, tree, "sample"),
	};
	json_decref(tree);
	return 0;
}

int dev_open(struct dev *dev, const char *folder)
{
	int status = make_folders(dev, folder);
	if (status < 0)
		return status;
	char *absolute = realpath(folder, NULL);
	if (absolute == NULL)
		return dev_fail(dev, -errno, "%s: %s", folder, strerror(errno));
	dev->folder = arena_copy(dev->arena, slice_of(absolute));
	free(absolute);
	status = take_lock(dev);
	return status < 0 ? status : read_state(dev);
}

int dev_write(struct dev *dev, const char *name, mode_t mode, const char *text)
{
	const char *path = inside(dev, name);
	const char *draft = arena_printf(dev->arena, "%s.new", path);
	unlink(draft);
	int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	size_t len = strlen(text);
	bool written = fd >= 0 && write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
	if (fd >= 0)
		written = close(fd) == 0 && written;
	if (!written || rename(draft, path) != 0)
		return dev_fail(dev, -EIO, "cannot write %s: %s", path, strerror(errno));
	return 0;
}

static void set_member(json_t *tree, const char *name, const char *value)
{
	if (value != NULL)
		json_object_set_new(tree, name, json_string(value));
}

int dev_save(struct dev *dev)
{
	const struct dev_state *state = &dev->state;
	json_t *tree = json_object();
	set_member(tree, "url", state->url);
	set_member(tree, "admin_url", state->admin_url);
	set_member(tree, "database", state->database);
	set_member(tree, "client_id", state->client_id);
	set_member(tree, "client_secret", state->client_secret);
	set_member(tree, "database_owner", state->database_owner);
	set_member(tree, "database_password", state->api_password);
	set_member(tree, "database_owner_password", state->owner_password);
	set_member(tree, "sample", state->sample);
	char *text = json_dumps(tree, JSON_INDENT(2));
	json_decref(tree);
	if (text == NULL)
		return dev_fail(dev, -ENOMEM, "out of memory");
	int status = dev_write(dev, "dev.json", 0600, arena_printf(dev->arena, "%s\n", text));
	free(text);
	if (status == 0 && state->client_id != NULL)
		status = dev_write(dev, "admin.curl", 0600,
				   arena_printf(dev->arena, "user = \"%s:%s\"\n", state->client_id, state->client_secret));
	return status;
}

int dev_log(struct dev *dev, const char *name)
{
	int fd = open(inside(dev, name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return fd < 0 ? dev_fail(dev, -errno, "cannot open %s/%s: %s", dev->folder, name, strerror(errno)) : fd;
}

void dev_show_log(struct dev *dev, const char *name)
{
	enum { TAIL = 4096 };
	char text[TAIL + 1];
	FILE *file = fopen(inside(dev, name), "re");
	if (file == NULL)
		return;
	if (fseek(file, -TAIL, SEEK_END) != 0)
		rewind(file);
	size_t len = fread(text, 1, TAIL, file);
	fclose(file);
	fprintf(stderr, "--- the end of %s/%s ---\n%.*s", dev->folder, name, (int)len, text);
}
