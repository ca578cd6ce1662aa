#include "tools/pack-options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "chunkcache/chunker.h"
#include "chunkcache/snapshot.h"
#include "tools/pack-exclude.h"

enum { ARCHIVE_NAME_MAX = 200 }; /* leaves room for the endings of indexes */

static const char usage[] =
	"usage: pxar-pack [OPTIONS] DIR OUT.pxar\n"
	"       pxar-pack [OPTIONS] --split DIR OUT       makes OUT.mpxar and OUT.ppxar\n"
	"       pxar-pack [OPTIONS] --store STORE --snapshot TYPE/ID[/TIME] DIR\n"
	"       pxar-pack --create-key FILE [--kdf KDF] [--hint TEXT]\n"
	"\n"
	"  --split             metadata and file contents in two files\n"
	"  --exclude PATTERN   leave out what matches; may be repeated, the last that matches "
	"counts\n"
	"  --no-pxarexclude    do not look for patterns in .pxarexclude files\n"
	"  --one-file-system   store mount points as empty directories\n"
	"  --skip-nodump       leave out what has the nodump flag (chattr +d)\n"
	"  --prelude FILE      with --split: store FILE as the prelude, not the patterns as JSON\n"
	"  --force             replace an archive that exists\n"
	"  --store STORE       into a datastore, the directory with .chunks\n"
	"  --create-store      make that directory a datastore if it is not there or empty\n"
	"  --snapshot TYPE/ID[/TIME]\n"
	"                      the snapshot to make: vm, ct or host; an ID; default: now\n"
	"  --ns NS             namespace of the snapshot, such as a/b; default: the root\n"
	"  --archive NAME      name of the archive in it; default: root\n"
	"  --owner USER@REALM  whom a new backup group belongs to; default: root@pam\n"
	"  --keyfile FILE      encrypt and sign with this key\n"
	"  --master-pubkey FILE\n"
	"                      with --keyfile: store the key, encrypted for this RSA key (PEM)\n"
	"  --chunk-size SIZE   average, a power of two from 64K to 4M; default: 4M\n"
	"  --no-compress       store chunks as they are\n"
	"  --create-key FILE   make a new key\n"
	"  --kdf KDF           how its password protects it: scrypt (default), pbkdf2, or none\n"
	"  --hint TEXT         reminds its owner of the password\n"
	"  --quiet             say nothing but what went wrong\n"
	"  --help, --version\n";

enum {
	OPT_SPLIT = 256,
	OPT_EXCLUDE,
	OPT_NO_FILES,
	OPT_ONE_FS,
	OPT_NODUMP,
	OPT_PRELUDE,
	OPT_FORCE,
	OPT_STORE,
	OPT_CREATE_STORE,
	OPT_SNAPSHOT,
	OPT_NS,
	OPT_ARCHIVE,
	OPT_OWNER,
	OPT_KEYFILE,
	OPT_MASTER,
	OPT_CHUNK_SIZE,
	OPT_NO_COMPRESS,
	OPT_CREATE_KEY,
	OPT_KDF,
	OPT_HINT,
	OPT_QUIET,
	OPT_HELP,
	OPT_VERSION
};

static const struct option long_options[] = {
	{ "split", no_argument, NULL, OPT_SPLIT },
	{ "exclude", required_argument, NULL, OPT_EXCLUDE },
	{ "no-pxarexclude", no_argument, NULL, OPT_NO_FILES },
	{ "one-file-system", no_argument, NULL, OPT_ONE_FS },
	{ "skip-nodump", no_argument, NULL, OPT_NODUMP },
	{ "prelude", required_argument, NULL, OPT_PRELUDE },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "store", required_argument, NULL, OPT_STORE },
	{ "create-store", no_argument, NULL, OPT_CREATE_STORE },
	{ "snapshot", required_argument, NULL, OPT_SNAPSHOT },
	{ "ns", required_argument, NULL, OPT_NS },
	{ "archive", required_argument, NULL, OPT_ARCHIVE },
	{ "owner", required_argument, NULL, OPT_OWNER },
	{ "keyfile", required_argument, NULL, OPT_KEYFILE },
	{ "master-pubkey", required_argument, NULL, OPT_MASTER },
	{ "chunk-size", required_argument, NULL, OPT_CHUNK_SIZE },
	{ "no-compress", no_argument, NULL, OPT_NO_COMPRESS },
	{ "create-key", required_argument, NULL, OPT_CREATE_KEY },
	{ "kdf", required_argument, NULL, OPT_KDF },
	{ "hint", required_argument, NULL, OPT_HINT },
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static int parse_chunk_size(uint64_t *size, const char *text, struct error *err)
{
	unsigned shift = 0;
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*end == 'K' || *end == 'k')
		shift = 10;
	else if (*end == 'M' || *end == 'm')
		shift = 20;
	end += shift != 0;
	if (*text < '0' || *text > '9' || *end || errno || n > CHUNKER_AVG_MAX)
		return error_set(err, EINVAL, "--chunk-size '%s': a size is written 64K or 4M",
				 text);
	*size = (uint64_t)n << shift;
	if (*size < CHUNKER_AVG_MIN || *size > CHUNKER_AVG_MAX || (*size & (*size - 1)))
		return error_set(err, EINVAL, "--chunk-size '%s': a power of two from 64K to 4M",
				 text);
	return 0;
}

