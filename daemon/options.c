#define FUSE_USE_VERSION 314
#define _GNU_SOURCE
#include "daemon/options.h"

#include <fuse_lowlevel.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/cursor.h"
#include "daemon/log.h"
#include "daemon/operands.h"

enum {
	THREADS_MAX = 64,
	SCAN_WAIT_MAX_MS = 3600000,
	TIMEOUT_MAX_S = 3600,
	QUOTE_SIZE = 128, /* of a word of the user's in a message */
};

#define MIB (UINT64_C(1) << 20)
#define DIR_CACHE_MIN MIB
#define CACHE_MIN (16 * MIB)
#define SIZE_MAX_BYTES (MIB << 20)

struct option {
	const char *name;  /* NULL: a letter only, which is -o */
	char letter;	   /* 0: none */
	const char *value; /* what --help calls the value; NULL for a switch */
	size_t flag;	   /* a switch: the offset of its bool */
	size_t text;	   /* a value that is taken as it is: the offset of its const char * */
	int (*set)(struct options *o, const char *value, struct error *err); /* any other value */
	const char *group; /* heads a group in --help */
	const char *help;
};

static int set_cache_size(struct options *o, const char *value, struct error *err);
static int set_dir_cache(struct options *o, const char *value, struct error *err);
static int set_keyfd(struct options *o, const char *value, struct error *err);
static int set_scan(struct options *o, const char *value, struct error *err);
static int set_scan_wait(struct options *o, const char *value, struct error *err);
static int set_store(struct options *o, const char *value, struct error *err);
static int set_threads(struct options *o, const char *value, struct error *err);
static int set_timeout(struct options *o, const char *value, struct error *err);
static int set_verify(struct options *o, const char *value, struct error *err);
static int set_words(struct options *o, const char *value, struct error *err);

#define FLAG(field) .flag = offsetof(struct options, field)
#define TEXT(field) .text = offsetof(struct options, field)

static const struct option table[] = {
	{ "payload", .value = "FILE", TEXT(payload), .group = "Archive",
	  .help = "contents of a split archive (default: the .ppxar beside it)" },
	{ "metadata-only", FLAG(metadata_only),
	  .help = "mount a split archive without contents: names and attributes" },

	{ "store", .value = "DIR", .set = set_store, .group = "Chunk stores",
	  .help = "a datastore; up to 8: what is missing or bad in one is\n"
		  "taken from the next" },
	{ "ns", .value = "NS", TEXT(ns),
	  .help = "namespace of TYPE/ID/TIME/ARCHIVE: a/b/c (default: the root)" },
	{ "didx", .value = "INDEX", TEXT(didx),
	  .help = "mount this .pxar.didx or .mpxar.didx; no ARCHIVE then" },
	{ "payload-didx", .value = "FILE", TEXT(payload_didx),
	  .help = "index of the contents of a split archive (default: the\n"
		  ".ppxar.didx beside INDEX)" },
	{ "verify", .value = "WHEN", .set = set_verify,
	  .help = "hold chunks against their digests once, always or not\n"
		  "at all: crc (default: once)" },

	{ "keyfile", .value = "FILE", TEXT(keyfile), .group = "Keys",
	  .help = "the key (default: that of the backup client, if it fits)" },
	{ "keyfd", .value = "FD", .set = set_keyfd,
	  .help = "open descriptor from which to read the key file" },
	{ "require-encryption", FLAG(require_encryption), .help = "mount only what is encrypted" },
	{ "require-signature", FLAG(require_signature),
	  .help = "mount only what is signed with the key" },

	{ "allow-other", FLAG(allow_other), .group = "Mount",
	  .help = "let other users in, as far as permissions let them" },
	{ "noexec", FLAG(noexec), .help = "run no programs from the mount" },
	{ "pxar-xattrs", FLAG(pxar_xattrs),
	  .help = "list user.pxar.* attributes too, not only answer for them" },
	{ "unmount", 'u', FLAG(unmount), .help = "end the mount at MOUNTPOINT, dead or alive" },
	{ .letter = 'o',
	  .value = "WORD,...",
	  .set = set_words,
	  .help = "any option as in fstab: NAME or NAME=VALUE; \",\" in a\n"
		  "value is \"\\,\" and \"\\\" is \"\\\\\"" },

	{ "threads", .value = "N", .set = set_threads, .group = "Serving",
	  .help = "threads that wait for the archive, 1 to 64 (default: 4)" },
	{ "timeout", .value = "SECONDS", .set = set_timeout,
	  .help = "how long a request may wait for the archive before it\n"
		  "fails, 1 to 3600 (default: 30)" },
	{ "cache-size", .value = "SIZE", .set = set_cache_size,
	  .help = "memory for decoded chunks, 16M to 1024G (default: a\n"
		  "quarter of what is available, within 64M and 1G)" },
	{ "dir-cache", .value = "SIZE", .set = set_dir_cache,
	  .help = "memory for decoded directories, in bytes or with K, M\n"
		  "or G, 1M to 1024G (default: 32M)" },
	{ "scan", .value = "MODE", .set = set_scan,
	  .help = "count hardlinks: auto, wait (mount when it is done) or\n"
		  "off (default: auto)" },
	{ "scan-wait", .value = "MS", .set = set_scan_wait,
	  .help = "milliseconds that the mount waits for the count,\n"
		  "0 to 3600000 (default: 500)" },

	{ "foreground", 'f', FLAG(foreground), .group = "Running",
	  .help = "stay in the foreground, log to standard error" },
	{ "verbose", 'v', FLAG(verbose), .help = "log debug messages as well" },
	{ "debug", 'd', FLAG(debug), .help = "-f, -v and every request and reply" },
	{ "help", 'h', FLAG(help), .help = "print this and exit" },
	{ "version", 'V', FLAG(version), .help = "print versions and exit" },
};

