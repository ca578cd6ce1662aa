#include "tests/unit/questions.h"

#include <string.h>

static uint64_t put_attributed(struct packed *p)
{
	static const struct encoder_xattr xattr = { "user.k", "value", 5 };
	struct encoder_meta m = packed_meta(0100644);

	m.xattrs = &xattr;
	m.n_xattrs = 1;
	return packed_number(packed_bytes(p, "x", &m, "content", 7), "x");
}

void questions_init(struct packed *tree, struct question questions[QUESTIONS], bool split)
{
	uint64_t start, file, link, attributed, dir, sub;

	packed_begin(tree, split);
	start = packed_file(tree, "file", "its content");
	file = packed_number(start, "file");
	packed_dir(tree, "dir");
	packed_hardlink(tree, "hard", start, "file");
	packed_dir(tree, "sub");
	sub = packed_end_dir(tree);
	link = packed_number(packed_symlink(tree, "link", "target"), "link");
	attributed = put_attributed(tree);
	dir = packed_end_dir(tree);
	packed_file(tree, "z", "");
	packed_finish(tree);
	memcpy(questions,
	       (struct question[QUESTIONS]){
		       { "lookup", ops_lookup, { .number = dir, .name = "x" } },
		       { "lookup of a hardlink", ops_lookup, { .number = dir, .name = "hard" } },
		       { "lookup of nothing", ops_lookup, { .number = ENTRY_ROOT, .name = "no" } },
		       { "getattr of a file", ops_getattr, { .number = file } },
		       { "getattr of a directory", ops_getattr, { .number = dir } },
		       { "readlink", ops_readlink, { .number = link } },
		       { "read", ops_read, { .number = file, .offset = 4, .size = 4096 } },
		       { "readdir", ops_readdir, { .number = dir, .size = 4096 } },
		       { "readdirplus", ops_readdirplus, { .number = dir, .size = 4096 } },
		       { "readdirplus below", ops_readdirplus, { .number = sub, .size = 4096 } },
		       { "getxattr",
			 ops_getxattr,
			 { .number = attributed, .name = "user.k", .size = 64 } },
		       { "getxattr of nothing",
			 ops_getxattr,
			 { .number = attributed, .name = "user.no", .size = 64 } },
		       { "listxattr", ops_listxattr, { .number = attributed, .size = 64 } },
	       },
	       sizeof(struct question[QUESTIONS]));
}

struct answer questions_ask(struct mounted *m, const struct packed *tree, const struct question *q)
{
	mounted_open(m, tree, 1 << 20, false);
	return mounted_ask(m, q->handler, &q->rq, true);
}
