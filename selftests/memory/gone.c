// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that goes while programs use it: a PCI device's, when its driver is unbound. See
 * MEMALLOC_MEMORY_CAN_GO. The device and its BAR are in MEMALLOC_BAR, as CREATE takes them.
 */
#include "control.h"
#include "dmaheap.h"
#include "drivers.h"
#include "pins.h"

#include <pthread.h>

#define LENGTH		(8 * MIB)
#define BUFFER		(64 * PAGE)

FIXTURE(gone) {
	int control;
	int fd;
	struct memalloc_alloc buffer;
	char *map;
};

/* Writes the device's address into that file of the driver's folder in sysfs. */
static int write_address(const char *file)
{
	char path[128], address[32];

	snprintf(address, sizeof(address), "%.*s", (int)strcspn(getenv("MEMALLOC_BAR"), "/"),
		 getenv("MEMALLOC_BAR"));
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/memalloc/%s", file);
	return write_file(path, address);
}

/* Returns when nobody holds memory of the device any more. */
static int unbind(void)
{
	return write_address("unbind");
}

static int create_on_device(int control)
{
	struct memalloc_create create = region_called(region_name(), LENGTH);

	strcpy((char *)create.source, "pci");
	snprintf((char *)create.bar, sizeof(create.bar), "%s", getenv("MEMALLOC_BAR"));
	return call(control, MEMALLOC_CONTROL_CREATE, &create);
}

/* Of what the test holds, the child keeps nothing. */
static pid_t unbind_in_child(void)
{
	pid_t child = fork_child();

	if (!child) {
		close_range(3, ~0U, 0);
		_exit(unbind() != 0);
	}
	return child;
}

/* And has unbound the device. */
static bool has_ended(pid_t child)
{
	int status;

	return waitpid(child, &status, WNOHANG) == child && !status;
}

FIXTURE_SETUP(gone)
{
	self->control = open_control();
	ASSERT_LE(0, self->control);
	ASSERT_EQ(0, create_on_device(self->control));
	self->fd = open_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, alloc_buffer(self->fd, BUFFER, &self->buffer));
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	self->map[0] = 1;
}

/* The device is bound again where a test has unbound it, by the next CREATE. */
FIXTURE_TEARDOWN(gone)
{
	munmap(self->map, BUFFER);
	close(self->fd);
	EXPECT_TRUE(WAIT_UNTIL(destroy_region(self->control, region_name()) == -ENOENT));
}

TEST_F(gone, info_says_that_it_can)
{
	struct memalloc_info info;

	ASSERT_EQ(0, get_info(self->fd, &info));
	EXPECT_TRUE(info.memory & MEMALLOC_MEMORY_CAN_GO);
	EXPECT_STREQ("pci", (char *)info.source);
}