enum { TABLE_SIZE = sizeof(table) / sizeof(*table) };

/* Words of mount(8) that say nothing to a read-only mount of somebody's backup, or are overruled
   by ro,nosuid,nodev. */
static const char *const generic_words[] = {
	"async",       "atime",	   "auto",    "defaults", "dev",      "diratime",   "exec",
	"group",       "lazytime", "noatime", "noauto",	  "nodev",    "nodiratime", "nofail",
	"norelatime",  "nosuid",   "nouser",  "owner",	  "relatime", "ro",	    "rw",
	"strictatime", "suid",	   "sync",    "user",	  "users",    "_netdev",
};

/* Those that may carry anything. */
static const char *const generic_prefixes[] = { "comment=", "user=", "x-" };

static const char *quote(char text[QUOTE_SIZE], const char *word, size_t n)
{
	return log_name(text, QUOTE_SIZE, word, n);
}

/* Digits and nothing else up to *end; false also when they do not fit. */
static bool parse_digits(const char *text, const char **end, uint64_t *value)
{
	*value = 0;
	for (*end = text; **end >= '0' && **end <= '9'; (*end)++)
		if (!checked_mul(*value, 10, value) ||
		    !checked_add(*value, (uint64_t)(**end - '0'), value))
			return false;
	return *end != text;
}

static int refuse_value(const char *name, const char *value, const char *want, struct error *err)
{
	char text[QUOTE_SIZE];

	return error_set(err, EINVAL, "option %s takes %s, not '%s'", name, want,
			 quote(text, value, strlen(value)));
}

static int take_text(const char **text, const char *name, const char *value, const char *want,
		     struct error *err)
{
	if (!*value)
		return error_set(err, EINVAL, "option %s takes %s, not an empty word", name, want);
	*text = value;
	return 0;
}

static int take_number(uint64_t *n, const char *name, const char *value, uint64_t min, uint64_t max,
		       const char *want, struct error *err)
{
	const char *end;

	if (!parse_digits(value, &end, n) || *end || *n < min || *n > max)
		return refuse_value(name, value, want, err);
	return 0;
}

static int take_size(uint64_t *n, const char *name, const char *value, uint64_t min,
		     const char *want, struct error *err)
{
	static const char suffixes[] = "KMG";
	const char *end, *suffix;
	uint64_t unit = 1;
	bool good;

	good = parse_digits(value, &end, n);
	if (good && *end) {
		suffix = strchr(suffixes, *end);
		good = suffix && !end[1];
		unit = suffix ? UINT64_C(1) << (10 * (suffix - suffixes + 1)) : 1;
	}
	if (!good || !checked_mul(*n, unit, n) || *n < min || *n > SIZE_MAX_BYTES)
		return refuse_value(name, value, want, err);
	return 0;
}

/* The index of value among n words. */
static int take_choice(size_t *choice, const char *name, const char *value,
		       const char *const *words, size_t n, const char *want, struct error *err)
{
	for (*choice = 0; *choice < n; ++*choice)
		if (strcmp(value, words[*choice]) == 0)
			return 0;
	return refuse_value(name, value, want, err);
}

