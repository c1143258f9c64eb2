// SPDX-License-Identifier: GPL-2.0-only
/*
 * The in-kernel API, as the example driver copier/copier.c uses it: a device, its driver, this
 * program and others share one buffer, and whoever has it keeps it.
 *
 * The boot loads the driver with its region, which has one range, and may have a second one.
 */
#include "control.h"
#include "copier/copier.h"
#include "handle_calls.h"

#include <glob.h>
#include <sys/syscall.h>

#define NAME		"copied"
#define LENGTH		(64 * KIB)
#define HALF		(LENGTH / 2)
#define PIECE		(5 * KIB)	/* more than the device takes at a time */
#define USER		61300
#define LIMIT		(4 * LENGTH)

static __attribute__((constructor)) void is_for_the_drivers_region(void)
{
	setenv("MEMALLOC_NODE", "memalloc-" NAME, 1);
}

FIXTURE(copier) {
	int fd;			/* a client of the region */
	int copier;
	char *map;		/* of the driver's buffer */
};

static int open_copier(void)
{
	int fd = open("/dev/copier", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The driver allocates; @payer: a client, or -1. */
static int alloc_by_driver(int copier, __u64 length, int payer)
{
	struct copier_alloc alloc = { .length = length, .payer = payer };

	return call(copier, COPIER_IOC_ALLOC, &alloc);
}

static int import_by_driver(int copier, int dmabuf)
{
	__s32 fd = dmabuf;

	return call(copier, COPIER_IOC_IMPORT, &fd);
}

static int export_by_driver(int copier)
{
	int fd = ioctl(copier, COPIER_IOC_EXPORT);

	return fd < 0 ? -errno : fd;
}

static int run(int copier, __u64 from, __u64 to, __u64 length)
{
	struct copier_run run = { .from = from, .to = to, .length = length };

	return call(copier, COPIER_IOC_RUN, &run);
}

static int fill_by_driver(int copier, __u64 offset, __u64 length, __u32 byte)
{
	struct copier_fill fill = { .offset = offset, .length = length, .byte = byte };

	return call(copier, COPIER_IOC_FILL, &fill);
}

static bool are_all(const char *bytes, size_t length, char byte)
{
	return *bytes == byte && !memcmp(bytes, bytes + 1, length - 1);
}

FIXTURE_SETUP(copier)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, no_limits());
	self->copier = open_copier();
	ASSERT_LE(0, self->copier);
	self->map = MAP_FAILED;
}

FIXTURE_TEARDOWN(copier)
{
	if (self->map != MAP_FAILED)
		munmap(self->map, LENGTH);
	if (self->copier >= 0)
		close(self->copier);
	EXPECT_TRUE(WAIT_UNTIL(is_idle(self->fd)));
	close(self->fd);
}

/* The driver has a buffer, and the program maps it. */
static int alloc_and_map(FIXTURE_DATA(copier) * self, int payer)
{
	int err = alloc_by_driver(self->copier, LENGTH, payer);

	if (err)
		return err;
	self->map = map_at(self->copier, 0, LENGTH, PROT_READ | PROT_WRITE);
	return self->map == MAP_FAILED ? -errno : 0;
}

TEST_F(copier, device_copies_what_the_program_wrote)
{
	ASSERT_EQ(0, alloc_and_map(self, -1));
	EXPECT_EQ(LENGTH, first_nonzero(self->map, LENGTH));
	fill(self->map, HALF, 1);
	ASSERT_EQ(0, run(self->copier, 0, HALF, PIECE));
	EXPECT_EQ(PIECE, first_difference(self->map + HALF, PIECE, 1));
	EXPECT_EQ(HALF - PIECE, first_nonzero(self->map + HALF + PIECE, HALF - PIECE));
	EXPECT_EQ(-EINVAL, run(self->copier, 0, LENGTH - PIECE + 1, PIECE));
	EXPECT_EQ(-EINVAL, run(self->copier, UINT64_MAX, 0, PIECE));
}