static int parse_archive(const char **archive, const char *text, struct error *err)
{
	size_t len = strlen(text);

	if (!snapshot_name_is_safe(text, len) || len > ARCHIVE_NAME_MAX)
		return error_set(err, EINVAL,
				 "--archive '%s': letters, digits, '_', '-' and '.', at most %d",
				 text, ARCHIVE_NAME_MAX);
	*archive = text;
	return 0;
}

/* TYPE/ID, which is to be made now, or TYPE/ID/TIME. */
static int parse_snapshot(struct options *o, struct error *err)
{
	const char *slash = strchr(o->snapshot, '/'), *text = o->snapshot, *rest;
	char full[SNAPSHOT_PATH_SIZE], now[SNAPSHOT_TIME_SIZE];
	int r;

	if (slash && !strchr(slash + 1, '/')) {
		snapshot_format_time((int64_t)time(NULL), now);
		if ((size_t)snprintf(full, sizeof(full), "%s/%s", text, now) >= sizeof(full))
			return error_set(err, EINVAL, "--snapshot of %zu bytes", strlen(text));
		text = full;
	}
	r = snapshot_parse(&o->id, o->ns, text, &rest, err);
	if (r < 0)
		return r;
	if (*rest || o->id.time == SNAPSHOT_LATEST)
		return error_set(err, EINVAL, "--snapshot is TYPE/ID or TYPE/ID/TIME");
	return 0;
}

/* user@realm or user@realm!token */
static int parse_owner(const char **owner, const char *text, struct error *err)
{
	const char *at = strrchr(text, '@');
	size_t realm = at ? strcspn(at + 1, "!") : 0;
	const char *token = at ? at + 1 + realm : "";

	if (!at || at == text || strlen(text) > 200 || !snapshot_name_is_safe(at + 1, realm) ||
	    (*token && !snapshot_name_is_safe(token + 1, strlen(token + 1))))
		return error_set(err, EINVAL, "--owner '%s': written user@realm", text);
	for (const char *c = text; c < at; c++)
		if (*c <= ' ' || *c == 0x7f || *c == '/' || *c == ':')
			return error_set(err, EINVAL, "--owner: not the name of a user");
	*owner = text;
	return 0;
}

static int parse_kdf(enum keyfile_kind *kdf, const char *text, struct error *err)
{
	static const char *const names[] = {
		[KEYFILE_NONE] = "none", [KEYFILE_SCRYPT] = "scrypt", [KEYFILE_PBKDF2] = "pbkdf2"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(text, names[i])) {
			*kdf = (enum keyfile_kind)i;
			return 0;
		}
	}
	return error_set(err, EINVAL, "--kdf '%s': one of scrypt, pbkdf2 and none", text);
}

/* The options of snapshots and keys. */
static int take_store(struct options *o, int option, struct error *err)
{
	switch (option) {
	case OPT_STORE:
		o->store = optarg;
		return 0;
	case OPT_CREATE_STORE:
		o->create_store = true;
		return 0;
	case OPT_SNAPSHOT:
		o->snapshot = optarg;
		return 0;
	case OPT_NS:
		o->ns = optarg;
		return 0;
	case OPT_ARCHIVE:
		return parse_archive(&o->archive, optarg, err);
	case OPT_OWNER:
		return parse_owner(&o->owner, optarg, err);
	case OPT_KEYFILE:
		o->keyfile = optarg;
		return 0;
	case OPT_MASTER:
		o->master_pubkey = optarg;
		return 0;
	case OPT_CHUNK_SIZE:
		return parse_chunk_size(&o->chunk_size, optarg, err);
	case OPT_NO_COMPRESS:
		o->no_compress = true;
		return 0;
	case OPT_CREATE_KEY:
		o->create_key = optarg;
		return 0;
	case OPT_KDF:
		return parse_kdf(&o->kdf, optarg, err);
	case OPT_HINT:
		o->hint = optarg;
		return 0;
	default:
		/* getopt has said what it is. */
		return error_set(err, EINVAL, "pxar-pack --help lists the options");
	}
}

