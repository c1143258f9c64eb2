/* SPDX-License-Identifier: MIT */
/*
 * A PCI device for a program, by the kernel's VFIO: its registers, and memory for its DMA. Behind
 * an IOMMU, the device finds memory at addresses that the program chooses, and finds nothing else.
 *
 * Functions answer 0 or a negative errno. For processors of 64 bits, as the registers are.
 */
#ifndef EXAMPLES_VFIO_H
#define EXAMPLES_VFIO_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

struct vfio {
	int container;		/* the addresses that its devices use */
	int group;		/* devices that the IOMMU can't tell apart */
	int device;
	uint64_t *registers;	/* the first BAR; NULL: not mapped */
	uint64_t length;	/* of that */
};

static inline void vfio_close(struct vfio *vfio)
{
	if (vfio->registers)
		munmap(vfio->registers, vfio->length);
	if (vfio->device >= 0)
		close(vfio->device);
	if (vfio->group >= 0)
		close(vfio->group);
	if (vfio->container >= 0)
		close(vfio->container);
	*vfio = (struct vfio){ .container = -1, .group = -1, .device = -1 };
}

/* The group of the device at @address, such as 0000:00:03.0, whose driver has to be vfio-pci. */
static inline int vfio_open_group(const char *address)
{
	char path[PATH_MAX], group[PATH_MAX];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
	length = readlink(path, group, sizeof(group) - 1);
	if (length < 0)
		return -errno;
	group[length] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(group, '/') + 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Maps the registers, and lets the device begin DMA. */
static inline int vfio_enable(struct vfio *vfio)
{
	struct vfio_region_info config = {
		.argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	uint16_t command;
	void *registers;

	if (ioctl(vfio->device, VFIO_DEVICE_GET_REGION_INFO, &config) ||
	    ioctl(vfio->device, VFIO_DEVICE_GET_REGION_INFO, &bar))
		return -errno;
	if (!(bar.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return -ENXIO;
	registers = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, vfio->device,
			 bar.offset);
	if (registers == MAP_FAILED)
		return -errno;
	vfio->registers = registers;
	vfio->length = bar.size;
	if (pread(vfio->device, &command, 2, config.offset + PCI_COMMAND) != 2)
		return -EIO;
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	return pwrite(vfio->device, &command, 2, config.offset + PCI_COMMAND) == 2 ? 0 : -EIO;
}

/*
 * @iommu is VFIO_IOMMU; or VFIO_IOMMUFD, where the kernel has that: it does the same by other code.
 * EBUSY: some program has the device already.
 */
#define VFIO_IOMMU	"/dev/vfio/vfio"
#define VFIO_IOMMUFD	"/dev/iommu"

static inline int vfio_open(struct vfio *vfio, const char *address, const char *iommu)
{
	int err;

	*vfio = (struct vfio){ .device = -1, .container = -1, .group = vfio_open_group(address) };
	if (vfio->group < 0)
		return vfio->group;
	vfio->container = open(iommu, O_RDWR | O_CLOEXEC);
	if (vfio->container < 0 ||
	    ioctl(vfio->group, VFIO_GROUP_SET_CONTAINER, &vfio->container) ||
	    ioctl(vfio->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		goto failed;
	vfio->device = ioctl(vfio->group, VFIO_GROUP_GET_DEVICE_FD, address);
	if (vfio->device < 0)
		goto failed;
	err = vfio_enable(vfio);
	if (err)
		vfio_close(vfio);
	return err;

failed:
	err = -errno;
	vfio_close(vfio);
	return err;
}

/*
 * From now until vfio_unmap(), the device finds the @length bytes at @memory where it uses
 * @address, and may read them, and with @write also write them. Their pages are pinned. All are
 * multiples of pages. ENOMEM: also if the process may not lock so much, see RLIMIT_MEMLOCK.
 */
static inline int vfio_map(const struct vfio *vfio, const void *memory, uint64_t length,
			   uint64_t address, bool write)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | (write ? VFIO_DMA_MAP_FLAG_WRITE : 0),
		.vaddr = (uintptr_t)memory,
		.iova = address,
		.size = length,
	};

	return ioctl(vfio->container, VFIO_IOMMU_MAP_DMA, &map) ? -errno : 0;
}

static inline int vfio_unmap(const struct vfio *vfio, uint64_t address, uint64_t length)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = address, .size = length,
	};

	return ioctl(vfio->container, VFIO_IOMMU_UNMAP_DMA, &unmap) ? -errno : 0;
}

/* The register at byte @at, of 64 bits. What the program wrote before, the device sees. */
static inline uint64_t vfio_read(const struct vfio *vfio, unsigned int at)
{
	return __atomic_load_n(&vfio->registers[at / 8], __ATOMIC_ACQUIRE);
}

static inline void vfio_write(const struct vfio *vfio, unsigned int at, uint64_t value)
{
	__atomic_store_n(&vfio->registers[at / 8], value, __ATOMIC_RELEASE);
}

#endif /* EXAMPLES_VFIO_H */
