/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "dev.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "setup.h"
#include "wardmote/auth.h"
#include "wardmote/clock.h"

enum { POSTGRES_MIN = 15, START_SECONDS = 60, POLL_MS = 20, OTHER_GONE_SECONDS = 15, STOP_MS = 30000 };

static const char fallback_parent[] = "/var/lib/wardmote-dev";

/* The environment variables through which libpq and psql would take advice that is not ours. */
static const char *const clean_environment[] = { "PGHOST",     "PGHOSTADDR",     "PGPORT",    "PGDATABASE", "PGUSER",
						 "PGPASSWORD", "PGSERVICE",      "PGOPTIONS", "PGSSLMODE",  "PGPASSFILE",
						 "PGDATA",     "LC_ALL=C.UTF-8", NULL };

/* --- where PostgreSQL is --- */

/* The major version in "/usr/lib/postgresql/15/bin/postgres"; 0 when there is none. */
static long version_in(const char *path)
{
	const char *at = strstr(path, "/postgresql/");
	return at == NULL ? 0 : strtol(at + strlen("/postgresql/"), NULL, 10);
}

/* Debian and Ubuntu keep versions side by side: the cluster's own, else the newest that has PostGIS. Elsewhere PATH decides. */
static int find_programs(struct dev *dev, long wanted)
{
	glob_t found = { 0 };
	long best = 0;
	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++) {
			long version = version_in(found.gl_pathv[i]);
			const char *postgis = arena_printf(dev->arena, "/usr/share/postgresql/%ld/extension/postgis.control", version);
			bool fits = wanted > 0 ? version == wanted : version >= POSTGRES_MIN && access(postgis, R_OK) == 0;
			if (fits && version > best)
				best = version;
		}
		globfree(&found);
		if (best == 0)
			return dev_fail(dev, -ENOENT, "PostgreSQL %ld%s with PostGIS is needed", wanted > 0 ? wanted : (long)POSTGRES_MIN,
					wanted > 0 ? "" : " or newer");
		dev->bin_folder = arena_printf(dev->arena, "/usr/lib/postgresql/%ld/bin/", best);
		return 0;
	}
	dev->bin_folder = "";
	return 0;
}

static const char *program(struct dev *dev, const char *name)
{
	return arena_printf(dev->arena, "%s%s", dev->bin_folder, name);
}

/* --- where the cluster is --- */

/* PostgreSQL refuses to run as root. */
static int choose_user(struct dev *dev)
{
	if (geteuid() != 0)
		return 0;
	if (getpwnam("postgres") == NULL)
		return dev_fail(dev, -ENOENT, "as root, the system user postgres is needed (it comes with the package postgresql)");
	dev->cluster_user = "postgres";
	return 0;
}

static bool is_reachable(struct dev *dev, const char *folder)
{
	if (dev->cluster_user == NULL)
		return true;
	const char *const argv[] = { "/usr/bin/test", "-x", folder, NULL };
	return process_run(&(struct process_options){ .argv = argv, .user = dev->cluster_user, .output = -1, .end_signal = SIGKILL }, -1) ==
	       0;
}

static bool has_cluster(struct dev *dev, const char *folder)
{
	return access(arena_printf(dev->arena, "%s/PG_VERSION", folder), F_OK) == 0;
}

static int choose_folder(struct dev *dev)
{
	const char *here = arena_printf(dev->arena, "%s/pg", dev->folder);
	const char *home = arena_printf(dev->arena, "%s/%s", fallback_parent, dev_hash(dev));
	const char *elsewhere = arena_printf(dev->arena, "%s/pg", home);
	bool away =
	    !has_cluster(dev, here) && dev->cluster_user != NULL && (has_cluster(dev, elsewhere) || !is_reachable(dev, dev->folder));
	dev->cluster_folder = away ? elsewhere : here;
	if (!away)
		return 0;
	if ((mkdir(fallback_parent, 0755) != 0 && errno != EEXIST) || (mkdir(home, 0755) != 0 && errno != EEXIST))
		return dev_fail(dev, -errno, "cannot make %s: %s", home, strerror(errno));
	const char *note =
	    arena_printf(dev->arena, "The user postgres cannot enter this folder. The database cluster that belongs to it is in\n%s\n",
			 dev->cluster_folder);
	return dev_write(dev, "database-is-elsewhere.txt", 0644, note);
}

/* The path of a socket has at most 107 bytes, so it cannot lie in DIR. Only we (and root) may enter; a name that somebody else took before us in /tmp is
 * never used. */
