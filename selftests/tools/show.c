// SPDX-License-Identifier: GPL-2.0-only
/* Not a test: prints for boots/ what INFO and STATS say that they compare, as NAME=VALUE. */
#include "memalloc_test.h"

int main(void)
{
	struct memalloc_info info;
	struct memalloc_stats stats;
	int fd = open_device();

	if (fd < 0 || get_info(fd, &info) || get_stats(fd, &stats))
		return 1;
	printf("name=%s\nlength=%llu\nnode=%d\nfit=%s\n", info.name, info.region_length, info.node,
	       info.fit);
	printf("source=%s\nmemory=%llu\n", info.source, info.memory);
	printf("used=%llu\nquarantined=%llu\ndirty=%llu\nclients=%llu\n", stats.used,
	       stats.quarantined, stats.dirty, stats.clients);
	return 0;
}
