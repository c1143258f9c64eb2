/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a case of failures is: it walks its places, one failure at a time, and then again with
 * bursts of failures (see inject.h). The call succeeds all the same, or it answers an errno that
 * the case lists and has done nothing. Each program that includes this adds its cases.
 */
#ifndef FAILURES_H
#define FAILURES_H

#include "argument.h"
#include "dmaheap.h"
#include "drivers.h"
#include "inject.h"

#define LENGTH		(32 * PAGE)	/* enough for a frame of vivid */
#define SEED		1

/* Nothing takes more places than that. */
#define PLACES_MAX	5000

/* What a case works on. It is made anew for each failure, and nothing of it may be left then. */
struct scene {
	int fd;				/* the client that calls */
	int other;			/* another one, which has nothing */
	struct memalloc_alloc buffer;	/* of LENGTH bytes that fill() with SEED wrote */
	int dmabuf;
	int heap;			/* the region as a dma-buf heap */
	int file;			/* has the same bytes */
	int card;			/* the graphics driver vgem */
	int video;			/* the camera driver vivid */
	__u32 frames;			/* that it was given */
	const char *fit;		/* not the one that the region has */
	char *map;
	struct memalloc_info info;
	union argument arg;		/* what a call answered, */
	struct memalloc_alloc batch[3];	/* ALLOC_BATCH, */
	struct {			/* and LAYOUT */
		struct memalloc_block blocks[8];
		__u32 count;
		__u64 end;
	} layout;
};

static int scene_open(struct scene *s)
{
	*s = (struct scene){ .dmabuf = -1, .file = -1, .card = -1, .video = -1, .fit = "worst" };
	s->map = MAP_FAILED;
	s->fd = open_device();
	s->other = open_device();
	s->heap = open_dmaheap();
	if (s->fd < 0 || s->other < 0 || s->heap < 0 || get_info(s->fd, &s->info) ||
	    alloc_buffer(s->fd, LENGTH, &s->buffer))
		return -1;
	s->map = map_buffer(s->fd, &s->buffer);
	if (s->map == MAP_FAILED)
		return -1;
	fill(s->map, LENGTH, SEED);
	munmap(s->map, LENGTH);
	s->map = MAP_FAILED;
	s->dmabuf = export_buffer(s->fd, s->buffer.handle, O_RDWR | O_CLOEXEC);
	return s->dmabuf < 0 ? -1 : 0;
}

static void scene_close(struct scene *s)
{
	int fds[] = { s->fd, s->other, s->dmabuf, s->heap, s->file, s->card, s->video };
	size_t i;

	if (s->map != MAP_FAILED)
		munmap(s->map, LENGTH);
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static bool holds_bytes(const struct scene *s)
{
	return s->map != MAP_FAILED && first_difference(s->map, LENGTH, SEED) == LENGTH;
}

static int open_card(struct scene *s)
{
	s->card = open_vgem();
	return s->card < 0;
}

static int card_imports(struct scene *s)
{
	return prime_import(s->card, s->dmabuf);
}

static int open_card_and_import(struct scene *s)
{
	return open_card(s) || card_imports(s) < 0;
}

FIXTURE(call) {
	struct injector injector;
	int watcher;		/* a client that only looks */
	unsigned int failures;
	unsigned int absorbed;	/* of these, the call succeeded all the same */
	unsigned long answers;	/* errnos that came, a bit for each */
	int answer;		/* the last one */
};

FIXTURE_VARIANT(call) {
	unsigned int request;	/* if it is one of memalloc.h */
	int (*prepare)(struct scene *s);	/* not 0: can't */
	int (*act)(struct scene *s);	/* the call; an errno is negative */
	bool (*holds)(struct scene *s, int ret);
	int answers[4];		/* the errnos that it may answer; it answers all of them */
	bool moves;		/* buffers, also if it answers an errno */
	const char *no_places;	/* why nothing in it can fail */
	const char *no_bursts;	/* why it is not tried with bursts */
};

FIXTURE_SETUP(call)
{
	if (!can_inject())
		return;
	ASSERT_EQ(0, injector_open(&self->injector));
	self->watcher = open_idle_device();
	ASSERT_LE(0, self->watcher);
	/* A page fault of our own, while failures are on, would be one of the places. */
	ASSERT_EQ(0, mlockall(MCL_CURRENT));
}

FIXTURE_TEARDOWN(call)
{
}

static bool may_answer(const FIXTURE_VARIANT(call) * variant, int error)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(variant->answers); i++)
		if (variant->answers[i] && variant->answers[i] == error)
			return true;
	return false;
}