TEST_F(copier, driver_writes_by_the_kernels_mapping)
{
	ASSERT_EQ(0, alloc_and_map(self, -1));
	ASSERT_EQ(0, fill_by_driver(self->copier, PAGE - 1, PAGE + 2, 0x5a));
	EXPECT_EQ(0, self->map[PAGE - 2]);
	EXPECT_TRUE(are_all(self->map + PAGE - 1, PAGE + 2, 0x5a));
	EXPECT_EQ(0, self->map[2 * PAGE + 1]);
	EXPECT_EQ(-EINVAL, fill_by_driver(self->copier, LENGTH, 1, 1));
	EXPECT_EQ(-EINVAL, fill_by_driver(self->copier, 1, UINT64_MAX, 1));
}

TEST_F(copier, there_is_one_buffer)
{
	EXPECT_EQ(-ENXIO, run(self->copier, 0, 0, 1));
	EXPECT_EQ(-ENXIO, export_by_driver(self->copier));
	EXPECT_EQ(-ENXIO, map_errno(self->copier, 0, PAGE, PROT_READ));
	EXPECT_EQ(-EINVAL, alloc_by_driver(self->copier, 0, -1));
	/* The device reaches no more than 4 GiB. */
	EXPECT_EQ(-EINVAL, alloc_by_driver(self->copier, 8ULL << 30, -1));
	EXPECT_EQ(-EFBIG, alloc_by_driver(self->copier, 1ULL << 30, -1));
	ASSERT_EQ(0, alloc_by_driver(self->copier, LENGTH, -1));
	EXPECT_EQ(-EBUSY, alloc_by_driver(self->copier, LENGTH, -1));
}

TEST_F(copier, one_program_opens_it)
{
	EXPECT_EQ(-EBUSY, open_copier());
	close(self->copier);
	EXPECT_EQ(-1, open("/dev/copier", O_RDONLY));
	EXPECT_EQ(EACCES, errno);
	self->copier = open_copier();
	EXPECT_LE(0, self->copier);
}

TEST_F(copier, mappings_end_with_the_buffer)
{
	ASSERT_EQ(0, alloc_and_map(self, -1));
	EXPECT_EQ(-EINVAL, map_errno(self->copier, PAGE, LENGTH, PROT_READ));
	EXPECT_EQ(-EINVAL, map_errno(self->copier, LENGTH, PAGE, PROT_READ));
	EXPECT_EQ(0, map_errno(self->copier, LENGTH - PAGE, PAGE, PROT_READ));
}

/* What a program has, the device works on. */
TEST_F(copier, driver_imports)
{
	struct memalloc_alloc buffer;
	int dmabuf;

	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &buffer));
	self->map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	dmabuf = export_buffer(self->fd, buffer.handle, O_RDWR);
	ASSERT_LE(0, dmabuf);
	fill(self->map, HALF, 2);
	ASSERT_EQ(0, import_by_driver(self->copier, dmabuf));
	ASSERT_EQ(0, run(self->copier, 0, HALF, PIECE));
	EXPECT_EQ(PIECE, first_difference(self->map + HALF, PIECE, 2));
	/* The driver has a share. */
	close(dmabuf);
	EXPECT_EQ(-EBUSY, resize_buffer(self->fd, buffer.handle, PAGE));
	EXPECT_EQ(0, free_buffer(self->fd, buffer.handle));
}

TEST_F(copier, driver_imports_what_it_may)
{
	struct memalloc_alloc buffer;
	int dmabuf, part;

	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &buffer));
	EXPECT_EQ(-EBADF, import_by_driver(self->copier, -1));
	EXPECT_EQ(-EINVAL, import_by_driver(self->copier, self->fd));
	dmabuf = export_buffer(self->fd, buffer.handle, O_RDONLY);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(-EACCES, import_by_driver(self->copier, dmabuf));
	close(dmabuf);
	part = export_part(self->fd, buffer.handle, O_RDWR, PAGE, PAGE);
	ASSERT_LE(0, part);
	EXPECT_EQ(-EOPNOTSUPP, import_by_driver(self->copier, part));
	close(part);
	/* Nothing of all that has stayed. */
	EXPECT_EQ(0, resize_buffer(self->fd, buffer.handle, PAGE));
	EXPECT_EQ(0, free_buffer(self->fd, buffer.handle));
}

