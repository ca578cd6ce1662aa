/*
 * pxar-pack.c - a directory into a .pxar archive, or a .mpxar and a .ppxar, or a snapshot in a
 * datastore; and keys for these
 *
 * Exit status: 0 all is stored; 1 failed, there is no archive; 2 the command line is wrong; 3 the
 * archive is complete but something could not be stored as it was found.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "tools/pack-key.h"
#include "tools/pack-options.h"
#include "tools/pack-output.h"
#include "tools/pack-report.h"
#include "tools/pack-snapshot.h"
#include "tools/pack-tree.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INCOMPLETE = 3 };

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

/* The first signal ends the work in order; a second one ends the process. */
static void set_signals(void)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
	struct sigaction old;

	/* What nohup has switched off stays off. */
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		if (sigaction(ending[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(ending[i], &sa, NULL);
	/* Writes say so themselves, and then nothing is left behind. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* A deep tree takes one file descriptor for each level. */
static void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* One file, or a metadata file and a payload file. */
struct outputs {
	struct output meta, payload;
	bool split;
};

static int open_one(struct output *o, const struct options *options, const char *suffix,
		    struct error *err)
{
	CLEANUP(freep) char *path = NULL;

	if (asprintf(&path, "%s%s", options->output, suffix) < 0) {
		path = NULL;
		return error_set(err, ENOMEM, "out of memory");
	}
	return output_open(o, path, options->force, err);
}

static int outputs_open(struct outputs *o, const struct options *options, struct error *err)
{
	int r;

	o->split = options->split;
	r = open_one(&o->meta, options, o->split ? ".mpxar" : "", err);
	if (r < 0 || !o->split)
		return r;
	return open_one(&o->payload, options, ".ppxar", err);
}

static int outputs_sync(struct outputs *o, struct error *err)
{
	int r = o->split ? output_sync(&o->payload, err) : 0;

	return r < 0 ? r : output_sync(&o->meta, err);
}

/* Metadata without its payload would look whole, so it is named last, and what it is to replace
   goes before the payload changes. */
static int outputs_publish(struct outputs *o, struct error *err)
{
	int r = 0;

	if (o->split) {
		output_remove_old(&o->meta);
		r = output_publish(&o->payload, err);
	}
	if (r == 0)
		r = output_publish(&o->meta, err);
	if (r < 0) {
		output_unpublish(&o->meta);
		output_unpublish(&o->payload);
	}
	return r;
}

static void outputs_release(struct outputs *o)
{
	output_release(&o->meta);
	output_release(&o->payload);
}

static int pack(struct options *options, struct report *report, struct error *err)
{
	CLEANUP(outputs_release)
	struct outputs o = { .meta = OUTPUT_CLOSED, .payload = OUTPUT_CLOSED };
	struct output_id skip[4];
	struct tree_job job = { .options = options,
				.meta = &o.meta.sink,
				.skip = skip,
				.stop = &stop,
				.report = report };
	int r;

	r = outputs_open(&o, options, err);
	if (r < 0)
		return r;
	job.n_skip = output_ids(&o.meta, skip);
	if (o.split) {
		job.payload = &o.payload.sink;
		job.n_skip += output_ids(&o.payload, skip + job.n_skip);
	}
	r = tree_pack(&job, err);
	if (r == 0)
		r = outputs_sync(&o, err);
	if (r == 0 && stop)
		r = error_set(err, EINTR, "interrupted");
	return r < 0 ? r : outputs_publish(&o, err);
}

static int complain(const struct error *err, int status)
{
	fprintf(stderr, "pxar-pack: %s\n", err->text);
	return status;
}

static int create_key(const struct options *options, struct error *err)
{
	int r = pack_key_create(options->create_key, options->kdf, options->hint, err);

	return r < 0 ? complain(err, EXIT_FAILED) : 0;
}

int main(int argc, char **argv)
{
	CLEANUP(options_release) struct options options = { 0 };
	struct error err = { 0 };
	struct report report;
	int r;

	r = options_parse(&options, argc, argv, &err);
	if (r == OPTIONS_PRINTED)
		return fflush(stdout) ? EXIT_FAILED : 0;
	if (r < 0)
		return complain(&err, EXIT_USAGE);
	if (options.create_key)
		return create_key(&options, &err);
	set_signals();
	raise_fd_limit();
	report_init(&report, options.quiet);
	r = options.store ? pack_snapshot(&options, &stop, &report, &err)
			  : pack(&options, &report, &err);
	report_clear(&report);
	if (r < 0)
		return complain(&err, EXIT_FAILED);
	report_account(&report);
	return report.trouble ? EXIT_INCOMPLETE : 0;
}
