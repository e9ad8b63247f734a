/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Files that become records. A request reserves a place before its body is read, spools the body into the place's file (spool.c), and hands the place over once the
 * database knows of the import; one thread then takes the files in turn, cuts and checks them and hands their rows to the database (import_run.c). */
#ifndef WARDMOTE_SERVER_IMPORTS_H
#define WARDMOTE_SERVER_IMPORTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "server.h"

enum { IMPORT_PLACES = 9 }; /* one that is read, and eight that arrive or wait */

struct import_place {
	bool taken, asked; /* it is somebody's; a request still looks at it */
	bool arrives; /* its body is not there yet */
	bool queued; /* the thread has it, or will */
	int fd;
	char id[40], account[40];
	long epoch;
	uint64_t order; /* of the queue */
	struct worker *waiter; /* to wake when it is over; NULL: nobody waits */
	atomic_bool over;
};

struct imports {
	struct server *server;
	pthread_mutex_t lock; /* guards the places, never held for long */
	struct import_place places[IMPORT_PLACES];
	uint64_t orders;
	int wake_fd; /* readable: something was queued */
	int stop_fd;
	struct arena_reserve *reserve; /* of the thread */
};

int imports_new(struct server *server, struct imports **ret_imports);
void imports_free(struct imports *imports);
/* The thread; see `starters` in serve.c. */
int imports_start(struct server *server, pthread_t *ret_thread, int stop_fd);

/* A place with its empty file. NULL: all are taken, the account has as many arriving as it may, or there can be no file (errno). */
struct import_place *imports_reserve(struct imports *imports, const char *account);
/* The database knows of the import: its turn comes. `waiter` is woken when it is over; NULL: nobody waits. */
void imports_submit(struct imports *imports, struct import_place *place, const char *id, const struct auth_claims *claims,
		    struct worker *waiter);
/* The request is done with the place. */
void imports_release(struct imports *imports, struct import_place *place);

/* Reads the file of one place and settles its import. False: the server is about to stop. */
bool import_run(struct imports *imports, struct import_place *place);

#endif
