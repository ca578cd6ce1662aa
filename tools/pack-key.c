#define _GNU_SOURCE
#include "tools/pack-key.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "chunkcache/masterkey.h"
#include "chunkcache/password.h"
#include "tools/pack-output.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

/* Sanitizers look into their own process in a way that this would forbid. */
static int protect_process(struct error *err)
{
	const struct rlimit none = { 0, 0 };

	if (HAS_SANITIZER)
		return 0;
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return error_set(err, errno, "keep the key out of core dumps: %m");
	return 0;
}

static int ask(struct secret_bytes **out, const char *prompt, struct error *err)
{
	int r = password_ask(out, prompt, err);

	if (r == PASSWORD_NOWHERE)
		return error_set(err, ENOKEY,
				 "a password is due, and there is no terminal to ask for it: set "
				 "PBS_ENCRYPTION_PASSWORD, or the same with _FILE, _FD or _CMD");
	return r;
}

static int find_password(struct secret_bytes **out, const char *path, const struct keyfile *k,
			 struct error *err)
{
	const char *hint = keyfile_hint(k);
	char shown[256], prompt[sizeof(shown) + PATH_MAX];
	int r = password_find(out, err);

	if (r != PASSWORD_NOWHERE)
		return r;
	error_name(shown, sizeof(shown), hint ? hint : "", hint ? strlen(hint) : 0);
	snprintf(prompt, sizeof(prompt), "Password of %s%s%s%s: ", path, hint ? " (hint: " : "",
		 shown, hint ? ")" : "");
	return ask(out, prompt, err);
}

int pack_key_load(struct pack_key *key, const char *path, struct report *r, struct error *err)
{
	CLEANUP(secret_bytes_freep) struct secret_bytes *password = NULL;
	CLEANUP(keyfile_freep) struct keyfile *k = NULL;
	bool exposed = false;
	int ret;

	ret = protect_process(err);
	if (ret == 0)
		ret = keyfile_read(&k, path, &exposed, err);
	if (ret == 0 && keyfile_needs_password(k))
		ret = find_password(&password, path, k, err);
	if (ret == 0)
		ret = keyfile_unlock(&key->crypt, k, password, err);
	password_forget();
	if (ret < 0)
		return error_wrap(err, "key file %s", path);
	if (exposed)
		report_note(r, path, "others may read the key file");
	if (!crypt_is_locked(key->crypt))
		report_note(r, path,
			    "the key may be swapped out: the limit on locked memory is "
			    "too low");
	snprintf(key->created, sizeof(key->created), "%s",
		 keyfile_created(k) ? keyfile_created(k) : "");
	return 0;
}

void pack_key_release(struct pack_key *key)
{
	crypt_free(key->crypt);
	*key = (struct pack_key){ 0 };
}

int pack_key_wrap(const struct pack_key *key, const char *pem_path, struct buffer *block,
		  struct error *err)
{
	CLEANUP(secret_bytes_freep) struct secret_bytes *pem = NULL;
	struct secret_read how = { .max = MASTERKEY_MAX, .wait_ms = SECRET_WAIT_MS };
	int r;

	r = secret_read(&pem, pem_path, &how, err);
	if (r == 0)
		r = masterkey_wrap(block, pem->bytes, pem->len, key->crypt,
				   *key->created ? key->created : NULL, err);
	return r < 0 ? error_wrap(err, "master key %s", pem_path) : 0;
}

/* What is typed and not seen is easily mistyped, so it is asked for twice. */
static int ask_new(struct secret_bytes **out, struct error *err)
{
	CLEANUP(secret_bytes_freep) struct secret_bytes *first = NULL, *second = NULL;
	int r;

	r = ask(&first, "New password: ", err);
	if (r == 0)
		r = ask(&second, "The same again: ", err);
	if (r < 0)
		return r;
	if (first->len != second->len || memcmp(first->bytes, second->bytes, first->len) != 0)
		return error_set(err, EINVAL, "the two passwords differ");
	*out = TAKE(first);
	return 0;
}

/* Whole or not at all, and for its owner alone from the beginning. */
static int write_new(const char *path, const struct secret_bytes *json, struct error *err)
{
	CLEANUP(output_release) struct output o = OUTPUT_CLOSED;
	int r;

	r = output_open(&o, path, false, err);
	if (r == -EEXIST)
		return error_set(err, EEXIST, "%s exists; a key is never replaced", path);
	if (r < 0)
		return r;
	if (fchmod(o.fd, 0600) < 0)
		return error_set(err, errno, "chmod %s: %m", path);
	r = o.sink.write(&o.sink, json->bytes, json->len, err);
	if (r == 0)
		r = output_sync(&o, err);
	OPENSSL_cleanse(o.pending, json->len);
	return r < 0 ? r : output_publish(&o, err);
}

int pack_key_create(const char *path, enum keyfile_kind kind, const char *hint, struct error *err)
{
	CLEANUP(secret_bytes_freep) struct secret_bytes *password = NULL, *json = NULL;
	CLEANUP(crypt_freep) struct crypt *crypt = NULL;
	struct keyfile_options options = { .kind = kind, .hint = hint };
	int r;

	r = protect_process(err);
	if (r == 0 && kind != KEYFILE_NONE) {
		r = password_find(&password, err);
		if (r == PASSWORD_NOWHERE)
			r = ask_new(&password, err);
	}
	password_forget();
	options.password = password;
	if (r == 0)
		r = crypt_new_random(&crypt, err);
	if (r == 0)
		r = keyfile_encode(&json, crypt, &options, err);
	return r < 0 ? r : write_new(path, json, err);
}
