#include "tests/unit/double.h"

#include <string.h>

static int strike(struct double_source *d, const struct io *io, struct error *err)
{
	if (d->fault == 1)
		return !io->may_wait;
	return error_set(err, d->fault, "made to fail");
}

static int double_read(struct source *source, const struct io *io, uint64_t offset, void *buf,
		       size_t n, struct error *err)
{
	struct double_source *d = (struct double_source *)source;
	int at = ++d->reads, r = 0;

	if (d->fault_from && (at == d->fault_from || at == d->fault_from + 1))
		r = strike(d, io, err);
	if (!r && d->hook)
		r = d->hook(d, io, offset, n, err);
	if (!r)
		memcpy(buf, d->bytes->bytes + offset, n);
	return r;
}

static void double_free(struct source *source)
{
	((struct double_source *)source)->frees++;
}

static const struct source_ops double_ops = { .read = double_read, .free = double_free };

void double_init(struct double_source *d, const struct buffer *bytes)
{
	*d = (struct double_source){ .source = { &double_ops, bytes->len }, .bytes = bytes };
}

void double_fault(struct double_source *d, int fault, int n)
{
	d->fault = fault;
	d->fault_from = n;
	d->reads = 0;
}

bool double_has_struck(const struct double_source *d)
{
	return d->fault_from && d->reads >= d->fault_from;
}

int double_waits(struct double_source *d, const struct io *io, uint64_t offset, size_t n,
		 struct error *err)
{
	(void)d;
	(void)offset;
	(void)n;
	(void)err;
	return !io->may_wait;
}
