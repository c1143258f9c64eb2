// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers are moved without pause, while processes write patterns to theirs and read them back, in
 * every way that there is, and are killed in the middle of it. No byte is ever wrong.
 */
#include "hostile.h"

#include <liburing.h>

#define WORKERS		4
#define SLOTS		20		/* buffers of a worker */
#define PAGES_MAX	64
#define ROOM		(16 * MIB)	/* of the region, for all of them */
#define DISK		"/dev/nvme0n1"
#define DISK_AT		(52 * MIB)	/* no other test reads there */
#define DISK_PART	MIB		/* of a worker */
#define MOVES_MIN	1000
#define ROUND_MS	100

static __attribute__((constructor)) void needs_memory_that_moves(void)
{
	skip_program_if(!memory_moves(), "buffers of this region can't be moved");
}

enum {
	BY_MAPPING,
	BY_DMABUF,
	BY_DISK,
	BY_RING,
	BY_FORK,
	BY_PIPE,
	BY_RESIZE,
	BY_ANOTHER_MAPPING,
	WAYS,
};

/* In memory that all share. */
struct tally {
	unsigned long rounds[WAYS];
	unsigned long moves;
	unsigned long held;		/* COMPACT calls that met held pages */
	bool stop;
	char wrong[64];
};

struct slot {
	struct memalloc_alloc buffer;
	char *map;			/* NULL: there is no buffer */
	size_t length;
	__u32 seed;
};

struct worker {
	int fd;
	int disk;
	off_t part;			/* of the disk */
	struct io_uring ring;
	struct slot slots[SLOTS];
	__u64 random;
};

FIXTURE(moves) {
	struct scene scene;
	struct tally *tally;
	struct memalloc_alloc rest;
	pid_t workers[WORKERS];
};

static bool is_whole_slot(const struct slot *slot)
{
	return first_difference(slot->map, slot->length, slot->seed) == slot->length;
}

static const char *fill_slot(struct worker *w, struct slot *slot)
{
	const unsigned int bits = random_below(&w->random, 7);

	slot->length = (1 + random_below(&w->random, 1 << bits)) * PAGE;
	/* There may be no room in one piece. */
	if (alloc_buffer(w->fd, slot->length, &slot->buffer))
		return "";
	slot->map = map_buffer(w->fd, &slot->buffer);
	if (slot->map == MAP_FAILED)
		return "mmap() failed";
	if (first_nonzero(slot->map, slot->length) != slot->length)
		return "a new buffer is not zero";
	slot->seed = random_below(&w->random, 1 << 30);
	fill(slot->map, slot->length, slot->seed);
	return "";
}

static const char *empty_slot(struct worker *w, struct slot *slot)
{
	munmap(slot->map, slot->length);
	slot->map = NULL;
	return free_buffer(w->fd, slot->buffer.handle) ? "FREE failed" : "";
}

static const char *write_by_dmabuf(struct worker *w, struct slot *slot)
{
	int dmabuf = export_buffer(w->fd, slot->buffer.handle, O_RDWR);
	char *map;

	if (dmabuf < 0)
		return "EXPORT failed";
	map = map_at(dmabuf, 0, slot->length, PROT_READ | PROT_WRITE);
	close(dmabuf);
	if (map == MAP_FAILED)
		return "mmap() of a dma-buf failed";
	fill(map, slot->length, ++slot->seed);
	munmap(map, slot->length);
	return "";
}

/* What the disk got is what was there, and what is read from it arrives. */
static const char *write_to_disk(struct worker *w, struct slot *slot)
{
	const size_t length = slot->length;

	if (pwrite(w->disk, slot->map, length, w->part) != (ssize_t)length)
		return "pwrite() failed";
	memset(slot->map, 0, length);
	if (pread(w->disk, slot->map, length, w->part) != (ssize_t)length)
		return "pread() failed";
	return "";
}

