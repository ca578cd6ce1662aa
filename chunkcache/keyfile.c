#include "chunkcache/keyfile.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <jansson.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "core/cursor.h"

enum {
	SALT_MAX = 1024, /* the original makes 32 bytes */
	SALT_SIZE = 32,
	WRAPPED_SIZE = CRYPT_IV_SIZE + CRYPT_TAG_SIZE + CRYPT_KEY_SIZE,
	SCRYPT_N = 65536,
	SCRYPT_R = 8,
	SCRYPT_P = 1,
	PBKDF2_ITER = 65535,
};

/* What the original allows scrypt: somewhat more than KEYFILE_SCRYPT_MAX, for its small change. */
#define SCRYPT_MEMORY_MAX (UINT64_C(1025) << 20)

#define BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)

struct keyfile {
	struct keyfile_kdf kdf;
	uint8_t salt[SALT_MAX];
	size_t salt_len;
	uint8_t data[WRAPPED_SIZE]; /* the key as it is, or IV, tag and ciphertext */
	bool has_fingerprint;
	struct digest fingerprint;
	char *hint, *created;
};

static void json_freep(json_t **at)
{
	json_decref(*at);
}

/* Keys pass through jansson's memory, so none of it is given back as it was. */
static void free_cleansed(void *at)
{
	if (at)
		OPENSSL_cleanse(at, malloc_usable_size(at));
	free(at);
}

/* Standard base64 with padding, of at most max bytes; -EUCLEAN when it is not that exactly. */
static int decode_base64(const char *text, uint8_t *bytes, size_t max, size_t *n)
{
	uint8_t decoded[BASE64_SIZE(SALT_MAX)];
	char again[BASE64_SIZE(SALT_MAX)];
	size_t len = strlen(text), padding = 0;
	int r = -EUCLEAN;

	*n = 0;
	if (!len)
		return 0;
	if (len % 4 || len >= BASE64_SIZE(max))
		return r;
	while (padding < 2 && text[len - 1 - padding] == '=')
		padding++;
	/* OpenSSL overlooks blanks and stray bits; encoding it again shows them. */
	if (EVP_DecodeBlock(decoded, (const uint8_t *)text, (int)len) > 0) {
		*n = len / 4 * 3 - padding;
		EVP_EncodeBlock((uint8_t *)again, decoded, (int)*n);
		if (*n <= max && strcmp(text, again) == 0) {
			memcpy(bytes, decoded, *n);
			r = 0;
		}
	}
	OPENSSL_cleanse(decoded, sizeof(decoded));
	OPENSSL_cleanse(again, sizeof(again));
	return r;
}

/* NULL in *value when there is no such member, or it is null. */
static int get_string(const json_t *object, const char *name, const char **value, struct error *err)
{
	const json_t *member = json_object_get(object, name);

	*value = NULL;
	if (!member || json_is_null(member))
		return 0;
	if (!json_is_string(member))
		return error_set(err, EUCLEAN, "%s is not a string", name);
	*value = json_string_value(member);
	return 0;
}

static int get_number(const json_t *object, const char *name, uint64_t *value, struct error *err)
{
	const json_t *member = json_object_get(object, name);

	if (!json_is_integer(member) || json_integer_value(member) < 1)
		return error_set(err, EUCLEAN, "kdf has no positive number %s", name);
	*value = (uint64_t)json_integer_value(member);
	return 0;
}

/* Whether scrypt would take too long, too much memory, or is not defined for these numbers. */
static int check_scrypt(const struct keyfile_kdf *kdf, struct error *err)
{
	uint64_t work, memory;

	if (kdf->n < 2 || kdf->n & (kdf->n - 1) || (kdf->r < 4 && kdf->n >> (16 * kdf->r)))
		return error_set(err, EUCLEAN, "scrypt has no n of %" PRIu64 " with r %" PRIu64,
				 kdf->n, kdf->r);
	if (kdf->p > KEYFILE_SCRYPT_P_MAX || !checked_mul(128, kdf->n, &work) ||
	    !checked_mul(work, kdf->r, &work) || !checked_mul(work, kdf->p, &work) ||
	    work > KEYFILE_SCRYPT_MAX || !checked_mul(128 * kdf->r, kdf->n + 2 + kdf->p, &memory) ||
	    memory > SCRYPT_MEMORY_MAX)
		return error_set(err, EUCLEAN,
				 "scrypt with n %" PRIu64 ", r %" PRIu64 ", p %" PRIu64
				 " takes too much memory or time",
				 kdf->n, kdf->r, kdf->p);
	return 0;
}