/* What the driver has, other clients get a handle for, with the same bytes. */
TEST_F(copier, driver_exports)
{
	struct memalloc_import import;
	char *map;
	int dmabuf;

	ASSERT_EQ(0, alloc_and_map(self, -1));
	fill(self->map, LENGTH, 3);
	dmabuf = export_by_driver(self->copier);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(FD_CLOEXEC, fcntl(dmabuf, F_GETFD));
	ASSERT_EQ(0, import_buffer(self->fd, dmabuf, 0, &import));
	close(dmabuf);
	close(self->copier);
	self->copier = -1;
	map = map_at(self->fd, import.mmap_offset, LENGTH, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(LENGTH, first_difference(map, LENGTH, 3));
	munmap(map, LENGTH);
	EXPECT_EQ(0, free_buffer(self->fd, import.handle));
	/* The program's mapping is one that keeps the buffer, too. */
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 3));
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
}

static __u64 charged_to(int fd)
{
	struct memalloc_limits limits;

	return get_limits(fd, &limits) ? UINT64_MAX : limits.user_bytes;
}

TEST_F(copier, client_pays_if_the_driver_says_so)
{
	int client;

	ASSERT_EQ(0, set_number("user_bytes", LIMIT));
	client = open_as(USER);
	ASSERT_LE(0, client);
	ASSERT_EQ(0, alloc_by_driver(self->copier, LENGTH, client));
	EXPECT_EQ(LENGTH, charged_to(client));
	/* Who pays may go first. */
	close(client);
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	client = open_as(USER);
	EXPECT_EQ(LENGTH, charged_to(client));
	close(self->copier);
	EXPECT_TRUE(WAIT_UNTIL(!charged_to(client)));
	self->copier = open_copier();
	EXPECT_EQ(0, set_limits(client, MEMALLOC_LIMITS_SET_BYTES, LENGTH, 0));
	ASSERT_EQ(0, as_user(USER));
	EXPECT_EQ(-EDQUOT, alloc_by_driver(self->copier, 2 * LENGTH, client));
	EXPECT_EQ(-EPERM, alloc_by_driver(self->copier, PAGE, -1));
	ASSERT_EQ(0, as_root());
	EXPECT_EQ(-EBADF, alloc_by_driver(self->copier, PAGE, 12345));
	EXPECT_EQ(-EINVAL, alloc_by_driver(self->copier, PAGE, self->copier));
	close(client);
	EXPECT_EQ(0, no_limits());
}

/* No limit holds for it, nor does root pay. */
TEST_F(copier, system_pays_else)
{
	ASSERT_EQ(0, set_number("user_bytes", LIMIT));
	ASSERT_EQ(0, set_number("client_bytes", LIMIT));
	ASSERT_EQ(0, set_effective(~(1U << CAP_SYS_RESOURCE)));
	ASSERT_EQ(0, alloc_by_driver(self->copier, 2 * LIMIT, -1));
	EXPECT_EQ(2 * LIMIT, used_bytes(self->fd));
	EXPECT_EQ(0, charged_to(self->fd));
	EXPECT_EQ(0, no_limits());
}

/* A device has it mapped: it stays, and what lies behind is not given out. */
TEST_F(copier, killed_while_the_device_works)
{
	struct memalloc_alloc buffer;
	int copier;
	pid_t child;

	close(self->copier);
	self->copier = -1;
	child = fork_child();
	if (!child) {
		copier = open_copier();
		if (copier < 0 || alloc_by_driver(copier, LENGTH, -1))
			_exit(1);
		while (!run(copier, 0, HALF, HALF))
			;
		_exit(2);
	}
	ASSERT_TRUE(WAIT_UNTIL(used_bytes(self->fd) == LENGTH));
	sleep_ms(150);
	kill(child, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, wait_child(child));
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &buffer));
	self->map = map_buffer(self->fd, &buffer);
	sleep_ms(300);
	EXPECT_EQ(LENGTH, first_nonzero(self->map, LENGTH));
	EXPECT_EQ(0, free_buffer(self->fd, buffer.handle));
}

