// SPDX-License-Identifier: GPL-2.0-only
/*
 * Not a test: the control node for boots/. Prints OK or an errno; "list" prints a line for each
 * region instead.
 *
 *   regions create NAME BYTES [NODE [FIT [SOURCE [BASE or BAR]]]]
 *   regions create-of RANGES NAME BYTES MAX-BYTES [NODE]
 *   regions grow NAME BYTES
 *   regions shrink NAME RANGE
 *   regions destroy NAME
 *   regions list
 */
#include "control.h"

#include <stdlib.h>

static int list(int control)
{
	struct memalloc_region regions[8];
	__u64 cursor = 0;
	int i, n;

	do {
		n = list_regions(control, &cursor, regions, ARRAY_SIZE(regions));
		for (i = 0; i < n; i++)
			printf("%s %llu %d %s %s\n", regions[i].name, regions[i].length,
			       regions[i].node, regions[i].fit, regions[i].source);
	} while (n == ARRAY_SIZE(regions));
	return n < 0;
}

int main(int argc, char **argv)
{
	struct memalloc_create create;
	int control = open_control(), ret;

	if (control < 0 || argc < 2)
		return 1;
	if (!strcmp(argv[1], "list"))
		return list(control);
	if (!strcmp(argv[1], "create") && argc >= 4) {
		create = region_called(argv[2], strtoull(argv[3], NULL, 0));
		create.node = argc > 4 ? atoi(argv[4]) : -1;
		snprintf((char *)create.fit, sizeof(create.fit), "%s", argc > 5 ? argv[5] : "");
		snprintf((char *)create.source, sizeof(create.source), "%s",
			 argc > 6 ? argv[6] : "");
		if (argc > 7 && !strcmp(argv[6], "pci"))
			snprintf((char *)create.bar, sizeof(create.bar), "%s", argv[7]);
		else
			create.base = argc > 7 ? strtoull(argv[7], NULL, 0) : 0;
		ret = call(control, MEMALLOC_CONTROL_CREATE, &create);
	} else if (!strcmp(argv[1], "create-of") && argc >= 6) {
		create = region_called(argv[3], strtoull(argv[4], NULL, 0));
		create.ranges = atoi(argv[2]);
		create.length_max = strtoull(argv[5], NULL, 0);
		create.node = argc > 6 ? atoi(argv[6]) : -1;
		ret = call(control, MEMALLOC_CONTROL_CREATE, &create);
	} else if (!strcmp(argv[1], "grow") && argc == 4) {
		ret = grow_region(control, argv[2], strtoull(argv[3], NULL, 0));
		ret = ret < 0 ? ret : 0;
	} else if (!strcmp(argv[1], "shrink") && argc == 4) {
		ret = shrink_region(control, argv[2], atoi(argv[3]));
	} else if (!strcmp(argv[1], "destroy") && argc == 3) {
		ret = destroy_region(control, argv[2]);
	} else {
		return 1;
	}
	puts(ret ? strerrorname_np(-ret) : "OK");
	return 0;
}