static int decode_scrypt(struct keyfile *k, const json_t *object, struct error *err)
{
	int r;

	k->kdf.kind = KEYFILE_SCRYPT;
	r = get_number(object, "n", &k->kdf.n, err);
	if (r == 0)
		r = get_number(object, "r", &k->kdf.r, err);
	if (r == 0)
		r = get_number(object, "p", &k->kdf.p, err);
	return r < 0 ? r : check_scrypt(&k->kdf, err);
}

static int decode_pbkdf2(struct keyfile *k, const json_t *object, struct error *err)
{
	int r;

	k->kdf.kind = KEYFILE_PBKDF2;
	r = get_number(object, "iter", &k->kdf.iter, err);
	if (r == 0 && k->kdf.iter > KEYFILE_PBKDF2_MAX)
		return error_set(err, EUCLEAN,
				 "PBKDF2 with %" PRIu64 " iterations, %d are too many", k->kdf.iter,
				 KEYFILE_PBKDF2_MAX + 1);
	return r;
}

/* null, or an object with one member whose name is the method. */
static int decode_kdf(struct keyfile *k, const json_t *kdf, struct error *err)
{
	const json_t *scrypt = json_object_get(kdf, "Scrypt");
	const json_t *pbkdf2 = json_object_get(kdf, "PBKDF2");
	const char *salt = NULL;
	int r;

	if (!kdf || json_is_null(kdf))
		return 0;
	if (json_object_size(kdf) != 1 || (!json_is_object(scrypt) && !json_is_object(pbkdf2)))
		return error_set(err, EUCLEAN, "kdf is neither null, nor Scrypt or PBKDF2 alone");
	r = scrypt ? decode_scrypt(k, scrypt, err) : decode_pbkdf2(k, pbkdf2, err);
	if (r == 0)
		r = get_string(scrypt ? scrypt : pbkdf2, "salt", &salt, err);
	if (r < 0)
		return r;
	if (!salt || decode_base64(salt, k->salt, SALT_MAX, &k->salt_len) < 0)
		return error_set(err, EUCLEAN, "kdf has no salt in base64 of up to %d bytes",
				 SALT_MAX);
	return 0;
}

static int decode_data(struct keyfile *k, const json_t *object, struct error *err)
{
	size_t wanted = k->kdf.kind == KEYFILE_NONE ? CRYPT_KEY_SIZE : WRAPPED_SIZE, n;
	const char *data;
	int r;

	r = get_string(object, "data", &data, err);
	if (r < 0)
		return r;
	if (!data || decode_base64(data, k->data, sizeof(k->data), &n) < 0 || n != wanted)
		return error_set(err, EUCLEAN, "data is not %zu bytes in base64", wanted);
	return 0;
}

