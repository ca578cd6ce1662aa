#define FUSE_USE_VERSION 314
#define _GNU_SOURCE
#include <check.h>
#include <fuse_opt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "daemon/log.h"
#include "daemon/options.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(*(array)))

enum { ARGS_MAX = 8 };

/* Parses words; the vector is as main has it. */
static int parse(struct options *o, const char *const *words, struct error *err)
{
	char *argv[ARGS_MAX + 2] = { (char *)"pxar-mount" };
	int argc = 1;

	for (; *words; words++) {
		ck_assert_int_le(argc, ARGS_MAX);
		argv[argc++] = (char *)*words;
	}
	return options_parse(o, argc, argv, err);
}

#define PARSE(o, err, ...) parse(o, (const char *const[]){ __VA_ARGS__, NULL }, err)

static bool has_payload(const struct options *o)
{
	return o->payload && strcmp(o->payload, "p,a\\y") == 0;
}

static bool has_metadata_only(const struct options *o)
{
	return o->metadata_only;
}

static bool has_foreground(const struct options *o)
{
	return o->foreground && !o->debug && o->log_level == LOG_LEVEL_INFO;
}

static bool has_debug(const struct options *o)
{
	return o->debug && o->foreground && o->log_level == LOG_LEVEL_DEBUG;
}

static bool has_verbose(const struct options *o)
{
	return o->verbose && !o->foreground && o->log_level == LOG_LEVEL_DEBUG;
}

static bool has_pxar_xattrs(const struct options *o)
{
	return o->pxar_xattrs;
}

static bool has_allow_other(const struct options *o)
{
	return o->allow_other && strstr(o->fuse_options, ",allow_other,");
}

static bool has_noexec(const struct options *o)
{
	return o->noexec && strstr(o->fuse_options, ",noexec,");
}

static bool has_threads(const struct options *o)
{
	return o->threads == 7;
}

static bool has_scan(const struct options *o)
{
	return o->scan == OPTIONS_SCAN_OFF;
}

static bool has_scan_wait(const struct options *o)
{
	return o->scan_wait_ms == 0;
}

static bool has_dir_cache(const struct options *o)
{
	return o->dir_cache_bytes == UINT64_C(3) << 30;
}

static bool has_store(const struct options *o)
{
	return o->n_stores > 0 && strcmp(o->stores[o->n_stores - 1], "s,t") == 0;
}

static bool has_ns(const struct options *o)
{
	return o->ns && strcmp(o->ns, "a/b") == 0;
}

static bool has_didx(const struct options *o)
{
	return o->didx && strcmp(o->didx, "archive") == 0;
}

static bool has_payload_didx(const struct options *o)
{
	return o->payload_didx && strcmp(o->payload_didx, "p,a\\y") == 0;
}

static bool has_keyfile(const struct options *o)
{
	return o->keyfile && strcmp(o->keyfile, "k,y") == 0;
}

static bool has_keyfd(const struct options *o)
{
	return o->keyfd == 0;
}

static bool has_require_encryption(const struct options *o)
{
	return o->require_encryption;
}

static bool has_require_signature(const struct options *o)
{
	return o->require_signature;
}

static bool has_verify(const struct options *o)
{
	return o->verify == OPTIONS_VERIFY_CRC;
}

static bool has_timeout(const struct options *o)
{
	return o->timeout_s == 3600;
}

static bool has_cache_size(const struct options *o)
{
	return o->cache_bytes == UINT64_C(5) << 30;
}

static bool has_unmount(const struct options *o)
{
	return o->unmount;
}

static bool has_help(const struct options *o)
{
	return o->help;
}

static bool has_version(const struct options *o)
{
	return o->version;
}

#define SNAPSHOT "host/a/latest/x.pxar"