static int set_threads(struct options *o, const char *value, struct error *err)
{
	uint64_t n;
	int r = take_number(&n, "threads", value, 1, THREADS_MAX, "a number from 1 to 64", err);

	if (r == 0)
		o->threads = (unsigned)n;
	return r;
}

static int set_scan_wait(struct options *o, const char *value, struct error *err)
{
	uint64_t n;
	int r = take_number(&n, "scan-wait", value, 0, SCAN_WAIT_MAX_MS,
			    "milliseconds from 0 to 3600000", err);

	if (r == 0)
		o->scan_wait_ms = (unsigned)n;
	return r;
}

static int set_timeout(struct options *o, const char *value, struct error *err)
{
	uint64_t n;
	int r = take_number(&n, "timeout", value, 1, TIMEOUT_MAX_S, "seconds from 1 to 3600", err);

	if (r == 0)
		o->timeout_s = (unsigned)n;
	return r;
}

static int set_keyfd(struct options *o, const char *value, struct error *err)
{
	uint64_t n;
	int r = take_number(&n, "keyfd", value, 0, INT_MAX, "the number of an open descriptor",
			    err);

	if (r == 0)
		o->keyfd = (int)n;
	return r;
}

static int set_dir_cache(struct options *o, const char *value, struct error *err)
{
	uint64_t n;
	int r = take_size(&n, "dir-cache", value, DIR_CACHE_MIN, "a size from 1M to 1024G", err);

	if (r == 0)
		o->dir_cache_bytes = n;
	return r;
}

static int set_cache_size(struct options *o, const char *value, struct error *err)
{
	uint64_t n;
	int r = take_size(&n, "cache-size", value, CACHE_MIN, "a size from 16M to 1024G", err);

	if (r == 0)
		o->cache_bytes = n;
	return r;
}

static int set_scan(struct options *o, const char *value, struct error *err)
{
	static const char *const modes[] = {
		[OPTIONS_SCAN_AUTO] = "auto",
		[OPTIONS_SCAN_WAIT] = "wait",
		[OPTIONS_SCAN_OFF] = "off",
	};
	size_t mode;
	int r = take_choice(&mode, "scan", value, modes, sizeof(modes) / sizeof(*modes),
			    "auto, wait or off", err);

	if (r == 0)
		o->scan = (enum options_scan)mode;
	return r;
}

static int set_verify(struct options *o, const char *value, struct error *err)
{
	static const char *const modes[] = {
		[OPTIONS_VERIFY_ONCE] = "once",
		[OPTIONS_VERIFY_ALWAYS] = "always",
		[OPTIONS_VERIFY_CRC] = "crc",
	};
	size_t mode;
	int r = take_choice(&mode, "verify", value, modes, sizeof(modes) / sizeof(*modes),
			    "once, always or crc", err);

	if (r == 0)
		o->verify = (enum options_verify)mode;
	return r;
}

static int set_store(struct options *o, const char *value, struct error *err)
{
	if (o->n_stores == OPTIONS_STORES_MAX)
		return error_set(err, EINVAL, "option store may be given at most %d times",
				 OPTIONS_STORES_MAX);
	return take_text(&o->stores[o->n_stores++], "store", value, "DIR", err);
}

/* Equal but for '_', which may stand for '-'. */
static bool is_name(const char *name, const char *word, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (name[i] != (word[i] == '_' ? '-' : word[i]))
			return false; /* also at the end of name, for word has no NUL in n */
	return !name[n];
}

static const struct option *find_name(const char *word, size_t n)
{
	for (size_t i = 0; i < TABLE_SIZE; i++)
		if (table[i].name && is_name(table[i].name, word, n))
			return &table[i];
	return NULL;
}

static const struct option *find_letter(char letter)
{
	for (size_t i = 0; i < TABLE_SIZE; i++)
		if (table[i].letter && table[i].letter == letter)
			return &table[i];
	return NULL;
}

/* value is NULL when there is none. */
static int apply(struct options *o, const struct option *option, const char *value,
		 struct error *err)
{
	char text[QUOTE_SIZE], letter[] = { '-', option->letter, '\0' };
	const char *name = option->name ? option->name : letter;

	if (option->value && !value)
		return error_set(err, EINVAL, "option %s needs a value: %s", name, option->value);
	if (option->text)
		return take_text((const char **)((char *)o + option->text), name, value,
				 option->value, err);
	if (option->value)
		return option->set(o, value, err);
	if (value)
		return error_set(err, EINVAL, "option %s takes no value, but there is '%s'", name,
				 quote(text, value, strlen(value)));
	*(bool *)((char *)o + option->flag) = true;
	return 0;
}

