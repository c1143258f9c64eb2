// SPDX-License-Identifier: MIT
/* The smallest program with a buffer: 8 MiB, on the device contiguous in physical memory. */
#include <memalloc.h>
#include <stdio.h>

int main(void)
{
	struct memalloc *mem;
	struct memalloc_buffer buffer;
	void *data;

	if (memalloc_open(NULL, &mem) ||
	    memalloc_buffer_alloc(mem, 8 << 20, 0, &buffer) ||
	    memalloc_buffer_map(mem, &buffer, 0, &data))
		return 1;
	sprintf(data, "hello from a buffer of %llu bytes", (unsigned long long)buffer.real_length);
	puts(data);
	memalloc_close(mem);
	return 0;
}
