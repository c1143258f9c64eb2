// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker guesses: handles, mmap offsets and descriptors of others, handles that he
 * freed, and handles that another thread of his is just being given. He has the best of all
 * guesses, the right ones. None of them gets him anything: whatever is not a handle of the
 * client, or is not yet or no longer one, answers ENOENT to every call.
 */
#include "hostile.h"

FIXTURE(guess) {
	struct scene scene;
};

FIXTURE_SETUP(guess)
{
	ASSERT_EQ(0, begin_scene(&self->scene));
	ASSERT_EQ(0, as_user(MALLORY));
}

FIXTURE_TEARDOWN(guess)
{
	EXPECT_STREQ("", end_scene(&self->scene));
}

/* Which call answers something else; "": none. */
static const char *call_that_knows(int fd, __u32 handle)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(handle_calls); i++)
		if (handle_calls[i].make(fd, handle) != -ENOENT)
			return handle_calls[i].name;
	return "";
}

#define EXPECT_UNKNOWN(fd, handle)					\
do {									\
	__u32 tried = handle;						\
									\
	EXPECT_STREQ("", call_that_knows(fd, tried))			\
		TH_LOG("handle %#x", tried);				\
} while (0)

TEST_F_TIMEOUT(guess, handles, 300)
{
	const struct bystander *b = self->scene.bystander;
	const int fd = self->scene.mallory;
	struct memalloc_alloc buffer;
	unsigned int bit, i;
	__u64 random = 1;

	/* Each client counts from 1 on: his own first handle is one of theirs, too. */
	ASSERT_EQ(0, alloc_buffer(fd, PAGE, &buffer));
	ASSERT_EQ(0, free_buffer(fd, buffer.handle));
	for (i = 0; i < KEPT; i++)
		EXPECT_UNKNOWN(fd, b->buffers[i].handle);
	for (i = 0; i < 2000; i++)
		EXPECT_UNKNOWN(fd, i);
	for (i = 0; i < 2000; i++)
		EXPECT_UNKNOWN(fd, random_below(&random, UINT32_MAX));
	for (bit = 0; bit < 32; bit++) {
		EXPECT_UNKNOWN(fd, 1U << bit);
		EXPECT_UNKNOWN(fd, -(1U << bit));
		EXPECT_UNKNOWN(fd, buffer.handle ^ 1U << bit);
	}
}

/* As many as he likes have been freed, and their memory is somebody else's by now. */
TEST_F_TIMEOUT(guess, freed_handles, 300)
{
	const int fd = self->scene.mallory, other = open_device();
	struct memalloc_alloc buffers[200], theirs;
	unsigned int i, round;

	ASSERT_LE(0, other);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(buffers); i++)
			ASSERT_EQ(0, alloc_buffer(fd, PAGE * (1 + i % 5), &buffers[i]));
		for (i = 0; i < ARRAY_SIZE(buffers); i++)
			ASSERT_EQ(0, free_buffer(fd, buffers[i].handle));
		for (i = 0; i < ARRAY_SIZE(buffers); i++)
			ASSERT_EQ(0, alloc_buffer(other, PAGE * (1 + i % 5), &theirs));
		for (i = 0; i < ARRAY_SIZE(buffers); i++) {
			EXPECT_UNKNOWN(fd, buffers[i].handle);
			EXPECT_EQ(-ENOENT, map_errno(fd, buffers[i].mmap_offset, PAGE, PROT_READ));
		}
	}
	close(other);
}

