// SPDX-License-Identifier: MIT
/* Shows the region: statistics, a picture, and the list of blocks. */
#include "common.h"

int main(int argc, char **argv)
{
	struct memalloc *mem = open_device();

	show_region(mem, argc > 1 ? argv[1] : "now");
	memalloc_close(mem);
	return 0;
}
