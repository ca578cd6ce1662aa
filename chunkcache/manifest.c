#define _GNU_SOURCE
#include "chunkcache/manifest.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "chunkcache/file.h"

static const char *const mode_name[] = {
	[MANIFEST_NONE] = "none",
	[MANIFEST_ENCRYPT] = "encrypt",
	[MANIFEST_SIGN_ONLY] = "sign-only",
};

static void json_freep(json_t **json)
{
	json_decref(*json);
}

/* The parser recurses, so that it is held back here. What is in a string does not count. */
static int check_depth(const char *json, size_t n, struct error *err)
{
	unsigned depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < n; i++) {
		if (in_string) {
			if (json[i] == '\\')
				i++;
			else if (json[i] == '"')
				in_string = false;
		} else if (json[i] == '"') {
			in_string = true;
		} else if (json[i] == '{' || json[i] == '[') {
			if (++depth > MANIFEST_DEPTH_MAX)
				return error_set(err, EUCLEAN, "deeper than %d levels at byte %zu",
						 MANIFEST_DEPTH_MAX, i);
		} else if ((json[i] == '}' || json[i] == ']') && depth) {
			depth--;
		}
	}
	return 0;
}

/* NULL, with the error set, when it is not there. */
static const char *get_string(const json_t *object, const char *key, struct error *err)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_string(value))
		error_set(err, EUCLEAN, "%s is %s", key, value ? "not a string" : "missing");
	return json_string_value(value);
}

/* Numbers past the 63 bits of a file's size are refused by the parser. */
static int get_number(const json_t *object, const char *key, int64_t *number, struct error *err)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return error_set(err, EUCLEAN, "%s is %s", key,
				 value ? "not a positive number" : "missing");
	*number = json_integer_value(value);
	return 0;
}

/* A name that has one of the three endings. */
static bool is_file_name(const char *name)
{
	static const char *const endings[] = { ".didx", ".fidx", ".blob" };
	size_t len = strlen(name);

	for (size_t i = 0; i < 3; i++)
		if (len > 5 && !strcmp(name + len - 5, endings[i]))
			return snapshot_name_is_safe(name, len);
	return false;
}

static int get_mode(const json_t *object, enum manifest_mode *mode, struct error *err)
{
	const char *text;
	char shown[64];

	*mode = MANIFEST_NONE;
	if (!json_object_get(object, "crypt-mode")) /* as very old clients left it */
		return 0;
	text = get_string(object, "crypt-mode", err);
	if (!text)
		return -EUCLEAN;
	for (size_t i = 0; i < sizeof(mode_name) / sizeof(*mode_name); i++) {
		if (!strcmp(text, mode_name[i])) {
			*mode = (enum manifest_mode)i;
			return 0;
		}
	}
	return error_set(err, EUCLEAN, "crypt-mode '%s' is not known",
			 error_name(shown, sizeof(shown), text, strlen(text)));
}

static int decode_file(struct manifest_file *file, const json_t *object, struct error *err)
{
	const char *name, *csum;
	int64_t size = 0;
	int r;

	if (!json_is_object(object))
		return error_set(err, EUCLEAN, "not an object");
	name = get_string(object, "filename", err);
	csum = name ? get_string(object, "csum", err) : NULL;
	if (!csum)
		return -EUCLEAN;
	r = get_number(object, "size", &size, err);
	if (r == 0)
		r = get_mode(object, &file->mode, err);
	if (r < 0)
		return r;
	if (!is_file_name(name))
		return error_set(err, EUCLEAN, "not a file name");
	if (digest_parse(&file->csum, csum) < 0)
		return error_set(err, EUCLEAN, "csum is not a checksum");
	file->size = (uint64_t)size;
	file->name = strdup(name);
	return file->name ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_names(const struct manifest *m, struct error *err)
{
	CLEANUP(freep) const char **names = calloc(m->n + 1, sizeof(*names));

	if (!names)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < m->n; i++)
		names[i] = m->files[i].name;
	qsort(names, m->n, sizeof(*names), by_name);
	for (size_t i = 1; i < m->n; i++)
		if (!strcmp(names[i - 1], names[i]))
			return error_set(err, EUCLEAN, "%s is listed twice", names[i]);
	return 0;
}

