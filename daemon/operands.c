#include "daemon/operands.h"

#include <string.h>

#include "chunkcache/snapshot.h"
#include "daemon/log.h"

enum { QUOTE_SIZE = 128 }; /* of a word of the user's in a message */

static const char *quote(char text[QUOTE_SIZE], const char *word)
{
	return log_name(text, QUOTE_SIZE, word, strlen(word));
}

static bool ends_in_didx(const char *word)
{
	static const char suffix[] = ".didx";
	const size_t n = strlen(word), m = strlen(suffix);

	return n >= m && strcmp(word + n - m, suffix) == 0;
}

/* Whether it has the form TYPE/ID/TIME/NAME; if not, err says where it departs from it. */
static bool names_archive(const char *word, struct error *err)
{
	struct snapshot s;
	const char *name;
	char text[QUOTE_SIZE];

	if (snapshot_parse(&s, NULL, word, &name, err) < 0)
		return false;
	if (snapshot_name_is_safe(name, strlen(name)))
		return true;
	error_set(err, EINVAL,
		  *name ? "'%s' names no archive of a snapshot"
			: "'%s' is a whole snapshot: add the archive's name",
		  quote(text, word));
	return false;
}

static int refuse_whole_store(struct error *err)
{
	return error_set(err, EINVAL,
			 "a whole datastore cannot be mounted, only one archive of it: give "
			 "TYPE/ID/TIME/ARCHIVE, or option didx");
}

static int refuse_count(const struct options *o, const char *const *words, size_t n, size_t want,
			struct error *err)
{
	const bool one = n == 1 && !o->unmount;
	char text[QUOTE_SIZE];

	if (n == 2 && o->didx && !o->unmount)
		return error_set(err, EINVAL,
				 "didx and ARCHIVE exclude each other, but there is '%s'",
				 quote(text, words[0]));
	if (n > want)
		return error_set(err, EINVAL, "one argument too many: '%s'",
				 quote(text, words[want]));
	if (one && o->n_stores && !ends_in_didx(words[0]) && !names_archive(words[0], NULL))
		return refuse_whole_store(err);
	return error_set(err, EINVAL, "%s missing",
			 one	      ? "MOUNTPOINT is"
			 : o->unmount ? "the MOUNTPOINT to unmount is"
			 : o->didx    ? "MOUNTPOINT is"
				      : "ARCHIVE and MOUNTPOINT are");
}

static int take_archive(struct options *o, const char *word, struct error *err)
{
	struct snapshot s;
	const char *name;
	char text[QUOTE_SIZE];

	o->archive = word;
	if (!o->n_stores) {
		if (!ends_in_didx(word))
			return 0;
		return error_set(err, EINVAL,
				 "'%s' is an index: option store must say where its chunks are",
				 quote(text, word));
	}
	if (strcmp(word, "none") == 0)
		return refuse_whole_store(err);
	if (ends_in_didx(word) && !names_archive(word, NULL)) {
		o->didx = word;
		return 0;
	}
	if (!names_archive(word, err))
		return error_wrap(err,
				  "with option store, ARCHIVE is TYPE/ID/TIME/ARCHIVE or ends in "
				  ".didx");
	return snapshot_parse(&s, o->ns, word, &name, err);
}

static int check_keys(const struct options *o, struct error *err)
{
	const char *name = o->keyfile		   ? "keyfile"
			   : o->keyfd >= 0	   ? "keyfd"
			   : o->require_encryption ? "require-encryption"
			   : o->require_signature  ? "require-signature"
						   : NULL;

	if (o->keyfile && o->keyfd >= 0)
		return error_set(err, EINVAL, "keyfile and keyfd exclude each other");
	if (name && !o->n_stores)
		return error_set(err, EINVAL,
				 "%s goes only with store: a plain archive is neither encrypted "
				 "nor signed",
				 name);
	return 0;
}

static int check_options(const struct options *o, struct error *err)
{
	const struct {
		bool broken;
		const char *why;
	} rules[] = {
		{ o->payload && o->metadata_only, "payload and metadata-only exclude each other" },
		{ o->payload_didx && o->metadata_only,
		  "payload-didx and metadata-only exclude each other" },
		{ o->payload && (o->didx || o->n_stores),
		  "payload goes only with a plain archive; with didx it is payload-didx" },
		{ o->payload_didx && !o->didx, "payload-didx goes only with didx" },
		{ o->didx && !o->n_stores,
		  "didx goes only with store, which says where its chunks are" },
		{ o->ns && (o->didx || !o->n_stores),
		  "ns goes only with store and TYPE/ID/TIME/ARCHIVE" },
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (rules[i].broken)
			return error_set(err, EINVAL, "%s", rules[i].why);
	return check_keys(o, err);
}

int operands_take(struct options *o, const char *const *words, size_t n, struct error *err)
{
	const size_t want = o->unmount || o->didx ? 1 : 2;
	int r;

	if (n != want)
		return refuse_count(o, words, n, want, err);
	o->mountpoint = words[want - 1];
	if (!*words[0] || !*o->mountpoint)
		return error_set(err, EINVAL, "%s is an empty word",
				 *o->mountpoint ? "ARCHIVE" : "MOUNTPOINT");
	if (o->unmount)
		return 0;
	if (o->didx) {
		o->archive = o->didx;
	} else {
		r = take_archive(o, words[0], err);
		if (r < 0)
			return r;
	}
	return check_options(o, err);
}