static int copy_string(const json_t *object, const char *name, char **copy, struct error *err)
{
	const char *value;
	int r;

	r = get_string(object, name, &value, err);
	if (r < 0 || !value)
		return r;
	*copy = strdup(value);
	return *copy ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int decode_labels(struct keyfile *k, const json_t *object, struct error *err)
{
	const char *fingerprint;
	int r;

	r = get_string(object, "fingerprint", &fingerprint, err);
	if (r < 0)
		return r;
	if (fingerprint && digest_parse_fingerprint(&k->fingerprint, fingerprint) < 0)
		return error_set(err, EUCLEAN, "fingerprint is not one");
	k->has_fingerprint = fingerprint;
	r = copy_string(object, "hint", &k->hint, err);
	return r < 0 ? r : copy_string(object, "created", &k->created, err);
}

int keyfile_decode(struct keyfile **out, const void *json, size_t n, struct error *err)
{
	CLEANUP(keyfile_freep) struct keyfile *k = NULL;
	CLEANUP(json_freep) json_t *object = NULL;
	json_error_t where;
	int r;

	if (n > KEYFILE_MAX)
		return error_set(err, EUCLEAN, "%zu bytes, a key file has at most %d", n,
				 KEYFILE_MAX);
	json_set_alloc_funcs(malloc, free_cleansed);
	object = json_loadb(json, n, JSON_REJECT_DUPLICATES, &where);
	if (!object && json_error_code(&where) == json_error_out_of_memory)
		return error_set(err, ENOMEM, "out of memory");
	/* jansson's message quotes what it could not parse. */
	if (!object)
		return error_set(err, EUCLEAN, "line %d, column %d is not JSON", where.line,
				 where.column);
	if (!json_is_object(object))
		return error_set(err, EUCLEAN, "the JSON is not an object");
	k = secret_new(sizeof(*k));
	if (!k)
		return error_set(err, ENOMEM, "out of memory");
	r = decode_kdf(k, json_object_get(object, "kdf"), err);
	if (r == 0)
		r = decode_data(k, object, err);
	if (r == 0)
		r = decode_labels(k, object, err);
	if (r < 0)
		return r;
	*out = TAKE(k);
	return 0;
}

void keyfile_free(struct keyfile *k)
{
	if (!k)
		return;
	free(k->created);
	free(k->hint);
	secret_free(k);
}

static int decode_file(struct keyfile **out, const struct secret_bytes *text,
		       const struct secret_read *how, bool *exposed, struct error *err)
{
	if (how->writable)
		return error_set(err, EPERM, "others may write to it");
	*exposed = how->readable;
	return keyfile_decode(out, text->bytes, text->len, err);
}

int keyfile_read(struct keyfile **out, const char *path, bool *exposed, struct error *err)
{
	struct secret_read how = { .max = KEYFILE_MAX, .wait_ms = SECRET_WAIT_MS };
	CLEANUP(secret_bytes_freep) struct secret_bytes *text = NULL;
	int r;

	r = secret_read(&text, path, &how, err);
	if (r == 0)
		r = decode_file(out, text, &how, exposed, err);
	return r < 0 ? error_wrap(err, "key file %s", path) : 0;
}

int keyfile_read_fd(struct keyfile **out, int fd, bool *exposed, struct error *err)
{
	struct secret_read how = { .max = KEYFILE_MAX, .wait_ms = SECRET_WAIT_MS };
	CLEANUP(secret_bytes_freep) struct secret_bytes *text = NULL;
	int r;

	r = secret_read_fd(&text, fd, &how, err);
	if (r == 0)
		r = decode_file(out, text, &how, exposed, err);
	return r < 0 ? error_wrap(err, "key file from descriptor %d", fd) : 0;
}

bool keyfile_needs_password(const struct keyfile *k)
{
	return k->kdf.kind != KEYFILE_NONE;
}

const char *keyfile_hint(const struct keyfile *k)
{
	return k->hint;
}

const struct digest *keyfile_fingerprint(const struct keyfile *k)
{
	return k->has_fingerprint ? &k->fingerprint : NULL;
}

const struct keyfile_kdf *keyfile_kdf(const struct keyfile *k)
{
	return &k->kdf;
}

const char *keyfile_created(const struct keyfile *k)
{
	return k->created;
}

static int check_password(const struct secret_bytes *password, struct error *err)
{
	if (password->len >= KEYFILE_PASSWORD_MIN)
		return 0;
	return error_set(err, EKEYREJECTED, "a password has at least %d bytes",
			 KEYFILE_PASSWORD_MIN);
}

/* The key that wraps the key. */
static int derive(struct crypt **out, const struct keyfile_kdf *kdf,
		  const struct secret_bytes *password, const uint8_t *salt, size_t salt_len,
		  struct error *err)
{
	const char *pass = (const char *)password->bytes;
	uint8_t key[CRYPT_KEY_SIZE];
	int ok, r;

	if (kdf->kind == KEYFILE_SCRYPT)
		ok = EVP_PBE_scrypt(pass, password->len, salt, salt_len, kdf->n, kdf->r, kdf->p,
				    SCRYPT_MEMORY_MAX, key, sizeof(key));
	else
		ok = PKCS5_PBKDF2_HMAC(pass, (int)password->len, salt, (int)salt_len,
				       (int)kdf->iter, EVP_sha256(), sizeof(key), key);
	r = ok == 1 ? crypt_new(out, key, err)
		    : error_set(err, ENOMEM, "no memory for a key out of a password");
	OPENSSL_cleanse(key, sizeof(key));
	return r;
}

/* The wrapped key, as it is in the file or to be put there. */
struct wrapped {
	struct crypt_seal seal;
	uint8_t key[CRYPT_KEY_SIZE];
};

static int unwrap(struct crypt **out, const struct keyfile *k, const struct crypt *with,
		  struct error *err)
{
	CLEANUP(crypt_context_freep) struct crypt_context *c = NULL;
	uint8_t key[CRYPT_KEY_SIZE];
	struct wrapped w;
	int r;

	memcpy(w.seal.iv, k->data, CRYPT_IV_SIZE);
	memcpy(w.seal.tag, k->data + CRYPT_IV_SIZE, CRYPT_TAG_SIZE);
	memcpy(w.key, k->data + CRYPT_IV_SIZE + CRYPT_TAG_SIZE, CRYPT_KEY_SIZE);
	r = crypt_context_new(&c, err);
	if (r < 0)
		return r;
	r = crypt_decrypt(with, c, &w.seal, w.key, sizeof(key), key, err);
	if (r == -EBADMSG)
		return error_set(err, EKEYREJECTED, "the password is wrong");
	if (r == 0)
		r = crypt_new(out, key, err);
	OPENSSL_cleanse(key, sizeof(key));
	return r;
}

static int check_fingerprint(const struct keyfile *k, const struct crypt *crypt, struct error *err)
{
	char wanted[FINGERPRINT_TEXT_SIZE], got[FINGERPRINT_TEXT_SIZE];
	struct digest found = crypt_fingerprint(crypt);

	if (!k->has_fingerprint || digest_equal(&k->fingerprint, &found))
		return 0;
	return error_set(err, EKEYREJECTED, "it holds key %s, and says that it is %s",
			 digest_format_fingerprint(&found, got),
			 digest_format_fingerprint(&k->fingerprint, wanted));
}

int keyfile_unlock(struct crypt **out, const struct keyfile *k, const struct secret_bytes *password,
		   struct error *err)
{
	CLEANUP(crypt_freep) struct crypt *with = NULL, *crypt = NULL;
	int r;

	if (k->kdf.kind == KEYFILE_NONE) {
		r = crypt_new(&crypt, k->data, err);
	} else {
		if (!password)
			return error_set(err, ENOKEY, "the key needs a password");
		r = check_password(password, err);
		if (r == 0)
			r = derive(&with, &k->kdf, password, k->salt, k->salt_len, err);
		if (r == 0)
			r = unwrap(&crypt, k, with, err);
	}
	if (r == 0)
		r = check_fingerprint(k, crypt, err);
	if (r < 0)
		return r;
	*out = TAKE(crypt);
	return 0;
}

static int wrap(uint8_t *data, const struct crypt *crypt, const struct crypt *with,
		struct error *err)
{
	CLEANUP(crypt_context_freep) struct crypt_context *c = NULL;
	struct wrapped w;
	int r;

	r = crypt_context_new(&c, err);
	if (r == 0)
		r = crypt_encrypt(with, c, crypt_key(crypt), CRYPT_KEY_SIZE, w.key, &w.seal, err);
	if (r < 0)
		return r;
	memcpy(data, w.seal.iv, CRYPT_IV_SIZE);
	memcpy(data + CRYPT_IV_SIZE, w.seal.tag, CRYPT_TAG_SIZE);
	memcpy(data + CRYPT_IV_SIZE + CRYPT_TAG_SIZE, w.key, CRYPT_KEY_SIZE);
	return 0;
}

static json_t *encode_kdf(const struct keyfile_kdf *kdf, const uint8_t salt[SALT_SIZE])
{
	char text[BASE64_SIZE(SALT_SIZE)];

	EVP_EncodeBlock((uint8_t *)text, salt, SALT_SIZE);
	if (kdf->kind == KEYFILE_SCRYPT)
		return json_pack("{s:{s:I,s:I,s:I,s:s}}", "Scrypt", "n", (json_int_t)kdf->n, "r",
				 (json_int_t)kdf->r, "p", (json_int_t)kdf->p, "salt", text);
	if (kdf->kind == KEYFILE_PBKDF2)
		return json_pack("{s:{s:I,s:s}}", "PBKDF2", "iter", (json_int_t)kdf->iter, "salt",
				 text);
	return json_null();
}

/* What protects the key, and the key so protected. */
static int encode_key(json_t **kdf_json, json_t **data_json, const struct crypt *crypt,
		      const struct keyfile_options *options, struct error *err)
{
	struct keyfile_kdf kdf = { options->kind, SCRYPT_N, SCRYPT_R, SCRYPT_P, PBKDF2_ITER };
	CLEANUP(crypt_freep) struct crypt *with = NULL;
	uint8_t salt[SALT_SIZE], data[WRAPPED_SIZE];
	char text[BASE64_SIZE(WRAPPED_SIZE)];
	int r;

	if (kdf.kind == KEYFILE_NONE) {
		EVP_EncodeBlock((uint8_t *)text, crypt_key(crypt), CRYPT_KEY_SIZE);
	} else {
		if (RAND_bytes(salt, sizeof(salt)) != 1)
			return error_set(err, EIO, "there are no random numbers");
		r = derive(&with, &kdf, options->password, salt, sizeof(salt), err);
		if (r == 0)
			r = wrap(data, crypt, with, err);
		if (r < 0)
			return r;
		EVP_EncodeBlock((uint8_t *)text, data, sizeof(data));
	}
	*kdf_json = encode_kdf(&kdf, salt);
	*data_json = json_string(text);
	OPENSSL_cleanse(text, sizeof(text));
	return 0;
}

/* Local time, as the original writes it. */
static const char *format_now(char text[KEYFILE_TIME_SIZE])
{
	time_t now = time(NULL);
	struct tm tm;
	long east;
	size_t n;

	localtime_r(&now, &tm);
	east = tm.tm_gmtoff / 60;
	n = strftime(text, KEYFILE_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, KEYFILE_TIME_SIZE - n, "%c%02d:%02d", east < 0 ? '-' : '+',
		 abs((int)east) / 60 % 100, abs((int)east) % 60);
	return text;
}

static bool time_is_plausible(const char *text)
{
	static const char *const shapes[] = { "0000-00-00T00:00:00Z", "0000-00-00T00:00:00+00:00",
					      "0000-00-00T00:00:00-00:00" };
	size_t at;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		for (at = 0; text[at]; at++) {
			bool digit = text[at] >= '0' && text[at] <= '9';

			if ((digit ? '0' : text[at]) != shapes[i][at])
				break;
		}
		if (!text[at] && !shapes[i][at])
			return true;
	}
	return false;
}