static int decode_files(struct manifest *m, const json_t *files, struct error *err)
{
	size_t n = json_array_size(files);

	if (!json_is_array(files))
		return error_set(err, EUCLEAN, "files is not a list");
	m->files = calloc(n + 1, sizeof(*m->files));
	if (!m->files)
		return error_set(err, ENOMEM, "out of memory for %zu files", n);
	while (m->n < n) {
		size_t i = m->n++;
		int r = decode_file(&m->files[i], json_array_get(files, i), err);

		if (r < 0)
			return error_wrap(err, "file %zu", i);
	}
	return check_names(m, err);
}

static int decode_snapshot(struct manifest *m, const json_t *object, struct error *err)
{
	const char *type, *id;
	int r;

	type = get_string(object, "backup-type", err);
	id = type ? get_string(object, "backup-id", err) : NULL;
	if (!id)
		return -EUCLEAN;
	r = get_number(object, "backup-time", &m->time, err);
	if (r < 0)
		return r;
	if (!snapshot_type_is_known(type) || !snapshot_name_is_safe(id, strlen(id)) || !m->time)
		return error_set(err, EUCLEAN, "no snapshot has its type, ID and time");
	strcpy(m->type, type);
	strcpy(m->id, id);
	return 0;
}

static int decode_signature(struct manifest *m, const json_t *object, struct error *err)
{
	const json_t *value = json_object_get(object, "signature");

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value) || digest_parse(&m->signature, json_string_value(value)) < 0)
		return error_set(err, EUCLEAN, "signature is not 64 hex digits");
	m->has_signature = true;
	return 0;
}

static int decode_fingerprint(struct manifest *m, const json_t *object, struct error *err)
{
	const json_t *unprotected = json_object_get(object, "unprotected");
	const json_t *value = json_object_get(unprotected, "key-fingerprint");

	if (unprotected && !json_is_object(unprotected) && !json_is_null(unprotected))
		return error_set(err, EUCLEAN, "unprotected is not an object");
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value) ||
	    digest_parse_fingerprint(&m->fingerprint, json_string_value(value)) < 0)
		return error_set(err, EUCLEAN, "key-fingerprint is not one");
	m->has_fingerprint = true;
	return 0;
}

int manifest_decode(struct manifest **out, const void *json, size_t n, struct error *err)
{
	CLEANUP(manifest_freep) struct manifest *m = NULL;
	CLEANUP(json_freep) json_t *object = NULL;
	json_error_t why;
	char shown[200];
	int r;

	if (n > MANIFEST_MAX)
		return error_set(err, EUCLEAN, "a manifest of %zu bytes, at most %d are allowed", n,
				 MANIFEST_MAX);
	r = check_depth(json, n, err);
	if (r < 0)
		return r;
	object = json_loadb(json, n, JSON_REJECT_DUPLICATES, &why);
	if (!object)
		return error_set(err, EUCLEAN, "not a manifest: %s",
				 error_name(shown, sizeof(shown), why.text, strlen(why.text)));
	if (!json_is_object(object))
		return error_set(err, EUCLEAN, "not a manifest: not an object");
	m = calloc(1, sizeof(*m));
	if (!m)
		return error_set(err, ENOMEM, "out of memory");
	r = decode_snapshot(m, object, err);
	if (r == 0)
		r = decode_files(m, json_object_get(object, "files"), err);
	if (r == 0)
		r = decode_signature(m, object, err);
	if (r == 0)
		r = decode_fingerprint(m, object, err);
	if (r < 0)
		return r;
	*out = TAKE(m);
	return 0;
}

int manifest_read(struct manifest **out, int snapshot_dir, struct blob_context *c,
		  struct error *err)
{
	static const struct blob_terms terms = { .expect = BLOB_CLEAR };
	CLEANUP(buffer_release) struct buffer bytes = { 0 }, json = { 0 };
	CLEANUP(closep) int fd = -1;
	struct stat st;
	int r;

