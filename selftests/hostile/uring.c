// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker has io_uring read from a slow disk into a buffer, and unmaps and frees that
 * while the reads are under way; or is killed. The pages stay his until the disk is through
 * with them, he pays for them, and nobody gets them. So it is with pages that he registers with
 * io_uring, to keep them for as long as he likes.
 */
#include "slow_disk.h"
#include "hostile.h"

#include <liburing.h>

/* As much as the disk reads at once: what the kernel has to split, it begins later. */
#define PIECE	(256 * KIB)
#define PIECES	16
#define LENGTH	(PIECES * PIECE)
#define OTHERS	16
#define THEIRS	MIB

FIXTURE(uring) {
	struct scene scene;
	struct memalloc_alloc buffer;
	struct io_uring ring;
	int disk;
};

FIXTURE_SETUP(uring)
{
	ASSERT_EQ(0, begin_scene(&self->scene));
	self->disk = open(DISK, O_RDONLY | O_DIRECT);
	ASSERT_LE(0, self->disk);
	ASSERT_EQ(0, slow_disk_down(self->disk, LENGTH / 3));
	ASSERT_EQ(0, as_user(MALLORY));
}

FIXTURE_TEARDOWN(uring)
{
	close(self->disk);
	EXPECT_STREQ("", end_scene(&self->scene));
}

/* Nothing but the reads keeps the buffer afterwards. */
static int read_and_free(FIXTURE_DATA(uring) * self, int fd)
{
	int i, err = io_uring_queue_init(PIECES, &self->ring, 0) ?:
		     alloc_buffer(fd, LENGTH, &self->buffer);
	char *map;

	if (err)
		return err;
	map = map_buffer(fd, &self->buffer);
	if (map == MAP_FAILED)
		return -errno;
	for (i = 0; i < PIECES; i++)
		io_uring_prep_read(io_uring_get_sqe(&self->ring), self->disk, map + i * PIECE,
				   PIECE, i * PIECE);
	if (io_uring_submit(&self->ring) != PIECES)
		return -EIO;
	munmap(map, LENGTH);
	return free_buffer(fd, self->buffer.handle);
}

/* Some of the buffer is still waited for, and charged to this client's user. */
static bool is_kept(int fd)
{
	struct memalloc_limits limits;
	struct memalloc_stats stats;

	return !get_stats(fd, &stats) && stats.quarantined && stats.quarantined <= LENGTH &&
	       !get_limits(fd, &limits) && limits.user_bytes && limits.user_bytes <= LENGTH;
}

/* What others have been given meanwhile. */
struct others {
	int fd;
	char *maps[OTHERS];
};

static int give_to_others(struct others *others)
{
	int i, err = as_user(BYSTANDER);
	struct memalloc_alloc buffer;

	others->fd = open_device();
	for (i = 0; i < OTHERS && !err; i++) {
		err = alloc_buffer(others->fd, THEIRS, &buffer);
		others->maps[i] = map_buffer(others->fd, &buffer);
		if (!err && others->maps[i] == MAP_FAILED)
			err = -errno;
	}
	return err ?: as_user(MALLORY);
}

/* They have seen nothing but zeros; what they had is given back. */
static bool others_saw_nothing(struct others *others)
{
	bool nothing = true;
	int i;

	for (i = 0; i < OTHERS; i++) {
		nothing &= first_nonzero(others->maps[i], THEIRS) == THEIRS;
		munmap(others->maps[i], THEIRS);
	}
	close(others->fd);
	return nothing;
}

TEST_F_TIMEOUT(uring, frees_what_is_read_into, 300)
{
	const int fd = self->scene.mallory;
	struct io_uring_cqe *cqe;
	struct others others;
	int i;

	ASSERT_EQ(0, read_and_free(self, fd));
	EXPECT_TRUE(is_kept(fd));
	ASSERT_EQ(0, give_to_others(&others));
	EXPECT_TRUE(is_kept(fd));
	for (i = 0; i < PIECES; i++) {
		ASSERT_EQ(0, io_uring_wait_cqe(&self->ring, &cqe));
		EXPECT_EQ(PIECE, cqe->res);
		io_uring_cqe_seen(&self->ring, cqe);
	}
	EXPECT_TRUE(others_saw_nothing(&others));
	EXPECT_TRUE(WAIT_UNTIL(is_charged_nothing(fd)));
	io_uring_queue_exit(&self->ring);
}

TEST_F_TIMEOUT(uring, is_killed_while_it_is_read_into, 300)
{
	struct others others;
	int ready[2];
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe(ready));
	child = fork_child();
	if (!child) {
		if (read_and_free(self, open_device()) || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	close(ready[0]);
	EXPECT_TRUE(is_kept(self->scene.mallory));
	kill(child, SIGKILL);
	ASSERT_EQ(0, give_to_others(&others));
	EXPECT_EQ(128 + SIGKILL, wait_child(child));
	EXPECT_TRUE(WAIT_UNTIL(is_charged_nothing(self->scene.mallory)));
	EXPECT_TRUE(others_saw_nothing(&others));
}

/* Older kernels register no memory of files: there, nothing is kept. */
TEST_F_TIMEOUT(uring, keeps_what_is_registered, 300)
{
	const int fd = self->scene.mallory;
	struct iovec pages = { .iov_len = PIECE };
	struct io_uring_cqe *cqe;
	struct others others;
	int err;

	ASSERT_EQ(0, io_uring_queue_init(PIECES, &self->ring, 0));
	ASSERT_EQ(0, alloc_buffer(fd, PIECE, &self->buffer));
	pages.iov_base = map_buffer(fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, pages.iov_base);
	err = io_uring_register_buffers(&self->ring, &pages, 1);
	munmap(pages.iov_base, PIECE);
	ASSERT_EQ(0, free_buffer(fd, self->buffer.handle));
	if (err) {
		EXPECT_EQ(-EOPNOTSUPP, err);
	} else {
		EXPECT_TRUE(is_kept(fd));
		ASSERT_EQ(0, give_to_others(&others));
		io_uring_prep_read_fixed(io_uring_get_sqe(&self->ring), self->disk, pages.iov_base,
					 PIECE, 0, 0);
		ASSERT_EQ(1, io_uring_submit_and_wait(&self->ring, 1));
		ASSERT_EQ(0, io_uring_peek_cqe(&self->ring, &cqe));
		EXPECT_EQ(PIECE, cqe->res);
		EXPECT_TRUE(others_saw_nothing(&others));
		EXPECT_TRUE(is_kept(fd));
		EXPECT_EQ(0, io_uring_unregister_buffers(&self->ring));
	}
	EXPECT_TRUE(WAIT_UNTIL(is_charged_nothing(fd)));
	io_uring_queue_exit(&self->ring);
}

TEST_HARNESS_MAIN