/* Each option of the daemon, and how to see that it arrived. */
static const struct {
	const char *name, *letter, *value, *escaped;
	bool (*arrived)(const struct options *o);
} options[] = {
	{ "payload", NULL, "p,a\\y", "p\\,a\\\\y", has_payload },
	{ "metadata-only", NULL, NULL, NULL, has_metadata_only },
	{ "store", NULL, "s,t", "s\\,t", has_store },
	{ "ns", NULL, "a/b", "a/b", has_ns },
	{ "didx", NULL, "archive", "archive", has_didx },
	{ "payload-didx", NULL, "p,a\\y", "p\\,a\\\\y", has_payload_didx },
	{ "payload_didx", NULL, "p,a\\y", "p\\,a\\\\y", has_payload_didx },
	{ "verify", NULL, "crc", "crc", has_verify },
	{ "keyfile", NULL, "k,y", "k\\,y", has_keyfile },
	{ "keyfd", NULL, "0", "0", has_keyfd },
	{ "require-encryption", NULL, NULL, NULL, has_require_encryption },
	{ "require-signature", NULL, NULL, NULL, has_require_signature },
	{ "allow-other", NULL, NULL, NULL, has_allow_other },
	{ "allow_other", NULL, NULL, NULL, has_allow_other },
	{ "noexec", NULL, NULL, NULL, has_noexec },
	{ "pxar-xattrs", NULL, NULL, NULL, has_pxar_xattrs },
	{ "unmount", "-u", NULL, NULL, has_unmount },
	{ "threads", NULL, "7", "7", has_threads },
	{ "timeout", NULL, "3600", "3600", has_timeout },
	{ "cache-size", NULL, "5G", "5G", has_cache_size },
	{ "dir-cache", NULL, "3G", "3G", has_dir_cache },
	{ "scan", NULL, "off", "off", has_scan },
	{ "scan-wait", NULL, "0", "0", has_scan_wait },
	{ "scan_wait", NULL, "0", "0", has_scan_wait },
	{ "foreground", "-f", NULL, NULL, has_foreground },
	{ "verbose", "-v", NULL, NULL, has_verbose },
	{ "debug", "-d", NULL, NULL, has_debug },
	{ "help", "-h", NULL, NULL, has_help },
	{ "version", "-V", NULL, NULL, has_version },
};

/* What an option does not go without; the others have the ARCHIVE "archive". */
static const struct context {
	const char *name, *with;
	const char *archive; /* NULL: there is none */
} contexts[] = {
	{ "store", NULL, SNAPSHOT },
	{ "ns", "--store=s", SNAPSHOT },
	{ "didx", "--store=s", NULL },
	{ "payload-didx", "--store=s", "x.didx" },
	{ "payload_didx", "--store=s", "x.didx" },
	{ "keyfile", "--store=s", SNAPSHOT },
	{ "keyfd", "--store=s", SNAPSHOT },
	{ "require-encryption", "--store=s", SNAPSHOT },
	{ "require-signature", "--store=s", SNAPSHOT },
	{ "unmount", NULL, NULL },
};

static struct context context_of(const char *name)
{
	for (int i = 0; i < COUNT(contexts); i++)
		if (strcmp(contexts[i].name, name) == 0)
			return contexts[i];
	return (struct context){ name, NULL, "archive" };
}

/* The same option before, between and behind the operands. */
static void arrives(int i, const char *word, const char *value)
{
	const struct context context = context_of(options[i].name);
	const char *operands[] = { context.archive, "mountpoint" };
	const bool alone = !context.archive;

	for (int before = 0; before < (alone ? 2 : 3); before++) {
		const char *words[ARGS_MAX] = { context.with };
		struct error err = { 0 };
		struct options o;
		int n = context.with ? 1 : 0, r;

		for (int operand = alone; operand <= 2; operand++) {
			if (operand - alone == before) {
				words[n++] = word;
				if (value)
					words[n++] = value;
			}
			if (operand < 2)
				words[n++] = operands[operand];
		}
		r = parse(&o, words, &err);
		ck_assert_msg(r == (o.help || o.version), "%s: %s", word, err.text);
		ck_assert_msg(options[i].arrived(&o), "%s %s", word, value ? value : "");
		if (r == 0)
			ck_assert_str_eq(o.mountpoint, "mountpoint");
		if (r == 0 && !alone)
			ck_assert_str_eq(o.archive, context.archive);
		options_release(&o);
	}
}