/* Offsets are the device's, not the client's: those of others are known, but of no use. */
TEST_F_TIMEOUT(guess, offsets, 300)
{
	const struct bystander *b = self->scene.bystander;
	const int fd = self->scene.mallory;
	const unsigned int page_bits = __builtin_ctzl(PAGE);
	__u64 base, random = 1, tried = 0;
	unsigned int bit, i;

	for (i = 0; i < KEPT; i++) {
		base = b->buffers[i].mmap_offset;
		EXPECT_EQ(-ENOENT, map_errno(fd, base, b->buffers[i].real_length, PROT_READ));
		EXPECT_EQ(-ENOENT, map_errno(fd, base, PAGE, PROT_READ | PROT_WRITE));
		EXPECT_EQ(-ENOENT, map_errno(fd, base + b->buffers[i].real_length - PAGE, PAGE,
					     PROT_READ));
		/* Where his neighbours of that size are: the bystander's other buffers, too. */
		for (bit = 0; bit < 512; bit++, tried++)
			ASSERT_EQ(-ENOENT, map_errno(fd, (base ^ bit * PAGE), PAGE, PROT_READ));
		for (bit = page_bits; bit < 62; bit++, tried++)
			ASSERT_EQ(-ENOENT, map_errno(fd, base ^ 1ULL << bit, PAGE, PROT_READ));
	}
	for (i = 0; i < 2000; i++, tried++) {
		base = ((__u64)random_below(&random, 1 << 30)) << (page_bits + i % 20);
		ASSERT_EQ(-ENOENT, map_errno(fd, base & INT64_MAX, PAGE, PROT_READ));
	}
	TH_LOG("%llu offsets tried", tried);
}

/* What is no dma-buf of this device is none, whatever it is. */
TEST_F(guess, descriptors)
{
	struct memalloc_import import;
	int fd, err;

	for (fd = -2000; fd < 2000; fd++) {
		err = import_buffer(self->scene.mallory, fd, 0, &import);
		EXPECT_EQ(fcntl(fd, F_GETFD) < 0 ? -EBADF : -EINVAL, err)
			TH_LOG("descriptor %d", fd);
	}
}

/* One thread allocates, the other one frees what that will be given next. */
struct thief {
	int fd;
	__u32 next;		/* the handle that comes next */
	bool stop;
	unsigned long freed;
	int wrong;		/* the answer that should not have been */
};

static void *steal(void *data)
{
	struct thief *thief = data;
	int err;

	while (!GET(thief->stop)) {
		err = free_buffer(thief->fd, GET(thief->next));
		thief->freed += !err;
		if (err && err != -ENOENT)
			thief->wrong = err;
	}
	return NULL;
}

TEST_F_TIMEOUT(guess, handles_that_come_next, 300)
{
	struct thief thief = { .fd = self->scene.mallory, .next = 1 };
	const unsigned int rounds = 20000 / self->scene.slow;
	struct memalloc_alloc buffer, *read_only;
	unsigned long stolen = 0;
	struct memalloc_limits limits;
	unsigned int i;
	pthread_t id;
	int err;

	/* Half of the time it can't be told: then it never was anybody's. */
	read_only = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)read_only);
	*read_only = (struct memalloc_alloc){ .size = sizeof(*read_only), .length = PAGE };
	ASSERT_EQ(0, mprotect(read_only, PAGE, PROT_READ));
	ASSERT_EQ(0, pthread_create(&id, NULL, steal, &thief));
	for (i = 0; i < rounds; i++) {
		err = call(thief.fd, MEMALLOC_IOC_ALLOC, read_only);
		ASSERT_EQ(-EFAULT, err);
		SET(thief.next, thief.next + 1);
		err = alloc_buffer(thief.fd, PAGE, &buffer);
		ASSERT_EQ(0, err);
		ASSERT_EQ(thief.next, buffer.handle);
		err = free_buffer(thief.fd, buffer.handle);
		stolen += err == -ENOENT;
		ASSERT_TRUE(!err || err == -ENOENT);
		SET(thief.next, buffer.handle + 1);
	}
	SET(thief.stop, true);
	ASSERT_EQ(0, pthread_join(id, NULL));
	EXPECT_EQ(0, thief.wrong);
	EXPECT_EQ(stolen, thief.freed);
	TH_LOG("%lu of %u were freed by who guessed them", stolen, rounds);
	EXPECT_LT(0, stolen);
	ASSERT_EQ(0, get_limits(thief.fd, &limits));
	EXPECT_EQ(0, limits.client_buffers);
}

TEST_HARNESS_MAIN
