// SPDX-License-Identifier: GPL-2.0-only
/*
 * Small programs that do nothing but use malloc(), in the manners of larger ones; each in the
 * spirit of a well-known benchmark. scripts/bench-malloc runs them on several allocators.
 *
 *   malloc WORKLOAD
 *
 * A workload always does the same work. Whatever is allocated is written to, as programs do.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS	2

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

static void *must(void *p)
{
	if (!p) {
		fputs("malloc: no memory\n", stderr);
		exit(1);
	}
	return p;
}

static void *allocate(size_t size)
{
	char *p = must(malloc(size));

	p[0] = 1;
	p[size - 1] = 1;
	return p;
}

static void start(pthread_t *thread, void *(*function)(void *), void *argument)
{
	if (pthread_create(thread, NULL, function, argument)) {
		fputs("malloc: no thread\n", stderr);
		exit(1);
	}
}

/* Small sizes, the smaller the more often, as programs have them: 1 to 1024. */
static size_t small_size(uint64_t *state)
{
	uint32_t random = next_random(state);

	return 1 + (random >> 8) % (16u << random % 7);
}

/* Short and long lives, mixed: what is replaced was allocated any time ago. */
static void churn(void)
{
	enum { SLOTS = 50000, ROUNDS = 8000000 };
	void **slots = must(calloc(SLOTS, sizeof(*slots)));
	uint64_t state = 1;
	uint32_t slot;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		/* Most have a short life. */
		slot = next_random(&state) % (i % 8 ? 500 : SLOTS);
		free(slots[slot]);
		slots[slot] = allocate(small_size(&state));
	}
}

/* Lists and trees of one size, built and taken down, as compilers and interpreters do. */
struct node {
	struct node *left, *right;
};

static struct node *build(int depth)
{
	struct node *node = allocate(sizeof(*node));

	node->left = depth ? build(depth - 1) : NULL;
	node->right = depth ? build(depth - 1) : NULL;
	return node;
}

static void take_down(struct node *node)
{
	if (!node)
		return;
	take_down(node->left);
	take_down(node->right);
	free(node);
}

static void trees(void)
{
	struct node *kept = build(16);
	int i;

	for (i = 0; i < 400; i++)
		take_down(build(4 + i % 12));
	take_down(kept);
}

/* One thread allocates, another frees: batches go around. */
#define BATCH	500

static struct queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	void **batches[16];
	unsigned int first, count;
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void put(void **batch)
{
	pthread_mutex_lock(&queue.lock);
	while (queue.count == 16)
		pthread_cond_wait(&queue.changed, &queue.lock);
	queue.batches[(queue.first + queue.count++) % 16] = batch;
	pthread_cond_broadcast(&queue.changed);
	pthread_mutex_unlock(&queue.lock);
}

static void **get(void)
{
	void **batch;

	pthread_mutex_lock(&queue.lock);
	while (!queue.count)
		pthread_cond_wait(&queue.changed, &queue.lock);
	batch = queue.batches[queue.first];
	queue.first = (queue.first + 1) % 16;
	queue.count--;
	pthread_cond_broadcast(&queue.changed);
	pthread_mutex_unlock(&queue.lock);
	return batch;
}

static void *consumer(void *unused)
{
	void **batch;
	int i;

	while ((batch = get())) {
		for (i = 0; i < BATCH; i++)
			free(batch[i]);
		free(batch);
	}
	return unused;
}

static void producer(void)
{
	uint64_t state = 1;
	pthread_t thread;
	void **batch;
	int i, round;

	start(&thread, consumer, NULL);
	for (round = 0; round < 8000; round++) {
		batch = allocate(BATCH * sizeof(*batch));
		for (i = 0; i < BATCH; i++)
			batch[i] = allocate(small_size(&state));
		put(batch);
	}
	put(NULL);
	pthread_join(thread, NULL);
}

/* A server: each thread replaces what others, that have ended since, allocated. */
#define SERVED	4000

static void *serve(void *data)
{
	void **slots = data;
	uint64_t state = (uintptr_t)slots[0];
	uint32_t slot;
	int i;

	for (i = 0; i < 60000; i++) {
		slot = 1 + next_random(&state) % SERVED;
		free(slots[slot]);
		slots[slot] = allocate(10 + next_random(&state) % 490);
	}
	return NULL;
}

static void larson(void)
{
	static void *slots[THREADS][SERVED + 1];
	pthread_t threads[THREADS];
	int round, i;

	for (round = 0; round < 50; round++) {
		for (i = 0; i < THREADS; i++) {
			slots[i][0] = (void *)(uintptr_t)(round * THREADS + i + 1);
			start(&threads[i], serve, slots[(i + round) % THREADS]);
		}
		for (i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
	}
}

/* Buffers that grow and shrink. */
static void resize(void)
{
	enum { SLOTS = 300 };
	static char *slots[SLOTS];
	static size_t sizes[SLOTS];
	uint64_t state = 1;
	uint32_t slot;
	size_t size;
	int i;

	for (i = 0; i < 100000; i++) {
		slot = next_random(&state) % SLOTS;
		size = sizes[slot];
		if (!size || next_random(&state) % 32 == 0)
			size = small_size(&state);
		else
			size += size / 2 + 1;
		if (size > 1 << 20)
			size = 16;
		slots[slot] = must(realloc(slots[slot], size));
		if (size > sizes[slot])
			memset(slots[slot] + sizes[slot], 1, size - sizes[slot]);
		sizes[slot] = size;
	}
}

/* Blocks of 32 KiB to 2 MiB, of which an eighth is written. */
static void large(void)
{
	enum { SLOTS = 32 };
	void *slots[SLOTS] = { NULL };
	uint64_t state = 1;
	uint32_t slot;
	size_t size;
	int i;

	for (i = 0; i < 12000; i++) {
		slot = next_random(&state) % SLOTS;
		free(slots[slot]);
		size = ((size_t)32 << 10 << next_random(&state) % 7) + next_random(&state) % 32768;
		slots[slot] = allocate(size);
		memset(slots[slot], 1, size / 8);
	}
}

/* Threads that come, do a little, and go. */
static void *short_life(void *data)
{
	void *slots[50] = { NULL };
	uint64_t state = (uintptr_t)data;
	uint32_t slot;
	int i;

	for (i = 0; i < 400; i++) {
		slot = next_random(&state) % 50;
		free(slots[slot]);
		slots[slot] = allocate(small_size(&state));
	}
	for (i = 0; i < 50; i++)
		free(slots[i]);
	return NULL;
}

static void threads(void)
{
	pthread_t threads[THREADS];
	int round, i;

	for (round = 0; round < 4000; round++) {
		for (i = 0; i < THREADS; i++)
			start(&threads[i], short_life, (void *)(uintptr_t)(round + i + 1));
		for (i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
	}
}

static const struct workload {
	const char *name;
	void (*run)(void);
} workloads[] = {
	{ "churn", churn },
	{ "trees", trees },
	{ "producer", producer },
	{ "larson", larson },
	{ "realloc", resize },
	{ "large", large },
	{ "threads", threads },
};

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; i < sizeof(workloads) / sizeof(*workloads); i++) {
		if (argc == 2 && !strcmp(argv[1], workloads[i].name)) {
			workloads[i].run();
			return 0;
		}
	}
	fputs("usage: malloc WORKLOAD\n", stderr);
	return 2;
}
