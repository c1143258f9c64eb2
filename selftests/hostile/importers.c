// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker has a dma-buf of somebody else's buffer, read-only, and a graphics card. The
 * kernel lets whoever has a dma-buf add fences to it (DMA_BUF_IOCTL_IMPORT_SYNC_FILE), and
 * whoever has it mapped hold pages of it; it does not ask the exporter. So he can make the
 * owner wait in SYNC, who can be interrupted; and keep the memory from coming back. But FREE
 * does not wait, the owner can do all else, and with the attacker goes all that.
 */
#define _GNU_SOURCE
#include "drivers.h"
#include "hostile.h"

#include <linux/dma-buf.h>
#include <sys/uio.h>

#define OWNER		61012
#define LENGTH		(256 * KIB)

/* The driver ends its fences after 10 s. */
#define FENCES		64

FIXTURE(importers) {
	struct scene scene;
	int owner;			/* a client of the owner's */
	struct memalloc_alloc buffer;	/* the owner's */
	pid_t mallory;
};

/* A fence of work that the card has only begun. It is told of its end when @card is closed. */
static int begin_work(int card, int dmabuf)
{
	__s64 object = create_dumb(card, PAGE);
	struct dma_buf_export_sync_file taken = { .flags = DMA_BUF_SYNC_RW };
	struct dma_buf_import_sync_file given = { .flags = DMA_BUF_SYNC_WRITE };
	__s64 fence = object < 0 ? object : card_begins(card, object, VGEM_FENCE_WRITE);
	int ret, exported;

	if (fence < 0)
		return fence;
	exported = prime_export(card, object);
	ret = call(exported, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &taken);
	given.fd = taken.fd;
	ret = ret ?: call(dmabuf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &given);
	close(exported);
	close(taken.fd);
	return ret;
}

/* What mallory does with a dma-buf, which is closed afterwards: 0 or a negative errno. */
typedef int (*deed)(int card, int dmabuf);

static int add_fences(int card, int dmabuf)
{
	int i, err = 0;

	for (i = 0; i < FENCES && !err; i++)
		err = begin_work(card, dmabuf);
	return err;
}

/* The first page is in a pipe, and mapped no more. */
static int hold_a_page(int card, int dmabuf)
{
	char *map = map_at(dmabuf, 0, LENGTH, PROT_READ);
	struct iovec byte = { map, 1 };
	int pipes[2];

	if (map == MAP_FAILED || pipe(pipes) || vmsplice(pipes[1], &byte, 1, 0) != 1)
		return -errno;
	return munmap(map, LENGTH) ? -errno : 0;
}

