// SPDX-License-Identifier: GPL-2.0-only
/*
 * Not a test: keeps the device in use for boots/, in one way only, until its
 * standard input ends. Says "ready" when nothing else of the device is held.
 *
 *   hold descriptor | mapping | dmabuf | pinned
 */
#include "memalloc_test.h"

#include <sys/uio.h>

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";
	struct memalloc_alloc buffer;
	int pipes[2], dmabuf, fd = open_device();
	struct iovec page;
	char byte;

	if (fd < 0 || pipe(pipes) || alloc_buffer(fd, MIB, &buffer))
		return 1;
	dmabuf = export_buffer(fd, buffer.handle, O_RDWR);
	page.iov_base = map_buffer(fd, &buffer);
	page.iov_len = PAGE;
	if (dmabuf < 0 || page.iov_base == MAP_FAILED)
		return 1;
	if (!strcmp(what, "pinned") && vmsplice(pipes[1], &page, 1, 0) != (ssize_t)PAGE)
		return 1;

	if (strcmp(what, "descriptor"))
		close(fd);
	if (strcmp(what, "mapping"))
		munmap(page.iov_base, MIB);
	if (strcmp(what, "dmabuf"))
		close(dmabuf);
	puts("ready");
	fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0;
}