static int check_options(const struct keyfile_options *options, struct error *err)
{
	if ((options->created && !time_is_plausible(options->created)) ||
	    (options->modified && !time_is_plausible(options->modified)))
		return error_set(err, EINVAL, "not a time as in key files");
	for (const char *c = options->hint; c && *c; c++)
		if ((*c >= 0 && *c < ' ') || *c == 0x7f)
			return error_set(err, EINVAL, "the hint has control characters");
	if (options->kind == KEYFILE_NONE)
		return 0;
	if (!options->password)
		return error_set(err, EINVAL, "no password was given");
	return check_password(options->password, err);
}

static int dump(struct secret_bytes **out, const json_t *object, struct error *err)
{
	size_t n = json_dumpb(object, NULL, 0, JSON_COMPACT);
	int r;

	if (!n || n > KEYFILE_MAX)
		return error_set(err, EINVAL, "the hint is too long");
	r = secret_bytes_new(out, n, err);
	if (r < 0)
		return r;
	(*out)->len = json_dumpb(object, (char *)(*out)->bytes, n, JSON_COMPACT);
	return 0;
}

int keyfile_encode(struct secret_bytes **json, const struct crypt *crypt,
		   const struct keyfile_options *options, struct error *err)
{
	CLEANUP(json_freep) json_t *object = NULL, *kdf = NULL, *data = NULL;
	char now[KEYFILE_TIME_SIZE], text[FINGERPRINT_TEXT_SIZE];
	struct digest fingerprint = crypt_fingerprint(crypt);
	int r;

	json_set_alloc_funcs(malloc, free_cleansed);
	r = check_options(options, err);
	if (r == 0)
		r = encode_key(&kdf, &data, crypt, options, err);
	if (r < 0)
		return r;
	format_now(now);
	object = json_pack("{s:O,s:s,s:s,s:O,s:s,s:s*}", "kdf", kdf, "created",
			   options->created ? options->created : now, "modified",
			   options->modified ? options->modified : now, "data", data, "fingerprint",
			   digest_format_fingerprint(&fingerprint, text), "hint", options->hint);
	if (!object) /* or memory is out, but that is not told apart */
		return error_set(err, EINVAL, "the hint is not UTF-8");
	return dump(json, object, err);
}