static int choose_socket_folder(struct dev *dev)
{
	const struct passwd *user = dev->cluster_user == NULL ? NULL : getpwnam(dev->cluster_user);
	uid_t uid = user == NULL ? geteuid() : user->pw_uid;
	char *path = arena_printf(dev->arena, "/tmp/wardmote-%s", dev_hash(dev));
	struct stat status;
	bool usable = mkdir(path, 0700) == 0 || (lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && (status.st_mode & 0077) == 0 &&
						 (status.st_uid == uid || status.st_uid == geteuid()));
	if (!usable) {
		path = arena_copy(dev->arena, SLICE("/tmp/wardmote-XXXXXX"));
		if (mkdtemp(path) == NULL)
			return dev_fail(dev, -errno, "cannot make a folder in /tmp: %s", strerror(errno));
	}
	if (user != NULL && lchown(path, user->pw_uid, user->pw_gid) != 0)
		return dev_fail(dev, -errno, "cannot give %s to %s: %s", path, dev->cluster_user, strerror(errno));
	dev->socket_folder = path;
	return 0;
}

/* --- making it --- */

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status, (void)kind, (void)where;
	return remove(path);
}

/* A name for pg_ident.conf; system user names have no quotes. */
static const char *system_user(struct dev *dev)
{
	const struct passwd *user = getpwuid(geteuid());
	return dev->cluster_user != NULL ? dev->cluster_user : user == NULL ? "" : arena_copy(dev->arena, slice_of(user->pw_name));
}

static int write_into(struct dev *dev, const char *folder, const char *name, const char *text)
{
	const char *path = arena_printf(dev->arena, "%s/%s", folder, name);
	FILE *file = fopen(path, "we"); /* exists already, with the right owner */
	bool written = file != NULL && fputs(text, file) >= 0;
	if (file != NULL)
		written = fclose(file) == 0 && written;
	return written ? 0 : dev_fail(dev, -EIO, "cannot write %s: %s", path, strerror(errno));
}

