/*
 * fuzz-mountinfo.c - one line of /proc/self/mountinfo
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/mountinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_within(const char *field, const char *line, size_t size)
{
	return field >= line && field + strlen(field) <= line + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	struct mountinfo m;

	if (!line)
		return 0;
	if (size)
		memcpy(line, data, size);
	line[size] = '\0';
	if (mountinfo_parse(line, &m) &&
	    !(lies_within(m.path, line, size) && lies_within(m.type, line, size) &&
	      lies_within(m.source, line, size)))
		abort();
	free(line);
	return 0;
}