START_TEST(every_option_has_all_spellings)
{
	CLEANUP(freep) char *dashed = NULL, *joined = NULL, *word = NULL, *glued = NULL;
	const char *name = options[_i].name, *value = options[_i].value;

	ck_assert_int_gt(asprintf(&dashed, "--%s", name), 0);
	arrives(_i, dashed, value);
	if (value) {
		ck_assert_int_gt(asprintf(&joined, "--%s=%s", name, value), 0);
		arrives(_i, joined, NULL);
	}
	ck_assert_int_gt(asprintf(&word, "ro,%s%s%s,relatime", name, value ? "=" : "",
				  value ? options[_i].escaped : ""),
			 0);
	arrives(_i, "-o", word);
	ck_assert_int_gt(asprintf(&glued, "-o%s", word), 0);
	arrives(_i, glued, NULL);
	if (options[_i].letter)
		arrives(_i, options[_i].letter, NULL);
}
END_TEST

START_TEST(defaults_are_those_of_the_manual)
{
	struct error err = { 0 };
	struct options o;

	ck_assert_int_eq(PARSE(&o, &err, "a.pxar", "dir"), 0);
	ck_assert_str_eq(o.archive, "a.pxar");
	ck_assert_str_eq(o.mountpoint, "dir");
	ck_assert_ptr_null(o.payload);
	ck_assert(!o.metadata_only && !o.foreground && !o.debug && !o.verbose && !o.unmount);
	ck_assert(!o.pxar_xattrs && !o.allow_other && !o.noexec);
	ck_assert(!o.didx && !o.payload_didx && !o.ns && !o.keyfile);
	ck_assert(!o.require_encryption && !o.require_signature);
	ck_assert_uint_eq(o.n_stores, 0);
	ck_assert_int_eq(o.keyfd, -1);
	ck_assert_int_eq(o.verify, OPTIONS_VERIFY_ONCE);
	ck_assert_uint_eq(o.cache_bytes, 0);
	ck_assert_uint_eq(o.timeout_s, 30);
	ck_assert_uint_eq(o.threads, 4);
	ck_assert_int_eq(o.scan, OPTIONS_SCAN_AUTO);
	ck_assert_uint_eq(o.scan_wait_ms, 500);
	ck_assert_uint_eq(o.dir_cache_bytes, 32 << 20);
	ck_assert_int_eq(o.log_level, LOG_LEVEL_INFO);
	ck_assert_str_eq(o.fuse_options, "ro,nosuid,nodev,default_permissions,subtype=pxar,"
					 "fsname=a.pxar");
	options_release(&o);
}
END_TEST

START_TEST(letters_may_stand_together)
{
	struct error err = { 0 };
	struct options o;

	ck_assert_int_eq(PARSE(&o, &err, "-fvonoexec", "a", "m"), 0);
	ck_assert(o.foreground && o.verbose && o.noexec);
	options_release(&o);
	ck_assert_int_eq(PARSE(&o, &err, "-fo", "threads=2,noexec,exec", "a", "m"), 0);
	ck_assert(o.foreground && o.threads == 2 && !o.noexec);
	options_release(&o);
}
END_TEST

START_TEST(the_last_of_repeated_options_counts)
{
	struct error err = { 0 };
	struct options o;

	ck_assert_int_eq(PARSE(&o, &err, "--threads=2", "-othreads=3", "--threads", "5", "a", "m"),
			 0);
	ck_assert_uint_eq(o.threads, 5);
	options_release(&o);
}
END_TEST

