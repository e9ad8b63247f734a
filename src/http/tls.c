/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The certificate and its key, and what a session of GnuTLS is asked that the library made. Each connection keeps the pair that its handshake began with, so that a
 * new one can take its place at any moment. */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "internal.h"

struct tls_pair {
	gnutls_certificate_credentials_t credentials;
	int64_t not_before, not_after;
	atomic_uint refs;
};

struct http_tls {
	const char *certificate, *key; /* files */
	gnutls_datum_t ticket_key; /* of tickets with which a client takes a session up again */
	pthread_mutex_t lock; /* guards the pointer below */
	struct tls_pair *pair;
	_Atomic uint64_t handshakes, failed;
};

/* TLS 1.3 and 1.2, with forward secrecy and authenticated encryption alone. */
const char tls_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-CIPHER-ALL:+AES-256-GCM:"
			      "+AES-128-GCM:+CHACHA20-POLY1305:-MAC-ALL:+AEAD:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1";

int tls_no_certificate(void)
{
	return -1;
}

struct tls_pair *tls_pair_ref(struct http_tls *tls)
{
	pthread_mutex_lock(&tls->lock);
	struct tls_pair *pair = tls->pair;
	atomic_fetch_add(&pair->refs, 1);
	pthread_mutex_unlock(&tls->lock);
	return pair;
}

void tls_pair_unref(struct tls_pair *pair)
{
	if (pair == NULL || atomic_fetch_sub(&pair->refs, 1) != 1)
		return;
	gnutls_certificate_free_credentials(pair->credentials);
	free(pair);
}

static int read_file(const char *path, const char *what, gnutls_datum_t *ret_text, struct arena *arena, const char **ret_error)
{
	errno = 0;
	if (gnutls_load_file(path, ret_text) == 0)
		return 0;
	*ret_error = arena_printf(arena, "cannot read %s %s: %s", what, path, errno == 0 ? "it is no file" : strerror(errno));
	return -EIO;
}

/* The first certificate of the file is the server's own. */
static int read_dates(struct tls_pair *pair, const gnutls_datum_t *text)
{
	gnutls_x509_crt_t *chain = NULL;
	unsigned n = 0;
	int error = gnutls_x509_crt_list_import2(&chain, &n, text, GNUTLS_X509_FMT_PEM, 0);
	if (error < 0)
		return error;
	pair->not_before = (int64_t)gnutls_x509_crt_get_activation_time(chain[0]);
	pair->not_after = (int64_t)gnutls_x509_crt_get_expiration_time(chain[0]);
	for (unsigned i = 0; i < n; i++)
		gnutls_x509_crt_deinit(chain[i]);
	gnutls_free(chain);
	return 0;
}

