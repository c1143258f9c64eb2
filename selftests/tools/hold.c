// SPDX-License-Identifier: GPL-2.0-only
/*
 * Not a test: keeps the device in use for boots/, in one way only, until its
 * standard input ends. Says "ready" when nothing else of the device is held.
 *
 *   hold descriptor | mapping | dmabuf | pinned | address | dmaheap | dmaheap-buffer
 *
 * "address": nobody holds anything, but the address was told; in the end it is released.
 */
#include "dmaheap.h"

#include <sys/uio.h>

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";
	struct memalloc_alloc buffer;
	struct memalloc_query query;
	int pipes[2], dmabuf, fd = open_device(), heap = open_dmaheap(), heap_buffer;
	struct iovec page;
	char byte;

	if (fd < 0 || pipe(pipes))
		return 1;
	heap_buffer = dmaheap_alloc(heap, MIB, O_RDWR);
	if (heap_buffer < 0)
		return 1;
	if (strcmp(what, "dmaheap-buffer"))
		close(heap_buffer);
	if (alloc_buffer(fd, MIB, &buffer))
		return 1;
	dmabuf = export_buffer(fd, buffer.handle, O_RDWR);
	page.iov_base = map_buffer(fd, &buffer);
	page.iov_len = PAGE;
	if (dmabuf < 0 || page.iov_base == MAP_FAILED)
		return 1;
	if (!strcmp(what, "pinned") && vmsplice(pipes[1], &page, 1, 0) != (ssize_t)PAGE)
		return 1;

	if (!strcmp(what, "address") && query_physical(fd, buffer.handle, &query))
		return 1;
	if (strcmp(what, "descriptor"))
		close(fd);
	if (strcmp(what, "mapping"))
		munmap(page.iov_base, MIB);
	if (strcmp(what, "dmabuf"))
		close(dmabuf);
	if (strcmp(what, "dmaheap"))
		close(heap);
	puts("ready");
	fflush(stdout);
	if (read(STDIN_FILENO, &byte, 1) < 0)
		return 1;
	return strcmp(what, "address") ? 0 : release_all(open_device()) != 0;
}
