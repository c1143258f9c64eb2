// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker frees a buffer while another thread of his makes a call with it, maps it,
 * touches it or closes the client, each time a little earlier or later. What is freed he
 * takes again at once, as another client, and writes something else there. Each call has
 * come before the FREE, and then works with the buffer as it was, or after it, and then
 * there is no such handle.
 */
#include "hostile.h"

#include <linux/dma-buf.h>
#include <sys/uio.h>

#define PAGES	8
#define LENGTH	(PAGES * PAGE)
#define SEED	1
#define OTHER	2
#define STEP	1000

/* One FREE and what meets it. */
struct race {
	int fd;			/* the client */
	struct memalloc_alloc buffer;
	int dmabuf;		/* of the buffer; -1: what the attack needs is that there is none */
	char *map;		/* of the buffer, with nothing of it in the page tables; or NULL */
	int pipe[2];
};

/* The bytes are those that were written to the buffer, wherever they are seen. */
static int look(const char *map)
{
	return first_difference(map, LENGTH, SEED) == LENGTH ? 0 : -EILSEQ;
}

static int look_at(int fd, __u64 offset)
{
	char *map = map_at(fd, offset, LENGTH, PROT_READ);
	int err;

	if (map == MAP_FAILED)
		return -errno;
	err = look(map);
	munmap(map, LENGTH);
	return err;
}

static int do_free(struct race *race)
{
	return free_length(race->fd, race->buffer.handle, LENGTH);
}

static int do_query(struct race *race)
{
	struct memalloc_query query;
	int err = query_buffer(race->fd, race->buffer.handle, &query);

	if (!err && (query.length != LENGTH || query.mmap_offset != race->buffer.mmap_offset))
		return -EPROTO;
	return err;
}

static int do_export(struct race *race)
{
	int err, dmabuf = export_buffer(race->fd, race->buffer.handle, O_RDWR | O_CLOEXEC);

	if (dmabuf < 0)
		return dmabuf;
	err = look_at(dmabuf, 0);
	close(dmabuf);
	return err;
}

/* It may answer the handle that is being freed. */
static int do_import(struct race *race)
{
	struct memalloc_import import;
	int err = import_buffer(race->fd, race->dmabuf, 0, &import);

	if (err)
		return err;
	err = look_at(race->fd, import.mmap_offset);
	free_buffer(race->fd, import.handle);
	return err;
}

static int do_sync(struct race *race)
{
	return sync_range(race->fd, race->buffer.handle, 0, LENGTH,
			  MEMALLOC_SYNC_READ | MEMALLOC_SYNC_WRITE);
}

static int do_resize(struct race *race)
{
	return resize_buffer(race->fd, race->buffer.handle, PAGE);
}

static int do_layout(struct race *race)
{
	return offset_of_handle(race->fd, race->buffer.handle) < 0 ? -ENOENT : 0;
}

static int do_limits(struct race *race)
{
	struct memalloc_limits limits;
	int err = get_limits(race->fd, &limits);

	return err ?: limits.client_bytes > limits.user_bytes ? -EPROTO : 0;
}

static int do_fdinfo(struct race *race)
{
	char path[64], text[1024];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", race->fd);
	fd = open(path, O_RDONLY);
	length = read(fd, text, sizeof(text));
	close(fd);
	return length > 0 ? 0 : -EIO;
}

static int do_mmap(struct race *race)
{
	return look_at(race->fd, race->buffer.mmap_offset);
}

static int do_fault(struct race *race)
{
	return look(race->map);
}

static int do_munmap(struct race *race)
{
	int err = munmap(race->map, LENGTH) ? -errno : 0;

	race->map = NULL;
	return err;
}

/* Pinned, then unmapped; what was pinned is read later, by is_unharmed(). */
static int do_pin(struct race *race)
{
	struct iovec data = { race->map, LENGTH };

	if (vmsplice(race->pipe[1], &data, 1, 0) != (ssize_t)LENGTH)
		return -errno;
	return do_munmap(race);
}

/* The next client gets the number. */
static int do_close(struct race *race)
{
	int spare = open_device();

	return spare < 0 ? spare : dup3(spare, race->fd, O_CLOEXEC) < 0 ? -errno : close(spare);
}

