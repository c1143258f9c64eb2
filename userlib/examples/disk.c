// SPDX-License-Identifier: MIT
/*
 * A disk, a program and a graphics driver share one buffer, with no copy.
 *
 * The file or disk is read with O_DIRECT, so the disk's DMA writes straight into
 * the buffer; the program takes the SHA-256 of its mapping. Then the buffer goes
 * to vgem, the kernel's virtual graphics driver, as a dma-buf, and the program
 * gives up all it had of it. vgem alone keeps the memory now. What it hands back
 * must be the same bytes.
 */
#define _GNU_SOURCE
#include <drm.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

struct digest {
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned int length;
};

static struct digest sha256(const void *data, size_t length)
{
	struct digest digest = { .length = 0 };

	must(EVP_Digest(data, length, digest.bytes, &digest.length, EVP_sha256(), NULL),
	     "libcrypto failed");
	return digest;
}

static void show_digest(const char *what, const struct digest *digest)
{
	unsigned int i;

	printf("  SHA-256 %s: ", what);
	for (i = 0; i < digest->length; i++)
		printf("%02x", digest->bytes[i]);
	printf("\n");
}

static uint64_t used(struct memalloc *mem)
{
	struct memalloc_stats stats;
	int err = memalloc_get_stats(mem, &stats, sizeof(stats));

	if (err)
		die(err, "statistics");
	return stats.used;
}

/* Memory may come back a moment after its last user has gone. */
static void wait_for_used(struct memalloc *mem, uint64_t wanted)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int tries;

	for (tries = 0; used(mem) != wanted; tries++) {
		must(tries < 500, "the memory did not come back");
		nanosleep(&pause, NULL);
	}
}

/* O_DIRECT wants whole disk blocks: the buffer's length is a multiple of any. */
static void read_directly(int disk, unsigned char *data, const struct memalloc_buffer *buffer)
{
	uint64_t done = 0;
	ssize_t got;

	while (done < buffer->length) {
		got = pread(disk, data + done, buffer->real_length - done, done);
		if (got < 0)
			die(-errno, "reading the disk directly");
		must(got > 0, "the disk ended early");
		done += got;
	}
}

static int open_vgem(void)
{
	char path[32], name[16];
	struct drm_version version;
	int fd, i;

	for (i = 0; i < 16; i++) {
		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		memset(name, 0, sizeof(name));
		version = (struct drm_version){ .name = name, .name_len = sizeof(name) - 1 };
		if (!ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, "vgem"))
			return fd;
		close(fd);
	}
	die(-ENODEV, "no graphics device of the driver vgem (modprobe vgem)");
}

/* vgem's own name for the buffer behind the descriptor. */
static uint32_t give_to_vgem(int vgem, int dmabuf)
{
	struct drm_prime_handle prime = { .fd = dmabuf };

	must_ioctl(vgem, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime, "vgem does not take the buffer");
	return prime.handle;
}

static int get_from_vgem(int vgem, uint32_t handle)
{
	struct drm_prime_handle prime = { .handle = handle, .flags = DRM_CLOEXEC | DRM_RDWR };

	must_ioctl(vgem, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime, "vgem does not return the buffer");
	return prime.fd;
}

static void vgem_forget(int vgem, uint32_t handle)
{
	struct drm_gem_close args = { .handle = handle };

	must_ioctl(vgem, DRM_IOCTL_GEM_CLOSE, &args, "vgem does not forget the buffer");
}

/* Through a new mapping of vgem's descriptor. */
static struct digest sha256_of_descriptor(int dmabuf, size_t length)
{
	struct digest digest;
	void *data = mmap(NULL, length, PROT_READ, MAP_SHARED, dmabuf, 0);

	if (data == MAP_FAILED)
		die(-errno, "mapping what vgem returned");
	sync_buffer(dmabuf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	digest = sha256(data, length);
	sync_buffer(dmabuf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	munmap(data, length);
	return digest;
}

int main(int argc, char **argv)
{
	struct digest from_disk, from_vgem;
	struct memalloc_buffer buffer;
	uint64_t length, used_before;
	struct memalloc *mem;
	int disk, vgem, dmabuf;
	uint32_t handle;
	void *data;
	int err;

	must(argc == 2, "usage: %s FILE-OR-DISK", argv[0]);
	mem = open_device();
	used_before = used(mem);
	disk = open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (disk < 0)
		die(-errno, "%s", argv[1]);
	length = lseek(disk, 0, SEEK_END);

	buffer = new_buffer(mem, length);
	data = map_buffer(mem, &buffer);
	read_directly(disk, data, &buffer);
	from_disk = sha256(data, length);
	printf("  %s wrote %llu KiB straight into a buffer (O_DIRECT).\n", argv[1],
	       (unsigned long long)length / 1024);
	show_digest("in the buffer", &from_disk);
	show_region(mem, "with the disk's contents in it");

	vgem = open_vgem();
	dmabuf = export_buffer(mem, &buffer);
	handle = give_to_vgem(vgem, dmabuf);
	close(dmabuf);
	memalloc_buffer_unmap(&buffer, data);
	err = memalloc_buffer_free(mem, &buffer);
	if (err)
		die(err, "giving up the buffer");
	printf("  vgem has the buffer now; this program gave up handle, mapping and descriptor.\n");
	show_region(mem, "while only vgem keeps the buffer");
	must(used(mem) == used_before + buffer.real_length, "vgem does not keep the memory");

	dmabuf = get_from_vgem(vgem, handle);
	from_vgem = sha256_of_descriptor(dmabuf, length);
	show_digest("through vgem's descriptor", &from_vgem);
	must(from_disk.length == from_vgem.length &&
	     !memcmp(from_disk.bytes, from_vgem.bytes, from_disk.length),
	     "vgem returned other bytes");

	close(dmabuf);
	vgem_forget(vgem, handle);
	wait_for_used(mem, used_before);
	printf("  vgem forgot the buffer, and its memory is free again.\n");
	return 0;
}