	r = file_open_regular(&fd, snapshot_dir, SNAPSHOT_MANIFEST, &st, err);
	if (r < 0)
		return r;
	r = file_read(fd, (uint64_t)st.st_size, MANIFEST_MAX + BLOB_HEADER_SIZE, &bytes, err);
	if (r == 0)
		r = blob_decode(c, &terms, bytes.bytes, bytes.len, MANIFEST_MAX, &json, err);
	if (r == 0)
		r = manifest_decode(out, json.bytes, json.len, err);
	if (r < 0)
		error_wrap(err, SNAPSHOT_MANIFEST);
	return r;
}

int manifest_new(struct manifest **out, const struct snapshot *s, struct error *err)
{
	struct manifest *m = calloc(1, sizeof(*m));

	if (!m)
		return error_set(err, ENOMEM, "out of memory");
	strcpy(m->type, s->type);
	strcpy(m->id, s->id);
	m->time = s->time;
	*out = m;
	return 0;
}

void manifest_free(struct manifest *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		free(m->files[i].name);
	free(m->files);
	free(m);
}

int manifest_check_snapshot(const struct manifest *m, const struct snapshot *s, struct error *err)
{
	char wanted[SNAPSHOT_PATH_SIZE];

	if (!strcmp(m->type, s->type) && !strcmp(m->id, s->id) && m->time == s->time)
		return 0;
	snapshot_text(s, wanted);
	return error_set(err, EUCLEAN, "the manifest is that of %s/%s at %" PRId64 ", not of %s",
			 m->type, m->id, m->time, wanted);
}

static int check_fingerprint(const struct manifest *m, const struct crypt *crypt, struct error *err)
{
	char ours[FINGERPRINT_TEXT_SIZE], theirs[FINGERPRINT_TEXT_SIZE];
	struct digest fingerprint = crypt_fingerprint(crypt);

	if (!m->has_fingerprint || digest_equal(&m->fingerprint, &fingerprint))
		return 0;
	return error_set(err, EKEYREJECTED,
			 "wrong key: the backup was made with %s, the one given is %s",
			 digest_format_fingerprint(&m->fingerprint, theirs),
			 digest_format_fingerprint(&fingerprint, ours));
}

int manifest_verify(const struct manifest *m, const struct crypt *crypt, struct error *err)
{
	CLEANUP(buffer_release) struct buffer json = { 0 };
	struct digest signature;
	int r;

	if (!crypt)
		return m->has_signature ? MANIFEST_UNCHECKED : MANIFEST_UNSIGNED;
	r = check_fingerprint(m, crypt, err);
	if (r < 0)
		return r;
	if (!m->has_signature)
		return MANIFEST_UNSIGNED;
	r = manifest_canonical(m, &json, err);
	if (r == 0)
		r = crypt_sign(crypt, json.bytes, json.len, &signature, err);
	if (r < 0)
		return r;
	if (!digest_equal(&signature, &m->signature))
		return error_set(err, EBADMSG, "the signature is not that of the manifest");
	return MANIFEST_VERIFIED;
}

int manifest_check_key(const struct manifest *m, const struct manifest_file *file,
		       const struct crypt *crypt, struct error *err)
{
	char text[FINGERPRINT_TEXT_SIZE] = "";

	if (crypt || file->mode != MANIFEST_ENCRYPT)
		return 0;
	if (m->has_fingerprint)
		digest_format_fingerprint(&m->fingerprint, text);
	return error_set(err, ENOKEY, "%s is encrypted, and no key was given%s%s", file->name,
			 *text ? "; it needs key " : "", text);
}

int manifest_check_file(const struct manifest_file *file, const struct digest *csum, uint64_t size,
			struct error *err)
{
	char found[DIGEST_TEXT_SIZE], listed[DIGEST_TEXT_SIZE];

	if (size != file->size)
		return error_set(err, EBADMSG,
				 "%s has %" PRIu64 " bytes, the manifest says %" PRIu64, file->name,
				 size, file->size);
	if (!digest_equal(csum, &file->csum))
		return error_set(err, EBADMSG, "%s has checksum %s, the manifest says %s",
				 file->name, digest_format(csum, found),
				 digest_format(&file->csum, listed));
	return 0;
}

