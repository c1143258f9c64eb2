// SPDX-License-Identifier: MIT
/* See udmabuf.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "udmabuf.h"

#define UDMABUF		"/dev/udmabuf"

bool udmabuf_is_there(void)
{
	int fd = open(UDMABUF, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int udmabuf_create(int memfd, uint64_t offset, uint64_t length)
{
	const struct udmabuf_create create = {
		.memfd = memfd,
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.offset = offset,
		.size = length,
	};
	int device, dmabuf;

	device = open(UDMABUF, O_RDWR | O_CLOEXEC);
	if (device < 0)
		return errno == EMFILE || errno == ENFILE ? -errno : -EOPNOTSUPP;
	dmabuf = ioctl(device, UDMABUF_CREATE, &create);
	if (dmabuf < 0)
		dmabuf = errno == EINVAL ? -EOPNOTSUPP : -errno;
	close(device);
	return dmabuf;
}

bool udmabuf_is_shared(int dmabuf)
{
	char path[40], line[80];
	long count = 2;
	FILE *file;

	/* Not "self", which is the first thread, and that may have ended. */
	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", dmabuf);
	file = fopen(path, "re");
	if (!file)
		return true;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "count: %ld", &count) == 1)
			break;
	fclose(file);
	return count > 1;
}