static bool is_generic(const char *word)
{
	for (size_t i = 0; i < sizeof(generic_words) / sizeof(*generic_words); i++)
		if (strcmp(word, generic_words[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof(generic_prefixes) / sizeof(*generic_prefixes); i++)
		if (strncmp(word, generic_prefixes[i], strlen(generic_prefixes[i])) == 0)
			return true;
	return false;
}

static int apply_word(struct options *o, const char *word, struct error *err)
{
	size_t n = strcspn(word, "=");
	const struct option *option = find_name(word, n);
	char text[QUOTE_SIZE];

	if (option)
		return apply(o, option, word[n] ? word + n + 1 : NULL, err);
	if (strcmp(word, "exec") == 0)
		o->noexec = false;
	if (is_generic(word))
		return 0;
	return error_set(err, EINVAL, "unknown word '%s' after -o", quote(text, word, n));
}

/* Ends the word at the next comma, undoing escapes in place; *next is NULL after the last one. */
static int split_word(char *word, char **next, struct error *err)
{
	char *from = word, *to = word;

	for (; *from && *from != ','; from++) {
		if (*from == '\\') {
			from++;
			if (*from != ',' && *from != '\\')
				return error_set(err, EINVAL,
						 "after -o a backslash is written "
						 "\\\\, and only \\, is another "
						 "use of it");
		}
		*to++ = *from;
	}
	*next = *from ? from + 1 : NULL;
	*to = '\0';
	return 0;
}

static int set_words(struct options *o, const char *value, struct error *err)
{
	char *word, *next = strdup(value);
	int r = 0;

	if (!next)
		return error_set(err, ENOMEM, "out of memory");
	o->owned[o->n_owned++] = next;
	while (r == 0 && (word = next)) {
		r = split_word(word, &next, err);
		if (r == 0 && *word)
			r = apply_word(o, word, err);
	}
	return r;
}

/* What is left of the command line, taken off the front; and what was found to be no option. */
struct arguments {
	char **at, **end;
	const char *operands[3]; /* one more than is ever right, for the message */
	size_t n_operands;
};

static const char *take(struct arguments *args)
{
	return args->at < args->end ? *args->at++ : NULL;
}

static int parse_long(struct options *o, const char *word, struct arguments *args,
		      struct error *err)
{
	size_t n = strcspn(word, "=");
	const struct option *option = find_name(word, n);
	const char *value = word[n] ? word + n + 1 : NULL;
	char text[QUOTE_SIZE];

	if (!option)
		return error_set(err, EINVAL, "unknown option '--%s'", quote(text, word, n));
	if (option->value && !value)
		value = take(args);
	return apply(o, option, value, err);
}

/* Letters may stand together, and a value directly behind its letter. */
static int parse_letters(struct options *o, const char *word, struct arguments *args,
			 struct error *err)
{
	const struct option *option;
	char text[QUOTE_SIZE];
	int r = 0;

	for (; *word && r == 0; word++) {
		option = find_letter(*word);
		if (!option)
			return error_set(err, EINVAL, "unknown option '-%s'", quote(text, word, 1));
		if (option->value)
			return apply(o, option, word[1] ? word + 1 : take(args), err);
		r = apply(o, option, NULL, err);
	}
	return r;
}

static int parse_arguments(struct options *o, struct arguments *args, struct error *err)
{
	const size_t max = sizeof(args->operands) / sizeof(*args->operands);
	bool options_ended = false;
	const char *word;
	int r = 0;

	while (r == 0 && !o->help && !o->version && (word = take(args))) {
		if (options_ended || word[0] != '-' || !word[1]) {
			if (args->n_operands < max)
				args->operands[args->n_operands++] = word;
		} else if (word[1] != '-') {
			r = parse_letters(o, word + 1, args, err);
		} else if (word[2]) {
			r = parse_long(o, word + 2, args, err);
		} else {
			options_ended = true;
		}
	}
	return r;
}

/* The archive's name goes into a list that libfuse, and later fusermount3, splits at commas: with
   its commas and backslashes escaped it stays one value, whatever it is called. That of a
   snapshot's archive is no path, whatever lies in the current directory. */
static int build_fuse_options(struct options *o, struct error *err)
{
	static const char always[] = "ro,nosuid,nodev,default_permissions";
	static const char name[] = ",subtype=pxar,fsname=";
	const bool is_file = o->didx || !o->n_stores;
	CLEANUP(freep) char *resolved = is_file ? realpath(o->archive, NULL) : NULL;
	CLEANUP(buffer_release) struct buffer b = { 0 };
	int r;

	buffer_add(&b, always, strlen(always));
	if (o->allow_other)
		buffer_add(&b, ",allow_other", strlen(",allow_other"));
	if (o->noexec)
		buffer_add(&b, ",noexec", strlen(",noexec"));
	buffer_add(&b, name, strlen(name));
	for (const char *at = resolved ? resolved : o->archive; *at; at++) {
		if (*at == ',' || *at == '\\')
			buffer_add(&b, "\\", 1);
		buffer_add(&b, at, 1);
	}
	buffer_add(&b, "", 1);
	r = buffer_finish(&b, err);
	if (r == 0)
		o->fuse_options = (char *)TAKE(b.bytes);
	return r;
}

static int parse(struct options *o, struct arguments *args, struct error *err)
{
	int r;

	/* Each argument can bring at most one -o with it. */
	o->owned = calloc((size_t)(args->end - args->at) + 1, sizeof(*o->owned));
	if (!o->owned)
		return error_set(err, ENOMEM, "out of memory");
	r = parse_arguments(o, args, err);
	if (r < 0)
		return r;
	if (o->help || o->version)
		return 1;
	r = operands_take(o, args->operands, args->n_operands, err);
	if (r < 0)
		return r;
	o->foreground |= o->debug;
	o->log_level = o->debug || o->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
	return o->unmount ? 0 : build_fuse_options(o, err);
}

int options_parse(struct options *o, int argc, char **argv, struct error *err)
{
	struct arguments args = { .at = argv + (argc > 0), .end = argv + argc };
	size_t n;
	int r;

	*o = (struct options){
		.keyfd = -1,
		.timeout_s = 30,
		.threads = 4,
		.scan = OPTIONS_SCAN_AUTO,
		.scan_wait_ms = 500,
		.dir_cache_bytes = 32 * MIB,
		.log_level = LOG_LEVEL_INFO,
	};
	r = parse(o, &args, err);
	if (r < 0 && err) {
		n = strlen(err->text);
		snprintf(err->text + n, sizeof(err->text) - n, "; try pxar-mount --help");
	}
	return r;
}

void options_release(struct options *o)
{
	for (size_t i = 0; i < o->n_owned; i++)
		free(o->owned[i]);
	free(o->owned);
	free(o->fuse_options);
}

/* The text has lines; all but the first are indented to stand below it. */
static void print_option(const struct option *option, FILE *out)
{
	const char *line = option->help, *end;
	char left[32] = "";
	int n = 0;

	if (option->group)
		fprintf(out, "\n%s:\n", option->group);
	if (option->letter)
		n += snprintf(left, sizeof(left), "-%c%s", option->letter,
			      option->name ? ", " : " ");
	else
		n += snprintf(left, sizeof(left), "    ");
	if (option->name)
		n += snprintf(left + n, sizeof(left) - (size_t)n, "--%s%s", option->name,
			      option->value ? " " : "");
	snprintf(left + n, sizeof(left) - (size_t)n, "%s", option->value ? option->value : "");
	fprintf(out, "  %-24s", left);
	for (; (end = strchr(line, '\n')); line = end + 1)
		fprintf(out, "  %.*s\n%26s", (int)(end - line), line, "");
	fprintf(out, "  %s\n", line);
}

void options_print_help(FILE *out)
{
	fputs("Usage: pxar-mount [OPTIONS] ARCHIVE MOUNTPOINT\n"
	      "       pxar-mount [OPTIONS] --store DIR [--ns NS] TYPE/ID/TIME/ARCHIVE MOUNTPOINT\n"
	      "       pxar-mount [OPTIONS] --store DIR --didx INDEX MOUNTPOINT\n"
	      "       pxar-mount --unmount MOUNTPOINT\n"
	      "\n"
	      "Mount a Proxmox backup archive read-only: a file, .pxar or .mpxar with its .ppxar, "
	      "or\n"
	      "out of chunk stores, by its snapshot, where TIME may be latest, or by its index.\n",
	      out);
	for (size_t i = 0; i < TABLE_SIZE; i++)
		print_option(&table[i], out);
	fputs("\nExit status: 0 mounted or unmounted, 1 refused or failed, 2 wrong usage.\n", out);
}

void options_print_version(FILE *out)
{
	fprintf(out, "pxar-mount %s (libfuse %s, libuv %s)\n", PXAR_MOUNT_VERSION,
		fuse_pkgversion(), uv_version_string());
}
