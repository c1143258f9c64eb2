// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module is unloaded in a loop while clients come and go, and leave behind mappings,
 * dma-bufs, or pages that a pipe holds. Unloading is refused as long as there is anything,
 * and what there is stays right; it succeeds between clients, and then the device is
 * gone until the module is loaded again. Some clients are killed. That the last one may
 * be in the middle of munmap() is in unload.c.
 */
#include "dmaheap.h"
#include "hostile.h"

#include <sys/syscall.h>
#include <sys/uio.h>

#define CLIENTS	3
#define LENGTH	(64 * KIB)

FIXTURE(unloaded) {
	const char *module;
	char size[64];		/* as it is loaded to begin with, and in the end */
};

/* 0 or a negative errno. */
static int load(const char *file, const char *parameters)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	int ret = syscall(SYS_finit_module, fd, parameters, 0) ? -errno : 0;

	close(fd);
	return ret;
}

static int unload(void)
{
	return syscall(SYS_delete_module, "memalloc", O_NONBLOCK) ? -errno : 0;
}

FIXTURE_SETUP(unloaded)
{
	struct memalloc_info info;
	int fd = open_idle_device();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, get_info(fd, &info));
	close(fd);
	self->module = getenv("MEMALLOC_KO");
	ASSERT_NE(NULL, self->module);
	snprintf(self->size, sizeof(self->size), "size=%llu", info.region_length);
	ASSERT_TRUE(WAIT_UNTIL(!unload()));
	ASSERT_EQ(0, load(self->module, "size=16M"));
}

FIXTURE_TEARDOWN(unloaded)
{
	EXPECT_TRUE(WAIT_UNTIL(!unload()));
	EXPECT_EQ(0, load(self->module, self->size));
}

/*
 * The device is there or it is not; and for a moment it is not for everybody: the kernel makes
 * the node before it lets the group write.
 */
static bool is_gone(int err)
{
	return err == -ENOENT || err == -ENODEV || err == -ENXIO || err == -EACCES;
}

/* Leave the device but for one thing, look at that for a while, and go: an exit status. */
static int visit(__u64 *random)
{
	const int what = random_below(random, 5);
	int fd = open_device(), dmabuf, pipes[2], figure, wrong = 0;
	struct memalloc_alloc buffer;
	struct iovec page;
	char *map, bytes[PAGE];

	if (fd < 0)
		return is_gone(fd) ? 0 : 1;
	if (alloc_buffer(fd, LENGTH, &buffer) || pipe(pipes))
		return 2;
	map = map_buffer(fd, &buffer);
	if (map == MAP_FAILED)
		return 3;
	fill(map, LENGTH, what);
	dmabuf = export_buffer(fd, buffer.handle, O_RDWR | O_CLOEXEC);
	if (dmabuf < 0)
		return 4;
	page = (struct iovec){ map, PAGE };
	if (what == 1 && vmsplice(pipes[1], &page, 1, 0) != (ssize_t)PAGE)
		return 5;

	if (what != 2)
		close(dmabuf);
	if (what != 3)
		close(fd);
	if (what != 4)
		munmap(map, LENGTH);
	usleep(random_below(random, 3000));
	switch (what) {
	case 1:
		if (read(pipes[0], bytes, PAGE) != (ssize_t)PAGE ||
		    first_difference(bytes, PAGE, what) != PAGE)
			wrong = 6;
		break;
	case 2:
		map = map_at(dmabuf, 0, LENGTH, PROT_READ);
		close(dmabuf);
		if (map == MAP_FAILED || first_difference(map, LENGTH, what) != LENGTH)
			wrong = 7;
		munmap(map, LENGTH);
		break;
	case 3:
		if (query_errno(fd, buffer.handle))
			wrong = 8;
		close(fd);
		break;
	case 4:
		if (first_difference(map, LENGTH, what) != LENGTH)
			wrong = 9;
		munmap(map, LENGTH);
		break;
	}
	close(pipes[0]);
	close(pipes[1]);

	/* What else there is of the module. */
	figure = open(ATTRIBUTE("largest_free"), O_RDONLY);
	if (figure >= 0 && read(figure, bytes, PAGE) < 0 && !is_gone(-errno))
		wrong = 10;
	close(figure);
	fd = open_dmaheap();
	if (fd >= 0)
		close(fd);
	else if (!is_gone(fd))
		wrong = 11;
	return wrong;
}

static pid_t begin_to_visit(unsigned int number)
{
	__u64 random = number + 1;
	pid_t child = fork_child();
	int wrong = 0;

	if (child)
		return child;
	if (become(MALLORY))
		_exit(12);
	while (!wrong) {
		wrong = visit(&random);
		usleep(random_below(&random, 20000));
	}
	_exit(wrong);
}

TEST_F_TIMEOUT(unloaded, while_clients_come_and_go, 600)
{
	const unsigned int wanted = slowness() > 1 ? 8 : 25;
	unsigned int i, begun = 0, done = 0, refused = 0;
	pid_t children[CLIENTS];
	int err;

	for (i = 0; i < CLIENTS; i++)
		children[i] = begin_to_visit(begun++);
	while (done < wanted) {
		err = unload();
		ASSERT_TRUE(!err || err == -EAGAIN || err == -EBUSY);
		done += !err;
		refused += !!err;
		if (!err)
			ASSERT_EQ(0, load(self->module, "size=16M"));
		usleep(1000);
		if ((done + refused) % 20)
			continue;
		i = begun % CLIENTS;
		kill(children[i], SIGKILL);
		ASSERT_EQ(128 + SIGKILL, wait_child(children[i]));
		children[i] = begin_to_visit(begun++);
	}
	for (i = 0; i < CLIENTS; i++) {
		kill(children[i], SIGKILL);
		EXPECT_EQ(128 + SIGKILL, wait_child(children[i]));
	}
	TH_LOG("unloaded %u times, refused %u times, %u clients", done, refused, begun);
	EXPECT_LT(0, refused);
}

TEST_HARNESS_MAIN