START_TEST(stores_add_up_in_order)
{
	static const char *const want[] = { "1", "2,", "3", "4", "5", "6", "7", "8" };
	struct error err = { 0 };
	struct options o;

	ck_assert_int_eq(PARSE(&o, &err, "--store=1", "-ostore=2\\,,store=3", "--store", "4", "-o",
			       "store=5,store=6,store=7,store=8", SNAPSHOT, "m"),
			 0);
	ck_assert_uint_eq(o.n_stores, COUNT(want));
	for (int i = 0; i < COUNT(want); i++)
		ck_assert_str_eq(o.stores[i], want[i]);
	options_release(&o);
}
END_TEST

START_TEST(two_dashes_end_the_options)
{
	struct error err = { 0 };
	struct options o;

	ck_assert_int_eq(PARSE(&o, &err, "-f", "--", "--help", "-o"), 0);
	ck_assert_str_eq(o.archive, "--help");
	ck_assert_str_eq(o.mountpoint, "-o");
	options_release(&o);
}
END_TEST

START_TEST(words_of_mount_are_accepted_and_overruled)
{
	static const char words[] =
		"rw,ro,suid,nosuid,dev,nodev,exec,auto,noauto,user,nouser,users,owner,group,"
		"defaults,async,sync,atime,noatime,relatime,norelatime,diratime,nodiratime,"
		"strictatime,lazytime,_netdev,nofail,x-systemd.automount,x-gvfs-name=a\\,b,"
		"comment=a=b,user=joe,,";
	struct error err = { 0 };
	struct options o;

	ck_assert_int_eq(PARSE(&o, &err, "-o", words, "a.pxar", "m"), 0);
	ck_assert_str_eq(o.fuse_options, "ro,nosuid,nodev,default_permissions,subtype=pxar,"
					 "fsname=a.pxar");
	options_release(&o);
}
END_TEST