static int take(struct options *o, int option, struct error *err)
{
	int r;

	switch (option) {
	case OPT_SPLIT:
		o->split = true;
		return 0;
	case OPT_EXCLUDE:
		r = pattern_list_add(&o->excludes, optarg, strlen(optarg), 0, err);
		return r < 0 ? error_wrap(err, "--exclude '%s'", optarg) : 0;
	case OPT_NO_FILES:
		o->exclude_files = false;
		return 0;
	case OPT_ONE_FS:
		o->one_file_system = true;
		return 0;
	case OPT_NODUMP:
		o->skip_nodump = true;
		return 0;
	case OPT_PRELUDE:
		o->prelude = optarg;
		return 0;
	case OPT_FORCE:
		o->force = true;
		return 0;
	case OPT_QUIET:
		o->quiet = true;
		return 0;
	case OPT_HELP:
		fputs(usage, stdout);
		return OPTIONS_PRINTED;
	case OPT_VERSION:
		puts("pxar-pack " PROJECT_VERSION);
		return OPTIONS_PRINTED;
	default:
		return take_store(o, option, err);
	}
}

/* A split archive records the patterns as JSON. */
static int check_utf8(const struct pattern_list *list, struct error *err)
{
	CLEANUP(buffer_release) struct buffer text = { 0 };

	pattern_list_print(list, &text);
	buffer_add(&text, "", 1);
	if (buffer_finish(&text, err) < 0)
		return -ENOMEM;
	if (!exclude_is_utf8((const char *)text.bytes))
		return error_set(err, EINVAL, "--split with a pattern that is not UTF-8");
	return 0;
}

/* What was given and means nothing beside what else was. */
static int check_words(const struct options *o, int words, struct error *err)
{
	bool snapshot_words =
		o->snapshot || o->ns || o->owner || o->keyfile || o->create_store || o->no_compress;

	if (o->create_key) {
		if (words || o->store || snapshot_words)
			return error_set(err, EINVAL, "--create-key makes a key and nothing else");
		return 0;
	}
	if (o->hint)
		return error_set(err, EINVAL, "--hint goes with --create-key");
	if (o->master_pubkey && !o->keyfile)
		return error_set(err, EINVAL, "--master-pubkey goes with --keyfile");
	if (!o->store && snapshot_words)
		return error_set(err, EINVAL, "a snapshot is made in a --store");
	if (o->store && !o->snapshot)
		return error_set(err, EINVAL, "--store goes with --snapshot TYPE/ID");
	if (o->store && o->force)
		return error_set(err, EINVAL, "a snapshot is never replaced, --force or not");
	if (o->store && words != 1)
		return error_set(err, EINVAL, "one directory is due, not %d words", words);
	if (!o->store && words != 2)
		return error_set(err, EINVAL, "a directory and an archive are due, not %d words",
				 words);
	if (o->prelude && !o->split)
		return error_set(err, EINVAL, "--prelude goes with --split");
	return 0;
}

int options_parse(struct options *o, int argc, char **argv, struct error *err)
{
	int option, r;

	*o = (struct options){ .exclude_files = true,
			       .archive = "root",
			       .chunk_size = CHUNKER_AVG_ARCHIVE,
			       .kdf = KEYFILE_SCRYPT };
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		r = take(o, option, err);
		if (r)
			return r;
	}
	r = check_words(o, argc - optind, err);
	if (r == 0 && o->store)
		r = parse_snapshot(o, err);
	if (r < 0 || o->create_key)
		return r;
	o->source = argv[optind];
	o->output = o->store ? NULL : argv[optind + 1];
	return o->split ? check_utf8(&o->excludes, err) : 0;
}

void options_release(struct options *o)
{
	pattern_list_release(&o->excludes);
}