/* Mallory gets the owner's buffer, read-only, and does that; he stays until he is killed. */
static int let_mallory(FIXTURE_DATA(importers) * self, deed deed)
{
	int dmabuf = export_buffer(self->owner, self->buffer.handle, O_RDONLY);
	int done[2], card = open_vgem();
	char byte;

	if (dmabuf < 0 || card < 0 || pipe(done))
		return -ENODEV;
	self->mallory = fork_child();
	if (!self->mallory) {
		close(self->owner);
		if (become(MALLORY) || deed(card, dmabuf))
			_exit(1);
		close(dmabuf);
		if (write(done[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(card);
	close(dmabuf);
	close(done[1]);
	if (read(done[0], &byte, 1) != 1)
		return -EPROTO;
	close(done[0]);
	return 0;
}

static void stop_mallory(FIXTURE_DATA(importers) * self)
{
	if (self->mallory <= 0)
		return;
	kill(self->mallory, SIGKILL);
	waitpid(self->mallory, NULL, 0);
	self->mallory = 0;
}

static bool owner_is_charged(FIXTURE_DATA(importers) * self, __u64 bytes)
{
	struct memalloc_limits limits;

	return !get_limits(self->owner, &limits) && limits.user_bytes == bytes;
}

FIXTURE_SETUP(importers)
{
	ASSERT_EQ(0, begin_scene(&self->scene));
	self->owner = open_as(OWNER);
	ASSERT_LE(0, self->owner);
	ASSERT_EQ(0, alloc_buffer(self->owner, LENGTH, &self->buffer));
	ASSERT_EQ(0, map_errno(self->owner, self->buffer.mmap_offset, LENGTH,
			       PROT_READ | PROT_WRITE));
}

FIXTURE_TEARDOWN(importers)
{
	stop_mallory(self);
	free_buffer(self->owner, self->buffer.handle);
	EXPECT_TRUE(WAIT_UNTIL(owner_is_charged(self, 0)));
	close(self->owner);
	EXPECT_STREQ("", end_scene(&self->scene));
}

static void on_signal(int number)
{
}

/* The owner in a child, which a SIGUSR1 does not kill: its exit status is the errno of SYNC. */
static pid_t start_sync(FIXTURE_DATA(importers) * self)
{
	const struct sigaction action = { .sa_handler = on_signal };
	pid_t child = fork_child();

	if (!child) {
		sigaction(SIGUSR1, &action, NULL);
		_exit(become(OWNER) ? 100 : -sync_range(self->owner, self->buffer.handle, 0, PAGE,
							MEMALLOC_SYNC_READ));
	}
	return child;
}

static bool waits(pid_t child)
{
	sleep_ms(300);
	return !waitpid(child, NULL, WNOHANG);
}

TEST_F(importers, sync_waits_and_ends_with_a_signal)
{
	pid_t interrupted, killed;

	ASSERT_EQ(0, let_mallory(self, add_fences));
	interrupted = start_sync(self);
	killed = start_sync(self);
	EXPECT_TRUE(waits(interrupted));
	EXPECT_TRUE(waits(killed));
	kill(interrupted, SIGUSR1);
	EXPECT_EQ(EINTR, wait_child_ms(interrupted, SERVICE_MS * self->scene.slow));
	kill(killed, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, wait_child_ms(killed, SERVICE_MS * self->scene.slow));
}

TEST_F(importers, sync_ends_with_the_attacker)
{
	pid_t child;

	ASSERT_EQ(0, let_mallory(self, add_fences));
	child = start_sync(self);
	EXPECT_TRUE(waits(child));
	stop_mallory(self);
	EXPECT_EQ(0, wait_child_ms(child, SERVICE_MS * self->scene.slow));
}

/* It has no dma-buf any more, but its size stays. */
TEST_F(importers, resize_does_not_wait)
{
	ASSERT_EQ(0, let_mallory(self, add_fences));
	EXPECT_EQ(-EBUSY, resize_buffer(self->owner, self->buffer.handle, PAGE));
	stop_mallory(self);
	EXPECT_TRUE(WAIT_UNTIL(!resize_buffer(self->owner, self->buffer.handle, PAGE)));
	EXPECT_TRUE(owner_is_charged(self, PAGE));
}

/* In a child, which would hang. */
static int free_in_time(FIXTURE_DATA(importers) * self)
{
	pid_t child = fork_child();

	if (!child)
		_exit(become(OWNER) ? 100 : -free_buffer(self->owner, self->buffer.handle));
	return wait_child_ms(child, SERVICE_MS * self->scene.slow);
}

/* What is freed stays charged as long as a device may still write to it, and no longer. */
TEST_F(importers, free_does_not_wait)
{
	struct memalloc_alloc buffer;

	ASSERT_EQ(0, let_mallory(self, add_fences));
	ASSERT_EQ(0, free_in_time(self));
	EXPECT_EQ(LENGTH, quarantined_bytes(self->scene.fd));
	EXPECT_TRUE(owner_is_charged(self, LENGTH));
	/* What others hold of him does not keep him from getting more. */
	ASSERT_EQ(0, alloc_buffer(self->owner, LENGTH, &buffer));
	EXPECT_TRUE(owner_is_charged(self, 2 * LENGTH));
	ASSERT_EQ(0, free_buffer(self->owner, buffer.handle));
	EXPECT_TRUE(owner_is_charged(self, LENGTH));

	stop_mallory(self);
	EXPECT_TRUE(WAIT_UNTIL(owner_is_charged(self, 0)));
	EXPECT_EQ(0, quarantined_bytes(self->scene.fd));
}

/* Of what is held by pages, only these. */
TEST_F(importers, page_stays_charged_until_it_is_let_go)
{
	ASSERT_EQ(0, let_mallory(self, hold_a_page));
	EXPECT_EQ(0, wait_child_ms(start_sync(self), SERVICE_MS * self->scene.slow));
	ASSERT_EQ(0, free_in_time(self));
	EXPECT_EQ(PAGE, quarantined_bytes(self->scene.fd));
	EXPECT_TRUE(owner_is_charged(self, PAGE));
	stop_mallory(self);
	EXPECT_TRUE(WAIT_UNTIL(owner_is_charged(self, 0)));
}

/* Who gets what mallory has freed, on his CPU, has nothing to do with what mallory began. */
TEST_F(importers, fences_end_with_their_buffer)
{
	int mallory = open_as(MALLORY), card = open_vgem(), dmabuf;
	struct memalloc_alloc his, buffer;

	ASSERT_EQ(0, run_on(0));
	ASSERT_LE(0, mallory);
	ASSERT_LE(0, card);
	ASSERT_EQ(0, alloc_buffer(mallory, 2 * PAGE, &his));
	dmabuf = export_buffer(mallory, his.handle, O_RDWR);
	ASSERT_EQ(0, begin_work(card, dmabuf));
	close(dmabuf);
	ASSERT_EQ(0, free_buffer(mallory, his.handle));

	ASSERT_EQ(0, alloc_buffer(self->owner, 2 * PAGE, &buffer));
	EXPECT_EQ(his.mmap_offset, buffer.mmap_offset);
	EXPECT_EQ(0, resize_buffer(self->owner, buffer.handle, PAGE));
	EXPECT_EQ(0, free_buffer(self->owner, buffer.handle));
	close(card);
	close(mallory);
}

TEST_HARNESS_MAIN