static const struct {
	const char *words[ARGS_MAX];
	const char *want;
} refused[] = {
	{ { "--unmount=m" }, "option unmount takes no value, but there is 'm'" },
	{ { "--bogus", "a", "m" }, "unknown option '--bogus'" },
	{ { "--bo\ngus=1", "a", "m" }, "unknown option '--bo\\x0agus'" },
	{ { "--thread=1", "a", "m" }, "unknown option '--thread'" },
	{ { "--threads1", "a", "m" }, "unknown option '--threads1'" },
	{ { "--=1", "a", "m" }, "unknown option '--'" },
	{ { "-x", "a", "m" }, "unknown option '-x'" },
	{ { "-fx", "a", "m" }, "unknown option '-x'" },
	{ { "-o", "ro,bogus=1", "a", "m" }, "unknown word 'bogus' after -o" },
	{ { "-o", "fsname=x", "a", "m" }, "unknown word 'fsname' after -o" },
	{ { "-o", "=", "a", "m" }, "unknown word '' after -o" },
	{ { "-o", "ro=1", "a", "m" }, "unknown word 'ro' after -o" },
	{ { "-o", "f", "a", "m" }, "unknown word 'f' after -o" },
	{ { "-o", "exec=1", "a", "m" }, "unknown word 'exec' after -o" },
	{ { "-o", "payload=a\\b", "a", "m" }, "after -o a backslash is written \\\\" },
	{ { "-o", "payload=a\\", "a", "m" }, "after -o a backslash is written \\\\" },
	{ { "-o", "payload", "a", "m" }, "option payload needs a value: FILE" },
	{ { "a", "m", "-o" }, "option -o needs a value: WORD,..." },
	{ { "a", "m", "--payload" }, "option payload needs a value: FILE" },
	{ { "--payload=", "a", "m" }, "option payload takes FILE, not an empty word" },
	{ { "--store=", "a", "m" }, "option store takes DIR, not an empty word" },
	{ { "-o", "ns=", "a", "m" }, "option ns takes NS, not an empty word" },
	{ { "-o", "store=1,store=2,store=3,store=4,store=5,store=6,store=7,store=8,store=9", "a",
	    "m" },
	  "option store may be given at most 8 times" },
	{ { "--keyfd=-1", "a", "m" },
	  "option keyfd takes the number of an open descriptor, not '-1'" },
	{ { "--keyfd=2147483648", "a", "m" },
	  "option keyfd takes the number of an open descriptor, not '2147483648'" },
	{ { "--keyfile", "k", "--require-encryption=yes", "a", "m" },
	  "option require-encryption takes no value, but there is 'yes'" },
	{ { "--verify=never", "a", "m" }, "option verify takes once, always or crc, not 'never'" },
	{ { "--timeout=0", "a", "m" }, "option timeout takes seconds from 1 to 3600, not '0'" },
	{ { "--timeout=3601", "a", "m" },
	  "option timeout takes seconds from 1 to 3600, not '3601'" },
	{ { "--cache-size=0", "a", "m" },
	  "option cache-size takes a size from 16M to 1024G, not '0'" },
	{ { "--cache-size=16383K", "a", "m" },
	  "option cache-size takes a size from 16M to 1024G, not '16383K'" },
	{ { "--foreground=yes", "a", "m" },
	  "option foreground takes no value, but there is 'yes'" },
	{ { "-o", "debug=", "a", "m" }, "option debug takes no value, but there is ''" },
	{ { "--threads=0", "a", "m" }, "option threads takes a number from 1 to 64, not '0'" },
	{ { "--threads=65", "a", "m" }, "option threads takes a number from 1 to 64, not '65'" },
	{ { "--threads=", "a", "m" }, "option threads takes a number from 1 to 64, not ''" },
	{ { "--threads=-1", "a", "m" }, "option threads takes a number from 1 to 64, not '-1'" },
	{ { "--threads=+1", "a", "m" }, "option threads takes a number from 1 to 64, not '+1'" },
	{ { "--threads= 1", "a", "m" }, "option threads takes a number from 1 to 64, not ' 1'" },
	{ { "--threads=4x", "a", "m" }, "option threads takes a number from 1 to 64, not '4x'" },
	{ { "--threads=18446744073709551617", "a", "m" },
	  "option threads takes a number from 1 to 64, not '18446744073709551617'" },
	{ { "--scan=", "a", "m" }, "option scan takes auto, wait or off, not ''" },
	{ { "--scan=on", "a", "m" }, "option scan takes auto, wait or off, not 'on'" },
	{ { "--scan-wait=3600001", "a", "m" },
	  "option scan-wait takes milliseconds from 0 to 3600000, not '3600001'" },
	{ { "--scan-wait=5s", "a", "m" },
	  "option scan-wait takes milliseconds from 0 to 3600000, not '5s'" },
	{ { "--dir-cache=1048575", "a", "m" },
	  "option dir-cache takes a size from 1M to 1024G, not '1048575'" },
	{ { "--dir-cache=1023K", "a", "m" },
	  "option dir-cache takes a size from 1M to 1024G, not '1023K'" },
	{ { "--dir-cache=1025G", "a", "m" },
	  "option dir-cache takes a size from 1M to 1024G, not '1025G'" },
	{ { "--dir-cache=17179869185G", "a", "m" },
	  "option dir-cache takes a size from 1M to 1024G, not '17179869185G'" },
	{ { "--dir-cache=1MB", "a", "m" },
	  "option dir-cache takes a size from 1M to 1024G, not '1MB'" },
	{ { "--dir-cache=M", "a", "m" },
	  "option dir-cache takes a size from 1M to 1024G, not 'M'" },
	{ { "--dir-cache=1.5G", "a", "m" },
	  "option dir-cache takes a size from 1M to 1024G, not '1.5G'" },
};

