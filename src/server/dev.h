/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `wardmote dev`: everything on this machine for a developer or a visitor. The folder DIR keeps all of it:
 *   DIR/dev.json      where it runs and how to sign in (0600); read again at the next start
 *   DIR/admin.curl    the same credentials for `curl --config` (0600)
 *   DIR/keys/         signing keys and the cursor key
 *   DIR/pg/           the private PostgreSQL cluster, or DIR/database-is-elsewhere.txt
 *   DIR/postgres.log, DIR/server.log
 *   DIR/lock          held while it runs
 *
 *   dev.c             the command: options, order of start and stop
 *   dev_files.c       folder, lock, dev.json
 *   dev_cluster.c     the database cluster */
#ifndef WARDMOTE_SERVER_DEV_H
#define WARDMOTE_SERVER_DEV_H

#include <sys/types.h>

#include "wardmote/arena.h"

/* What DIR/dev.json remembers. NULL: not known yet. */
struct dev_state {
	const char *url, *admin_url;
	const char *database, *database_owner; /* libpq URIs of wardmote_api and wardmote_owner */
	const char *api_password, *owner_password;
	const char *client_id, *client_secret;
	const char *sample; /* the samples that were loaded to their end: "places demo" */
};

struct dev {
	struct arena *arena;
	const char *folder; /* DIR, absolute */
	int lock;
	int stop_fd; /* readable when we are told to stop */
	int listeners[2]; /* the server's, until it has them; -1: none */
	struct dev_state state;
	/* the cluster */
	const char *cluster_user; /* who runs PostgreSQL: "postgres" when we are root, else NULL (ourselves) */
	const char *cluster_folder; /* DIR/pg, or elsewhere */
	const char *socket_folder; /* short and private */
	const char *bin_folder; /* of PostgreSQL's programs, with a slash at its end; empty: PATH */
	pid_t postgres, server; /* 0: not running */
	const char *error;
};

/* --- dev_files.c; all return 0, or a negative errno with a message in dev->error --- */
int dev_fail(struct dev *dev, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Makes DIR, takes its lock, reads dev.json. */
int dev_open(struct dev *dev, const char *folder);
/* Writes dev.json and admin.curl (whole or not at all). */
int dev_save(struct dev *dev);
/* Writes a small file with the mode, atomically. */
int dev_write(struct dev *dev, const char *name, mode_t mode, const char *text);
/* Opens DIR/<name> for appending; the descriptor, or a negative errno. */
int dev_log(struct dev *dev, const char *name);
/* Shows the end of a log on standard error. */
void dev_show_log(struct dev *dev, const char *name);
/* A hash of DIR for names outside it: 16 hex digits. */
const char *dev_hash(struct dev *dev);

/* --- dev_cluster.c --- */
/* Finds PostgreSQL and the place of the cluster; makes the cluster when there is none. */
int dev_cluster_prepare(struct dev *dev);
/* Starts it and waits until it answers; then roles, database and extension by the script of `wardmote setup`. */
int dev_cluster_start(struct dev *dev);
void dev_cluster_stop(struct dev *dev);

#endif
