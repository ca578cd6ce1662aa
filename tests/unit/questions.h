/*
 * questions.h - one tree, and every question that a handler answers by reading it
 *
 * For tests that let each question meet the same fault.
 */
#ifndef TESTS_UNIT_QUESTIONS_H
#define TESTS_UNIT_QUESTIONS_H

#include "tests/unit/mounted.h"

struct question {
	const char *what;
	ops_handler *handler;
	struct request rq;
};

enum { QUESTIONS = 13 };

/* The tree is released with packed_release(). */
void questions_init(struct packed *tree, struct question questions[QUESTIONS], bool split);

/* The answer of a mount of its own. To be released, and the mount, which has no counts, closed. */
struct answer questions_ask(struct mounted *m, const struct packed *tree, const struct question *q);

#endif
