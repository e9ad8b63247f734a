/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "imports.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { RESERVE = 128 << 20, ARRIVING_MOST = 2 /* of one account: a slow sender leaves places to others */ };

int imports_new(struct server *server, struct imports **ret_imports)
{
	struct imports *imports = calloc(1, sizeof *imports);
	if (imports == NULL)
		return -ENOMEM;
	imports->server = server;
	imports->stop_fd = -1;
	pthread_mutex_init(&imports->lock, NULL);
	imports->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (imports->wake_fd < 0) {
		int error = -errno;
		imports_free(imports);
		return error;
	}
	*ret_imports = imports;
	return 0;
}

void imports_free(struct imports *imports)
{
	if (imports == NULL)
		return;
	for (size_t i = 0; i < IMPORT_PLACES; i++) {
		if (imports->places[i].taken)
			close(imports->places[i].fd);
	}
	if (imports->wake_fd >= 0)
		close(imports->wake_fd);
	arena_reserve_free(imports->reserve);
	pthread_mutex_destroy(&imports->lock);
	free(imports);
}

/* --- places --- */

/* Under the lock: how many files of the account are on their way. */
static size_t arriving(const struct imports *imports, const char *account)
{
	size_t n = 0;
	for (size_t i = 0; i < IMPORT_PLACES; i++) {
		const struct import_place *place = &imports->places[i];
		n += place->taken && place->arrives && strcmp(place->account, account) == 0 ? 1 : 0;
	}
	return n;
}

struct import_place *imports_reserve(struct imports *imports, const char *account)
{
	struct import_place *place = NULL;
	/* It has no name: whatever happens to us, it does not stay. */
	int fd = open(imports->server->config->spool_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return NULL;
	pthread_mutex_lock(&imports->lock);
	bool room = arriving(imports, account) < ARRIVING_MOST;
	for (size_t i = 0; room && place == NULL && i < IMPORT_PLACES; i++) {
		if (!imports->places[i].taken)
			place = &imports->places[i];
	}
	if (place != NULL) {
		place->taken = place->asked = place->arrives = true;
		snprintf(place->account, sizeof place->account, "%s", account);
		place->queued = false;
		place->fd = fd;
		place->waiter = NULL;
		atomic_store(&place->over, false);
	}
	pthread_mutex_unlock(&imports->lock);
	if (place == NULL) {
		close(fd);
		errno = EBUSY;
	}
	return place;
}

/* Under the lock: the place is free again once neither side needs it. */
static void give_back(struct import_place *place)
{
	if (place->asked || place->queued)
		return;
	close(place->fd);
	place->taken = false;
}

void imports_submit(struct imports *imports, struct import_place *place, const char *id, const struct auth_claims *claims,
		    struct worker *waiter)
{
	uint64_t one = 1;
	pthread_mutex_lock(&imports->lock);
	snprintf(place->id, sizeof place->id, "%s", id);
	snprintf(place->account, sizeof place->account, "%s", claims->account);
	place->epoch = claims->epoch;
	place->waiter = waiter;
	place->order = ++imports->orders;
	place->queued = true;
	place->arrives = false;
	pthread_mutex_unlock(&imports->lock);
	/* The counter is far from full: the write succeeds. */
	(void)!write(imports->wake_fd, &one, sizeof one);
}

void imports_release(struct imports *imports, struct import_place *place)
{
	pthread_mutex_lock(&imports->lock);
	place->asked = false;
	place->waiter = NULL;
	give_back(place);
	pthread_mutex_unlock(&imports->lock);
}

static void settle(struct imports *imports, struct import_place *place)
{
	pthread_mutex_lock(&imports->lock);
	atomic_store(&place->over, true);
	/* A worker ends after its requests, which take themselves out here. */
	if (place->waiter != NULL)
		worker_wake(place->waiter);
	place->queued = false;
	give_back(place);
	pthread_mutex_unlock(&imports->lock);
}

/* The one that has waited longest. */
static struct import_place *next_place(struct imports *imports)
{
	struct import_place *next = NULL;
	pthread_mutex_lock(&imports->lock);
	for (size_t i = 0; i < IMPORT_PLACES; i++) {
		struct import_place *place = &imports->places[i];
		if (place->queued && (next == NULL || place->order < next->order))
			next = place;
	}
	pthread_mutex_unlock(&imports->lock);
	return next;
}

/* --- the thread --- */

static void *imports_main(void *context)
{
	struct imports *imports = context;
	pthread_setname_np(pthread_self(), "imports");
	struct pollfd fds[] = { { .fd = imports->wake_fd, .events = POLLIN }, { .fd = imports->stop_fd, .events = POLLIN } };
	for (;;) {
		poll(fds, 2, -1);
		if (fds[1].revents != 0)
			return NULL;
		uint64_t count;
		(void)!read(imports->wake_fd, &count, sizeof count);
		for (struct import_place *place = next_place(imports); place != NULL; place = next_place(imports)) {
			if (!import_run(imports, place))
				return NULL;
			settle(imports, place);
		}
	}
}

int imports_start(struct server *server, pthread_t *ret_thread, int stop_fd)
{
	struct imports *imports = server->imports;
	imports->stop_fd = stop_fd;
	int error = arena_reserve_new(RESERVE, &imports->reserve);
	return error == 0 ? -pthread_create(ret_thread, NULL, imports_main, imports) : error;
}
