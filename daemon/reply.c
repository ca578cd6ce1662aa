#define FUSE_USE_VERSION 314
#include "daemon/reply.h"

#include <fuse_lowlevel.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "daemon/log.h"

enum {
	BUFFER_SIZE = 1024 * 1024, /* the largest request of the kernel */
	BUFFERS_KEPT = 8,
	SMALL = 16 * 1024, /* not worth a buffer of that size */
};

struct reply_buffers {
	uv_mutex_t lock;
	char *kept[BUFFERS_KEPT]; /* protected by lock */
	unsigned n;		  /* likewise */
};

int reply_buffers_new(struct reply_buffers **out, struct error *err)
{
	struct reply_buffers *buffers = calloc(1, sizeof(*buffers));

	if (!buffers || uv_mutex_init(&buffers->lock)) {
		free(buffers);
		return error_set(err, ENOMEM, "out of memory");
	}
	*out = buffers;
	return 0;
}

void reply_buffers_free(struct reply_buffers *buffers)
{
	if (!buffers)
		return;
	while (buffers->n)
		free(buffers->kept[--buffers->n]);
	uv_mutex_destroy(&buffers->lock);
	free(buffers);
}

static char *take_buffer(struct reply_buffers *buffers)
{
	char *data = NULL;

	uv_mutex_lock(&buffers->lock);
	if (buffers->n)
		data = buffers->kept[--buffers->n];
	uv_mutex_unlock(&buffers->lock);
	return data ? data : malloc(BUFFER_SIZE);
}

static void give_buffer_back(struct reply_buffers *buffers, char *data)
{
	uv_mutex_lock(&buffers->lock);
	if (buffers->n < BUFFERS_KEPT)
		buffers->kept[buffers->n++] = TAKE(data);
	uv_mutex_unlock(&buffers->lock);
	free(data);
}

struct reply reply_init(struct reply_buffers *buffers)
{
	return (struct reply){ .kind = REPLY_DONE, .buffers = buffers };
}

void reply_release(struct reply *reply)
{
	if (reply->pooled)
		give_buffer_back(reply->buffers, reply->data);
	else
		free(reply->data);
	reply->data = NULL;
	reply->pooled = false;
}

int reply_reserve(struct reply *reply, size_t n, struct error *err)
{
	reply_release(reply);
	reply->pooled = n > SMALL && n <= BUFFER_SIZE;
	reply->data = reply->pooled ? take_buffer(reply->buffers) : malloc(n ? n : 1);
	reply->len = 0;
	reply->room = n;
	if (!reply->data) {
		reply->pooled = false;
		return error_set(err, ENOMEM, "out of memory for %zu bytes", n);
	}
	reply->kind = REPLY_DATA;
	return 0;
}

int reply_copy(struct reply *reply, const void *bytes, size_t n, struct error *err)
{
	int r = reply_reserve(reply, n, err);

	if (r < 0)
		return r;
	if (n)
		memcpy(reply->data, bytes, n);
	reply->len = n;
	return 0;
}

static bool took(struct reply *reply, size_t n)
{
	if (n > reply->room - reply->len)
		return false;
	reply->len += n;
	return true;
}

bool reply_add_name(struct reply *reply, const char *name, const struct stat *st, uint64_t next)
{
	return took(reply, fuse_add_direntry(NULL, reply->data + reply->len,
					     reply->room - reply->len, name, st, (off_t)next));
}

bool reply_add_entry(struct reply *reply, const char *name, const struct stat *st,
		     double attr_timeout, bool known, uint64_t next)
{
	struct fuse_entry_param entry = {
		.ino = known ? st->st_ino : 0,
		.attr = *st,
		.attr_timeout = attr_timeout,
		.entry_timeout = REPLY_FOREVER,
	};

	return took(reply,
		    fuse_add_direntry_plus(NULL, reply->data + reply->len, reply->room - reply->len,
					   name, &entry, (off_t)next));
}

static int send_entry(fuse_req_t req, const struct reply *reply)
{
	struct fuse_entry_param entry = {
		.ino = reply->st.st_ino,
		.attr = reply->st,
		.attr_timeout = reply->attr_timeout,
		.entry_timeout = REPLY_FOREVER,
	};

	return fuse_reply_entry(req, &entry);
}

void reply_send(struct fuse_req *req, const struct reply *reply)
{
	int r = 0;

	switch (reply->kind) {
	case REPLY_NOTHING:
		fuse_reply_none(req);
		break;
	case REPLY_DONE:
		r = fuse_reply_err(req, 0);
		break;
	case REPLY_ENTRY:
		r = send_entry(req, reply);
		break;
	case REPLY_ATTR:
		r = fuse_reply_attr(req, &reply->st, reply->attr_timeout);
		break;
	case REPLY_DATA:
		r = fuse_reply_buf(req, reply->data, reply->len);
		break;
	case REPLY_TEXT:
		r = fuse_reply_readlink(req, reply->data);
		break;
	case REPLY_SIZE:
		r = fuse_reply_xattr(req, reply->len);
		break;
	case REPLY_STATFS:
		r = fuse_reply_statfs(req, &reply->vfs);
		break;
	}
	/* -ENOENT: nobody waits any more, the request was aborted or the file system is gone. */
	if (r < 0 && r != -ENOENT && r != -ENODEV && r != -EBADF)
		log_error("a reply could not be sent: %s", strerror(-r));
}

/* What the caller sees; *fault tells whether it is one, rather than an ordinary answer. */
static int errno_for(const struct error *err, bool *fault)
{
	*fault = true;
	switch (-err->code) {
	case EUCLEAN:
	case EBADMSG:
	case EIO:
		return EIO;
	case ENOMEM:
	case ESTALE:
	case ELOOP:
	case E2BIG:
		return -err->code;
	default:
		*fault = false;
		return -err->code;
	}
}

void reply_error(struct fuse_req *req, const struct error *err)
{
	bool fault;
	int code = errno_for(err, &fault);

	if (fault)
		log_error("%s", err->text);
	fuse_reply_err(req, code);
}
