#include "tools/pack-options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tools/pack-exclude.h"

static const char usage[] =
	"usage: pxar-pack [OPTIONS] DIR OUT.pxar\n"
	"       pxar-pack [OPTIONS] --split DIR OUT       makes OUT.mpxar and OUT.ppxar\n"
	"\n"
	"  --split             metadata and file contents in two files\n"
	"  --exclude PATTERN   leave out what matches; may be repeated, the last that matches "
	"counts\n"
	"  --no-pxarexclude    do not look for patterns in .pxarexclude files\n"
	"  --one-file-system   store mount points as empty directories\n"
	"  --skip-nodump       leave out what has the nodump flag (chattr +d)\n"
	"  --prelude FILE      with --split: store FILE as the prelude, not the patterns as JSON\n"
	"  --force             replace an archive that exists\n"
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
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

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
		/* getopt has said what it is. */
		return error_set(err, EINVAL, "pxar-pack --help lists the options");
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

int options_parse(struct options *o, int argc, char **argv, struct error *err)
{
	int option, r;

	*o = (struct options){ .exclude_files = true };
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		r = take(o, option, err);
		if (r)
			return r;
	}
	if (argc - optind != 2)
		return error_set(err, EINVAL, "a directory and an archive are due, not %d words",
				 argc - optind);
	if (o->prelude && !o->split)
		return error_set(err, EINVAL, "--prelude goes with --split");
	o->source = argv[optind];
	o->output = argv[optind + 1];
	return o->split ? check_utf8(&o->excludes, err) : 0;
}

void options_release(struct options *o)
{
	pattern_list_release(&o->excludes);
}