const struct manifest_file *manifest_find(const struct manifest *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (!strcmp(m->files[i].name, name))
			return &m->files[i];
	return NULL;
}

const char *manifest_names(const struct manifest *m, char *text, size_t size)
{
	size_t at = 0;

	snprintf(text, size, "%s", m->n ? "" : "nothing");
	for (size_t i = 0; i < m->n; i++) {
		const char *name = m->files[i].name;
		int len = (int)(strrchr(name, '.') - name);
		int n = snprintf(text + at, size - at, "%s%.*s", i ? ", " : "", len, name);

		if ((size_t)n >= size - at) {
			if (size >= 4)
				strcpy(text + (at < size - 4 ? at : size - 4), "...");
			break;
		}
		at += (size_t)n;
	}
	return text;
}

static bool ends_with(const char *name, const char *ending)
{
	size_t len = strlen(name), n = strlen(ending);

	return len > n && !strcmp(name + len - n, ending);
}

/* The name in the snapshot of one that may lack its ending; false when it cannot be one. */
static bool complete_name(const char *name, char *complete, size_t size)
{
	static const struct {
		const char *ending, *add;
	} rules[] = {
		{ ".didx", "" },       { ".fidx", "" },	      { ".blob", "" },
		{ ".pxar", ".didx" },  { ".mpxar", ".didx" }, { ".ppxar", ".didx" },
		{ ".pcat1", ".didx" }, { ".img", ".fidx" },   { ".conf", ".blob" },
		{ ".json", ".blob" },  { ".key", ".blob" },   { ".log", ".blob" },
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (ends_with(name, rules[i].ending))
			return (size_t)snprintf(complete, size, "%s%s", name, rules[i].add) <
				       size &&
			       is_file_name(complete);
	return false;
}

static int not_listed(const struct manifest *m, const char *name, struct error *err)
{
	char names[300];

	return error_set(err, ENOENT, "the snapshot has no %s, it has: %s", name,
			 manifest_names(m, names, sizeof(names)));
}

/* Both halves of the split archive with the name that is given with any ending. */
static int choose_pair(const struct manifest *m, const char *name, struct manifest_choice *choice,
		       struct error *err)
{
	static const char *const endings[] = { ".mpxar.didx", ".ppxar.didx" };
	const struct manifest_file *half[2];
	char full[SNAPSHOT_NAME_MAX + 12];
	size_t stem = strlen(name) - strlen(".didx");

	while (name[stem - 1] != '.')
		stem--;
	for (int i = 0; i < 2; i++) {
		snprintf(full, sizeof(full), "%.*s%s", (int)stem - 1, name, endings[i]);
		half[i] = manifest_find(m, full);
		if (!half[i])
			return not_listed(m, i && half[0] ? full : name, err);
	}
	if (half[0]->mode != half[1]->mode)
		return error_set(err, EUCLEAN, "%s has crypt-mode %s, %s has %s", half[0]->name,
				 mode_name[half[0]->mode], half[1]->name, mode_name[half[1]->mode]);
	*choice = (struct manifest_choice){ half[0], half[1] };
	return 0;
}

int manifest_choose(const struct manifest *m, const char *name, struct manifest_choice *choice,
		    struct error *err)
{
	char complete[SNAPSHOT_NAME_MAX + 1], shown[128], names[200];
	const struct manifest_file *file;

	if (!complete_name(name, complete, sizeof(complete)))
		return error_set(err, EINVAL, "'%s' is not the name of an archive such as: %s",
				 error_name(shown, sizeof(shown), name, strlen(name)),
				 manifest_names(m, names, sizeof(names)));
	if (ends_with(complete, ".mpxar.didx") || ends_with(complete, ".ppxar.didx"))
		return choose_pair(m, complete, choice, err);
	file = manifest_find(m, complete);
	if (!file)
		return ends_with(complete, ".pxar.didx") ? choose_pair(m, complete, choice, err)
							 : not_listed(m, complete, err);
	*choice = (struct manifest_choice){ .archive = file };
	return 0;
}

int manifest_add(struct manifest *m, const char *name, enum manifest_mode mode, uint64_t size,
		 const struct digest *csum, struct error *err)
{
	struct manifest_file *files;
	char *copy;

	if (!is_file_name(name))
		return error_set(err, EINVAL, "'%s' cannot be in a snapshot", name);
	if (manifest_find(m, name))
		return error_set(err, EEXIST, "%s is in the manifest already", name);
	files = reallocarray(m->files, m->n + 1, sizeof(*files));
	if (!files)
		return error_set(err, ENOMEM, "out of memory");
	m->files = files;
	copy = strdup(name);
	if (!copy)
		return error_set(err, ENOMEM, "out of memory");
	files[m->n++] = (struct manifest_file){ copy, mode, size, *csum };
	return 0;
}

int manifest_sign(struct manifest *m, const struct crypt *crypt, struct error *err)
{
	CLEANUP(buffer_release) struct buffer json = { 0 };
	int r;

	r = manifest_canonical(m, &json, err);
	if (r == 0)
		r = crypt_sign(crypt, json.bytes, json.len, &m->signature, err);
	if (r < 0)
		return r;
	m->has_signature = m->has_fingerprint = true;
	m->fingerprint = crypt_fingerprint(crypt);
	return 0;
}

static void print(struct buffer *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void print(struct buffer *b, const char *fmt, ...)
{
	char text[512]; /* more than any name and what is around it */
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buffer_add(b, text, (size_t)n);
}

/* Keys are in the order of their bytes. No string needs an escape: types and modes are known
   words, and names are safe. */
int manifest_canonical(const struct manifest *m, struct buffer *json, struct error *err)
{
	char csum[DIGEST_TEXT_SIZE];

	print(json, "{\"backup-id\":\"%s\",\"backup-time\":%" PRId64 ",\"backup-type\":\"%s\"",
	      m->id, m->time, m->type);
	print(json, ",\"files\":[");
	for (size_t i = 0; i < m->n; i++) {
		const struct manifest_file *f = &m->files[i];

		print(json, "%s{\"crypt-mode\":\"%s\",\"csum\":\"%s\"", i ? "," : "",
		      mode_name[f->mode], digest_format(&f->csum, csum));
		print(json, ",\"filename\":\"%s\",\"size\":%" PRIu64 "}", f->name, f->size);
	}
	print(json, "]}");
	return buffer_finish(json, err);
}

static void print_files(const struct manifest *m, struct buffer *json)
{
	char csum[DIGEST_TEXT_SIZE];

	print(json, "  \"files\": [");
	for (size_t i = 0; i < m->n; i++) {
		const struct manifest_file *f = &m->files[i];

		print(json, "%s\n    {\n      \"crypt-mode\": \"%s\",\n      \"csum\": \"%s\",\n",
		      i ? "," : "", mode_name[f->mode], digest_format(&f->csum, csum));
		print(json, "      \"filename\": \"%s\",\n      \"size\": %" PRIu64 "\n    }",
		      f->name, f->size);
	}
	print(json, "%s],\n", m->n ? "\n  " : "");
}

int manifest_encode(const struct manifest *m, struct buffer *json, struct error *err)
{
	char text[FINGERPRINT_TEXT_SIZE];

	print(json, "{\n  \"backup-id\": \"%s\",\n  \"backup-time\": %" PRId64 ",\n", m->id,
	      m->time);
	print(json, "  \"backup-type\": \"%s\",\n", m->type);
	print_files(m, json);
	if (m->has_signature) {
		print(json, "  \"signature\": \"%s\",\n", digest_format(&m->signature, text));
	} else {
		print(json, "  \"signature\": null,\n");
	}
	if (m->has_fingerprint) {
		print(json, "  \"unprotected\": {\n    \"key-fingerprint\": \"%s\"\n  }\n}",
		      digest_format_fingerprint(&m->fingerprint, text));
	} else {
		print(json, "  \"unprotected\": {}\n}");
	}
	return buffer_finish(json, err);
}
