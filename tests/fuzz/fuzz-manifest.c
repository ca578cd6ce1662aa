/*
 * fuzz-manifest.c - the JSON of a manifest
 *
 * What is accepted is written and read again without a loss, can be signed and verified, and its
 * names are found by themselves.
 */
#include <stdlib.h>
#include <string.h>

#include "chunkcache/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_recoded(const struct manifest *m)
{
	struct buffer json = { 0 }, signed_part = { 0 }, again_part = { 0 };
	struct manifest *again = NULL;

	require(manifest_encode(m, &json, NULL) == 0);
	require(manifest_decode(&again, json.bytes, json.len, NULL) == 0);
	require(manifest_canonical(m, &signed_part, NULL) == 0);
	require(manifest_canonical(again, &again_part, NULL) == 0);
	require(signed_part.len == again_part.len &&
		!memcmp(signed_part.bytes, again_part.bytes, signed_part.len));
	require(m->has_signature == again->has_signature &&
		digest_equal(&m->signature, &again->signature));
	require(m->has_fingerprint == again->has_fingerprint &&
		digest_equal(&m->fingerprint, &again->fingerprint));
	buffer_release(&json);
	buffer_release(&signed_part);
	buffer_release(&again_part);
	manifest_free(again);
}

static void check_names(const struct manifest *m)
{
	struct manifest_choice choice;
	struct error err = { 0 };
	char names[60];

	for (size_t i = 0; i < m->n; i++) {
		int r;

		require(manifest_find(m, m->files[i].name) == &m->files[i]);
		r = manifest_choose(m, m->files[i].name, &choice, &err);
		require(r == 0 || r == -ENOENT || r == -EUCLEAN);
		require(r < 0 || choice.archive == &m->files[i] || choice.payload == &m->files[i]);
	}
	require(strlen(manifest_names(m, names, sizeof(names))) < sizeof(names));
}

static void check_signature(struct manifest *m, const struct crypt *crypt)
{
	int r = manifest_verify(m, crypt, NULL);

	require(r == MANIFEST_UNSIGNED || r == -EKEYREJECTED || r == -EBADMSG);
	require(manifest_sign(m, crypt, NULL) == 0);
	require(manifest_verify(m, crypt, NULL) == MANIFEST_VERIFIED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[CRYPT_KEY_SIZE];
	struct crypt *crypt = NULL;
	struct error err = { 0 };
	struct manifest *m;

	if (manifest_decode(&m, data, size, &err) < 0) {
		require(err.code == -EUCLEAN && *err.text);
		return 0;
	}
	require(crypt_new(&crypt, key, NULL) == 0);
	check_recoded(m);
	check_names(m);
	check_signature(m, crypt);
	manifest_free(m);
	crypt_free(crypt);
	return 0;
}