/* After a call that answered an errno: "" or what is wrong. */
static const char *refusal_wrong(FIXTURE_DATA(call) * self, const FIXTURE_VARIANT(call) * variant,
				 const struct state *before)
{
	struct state after = state_of(self->watcher);
	struct memalloc_info info;

	if (!may_answer(variant, self->answer))
		return "it may not answer that";
	self->answers |= 1UL << self->answer;
	/* The one figure that a call may change that does nothing else. */
	after.stats.failures = before->stats.failures;
	if (variant->moves) {
		if (before->stats.free != after.stats.free ||
		    *stats_wrong(&after.stats))
			return "there is less, or more";
		after.stats = before->stats;
	}
	if (!same_stats(&before->stats, &after.stats))
		return "the figures of STATS have changed";
	if (memcmp(&before->limits, &after.limits, sizeof(after.limits)))
		return "what is charged has changed";
	if (after.descriptors != before->descriptors)
		return "a descriptor was left";
	if (get_info(self->watcher, &info) || strcmp((char *)info.fit, "good"))
		return "the fit has changed";
	return "";
}

/* One call whose @n-th place fails, if it has that many: "" or what is wrong. */
static const char *fail_once(FIXTURE_DATA(call) * self, const FIXTURE_VARIANT(call) * variant,
			     unsigned int n, bool burst, bool *failed)
{
	const char *wrong = "";
	struct state before;
	struct scene scene;
	int ret;

	if (scene_open(&scene) || (variant->prepare && variant->prepare(&scene)))
		return "it can't be made ready";
	before = state_of(self->watcher);

	inject(&self->injector, n, n && burst);
	ret = variant->act(&scene);
	*failed = !inject_end(&self->injector) && n;

	self->answer = ret < 0 ? -ret : 0;
	if (ret < 0) {
		wrong = *failed ? refusal_wrong(self, variant, &before) : "there was no failure";
		ret = variant->act(&scene);
	} else if (*failed) {
		self->absorbed++;
	}
	self->failures += *failed;
	if (!*wrong && (ret < 0 || !variant->holds(&scene, ret)))
		wrong = self->answer ? "it does not work afterwards" : "a success that is none";
	scene_close(&scene);
	if (!*wrong && !WAIT_UNTIL(is_idle(self->watcher)))
		wrong = "something is left in use";
	return wrong;
}

TEST_F_TIMEOUT(call, survives_failures, 300)
{
	unsigned int n, mode;
	size_t i;

	if (!can_inject())
		SKIP(return, CAN_NOT_INJECT);
	for (mode = 0; mode < (variant->no_bursts ? 1 : 2); mode++) {
		/* The first round, without a failure, is for what is only made once. */
		bool more = true, again = false;

		for (n = 0; more; n += !again) {
			unsigned int absorbed = self->absorbed;
			bool failed;
			const char *wrong = fail_once(self, variant, n, mode, &failed);

			ASSERT_STREQ("", wrong)
				TH_LOG("place %u%s, answer %s", n, mode ? ", burst" : "",
				       strerrorname_np(self->answer));
			ASSERT_GT(PLACES_MAX, n);
			more = !n || failed;
			/*
			 * It may not have been the call's own place: KASAN's record of stack traces
			 * needs a page now and then. So what is absorbed is tried twice.
			 */
			again = !again && self->absorbed > absorbed;
		}
	}
	TH_LOG("%u failures, %u absorbed", self->failures, self->absorbed);
	EXPECT_EQ(!variant->no_places, self->failures > 0);
	for (i = 0; i < ARRAY_SIZE(variant->answers); i++) {
		if (variant->answers[i]) {
			EXPECT_TRUE(self->answers & 1UL << variant->answers[i])
				TH_LOG("never: %s", strerrorname_np(variant->answers[i]));
		}
	}
}

#endif /* FAILURES_H */