TEST_F(gone, calls_say_enodev)
{
	struct memalloc_alloc another;
	struct memalloc_info info;
	int heap = open_dmaheap();

	ASSERT_LE(0, heap);
	ASSERT_EQ(0, unbind());
	EXPECT_EQ(-ENODEV, get_info(self->fd, &info));
	EXPECT_EQ(-ENODEV, alloc_buffer(self->fd, PAGE, &another));
	EXPECT_EQ(-ENODEV, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(-ENODEV, export_buffer(self->fd, self->buffer.handle, O_RDWR));
	EXPECT_EQ(-ENODEV, dmaheap_alloc(heap, PAGE, O_RDWR));
	EXPECT_EQ(-ENODEV, map_errno(self->fd, self->buffer.mmap_offset, PAGE, PROT_READ));
}

TEST_F(gone, mappings_say_sigbus)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR);
	int zero = open("/dev/zero", O_RDONLY);
	char *shared;

	ASSERT_LE(0, zero);
	ASSERT_LE(0, dmabuf);
	shared = map_at(dmabuf, 0, BUFFER, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)shared);
	shared[0] = 2;
	EXPECT_EQ(0, touch_signal(self->map, true));
	ASSERT_EQ(0, unbind());
	/* What was touched before, and what was not; also by the kernel. */
	EXPECT_EQ(-1, read(zero, self->map, PAGE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(SIGBUS, touch_signal(self->map, true));
	EXPECT_EQ(SIGBUS, touch_signal(self->map + BUFFER - PAGE, false));
	EXPECT_EQ(SIGBUS, touch_signal(shared, false));
	EXPECT_EQ(MAP_FAILED, map_at(dmabuf, 0, BUFFER, PROT_READ));
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(gone, nodes_go_at_once)
{
	ASSERT_EQ(0, unbind());
	EXPECT_EQ(-ENOENT, open_device());
	EXPECT_EQ(-ENOENT, open_dmaheap());
	EXPECT_EQ(-1, access(ATTRIBUTE("size"), F_OK));
	EXPECT_EQ(-ENOENT, destroy_region(self->control, region_name()));
}

/* Whoever still has the old region open keeps nobody from making the new one. */
TEST_F(gone, another_is_made_at_once)
{
	struct memalloc_alloc all;
	struct memalloc_info info;
	char *map;
	int fd;

	memset(self->map, 0x5a, BUFFER);
	ASSERT_EQ(0, unbind());
	ASSERT_EQ(0, create_on_device(self->control));
	fd = open_device();
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENODEV, get_info(self->fd, &info));
	EXPECT_EQ(0, get_info(fd, &info));
	ASSERT_EQ(0, alloc_buffer(fd, LENGTH, &all));
	map = map_buffer(fd, &all);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(LENGTH, first_nonzero(map, LENGTH));
	EXPECT_EQ(SIGBUS, touch_signal(self->map, false));
	munmap(map, LENGTH);
	close(fd);
}

/* The kernel would go on using its mapping. */
TEST_F(gone, the_kernel_maps_none)
{
	int camera = open_vivid(VIVID, V4L2_CAP_VIDEO_CAPTURE);
	struct v4l2_requestbuffers request = {
		.count = 1,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};
	struct v4l2_format format = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};
	struct memalloc_alloc picture;

	ASSERT_LE(0, camera);
	ASSERT_EQ(0, call(camera, VIDIOC_G_FMT, &format));
	ASSERT_EQ(0, alloc_buffer(self->fd, format.fmt.pix.sizeimage, &picture));
	buffer.m.fd = export_buffer(self->fd, picture.handle, O_RDWR);
	ASSERT_LE(0, buffer.m.fd);
	ASSERT_EQ(0, call(camera, VIDIOC_REQBUFS, &request));
	EXPECT_NE(0, call(camera, VIDIOC_QBUF, &buffer));
	close(camera);
	ASSERT_EQ(0, unbind());
}

/* An address that was told keeps a block only as long as there is a call to release it. */
TEST_F(gone, told_addresses_keep_nothing)
{
	struct memalloc_query query;
	int other = open_device();
	struct memalloc_alloc closed;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, alloc_buffer(other, PAGE, &closed));
	ASSERT_EQ(0, query_physical(other, closed.handle, &query));
	close(other);
	ASSERT_EQ(0, query_physical(self->fd, self->buffer.handle, &query));
	ASSERT_EQ(0, unbind());
	/* What would be kept, keeps the module: the end of boots/pci.sh unloads it. */
}

