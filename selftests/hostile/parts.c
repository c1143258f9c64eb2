// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker's threads export parts of a buffer, overlapping ones, while others of them free the
 * buffer, resize it and ask where it lies, and root moves it. A part is as long as was asked for,
 * has nothing in it but what the attacker wrote, and nothing is reached behind it.
 */
#include "hostile.h"

#define PAGES		24	/* the most that the buffer has */
#define EXPORTERS	3
#define KEPT_PARTS	8	/* open dma-bufs of an exporter */
#define MARK		0x5a
#define ENOUGH		300	/* parts of each exporter, and 50 of what the others do */

struct parts {
	int fd;
	__u32 handle;		/* of the buffer there is now */
	bool stop;
	unsigned long exports[EXPORTERS];
	unsigned long frees, resizes, translations;
	unsigned long moves;	/* for COMPACT; enough, if none can be */
	const char *wrong;
};

FIXTURE(parts) {
	struct scene scene;
	struct parts parts;
	pthread_t threads[EXPORTERS + 3];
};

struct exporter {
	struct parts *parts;
	unsigned int number;
};

/* NULL, or what is wrong: the bytes are zero or the attacker's. */
static const char *use_part(int part, __u64 length)
{
	char *map = map_at(part, 0, length, PROT_READ | PROT_WRITE);
	const char *wrong = NULL;
	__u64 i;

	if (map == MAP_FAILED)
		return "a part can't be mapped";
	for (i = 0; i < length; i++)
		if (map[i] && map[i] != MARK)
			wrong = "there is something else in a part";
	memset(map, MARK, length);
	munmap(map, length);
	if (lseek(part, 0, SEEK_END) != (off_t)length)
		return "a part has another length";
	if (map_errno(part, 0, length + PAGE, PROT_READ) != -EINVAL ||
	    map_errno(part, length, PAGE, PROT_READ) != -EINVAL)
		return "more than a part is mapped";
	return wrong;
}

static void *export_parts(void *data)
{
	const struct exporter *self = data;
	struct parts *p = self->parts;
	int kept[KEPT_PARTS] = { [0 ... KEPT_PARTS - 1] = -1 };
	__u64 random = 1 + self->number;
	const char *wrong = NULL;
	unsigned int i;

	while (!wrong && !GET(p->stop)) {
		const __u64 first = random_below(&random, PAGES);
		const __u64 length = (1 + random_below(&random, 4)) * PAGE;
		int part = export_part(p->fd, GET(p->handle), O_RDWR | O_CLOEXEC, first * PAGE,
				       length);

		/* The buffer is too short now, or not there. */
		if (part == -EINVAL || part == -ENOENT) {
			sched_yield();
			continue;
		}
		wrong = part < 0 ? "EXPORT failed" : use_part(part, length);
		i = random_below(&random, KEPT_PARTS);
		close(kept[i]);
		kept[i] = part;
		SET(p->exports[self->number], p->exports[self->number] + 1);
	}
	for (i = 0; i < KEPT_PARTS; i++)
		close(kept[i]);
	if (wrong)
		SET(p->wrong, wrong);
	return NULL;
}

static void *free_buffers(void *data)
{
	struct parts *p = data;
	struct memalloc_alloc buffer;

	while (!GET(p->stop)) {
		if (alloc_buffer(p->fd, PAGES * PAGE, &buffer)) {
			sched_yield();
			continue;
		}
		SET(p->handle, buffer.handle);
		sleep_ms(2);
		if (free_buffer(p->fd, buffer.handle))
			SET(p->wrong, "FREE failed");
		SET(p->frees, p->frees + 1);
	}
	return NULL;
}

static void *resize_buffers(void *data)
{
	struct parts *p = data;
	__u64 random = 77;

	while (!GET(p->stop)) {
		const int err = resize_buffer(p->fd, GET(p->handle),
					      (1 + random_below(&random, PAGES)) * PAGE);

		/* Mostly, parts keep its length. */
		if (err && err != -EBUSY && err != -ENOENT && err != -ENOMEM && err != -EDQUOT)
			SET(p->wrong, "RESIZE failed");
		SET(p->resizes, p->resizes + 1);
		sched_yield();
	}
	return NULL;
}

static void *ask_for_places(void *data)
{
	struct memalloc_translate answer;
	struct parts *p = data;
	__u64 random = 78;

	while (!GET(p->stop)) {
		const __u64 at = random_below(&random, PAGES * PAGE);
		const int err = translate(p->fd, GET(p->handle), at, 0, &answer);

		if (err && err != -EINVAL && err != -ENOENT)
			SET(p->wrong, "TRANSLATE failed");
		if (!err && (answer.offset != at || !answer.length ||
			     answer.length > PAGES * PAGE - at || answer.region_offset % PAGE !=
			     at % PAGE || answer.physical))
			SET(p->wrong, "TRANSLATE answers what can't be");
		SET(p->translations, p->translations + 1);
		sched_yield();
	}
	return NULL;
}

FIXTURE_SETUP(parts)
{
	memset(&self->parts, 0, sizeof(self->parts));
	ASSERT_EQ(0, begin_scene(&self->scene));
	self->parts.fd = self->scene.mallory;
}

FIXTURE_TEARDOWN(parts)
{
	EXPECT_STREQ("", end_scene(&self->scene));
}

/* Something goes from where it was, and comes again elsewhere. */
static int make_hole(int fd, struct memalloc_alloc *hole)
{
	const __u32 was = hole->handle;
	const int err = alloc_buffer(fd, PAGES * PAGE, hole);

	if (err)
		return err;
	return was ? free_buffer(fd, was) : 0;
}

static bool is_enough(const struct parts *p)
{
	int i;

	for (i = 0; i < EXPORTERS; i++)
		if (GET(p->exports[i]) < ENOUGH)
			return false;
	return GET(p->frees) >= 50 && GET(p->resizes) >= 50 && GET(p->translations) >= 50 &&
	       p->moves >= 10;
}

TEST_F_TIMEOUT(parts, stay_what_they_are, 600)
{
	struct exporter exporters[EXPORTERS];
	struct parts *p = &self->parts;
	struct memalloc_alloc hole = { 0 };
	struct memalloc_compact answer;
	int i, n = 0;

	for (i = 0; i < EXPORTERS; i++) {
		exporters[i] = (struct exporter){ p, i };
		ASSERT_EQ(0, pthread_create(&self->threads[n++], NULL, export_parts,
					    &exporters[i]));
	}
	ASSERT_EQ(0, pthread_create(&self->threads[n++], NULL, free_buffers, p));
	ASSERT_EQ(0, pthread_create(&self->threads[n++], NULL, resize_buffers, p));
	ASSERT_EQ(0, pthread_create(&self->threads[n++], NULL, ask_for_places, p));
	p->moves = memory_moves() ? 0 : 10;
	while (!is_enough(p) && !GET(p->wrong)) {
		ASSERT_EQ(0, make_hole(self->scene.fd, &hole));
		ASSERT_EQ(0, compact(self->scene.fd, 0, &answer));
		p->moves += answer.moves;
		sleep_ms(1);
	}
	ASSERT_EQ(0, free_buffer(self->scene.fd, hole.handle));
	SET(p->stop, true);
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, pthread_join(self->threads[i], NULL));
	EXPECT_STREQ("", p->wrong ?: "");
}

TEST_HARNESS_MAIN