/* The device has fixed addresses: a move would have it work on what is somebody else's. */
TEST_F(copier, mapped_buffers_do_not_move)
{
	struct memalloc_compact answer = { .size = sizeof(answer), .budget = UINT64_MAX };
	struct memalloc_import import;
	struct memalloc_alloc hole;
	__s64 place;
	int dmabuf;

	ASSERT_EQ(0, keep_ready(false));
	ASSERT_EQ(0, move_on_demand(false));
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &hole));
	ASSERT_EQ(0, alloc_and_map(self, -1));
	dmabuf = export_by_driver(self->copier);
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_buffer(self->fd, dmabuf, 0, &import));
	close(dmabuf);
	ASSERT_EQ(0, free_buffer(self->fd, hole.handle));
	fill(self->map, HALF, 4);
	place = offset_of_handle(self->fd, import.handle);
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_COMPACT, &answer));
	EXPECT_EQ(place, offset_of_handle(self->fd, import.handle));
	ASSERT_EQ(0, run(self->copier, 0, HALF, PIECE));
	EXPECT_EQ(PIECE, first_difference(self->map + HALF, PIECE, 4));
	/* Else it moves. */
	close(self->copier);
	self->copier = -1;
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_COMPACT, &answer));
	EXPECT_NE(place, offset_of_handle(self->fd, import.handle));
	EXPECT_EQ(HALF, first_difference(self->map, HALF, 4));
	EXPECT_EQ(0, free_buffer(self->fd, import.handle));
	EXPECT_EQ(0, keep_ready(true));
	EXPECT_EQ(0, move_on_demand(true));
}

/* While the driver holds the region. */
TEST_F(copier, region_stays)
{
	int control = open_control();

	ASSERT_LE(0, control);
	close(self->copier);
	close(self->fd);
	EXPECT_EQ(-EBUSY, destroy_region(control, NAME));
	EXPECT_EQ(-1, syscall(SYS_delete_module, "memalloc", O_NONBLOCK));
	EXPECT_EQ(EWOULDBLOCK, errno);
	self->fd = open_device();
	self->copier = open_copier();
	EXPECT_LE(0, self->fd);
	EXPECT_LE(0, self->copier);
	close(control);
}

/* A range in which a device has a buffer mapped is not given back. */
TEST_F(copier, range_stays)
{
	struct memalloc_shrink shrink = shrinking_of(NAME, 1);
	struct memalloc_info info;
	struct memalloc_alloc rest;
	int control = open_control();

	ASSERT_LE(0, control);
	ASSERT_EQ(0, move_on_demand(false));
	ASSERT_EQ(0, get_info(self->fd, &info));
	ASSERT_EQ(0, alloc_buffer(self->fd, info.range_lengths[0], &rest));
	ASSERT_EQ(1, grow_region(control, NAME, 4 * MIB));
	ASSERT_EQ(0, alloc_and_map(self, -1));
	fill(self->map, HALF, 5);
	ASSERT_EQ(0, free_buffer(self->fd, rest.handle));
	EXPECT_EQ(-EBUSY, call(control, MEMALLOC_CONTROL_SHRINK, &shrink));
	EXPECT_EQ(LENGTH, shrink.mapped);
	ASSERT_EQ(0, run(self->copier, 0, HALF, PIECE));
	EXPECT_EQ(PIECE, first_difference(self->map + HALF, PIECE, 5));
	close(self->copier);
	self->copier = -1;
	EXPECT_EQ(0, shrink_region(control, NAME, 1));
	EXPECT_EQ(HALF, first_difference(self->map, HALF, 5));
	EXPECT_EQ(0, move_on_demand(true));
	close(control);
}

/* What its driver and programs have stays useful, but for the device. */
TEST_F(copier, device_goes_while_it_is_open)
{
	glob_t found;

	ASSERT_EQ(0, alloc_and_map(self, -1));
	fill(self->map, LENGTH, 6);
	ASSERT_EQ(0, glob("/sys/bus/pci/drivers/copier/*/remove", 0, NULL, &found));
	ASSERT_EQ(0, write_file(found.gl_pathv[0], "1"));
	EXPECT_EQ(-ENODEV, run(self->copier, 0, HALF, PIECE));
	EXPECT_EQ(-ENOENT, open_copier());
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 6));
	close(self->copier);
	self->copier = -1;
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 6));
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	/* The next test has it again. */
	ASSERT_EQ(0, write_file("/sys/bus/pci/rescan", "1"));
	EXPECT_TRUE(WAIT_UNTIL(!access("/dev/copier", F_OK)));
	globfree(&found);
}

TEST_HARNESS_MAIN