START_TEST(nonsense_is_refused_with_a_sentence)
{
	static const char hint[] = "; try pxar-mount --help";
	struct error err = { 0 };
	struct options o;
	size_t n;

	ck_assert_int_lt(parse(&o, refused[_i].words, &err), 0);
	ck_assert_msg(strncmp(err.text, refused[_i].want, strlen(refused[_i].want)) == 0,
		      "'%s', not '%s'", err.text, refused[_i].want);
	n = strlen(err.text);
	ck_assert_uint_gt(n, strlen(hint));
	ck_assert_str_eq(err.text + n - strlen(hint), hint);
	options_release(&o);
}
END_TEST

static const struct {
	const char *value;
	uint64_t bytes;
} sizes[] = {
	{ "1M", 1 << 20 },   { "1048576", 1 << 20 }, { "1024K", 1 << 20 },
	{ "007M", 7 << 20 }, { "2G", 2LL << 30 },    { "1024G", 1LL << 40 },
};

START_TEST(sizes_have_suffixes)
{
	struct error err = { 0 };
	struct options o;

	ck_assert_int_eq(PARSE(&o, &err, "--dir-cache", sizes[_i].value, "a", "m"), 0);
	ck_assert(o.dir_cache_bytes == sizes[_i].bytes);
	options_release(&o);
}
END_TEST

/* What libfuse makes of the options: the last of each kind, and all that is neither. */
struct seen {
	char *fsname, *subtype;
	char others[256];
};

static int see_other(void *data, const char *arg, int key, struct fuse_args *args)
{
	struct seen *seen = data;
	size_t n = strlen(seen->others);

	(void)key;
	(void)args;
	snprintf(seen->others + n, sizeof(seen->others) - n, "%s;", arg);
	return 0;
}

static void see(const char *fuse_options, struct seen *seen)
{
	static const struct fuse_opt fields[] = {
		{ "fsname=%s", offsetof(struct seen, fsname), 0 },
		{ "subtype=%s", offsetof(struct seen, subtype), 0 },
		FUSE_OPT_END,
	};
	char *argv[] = { (char *)"x", (char *)"-o", (char *)fuse_options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);

	*seen = (struct seen){ 0 };
	ck_assert_int_eq(fuse_opt_parse(&args, seen, fields, see_other), 0);
	fuse_opt_free_args(&args);
}

static void name_survives(const char *archive)
{
	struct error err = { 0 };
	struct options o;
	struct seen seen;

	ck_assert_int_eq(PARSE(&o, &err, "--", archive, "m"), 0);
	see(o.fuse_options, &seen);
	ck_assert_str_eq(seen.fsname, archive);
	ck_assert_str_eq(seen.subtype, "pxar");
	ck_assert_str_eq(seen.others, "ro;nosuid;nodev;default_permissions;");
	free(seen.fsname);
	free(seen.subtype);
	options_release(&o);
}

static const char *const nasty[] = {
	"plain.pxar", "a,b",	  "a,suid,dev", "ro,suid",	     "a\\,suid",      "a\\\\,suid",
	"\\",	      "a\\",	  ",",		",,\\,\\\\,",	     "a\nsuid",	      "a\\054suid",
	"a\\134,dev", "fsname=x", "x,fsname=y", "x,subtype=fuseblk", "\xff\xfe,\x01", "a b\t",
	"=,=",	      "%s%n",
};

/* Names of no file, which realpath() leaves as they are. */
START_TEST(no_name_of_an_archive_injects_options)
{
	name_survives(nasty[_i]);
}
END_TEST

START_TEST(random_names_inject_nothing)
{
	static const char letters[] = ",\\\\\\,,=a0134ro\n ";
	char name[24] = "/nonexistent/";
	const size_t start = strlen(name);

	srand(1);
	for (int round = 0; round < 5000; round++) {
		size_t n = start + (size_t)rand() % (sizeof(name) - 1 - start);

		for (size_t i = start; i < n; i++)
			name[i] = letters[(size_t)rand() % (sizeof(letters) - 1)];
		name[n] = '\0';
		name_survives(name);
	}
}
END_TEST

