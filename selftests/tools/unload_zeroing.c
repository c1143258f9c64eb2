// SPDX-License-Identifier: GPL-2.0-only
/*
 * Not a test: for boots/module.sh, unloads the module when the background is about to zero
 * what a program had, all of the region; or while it does so. Prints OK or the errno.
 *
 *   unload_zeroing before | while
 */
#include "memalloc_test.h"

#include <sys/syscall.h>

int main(int argc, char **argv)
{
	const bool begun = argc == 2 && !strcmp(argv[1], "while");
	struct memalloc_info info;
	int fd = open_device();
	__u64 dirty;

	if (get_info(fd, &info) || make_dirty(fd, info.region_length))
		return 1;
	/* Not WAIT_UNTIL(): who sleeps may come when all is over. */
	do
		dirty = dirty_bytes(fd);
	while (begun && dirty == info.region_length);
	close(fd);
	if (!dirty)
		return 1;
	puts(syscall(SYS_delete_module, "memalloc", O_NONBLOCK) ? strerrorname_np(errno) : "OK");
	return 0;
}