static bool ring_does(struct worker *w, struct slot *slot, bool write)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&w->ring);
	struct io_uring_cqe *cqe;
	bool done;

	if (write)
		io_uring_prep_write(sqe, w->disk, slot->map, slot->length, w->part);
	else
		io_uring_prep_read(sqe, w->disk, slot->map, slot->length, w->part);
	if (io_uring_submit_and_wait(&w->ring, 1) != 1 || io_uring_wait_cqe(&w->ring, &cqe))
		return false;
	done = cqe->res == (int)slot->length;
	io_uring_cqe_seen(&w->ring, cqe);
	return done;
}

static const char *write_by_ring(struct worker *w, struct slot *slot)
{
	if (!ring_does(w, slot, true))
		return "a write by io_uring failed";
	memset(slot->map, 0, slot->length);
	return ring_does(w, slot, false) ? "" : "a read by io_uring failed";
}

static const char *write_in_child(struct worker *w, struct slot *slot)
{
	pid_t child;

	slot->seed++;
	child = fork();
	if (!child) {
		fill(slot->map, slot->length, slot->seed);
		_exit(!is_whole_slot(slot));
	}
	return wait_child(child) ? "a child read something else" : "";
}

static const char *read_from_pipe(struct worker *w, struct slot *slot)
{
	struct iovec data = { slot->map + slot->length - PAGE, PAGE };
	const char *wrong = "";
	char copy[PAGE];
	int ends[2];

	if (pipe(ends))
		return "pipe() failed";
	if (vmsplice(ends[1], &data, 1, 0) != (ssize_t)PAGE)
		wrong = "vmsplice() failed";
	sched_yield();
	if (!*wrong && (read(ends[0], copy, PAGE) != (ssize_t)PAGE ||
			memcmp(copy, slot->map + slot->length - PAGE, PAGE)))
		wrong = "a pipe had something else";
	close(ends[0]);
	close(ends[1]);
	return wrong;
}

/* Shorter, and longer again if there is room: what is new is zero. */
static const char *resize_slot(struct worker *w, struct slot *slot)
{
	const size_t half = (slot->length / 2 + PAGE - 1) & -PAGE;

	if (resize_buffer(w->fd, slot->buffer.handle, half))
		return "RESIZE to less failed";
	if (first_difference(slot->map, half, slot->seed) != half)
		return "what RESIZE left is wrong";
	if (resize_buffer(w->fd, slot->buffer.handle, slot->length)) {
		munmap(slot->map + half, slot->length - half);
		slot->length = half;
		return "";
	}
	if (first_nonzero(slot->map + half, slot->length - half) != slot->length - half)
		return "what RESIZE added is not zero";
	fill(slot->map, slot->length, slot->seed);
	return "";
}

static const char *map_again(struct worker *w, struct slot *slot)
{
	char *map = map_at(w->fd, slot->buffer.mmap_offset, slot->length, PROT_READ | PROT_WRITE);

	if (map == MAP_FAILED)
		return "a second mmap() failed";
	munmap(slot->map, slot->length);
	slot->map = map;
	return "";
}

static const char *use_slot(struct worker *w, struct tally *tally)
{
	struct slot *slot = &w->slots[random_below(&w->random, SLOTS)];
	const unsigned int way = random_below(&w->random, 2 * WAYS);
	const char *wrong = "";

	if (!slot->map)
		return fill_slot(w, slot);
	if (!is_whole_slot(slot))
		return "a buffer has changed";
	switch (way) {
	case BY_MAPPING:
		fill(slot->map, slot->length, ++slot->seed);
		break;
	case BY_DMABUF:
		wrong = write_by_dmabuf(w, slot);
		break;
	case BY_DISK:
		wrong = write_to_disk(w, slot);
		break;
	case BY_RING:
		wrong = write_by_ring(w, slot);
		break;
	case BY_FORK:
		wrong = write_in_child(w, slot);
		break;
	case BY_PIPE:
		wrong = read_from_pipe(w, slot);
		break;
	case BY_RESIZE:
		wrong = resize_slot(w, slot);
		break;
	case BY_ANOTHER_MAPPING:
		wrong = map_again(w, slot);
		break;
	default:
		return empty_slot(w, slot);
	}
	if (!*wrong && !is_whole_slot(slot))
		wrong = "a buffer has changed by what was done with it";
	__atomic_fetch_add(&tally->rounds[way], 1, __ATOMIC_RELAXED);
	return wrong;
}

