#define _GNU_SOURCE
#include "tools/pack-owner.h"

#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

int pack_owner_of(struct pack_owner *owner, int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat: %m");
	*owner = (struct pack_owner){ st.st_uid, st.st_gid, geteuid() == 0 && st.st_uid != 0 };
	return 0;
}

/* Neither call can fail for root, and neither says so. */
void pack_owner_begin(const struct pack_owner *owner)
{
	if (!owner->differs)
		return;
	setfsgid(owner->gid);
	setfsuid(owner->uid);
}

void pack_owner_end(const struct pack_owner *owner)
{
	if (!owner->differs)
		return;
	setfsuid(geteuid());
	setfsgid(getegid());
}