START_TEST(an_existing_archive_is_named_by_its_full_path)
{
	char dir[] = "/tmp/test-options-XXXXXX", file[64], link[64];
	struct error err = { 0 };
	struct options o;
	struct seen seen;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/a,suid\\.pxar", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	fclose(fopen(file, "w"));
	ck_assert_int_eq(symlink("a,suid\\.pxar", link), 0);
	ck_assert_int_eq(PARSE(&o, &err, link, "m"), 0);
	ck_assert_str_eq(o.archive, link);
	see(o.fuse_options, &seen);
	ck_assert_str_eq(seen.fsname, file);
	ck_assert_str_eq(seen.others, "ro;nosuid;nodev;default_permissions;");
	free(seen.fsname);
	free(seen.subtype);
	options_release(&o);
	unlink(link);
	unlink(file);
	rmdir(dir);
}
END_TEST

START_TEST(an_empty_argv_is_survived)
{
	char *argv[] = { NULL };
	struct error err = { 0 };
	struct options o;

	ck_assert_int_lt(options_parse(&o, 0, argv, &err), 0);
	options_release(&o);
}
END_TEST

static char *printed(void (*print)(FILE *))
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	ck_assert_ptr_nonnull(f);
	print(f);
	fclose(f);
	return text;
}

/* --help has a line for each option that is tested above, and the tests have each of its lines. */
START_TEST(help_lists_exactly_the_options)
{
	CLEANUP(freep) char *help = printed(options_print_help);
	char line[64], *rest = help, *at;
	unsigned listed = 0, tested = 0;

	for (int i = 0; i < COUNT(options); i++) {
		if (strchr(options[i].name, '_'))
			continue; /* another spelling */
		tested++;
		snprintf(line, sizeof(line), "--%s ", options[i].name);
		ck_assert_msg(strstr(help, line), "no %s in --help", line);
		if (options[i].letter) {
			snprintf(line, sizeof(line), "%s, --%s ", options[i].letter,
				 options[i].name);
			ck_assert_msg(strstr(help, line), "no %s in --help", line);
		}
	}
	while ((at = strsep(&rest, "\n"))) {
		ck_assert_msg(strlen(at) <= 90, "a long line: %s", at);
		listed += strncmp(at, "  ", 2) == 0 && strstr(at, "--") != NULL && at[6] == '-';
	}
	ck_assert_uint_eq(listed, tested);
}
END_TEST

START_TEST(version_names_the_libraries)
{
	CLEANUP(freep) char *text = printed(options_print_version);

	ck_assert_int_eq(strncmp(text, "pxar-mount ", 11), 0);
	ck_assert_ptr_nonnull(strstr(text, "libfuse 3."));
	ck_assert_ptr_nonnull(strstr(text, "libuv 1."));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("options");
	TCase *tc = tcase_create("options");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, every_option_has_all_spellings, 0, COUNT(options));
	tcase_add_test(tc, defaults_are_those_of_the_manual);
	tcase_add_test(tc, letters_may_stand_together);
	tcase_add_test(tc, the_last_of_repeated_options_counts);
	tcase_add_test(tc, stores_add_up_in_order);
	tcase_add_test(tc, two_dashes_end_the_options);
	tcase_add_test(tc, words_of_mount_are_accepted_and_overruled);
	tcase_add_loop_test(tc, nonsense_is_refused_with_a_sentence, 0, COUNT(refused));
	tcase_add_loop_test(tc, sizes_have_suffixes, 0, COUNT(sizes));
	tcase_add_loop_test(tc, no_name_of_an_archive_injects_options, 0, COUNT(nasty));
	tcase_add_test(tc, random_names_inject_nothing);
	tcase_add_test(tc, an_existing_archive_is_named_by_its_full_path);
	tcase_add_test(tc, an_empty_argv_is_survived);
	tcase_add_test(tc, help_lists_exactly_the_options);
	tcase_add_test(tc, version_names_the_libraries);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
