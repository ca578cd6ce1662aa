#include "tools/human.h"

#include <stdio.h>
#include <string.h>

const char *human_size(char text[HUMAN_SIZE_MAX], uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	size_t unit = 0, len;

	while (unit < 5 && bytes >> (10 * (unit + 1)))
		unit++;
	snprintf(text, HUMAN_SIZE_MAX, "%.3f",
		 (double)bytes / (double)(UINT64_C(1) << (10 * unit)));
	len = strlen(text);
	while (text[len - 1] == '0')
		len--;
	if (text[len - 1] == '.')
		len--;
	snprintf(text + len, HUMAN_SIZE_MAX - len, " %s", units[unit]);
	return text;
}