static int make_cluster(struct dev *dev, int log)
{
	/* Made beside its place and moved there when complete: what an interrupted first start leaves is not mistaken for a cluster. */
	const char *draft = arena_printf(dev->arena, "%s.new", dev->cluster_folder);
	const struct passwd *user = dev->cluster_user == NULL ? NULL : getpwnam(dev->cluster_user);
	nftw(draft, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	if (mkdir(draft, 0700) != 0 || (user != NULL && chown(draft, user->pw_uid, user->pw_gid) != 0))
		return dev_fail(dev, -errno, "cannot make %s: %s", draft, strerror(errno));
	const char *const argv[] = {
		program(dev, "initdb"), "--pgdata", draft,  "--username",        "postgres", "--encoding", "UTF8", "--locale", "C.UTF-8",
		"--data-checksums",     "--auth",   "peer", "--no-instructions", NULL
	};
	int status = process_run(
	    &(struct process_options){
		.argv = argv, .user = dev->cluster_user, .output = log, .end_signal = SIGTERM, .environment = clean_environment },
	    dev->stop_fd);
	if (status < 0)
		return dev_fail(dev, status, "initdb failed");
	status = write_into(dev, draft, "pg_hba.conf", "local all postgres peer map=dev\nlocal all all scram-sha-256\n");
	if (status == 0)
		status = write_into(dev, draft, "pg_ident.conf", arena_printf(dev->arena, "dev \"%s\" postgres\n", system_user(dev)));
	if (status == 0 && rename(draft, dev->cluster_folder) != 0)
		status = dev_fail(dev, -errno, "cannot make %s: %s", dev->cluster_folder, strerror(errno));
	return status;
}

/* The first word of a small file of the cluster; empty when there is none. */
static void read_word(struct dev *dev, const char *name, char *word, size_t size)
{
	FILE *file = fopen(arena_printf(dev->arena, "%s/%s", dev->cluster_folder, name), "re");
	word[0] = '\0';
	if (file == NULL)
		return;
	if (fgets(word, (int)size, file) != NULL)
		word[strcspn(word, " \r\n")] = '\0';
	fclose(file);
}

int dev_cluster_prepare(struct dev *dev)
{
	char version[16];
	int status = choose_user(dev);
	if (status == 0)
		status = choose_folder(dev);
	if (status == 0)
		status = choose_socket_folder(dev);
	if (status < 0)
		return status;
	read_word(dev, "PG_VERSION", version, sizeof version);
	status = find_programs(dev, strtol(version, NULL, 10));
	if (status < 0 || version[0] != '\0')
		return status;
	int log = dev_log(dev, "postgres.log");
	if (log < 0)
		return log;
	status = make_cluster(dev, log);
	close(log);
	if (status < 0 && status != -EINTR)
		dev_show_log(dev, "postgres.log");
	return status;
}

/* --- running it --- */

static void pause_briefly(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
}

/* A server that outlived its `wardmote dev` (which was killed) is on its way down: it gets a signal at our death. */
static int wait_for_predecessor(struct dev *dev)
{
	int64_t deadline = clock_monotonic_us() + OTHER_GONE_SECONDS * INT64_C(1000000);
	for (;;) {
		char pid[16];
		read_word(dev, "postmaster.pid", pid, sizeof pid);
		long number = strtol(pid, NULL, 10);
		if (number <= 0 || (kill((pid_t)number, 0) != 0 && errno == ESRCH))
			return 0;
		if (clock_monotonic_us() > deadline)
			return dev_fail(dev, -EBUSY, "another PostgreSQL (process %ld) holds %s", number, dev->cluster_folder);
		pause_briefly();
	}
}

/* postmaster.pid has the process on its first line and "ready" on its last. */
static bool is_ready(struct dev *dev)
{
	char text[512];
	FILE *file = fopen(arena_printf(dev->arena, "%s/postmaster.pid", dev->cluster_folder), "re");
	if (file == NULL)
		return false;
	size_t len = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[len] = '\0';
	return strtol(text, NULL, 10) == (long)dev->postgres && strstr(text, "\nready") != NULL;
}

static int wait_until_ready(struct dev *dev)
{
	int64_t deadline = clock_monotonic_us() + START_SECONDS * INT64_C(1000000);
	while (!is_ready(dev)) {
		int exit_status;
		int status = process_wait(dev->postgres, dev->stop_fd, clock_monotonic_us() + POLL_MS * 1000, &exit_status);
		if (status == -EINTR)
			return status;
		if (status != -ETIMEDOUT) {
			dev->postgres = 0;
			dev_show_log(dev, "postgres.log");
			return dev_fail(dev, -EIO, "PostgreSQL did not start");
		}
		if (clock_monotonic_us() > deadline)
			return dev_fail(dev, -ETIMEDOUT, "PostgreSQL was not ready after %d s", START_SECONDS);
	}
	return 0;
}

static int start_postgres(struct dev *dev, int log)
{
	const char *const argv[] = { program(dev, "postgres"), "-D", dev->cluster_folder, "-c", "listen_addresses=", "-c",
				     arena_printf(dev->arena, "unix_socket_directories=%s", dev->socket_folder), "-c",
				     "unix_socket_permissions=0700", "-c", "port=5432", "-c", "cluster_name=wardmote-dev", "-c",
				     "max_connections=100", "-c", "shared_buffers=128MB", "-c", "timezone=UTC", "-c",
				     /* What people typed into records stays out of the log. */
				     "log_error_verbosity=terse", "-c", "log_min_error_statement=panic", "-c",
				     "log_parameter_max_length_on_error=0", NULL };
	int status = process_start(
	    &(struct process_options){
		.argv = argv, .user = dev->cluster_user, .output = log, .end_signal = SIGINT, .environment = clean_environment },
	    &dev->postgres);
	return status < 0 ? dev_fail(dev, status, "cannot start PostgreSQL: %s", strerror(-status)) : wait_until_ready(dev);
}

static const char *role_uri(struct dev *dev, const char *role, const char *password)
{
	const char *host = dev->socket_folder; /* of letters, digits, '-' and '/' */
	return arena_printf(dev->arena, "postgresql://%s:%s@/wardmote?host=%s&port=5432", role, password, host);
}

static int run_setup(struct dev *dev, int log)
{
	struct dev_state *state = &dev->state;
	if (state->api_password == NULL)
		state->api_password = auth_secret(dev->arena, "");
	if (state->owner_password == NULL)
		state->owner_password = auth_secret(dev->arena, "");
	/* On standard input and not as -v arguments, which every process could read. */
	const char *script = arena_printf(dev->arena, "\\set owner_password %s\n\\set api_password %s\n%s", state->owner_password,
					  state->api_password, setup_script(dev->arena, "wardmote"));
	const char *const argv[] = { program(dev, "psql"), "-X", "-q",   "-v", "ON_ERROR_STOP=1", "-h",
				     dev->socket_folder,   "-p", "5432", "-U", "postgres",        "-d",
				     "postgres",           NULL };
	int status = process_run(&(struct process_options){ .argv = argv,
							    .user = dev->cluster_user,
							    .input = script,
							    .output = log,
							    .end_signal = SIGTERM,
							    .environment = clean_environment },
				 dev->stop_fd);
	if (status == -EINTR)
		return status;
	if (status < 0) {
		dev_show_log(dev, "postgres.log");
		return dev_fail(dev, status, "roles and database could not be made");
	}
	state->database = role_uri(dev, "wardmote_api", state->api_password);
	state->database_owner = role_uri(dev, "wardmote_owner", state->owner_password);
	return dev_save(dev);
}

int dev_cluster_start(struct dev *dev)
{
	int status = wait_for_predecessor(dev);
	if (status < 0)
		return status;
	int log = dev_log(dev, "postgres.log");
	if (log < 0)
		return log;
	status = start_postgres(dev, log);
	if (status == 0)
		status = run_setup(dev, log);
	close(log);
	return status;
}

void dev_cluster_stop(struct dev *dev)
{
	if (dev->postgres > 0)
		process_end(dev->postgres, SIGINT, STOP_MS); /* SIGINT: end sessions, write a checkpoint */
	dev->postgres = 0;
	if (dev->socket_folder != NULL)
		rmdir(dev->socket_folder);
}
