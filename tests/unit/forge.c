/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "forge.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <sodium.h>

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "forge: %s\n", what);
	abort();
}

void forge_init(struct forge *forge)
{
	const char *error = NULL;
	snprintf(forge->folder, sizeof(forge->folder), "/tmp/wm-keys-XXXXXX");
	arena_init(&forge->arena);
	must(mkdtemp(forge->folder) != NULL, "mkdtemp");
	must(auth_keys_create(forge->folder, &forge->arena, &forge->kid, &error) == 0, error);
	must(auth_keys_load(forge->folder, &forge->arena, &forge->keys, &error) == 0, error);
	forge->key = forge_read_key(forge->folder, forge->kid);
}

void forge_remove_folder(struct forge *forge)
{
	DIR *dir = opendir(forge->folder);
	must(dir != NULL, "opendir");
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	must(rmdir(forge->folder) == 0, "rmdir");
	forge->folder[0] = '\0';
}

void forge_done(struct forge *forge)
{
	if (forge->folder[0] != '\0')
		forge_remove_folder(forge);
	EVP_PKEY_free(forge->key);
	auth_keys_unref(forge->keys);
	arena_done(&forge->arena);
}

EVP_PKEY *forge_read_key(const char *folder, const char *kid)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/%s.pem", folder, kid);
	FILE *file = fopen(path, "re");
	must(file != NULL, path);
	EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	must(key != NULL, "read key");
	fclose(file);
	return key;
}

const char *forge_base64url(struct arena *arena, struct slice bytes)
{
	size_t size = sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	char *text = arena_alloc(arena, size);
	return sodium_bin2base64(text, size, (const unsigned char *)bytes.ptr, bytes.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

const char *forge_header(struct forge *forge)
{
	return arena_printf(&forge->arena, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", forge->kid);
}

/* r and s, each as long as the curve's order. */
static size_t raw_signature(EVP_PKEY *key, unsigned char *bytes, size_t len)
{
	const unsigned char *at = bytes;
	ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)len);
	must(signature != NULL, "ECDSA_SIG");
	int half = (EVP_PKEY_get_bits(key) + 7) / 8;
	BN_bn2binpad(ECDSA_SIG_get0_r(signature), bytes, half);
	BN_bn2binpad(ECDSA_SIG_get0_s(signature), bytes + half, half);
	ECDSA_SIG_free(signature);
	return (size_t)half * 2;
}

static const char *signing_input(struct forge *forge, const char *header, const char *payload)
{
	return arena_printf(&forge->arena, "%s.%s", forge_base64url(&forge->arena, slice_of(header)),
			    forge_base64url(&forge->arena, slice_of(payload)));
}

const char *forge_token(struct forge *forge, const char *header, const char *payload, EVP_PKEY *key, const char *digest)
{
	unsigned char signature[1024];
	size_t len = sizeof(signature);
	const char *input = signing_input(forge, header, payload);
	if (key == NULL)
		return arena_printf(&forge->arena, "%s.", input);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	must(EVP_DigestSignInit_ex(context, NULL, digest, NULL, NULL, key, NULL) == 1, "sign");
	must(EVP_DigestSign(context, signature, &len, (const unsigned char *)input, strlen(input)) == 1, "sign");
	EVP_MD_CTX_free(context);
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
		len = raw_signature(key, signature, len);
	return arena_printf(&forge->arena, "%s.%s", input, forge_base64url(&forge->arena, (struct slice){ (char *)signature, len }));
}

const char *forge_hmac(struct forge *forge, const char *header, const char *payload, struct slice secret)
{
	unsigned char mac[32];
	unsigned len = sizeof(mac);
	const char *input = signing_input(forge, header, payload);
	must(HMAC(EVP_sha256(), secret.ptr, (int)secret.len, (const unsigned char *)input, strlen(input), mac, &len) != NULL, "hmac");
	return arena_printf(&forge->arena, "%s.%s", input, forge_base64url(&forge->arena, (struct slice){ (char *)mac, len }));
}