TEST_F(gone, others_stay)
{
	struct memalloc_alloc buffer;
	int first = open("/dev/memalloc", O_RDWR);
	char *map;

	ASSERT_LE(0, first);
	ASSERT_EQ(0, alloc_buffer(first, BUFFER, &buffer));
	map = map_buffer(first, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	fill(map, BUFFER, 1);
	ASSERT_EQ(0, unbind());
	EXPECT_EQ(BUFFER, first_difference(map, BUFFER, 1));
	EXPECT_EQ(0, free_buffer(first, buffer.handle));
	close(first);
}

static pid_t client_in_child(int *ready)
{
	struct memalloc_alloc buffer;
	pid_t child;
	int pipes[2];
	char *map;
	int fd;

	if (pipe(pipes))
		return -1;
	child = fork_child();
	if (!child) {
		fd = open_device();
		if (fd < 0 || alloc_buffer(fd, BUFFER, &buffer))
			_exit(1);
		map = map_buffer(fd, &buffer);
		memset(map, 1, BUFFER);
		if (write(pipes[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	*ready = pipes[0];
	return child;
}

TEST_F(gone, users_can_be_killed_later)
{
	pid_t child;
	int ready;
	char byte;

	child = client_in_child(&ready);
	ASSERT_LT(0, child);
	ASSERT_EQ(1, read(ready, &byte, 1));
	ASSERT_EQ(0, unbind());
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
}

TEST_F(gone, pins_are_waited_for)
{
	struct pins pins = {};
	pid_t child;

	if (!memory_can(MEMALLOC_MEMORY_PAGES))
		SKIP(return, "no page of it can be pinned");
	ASSERT_EQ(0, pin_page(&pins, self->map));
	child = unbind_in_child();
	ASSERT_LT(0, child);
	/* It begins at once, and does not end. */
	EXPECT_TRUE(WAIT_UNTIL(touch_signal(self->map, false) == SIGBUS));
	sleep_ms(300);
	EXPECT_EQ(-ENODEV, create_on_device(self->control));
	EXPECT_FALSE(has_ended(child));
	unpin(&pins, 0, 1);
	EXPECT_TRUE(WAIT_UNTIL(has_ended(child)));
}

TEST_F(gone, pins_in_quarantine_are_waited_for)
{
	struct pins pins = {};
	pid_t child;

	if (!memory_can(MEMALLOC_MEMORY_PAGES))
		SKIP(return, "no page of it can be pinned");
	ASSERT_EQ(0, leave_pinned(self->fd, &pins, BUFFER, true));
	child = unbind_in_child();
	ASSERT_LT(0, child);
	EXPECT_TRUE(WAIT_UNTIL(touch_signal(self->map, false) == SIGBUS));
	sleep_ms(300);
	EXPECT_FALSE(has_ended(child));
	unpin(&pins, 0, 1);
	EXPECT_TRUE(WAIT_UNTIL(has_ended(child)));
}

TEST_F(gone, devices_are_waited_for)
{
	int card, dmabuf, late;
	__s64 handle;
	pid_t child;

	if (!memory_can(MEMALLOC_MEMORY_PAGES))
		SKIP(return, "no device can be attached");
	card = open_vgem();
	dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR);
	late = export_buffer(self->fd, self->buffer.handle, O_RDWR);
	ASSERT_LE(0, card);
	ASSERT_LE(0, dmabuf);
	ASSERT_LE(0, late);
	handle = prime_import(card, dmabuf);
	ASSERT_LT(0, handle);
	child = unbind_in_child();
	ASSERT_LT(0, child);
	EXPECT_TRUE(WAIT_UNTIL(touch_signal(self->map, false) == SIGBUS));
	sleep_ms(300);
	EXPECT_FALSE(has_ended(child));
	EXPECT_EQ(-ENODEV, prime_import(card, late));
	EXPECT_EQ(0, gem_close(card, handle));
	EXPECT_TRUE(WAIT_UNTIL(has_ended(child)));
}

/* A new buffer, written to by a system call: that says EFAULT when the memory goes, not SIGBUS. */
static int use_buffer(int fd)
{
	struct memalloc_alloc buffer;
	int zero = open("/dev/zero", O_RDONLY);
	int err = alloc_buffer(fd, BUFFER, &buffer);
	char *map;

	if (!err) {
		map = map_buffer(fd, &buffer);
		if (map == MAP_FAILED || read(zero, map, BUFFER) != (ssize_t)BUFFER)
			err = -errno;
		if (map != MAP_FAILED)
			munmap(map, BUFFER);
		free_buffer(fd, buffer.handle);
	}
	close(zero);
	return err;
}

/* In whichever region has the name, until it is told to stop. */
static void *use_region(void *stop)
{
	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
		int fd = open_device(), n;

		for (n = 0; fd >= 0 && n < 20; n++) {
			if (use_buffer(fd))
				break;
		}
		if (fd >= 0)
			close(fd);
		sleep_ms(1);
	}
	return NULL;
}

TEST_F(gone, in_the_middle_of_everything)
{
	pthread_t threads[3];
	bool stop = false;
	size_t i;
	int n;

	for (i = 0; i < ARRAY_SIZE(threads); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, use_region, &stop));
	for (n = 0; n < 10; n++) {
		sleep_ms(30);
		EXPECT_EQ(0, unbind());
		EXPECT_EQ(0, create_on_device(self->control));
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, unbind());
}

/* An administrator who makes and destroys the region meanwhile is told what has happened. */
static void *make_and_destroy(void *stop)
{
	int control = open_control();

	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
		create_on_device(control);
		destroy_region(control, region_name());
	}
	close(control);
	return NULL;
}

TEST_F(gone, in_the_middle_of_create_and_destroy)
{
	pthread_t thread;
	bool stop = false;
	int n, err;

	ASSERT_EQ(0, pthread_create(&thread, NULL, make_and_destroy, &stop));
	for (n = 0; n < 20; n++) {
		sleep_ms(10);
		err = unbind();
		/* It is not bound at this moment. */
		EXPECT_TRUE(!err || err == -ENODEV);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	err = unbind();
	EXPECT_TRUE(!err || err == -ENODEV);
}

TEST_HARNESS_MAIN
