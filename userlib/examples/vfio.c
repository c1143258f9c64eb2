// SPDX-License-Identifier: MIT
/*
 * A driver that is a program: QEMU's PCI device "edu" works on a buffer. The device is behind an
 * IOMMU, so that the program needs no physical address, and could do nothing with one.
 *
 * The device's driver has to be vfio-pci.
 */
#include <string.h>
#include <time.h>

#include "common.h"
#include "vfio.h"

/* What the device can do: move bytes between memory and 4 KiB of its own. */
#define EDU_SOURCE	0x80
#define EDU_TARGET	0x88
#define EDU_COUNT	0x90
#define EDU_COMMAND	0x98
#define EDU_RUN		1
#define EDU_TO_MEMORY	2
#define EDU_OWN		0x40000

/* Where it finds the buffer: within the device's 28 bits, and where the IOMMU maps addresses. */
#define ADDRESS		0x1000000ULL
#define LENGTH		(1 << 20)

static const char text[] = "The device copied this.";

/* The bytes of the text. */
static void move(const struct vfio *edu, uint64_t source, uint64_t target, uint64_t how)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int tries;

	vfio_write(edu, EDU_SOURCE, source);
	vfio_write(edu, EDU_TARGET, target);
	vfio_write(edu, EDU_COUNT, sizeof(text));
	vfio_write(edu, EDU_COMMAND, how | EDU_RUN);
	for (tries = 0; vfio_read(edu, EDU_COMMAND) & EDU_RUN; tries++) {
		must(tries < 1000, "the device does not answer");
		nanosleep(&pause, NULL);
	}
}

int main(int argc, char **argv)
{
	struct memalloc_buffer buffer;
	struct memalloc *mem;
	struct vfio edu;
	char *data;
	int err;

	must(argc == 2, "usage: %s PCI-ADDRESS, such as 0000:00:03.0", argv[0]);
	mem = open_device();
	buffer = new_buffer(mem, LENGTH);
	data = map_buffer(mem, &buffer);
	strcpy(data, text);

	err = vfio_open(&edu, argv[1], VFIO_IOMMU);
	if (err)
		die(err, "can't have the device %s", argv[1]);
	err = vfio_map(&edu, data, buffer.real_length, ADDRESS, true);
	if (err)
		die(err, "can't map the buffer for the device");
	move(&edu, ADDRESS, EDU_OWN, 0);
	move(&edu, EDU_OWN, ADDRESS + LENGTH / 2, EDU_TO_MEMORY);
	must(!strcmp(data + LENGTH / 2, text), "the device wrote other bytes");
	printf("  %s, at byte %d of the buffer\n", data + LENGTH / 2, LENGTH / 2);

	/* The device first: it must find nothing that is gone. */
	vfio_close(&edu);
	memalloc_buffer_unmap(&buffer, data);
	memalloc_buffer_free(mem, &buffer);
	memalloc_close(mem);
	return 0;
}
