/*
 * hang-mount.c - a mount whose archive can hang
 *
 * usage: hang-mount GATE START END scan|no-scan ARCHIVE MOUNTPOINT
 *
 * As long as the file GATE exists, reading the archive's bytes from START to END hangs, which is
 * said by a line on standard error, and nothing is to be had without waiting. The number of threads
 * is UV_THREADPOOL_SIZE of the environment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/log.h"
#include "daemon/loop.h"

enum { DIR_CACHE_BYTES = 32 << 20 };

struct hanging {
	struct source source, *file;
	const char *gate;
	struct range range;
};

static bool is_shut(const struct hanging *h)
{
	return access(h->gate, F_OK) == 0;
}

static int hanging_read(struct source *source, const struct io *io, uint64_t offset, void *buf,
			size_t n, struct error *err)
{
	const struct timespec moment = { .tv_nsec = 5000000 };
	struct hanging *h = (struct hanging *)source;

	if (is_shut(h)) {
		if (!io->may_wait)
			return 1;
		if (offset < h->range.end && offset + n > h->range.start) {
			log_info("hangs");
			while (is_shut(h))
				nanosleep(&moment, NULL);
		}
	}
	return source_read(h->file, io, offset, buf, n, err);
}

static void hanging_free(struct source *source)
{
	source_free(((struct hanging *)source)->file);
}

static const struct source_ops hanging_ops = { .read = hanging_read, .free = hanging_free };

static int answers(void *arg, struct error *err)
{
	(void)arg;
	(void)err;
	return 0;
}

static int run(struct hanging *h, bool scan, const char *mountpoint, struct error *err)
{
	CLEANUP(loop_freep) struct loop *loop = NULL;
	CLEANUP(fs_freep) struct fs *fs = NULL;
	struct loop_mount mount = {
		.timeout_ms = 60000,
		.mountpoint = mountpoint,
		.fuse_options = "ro,nosuid,nodev,default_permissions,subtype=pxar,fsname=hang",
		.ready = answers,
	};
	struct archive *archive;
	int r;

	r = loop_new(&loop, err);
	if (!r)
		r = archive_open_sources(&archive, &h->source, NULL, false, err);
	if (!r)
		r = fs_new(&fs, archive, DIR_CACHE_BYTES, scan, err);
	if (r < 0)
		return r;
	mount.fs = fs;
	return loop_run(loop, &mount, err);
}

int main(int argc, char **argv)
{
	static struct hanging h; /* read by the walk until the process has ended */
	struct error err = { 0 };

	if (argc != 7) {
		fprintf(stderr,
			"usage: hang-mount GATE START END scan|no-scan ARCHIVE MOUNTPOINT\n");
		return 2;
	}
	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
	h.gate = argv[1];
	h.range = (struct range){ strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10) };
	if (source_open_file(&h.file, argv[5], &err) == 0) {
		h.source = (struct source){ &hanging_ops, h.file->size };
		if (run(&h, !strcmp(argv[4], "scan"), argv[6], &err) == 0)
			return 0;
	}
	fprintf(stderr, "hang-mount: %s\n", err.text);
	return 1;
}