static const char *work(struct tally *tally, int number, __u64 random)
{
	struct worker w = {
		.part = DISK_AT + number * DISK_PART,
		.random = random,
	};
	const char *wrong = "";

	w.disk = open(DISK, O_RDWR | O_DIRECT);
	if (w.disk < 0 || become(MALLORY) || io_uring_queue_init(4, &w.ring, 0))
		return "it can't begin";
	w.fd = open_device();
	if (w.fd < 0)
		return "it can't open the device";
	while (!*wrong && !GET(tally->stop))
		wrong = use_slot(&w, tally);
	return wrong;
}

static pid_t begin_worker(FIXTURE_DATA(moves) * self, int number, __u64 random)
{
	struct tally *tally = self->tally;
	const char *wrong;
	pid_t child = fork_child();
	int error;

	if (child)
		return child;
	/* Who sees what is wrong is not killed for it. */
	wrong = work(tally, number, random);
	error = errno;
	if (*wrong) {
		snprintf(tally->wrong, sizeof(tally->wrong), "%s (errno %d)", wrong, error);
		SET(tally->stop, true);
	}
	_exit(0);
}

FIXTURE_SETUP(moves)
{
	struct memalloc_stats stats;
	int i;

	ASSERT_EQ(0, begin_scene(&self->scene));
	self->tally = mmap(NULL, sizeof(*self->tally), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->tally);
	ASSERT_EQ(0, get_stats(self->scene.fd, &stats));
	ASSERT_EQ(0, alloc_buffer(self->scene.fd, stats.largest_free - ROOM, &self->rest));
	for (i = 0; i < WORKERS; i++)
		self->workers[i] = begin_worker(self, i, 1 + i);
}

FIXTURE_TEARDOWN(moves)
{
	EXPECT_EQ(0, free_buffer(self->scene.fd, self->rest.handle));
	EXPECT_STREQ("", end_scene(&self->scene));
}

/* Compact for a free block of some length for a while. */
static int move_for_a_while(FIXTURE_DATA(moves) * self, __u64 *random)
{
	const __u64 end = now_ms() + ROUND_MS;
	struct memalloc_compact answer;
	int err = 0;

	while (!err && now_ms() < end && !GET(self->tally->stop)) {
		err = compact(self->scene.fd, (1 + random_below(random, ROOM / PAGE)) * PAGE,
			      &answer);
		self->tally->moves += answer.moves;
		self->tally->held += !!answer.held;
	}
	return err;
}

TEST_F_TIMEOUT(moves, notice_nothing, 600)
{
	struct tally *tally = self->tally;
	__u64 random = 7;
	unsigned int round;
	int i;

	for (round = 0; tally->moves < MOVES_MIN && !GET(tally->stop); round++) {
		ASSERT_EQ(0, move_for_a_while(self, &random));
		i = round % WORKERS;
		kill(self->workers[i], SIGKILL);
		ASSERT_NE(-1, wait_child(self->workers[i]));
		if (!GET(tally->stop))
			self->workers[i] = begin_worker(self, i, 100 + round);
	}
	SET(tally->stop, true);
	for (i = 0; i < WORKERS; i++)
		wait_child(self->workers[i]);
	EXPECT_STREQ("", tally->wrong);
	printf("# %lu moves, pages held %lu times\n", tally->moves, tally->held);
	for (i = 0; i < WAYS; i++)
		EXPECT_LT(0, tally->rounds[i]) TH_LOG("way %d", i);
}

TEST_HARNESS_MAIN