static const char *explain(const struct http_tls *tls, int error, struct arena *arena)
{
	if (error == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		return arena_printf(arena, "the key %s does not belong to the first certificate in %s", tls->key, tls->certificate);
	return arena_printf(arena, "%s holds no private key in PEM that can be used (without a pass phrase): %s", tls->key,
			    gnutls_strerror(error));
}

static int parse_pair(const struct http_tls *tls, struct tls_pair *pair, const gnutls_datum_t *certificate, const gnutls_datum_t *key,
		      struct arena *arena, const char **ret_error)
{
	int error = read_dates(pair, certificate);
	if (error < 0) {
		*ret_error = arena_printf(arena, "%s holds no certificate in PEM: %s", tls->certificate, gnutls_strerror(error));
		return -EINVAL;
	}
	error = gnutls_certificate_set_x509_key_mem2(pair->credentials, certificate, key, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (error < 0) {
		*ret_error = explain(tls, error, arena);
		return -EINVAL;
	}
	return 0;
}

static int check_mode(const char *key, struct arena *arena, const char **ret_error)
{
	struct stat status;
	if (stat(key, &status) != 0 || (status.st_mode & (S_IROTH | S_IWOTH)) == 0)
		return 0;
	*ret_error = arena_printf(arena, "the key %s can be read or written by everybody: chmod o= %s", key, key);
	return -EPERM;
}

static int load_pair(const struct http_tls *tls, struct arena *arena, struct tls_pair **ret_pair, const char **ret_error)
{
	gnutls_datum_t certificate = { 0 }, key = { 0 };
	struct tls_pair *pair = calloc(1, sizeof *pair);
	*ret_error = "out of memory";
	if (pair == NULL || gnutls_certificate_allocate_credentials(&pair->credentials) < 0) {
		free(pair);
		return -ENOMEM;
	}
	atomic_store(&pair->refs, 1);
	int error = read_file(tls->certificate, "the certificate", &certificate, arena, ret_error);
	if (error == 0)
		error = check_mode(tls->key, arena, ret_error);
	if (error == 0)
		error = read_file(tls->key, "the key", &key, arena, ret_error);
	if (error == 0)
		error = parse_pair(tls, pair, &certificate, &key, arena, ret_error);
	gnutls_free(certificate.data);
	if (key.data != NULL)
		gnutls_memset(key.data, 0, key.size);
	gnutls_free(key.data);
	if (error < 0)
		tls_pair_unref(pair);
	else
		*ret_pair = pair;
	return error;
}

int http_tls_new(const struct http_tls_settings *settings, struct arena *arena, struct http_tls **ret_tls, const char **ret_error)
{
	struct http_tls *tls = calloc(1, sizeof *tls);
	*ret_error = "out of memory";
	if (tls == NULL)
		return -ENOMEM;
	tls->certificate = settings->certificate;
	tls->key = settings->key;
	pthread_mutex_init(&tls->lock, NULL);
	int error = gnutls_session_ticket_key_generate(&tls->ticket_key) < 0 ? -ENOMEM : 0;
	if (error == 0)
		error = load_pair(tls, arena, &tls->pair, ret_error);
	if (error < 0) {
		http_tls_free(tls);
		return error;
	}
	*ret_tls = tls;
	return 0;
}

int http_tls_reload(struct http_tls *tls, struct arena *arena, const char **ret_error)
{
	struct tls_pair *pair = NULL;
	int error = load_pair(tls, arena, &pair, ret_error);
	if (error < 0)
		return error;
	pthread_mutex_lock(&tls->lock);
	struct tls_pair *old = tls->pair;
	tls->pair = pair;
	pthread_mutex_unlock(&tls->lock);
	tls_pair_unref(old);
	return 0;
}

void http_tls_state(struct http_tls *tls, struct http_tls_state *ret_state)
{
	struct tls_pair *pair = tls_pair_ref(tls);
	*ret_state = (struct http_tls_state){ pair->not_before, pair->not_after, atomic_load(&tls->handshakes), atomic_load(&tls->failed) };
	tls_pair_unref(pair);
}

void http_tls_free(struct http_tls *tls)
{
	if (tls == NULL)
		return;
	tls_pair_unref(tls->pair);
	if (tls->ticket_key.data != NULL)
		gnutls_memset(tls->ticket_key.data, 0, tls->ticket_key.size);
	gnutls_free(tls->ticket_key.data);
	pthread_mutex_destroy(&tls->lock);
	free(tls);
}

void tls_count(struct http_tls *tls, bool good)
{
	atomic_fetch_add_explicit(good ? &tls->handshakes : &tls->failed, 1, memory_order_relaxed);
}

static gnutls_session_t session_of(const struct http_connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	return info == NULL ? NULL : info->tls_session;
}

static int note_finished(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming, const gnutls_datum_t *message)
{
	(void)type, (void)when, (void)message;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(gnutls_session_get_ptr(session), MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_connection *connection = info == NULL ? NULL : info->socket_context;
	if (connection != NULL && incoming)
		connection->finished_in = true;
	else if (connection != NULL)
		connection->finished_out = true;
	return 0;
}

/* Before its first step: the library has given the session credentials without a certificate. */
bool tls_session_begin(struct http_connection *connection)
{
	struct http_tls *tls = connection->server->callbacks.tls;
	gnutls_session_t session = session_of(connection);
	if (session == NULL)
		return false;
	connection->pair = tls_pair_ref(tls);
	gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_FINISHED, GNUTLS_HOOK_POST, note_finished);
	return gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, connection->pair->credentials) >= 0 &&
	       gnutls_session_ticket_enable_server(session, &tls->ticket_key) >= 0;
}

bool tls_session_wants_write(const struct http_connection *connection)
{
	return gnutls_record_get_direction(session_of(connection)) != 0;
}

ssize_t tls_session_send(const struct http_connection *connection, struct slice bytes)
{
	return gnutls_record_send(session_of(connection), bytes.ptr, bytes.len);
}

void tls_session_bye(const struct http_connection *connection)
{
	(void)gnutls_bye(session_of(connection), GNUTLS_SHUT_WR);
}