static int do_close_dmabuf(struct race *race)
{
	int err = close(race->dmabuf) ? -errno : 0;

	race->dmabuf = -1;
	return err;
}

FIXTURE(free_races) {
	struct scene scene;
};

FIXTURE_VARIANT(free_races) {
	int (*meet)(struct race *race);
	bool dmabuf, mapped;	/* what of the buffer there is to begin with, besides the handle */
	bool always;		/* whether the attack succeeds, whatever comes first */
};

/* Whoever adds a call that takes a handle adds one here. */

FIXTURE_VARIANT_ADD(free_races, free) {
	.meet = do_free,
};

FIXTURE_VARIANT_ADD(free_races, query) {
	.meet = do_query,
};

FIXTURE_VARIANT_ADD(free_races, export) {
	.meet = do_export,
};

FIXTURE_VARIANT_ADD(free_races, import) {
	.meet = do_import, .dmabuf = true,
};

FIXTURE_VARIANT_ADD(free_races, sync) {
	.meet = do_sync,
};

FIXTURE_VARIANT_ADD(free_races, resize) {
	.meet = do_resize,
};

FIXTURE_VARIANT_ADD(free_races, layout) {
	.meet = do_layout,
};

FIXTURE_VARIANT_ADD(free_races, limits) {
	.meet = do_limits, .always = true,
};

FIXTURE_VARIANT_ADD(free_races, fdinfo) {
	.meet = do_fdinfo, .always = true,
};

FIXTURE_VARIANT_ADD(free_races, mmap) {
	.meet = do_mmap,
};

FIXTURE_VARIANT_ADD(free_races, fault) {
	.meet = do_fault, .mapped = true, .always = true,
};

FIXTURE_VARIANT_ADD(free_races, munmap) {
	.meet = do_munmap, .mapped = true, .always = true,
};

FIXTURE_VARIANT_ADD(free_races, pin) {
	.meet = do_pin, .mapped = true, .always = true,
};

FIXTURE_VARIANT_ADD(free_races, close) {
	.meet = do_close, .always = true,
};

FIXTURE_VARIANT_ADD(free_races, close_dmabuf) {
	.meet = do_close_dmabuf, .dmabuf = true, .always = true,
};

FIXTURE_SETUP(free_races)
{
	ASSERT_EQ(0, begin_scene(&self->scene));
}

FIXTURE_TEARDOWN(free_races)
{
	EXPECT_STREQ("", end_scene(&self->scene));
}

/* A buffer that says what it is, and of it just what the attack needs. */
static int prepare(struct race *race, const FIXTURE_VARIANT(free_races) * variant)
{
	int err = alloc_buffer(race->fd, LENGTH, &race->buffer);

	if (err)
		return err;
	race->map = map_buffer(race->fd, &race->buffer);
	if (race->map == MAP_FAILED)
		return -errno;
	fill(race->map, LENGTH, SEED);
	if (madvise(race->map, LENGTH, MADV_DONTNEED))
		return -errno;
	if (!variant->mapped && do_munmap(race))
		return -errno;
	race->dmabuf = -1;
	if (variant->dmabuf)
		race->dmabuf = export_buffer(race->fd, race->buffer.handle, O_RDWR | O_CLOEXEC);
	return variant->dmabuf && race->dmabuf < 0 ? race->dmabuf : 0;
}

/* Two threads that begin each round at once: who frees, and who meets that. */
struct pair {
	struct race race;
	int (*meet)(struct race *race);
	unsigned int rounds;
	unsigned int begun[2];	/* rounds that each is ready for */
	unsigned int done;	/* rounds that the one who meets the FREE is through with */
	int answer;		/* his */
	int lead;		/* how much later the other one frees; negative: earlier */
	int step;		/* by how much that changes at most */
	bool was_late;		/* he who meets the FREE, the time before */
};

