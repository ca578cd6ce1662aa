/*
 * human.h - numbers as people read them
 */
#ifndef TOOLS_HUMAN_H
#define TOOLS_HUMAN_H

#include <stddef.h>
#include <stdint.h>

enum { HUMAN_SIZE_MAX = 32 };

/* "8.789 KiB": at most three decimals, none that are zero. The unit is that of the number's
   highest bit, so there are up to 1023 of each. */
const char *human_size(char text[HUMAN_SIZE_MAX], uint64_t bytes);

#endif