/* Both processors may be busy with others: no waiting for long in a loop. */
static void meet_other(struct pair *pair, int who, unsigned int round)
{
	int delay, spin;

	SET(pair->begun[who], round);
	for (spin = 0; GET(pair->begun[!who]) < round; spin++)
		if (spin % 1024 == 1023)
			sched_yield();
	delay = who ? -pair->lead : pair->lead;
	for (spin = 0; spin < delay; spin++)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void *meet_frees(void *data)
{
	struct pair *pair = data;
	unsigned int round;

	for (round = 1; round <= pair->rounds; round++) {
		meet_other(pair, 1, round);
		pair->answer = pair->meet(&pair->race);
		SET(pair->done, round);
	}
	return NULL;
}

/*
 * Who came too late the last time comes earlier the next time, by a random bit, and by more if
 * that was not enough: so that they meet, however long the way into the kernel is. If that
 * can't be told, at random.
 */
static void choose_lead(struct pair *pair, bool always, __u64 *random)
{
	const bool late = pair->answer;

	if (always) {
		pair->lead = (int)random_below(random, 2 * STEP) - STEP;
		return;
	}
	if (late != pair->was_late)
		pair->step = STEP;
	else if (pair->step < 1000 * STEP)
		pair->step *= 2;
	pair->was_late = late;
	pair->lead += (late ? 1 : -1) * (int)random_below(random, pair->step);
}

/* What is left of a race is as the buffer was; and is given up: 0 or a negative errno. */
static int is_unharmed(struct race *race, char *copy)
{
	int err = 0;

	if (race->map) {
		err = look(race->map);
		munmap(race->map, LENGTH);
	}
	if (race->dmabuf >= 0) {
		err = err ?: look_at(race->dmabuf, 0);
		close(race->dmabuf);
	}
	if (copy && read(race->pipe[0], copy, LENGTH) == (ssize_t)LENGTH)
		err = err ?: look(copy);
	return err;
}

TEST_F_TIMEOUT(free_races, meets_free, 600)
{
	struct pair pair = {
		.race.fd = self->scene.mallory, .meet = variant->meet,
		.rounds = 300 / self->scene.slow, .step = STEP,
	};
	const bool pins = variant->meet == do_pin, frees = variant->meet == do_free;
	struct race *race = &pair.race;
	unsigned int round, freed = 0, met = 0;
	struct memalloc_alloc taken;
	char *copy = malloc(LENGTH), *map;
	__u64 random = 3;
	int answer, taker;
	pthread_t id;

	ASSERT_EQ(0, as_user(MALLORY));
	taker = open_device();
	ASSERT_LE(0, taker);
	ASSERT_EQ(0, pipe(race->pipe));
	ASSERT_EQ(0, pthread_create(&id, NULL, meet_frees, &pair));
	for (round = 1; round <= pair.rounds; round++) {
		ASSERT_EQ(0, prepare(race, variant));
		choose_lead(&pair, variant->always, &random);
		meet_other(&pair, 0, round);
		answer = free_buffer(race->fd, race->buffer.handle);
		ASSERT_EQ(0, alloc_buffer(taker, LENGTH, &taken));
		map = map_buffer(taker, &taken);
		ASSERT_NE(MAP_FAILED, (void *)map);
		ASSERT_EQ(LENGTH, first_nonzero(map, LENGTH));
		fill(map, LENGTH, OTHER);

		while (GET(pair.done) < round)
			sched_yield();
		freed += !answer;
		met += !pair.answer;
		ASSERT_TRUE(!answer || answer == -ENOENT)
			TH_LOG("round %u: FREE answered %d", round, answer);
		ASSERT_TRUE(!pair.answer || (pair.answer == -ENOENT && !variant->always))
			TH_LOG("round %u: it answered %d", round, pair.answer);
		ASSERT_EQ(0, is_unharmed(race, pins ? copy : NULL));
		ASSERT_EQ(LENGTH, first_difference(map, LENGTH, OTHER));
		munmap(map, LENGTH);
		ASSERT_EQ(0, free_buffer(taker, taken.handle));
	}
	ASSERT_EQ(0, pthread_join(id, NULL));
	TH_LOG("%u times freed, %u times met", freed, met);
	/* Two FREEs are one too many, and a client that is closed has freed it already. */
	EXPECT_EQ(frees ? pair.rounds - met : freed, freed);
	EXPECT_LT(0, met);
	EXPECT_LT(0, freed);
	close(taker);
	close(race->pipe[0]);
	close(race->pipe[1]);
}

TEST_HARNESS_MAIN
