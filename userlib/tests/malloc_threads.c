// SPDX-License-Identifier: MIT
/*
 * The drop-in malloc with threads, under ThreadSanitizer: who frees what others allocated, threads
 * that end, and what becomes of their memory.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "random.h"
#include "tap.h"

#define THREADS	4

static uint64_t numbers[THREADS] = { 1, 2, 3, 4 };

static bool run(void *(*function)(void *), bool *good)
{
	pthread_t threads[THREADS];
	void *answer;
	int i;

	for (i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, function, &numbers[i]))
			return false;
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &answer);
		*good &= !answer;
	}
	return true;
}

/* --- slots that all threads share --------------------------------------------------- */

struct block {
	uint32_t size;
	unsigned char bytes[];
};

#define SLOTS	512

static struct block *_Atomic slots[SLOTS];

static bool is_whole(const struct block *block)
{
	return all_bytes(block->bytes, block->size, block->size);
}

static struct block *new_block(uint64_t *random)
{
	uint32_t size = random_u32(random) % 64 << random_u32(random) % 6;
	struct block *block;

	if (random_u32(random) % 256 == 0)
		size += 40000;
	block = malloc(sizeof(*block) + size);
	block->size = size;
	memset(block->bytes, size, size);
	return block;
}

/* What one put there another takes: most is freed by others than those who allocated it. */
static void *exchange(void *number)
{
	uint64_t random = *(uint64_t *)number;
	uint32_t i;
	struct block *block;

	for (i = 0; i < 40000; i++) {
		block = new_block(&random);
		block = atomic_exchange(&slots[random_u32(&random) % SLOTS], block);
		if (!block)
			continue;
		if (!is_whole(block))
			return "";
		if (i % 8 == 0) {
			block = realloc(block, sizeof(*block) + block->size + 500);
			if (!is_whole(block))
				return "";
		}
		free(block);
	}
	return NULL;
}

/* --- threads that end ------------------------------------------------------------------ */

/* Leaves its blocks in the slots, for those who come later. */
static void *short_life(void *seed)
{
	uint64_t random = atomic_fetch_add((atomic_uint *)seed, 1);
	uint32_t i;
	struct block *block;

	for (i = 0; i < 100; i++) {
		block = atomic_exchange(&slots[random_u32(&random) % SLOTS], new_block(&random));
		if (block && !is_whole(block))
			return "";
		free(block);
	}
	return NULL;
}

static void *many_lives(void *number)
{
	static atomic_uint seed;
	pthread_t thread;
	void *answer;
	int i;

	for (i = 0; i < 60; i++) {
		if (pthread_create(&thread, NULL, short_life, &seed))
			return "";
		pthread_join(thread, &answer);
		if (answer)
			return answer;
	}
	return number ? NULL : "";
}

/* --- memory that one allocates and another frees is used again --------------------------- */

#define ROUNDS	400
#define BATCH	200

static struct batch {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	void *blocks[BATCH];
	bool full;
} batch = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void *consume(void *unused)
{
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		pthread_mutex_lock(&batch.lock);
		while (!batch.full)
			pthread_cond_wait(&batch.changed, &batch.lock);
		for (i = 0; i < BATCH; i++)
			free(batch.blocks[i]);
		batch.full = false;
		pthread_cond_signal(&batch.changed);
		pthread_mutex_unlock(&batch.lock);
	}
	return unused;
}

static int compare(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

/* In how many ranges of 64 KiB all that is ever allocated lies. */
static int produce(void)
{
	static uintptr_t units[ROUNDS * BATCH];
	pthread_t consumer;
	int round, i, count = 1;

	if (pthread_create(&consumer, NULL, consume, NULL))
		return ROUNDS * BATCH;
	for (round = 0; round < ROUNDS; round++) {
		pthread_mutex_lock(&batch.lock);
		while (batch.full)
			pthread_cond_wait(&batch.changed, &batch.lock);
		for (i = 0; i < BATCH; i++) {
			batch.blocks[i] = malloc(1000);
			units[round * BATCH + i] = (uintptr_t)batch.blocks[i] >> 16;
		}
		batch.full = true;
		pthread_cond_signal(&batch.changed);
		pthread_mutex_unlock(&batch.lock);
	}
	pthread_join(consumer, NULL);
	qsort(units, ROUNDS * BATCH, sizeof(*units), compare);
	for (i = 1; i < ROUNDS * BATCH; i++)
		count += units[i] != units[i - 1];
	return count;
}

/* --- heaps of threads that have ended ------------------------------------------------------ */

static void *left[3000];

static void *leave(void *unused)
{
	int i;

	for (i = 0; i < 3000; i++)
		left[i] = malloc(700);
	for (i = 0; i < 3000; i++)
		if (i % 8)
			free(left[i]);
	return unused;
}

/* Of the places where the thread had its objects, how many we get. */
static int places_again(void)
{
	static void *mine[3000];
	uintptr_t low = UINTPTR_MAX, high = 0;
	pthread_t thread;
	int i, again = 0;

	if (pthread_create(&thread, NULL, leave, NULL))
		return 0;
	pthread_join(thread, NULL);
	for (i = 0; i < 3000; i += 8) {
		if ((uintptr_t)left[i] < low)
			low = (uintptr_t)left[i];
		if ((uintptr_t)left[i] > high)
			high = (uintptr_t)left[i];
	}
	for (i = 0; i < 3000; i++) {
		mine[i] = malloc(700);
		again += (uintptr_t)mine[i] >= low && (uintptr_t)mine[i] <= high;
	}
	for (i = 0; i < 3000; i++)
		free(mine[i]);
	for (i = 0; i < 3000; i += 8)
		free(left[i]);
	return again;
}

/* --- the first call of all ------------------------------------------------------------------ */

/* It opens the device, or finds none: a thread must not be cancelled there, with a lock held. */
static void *first_call(void *unused)
{
	void *p;

	pthread_cancel(pthread_self());
	errno = 77;
	p = malloc(1);
	if (!p || errno != 77)
		unused = "";
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	free(p);
	return unused;
}

static bool first_good;

/* Before the library makes it itself. */
__attribute__((constructor(101))) static void call_first(void)
{
	pthread_t thread;
	void *answer;

	/* Who is cancelled there waits for ever. */
	alarm(100);
	first_good = !pthread_create(&thread, NULL, first_call, NULL) &&
		     !pthread_join(thread, &answer) && !answer;
	alarm(0);
}

int main(void)
{
	bool good = true;
	int i;

	if (!ok(first_good, "the first call: errno is left alone, and the thread is not cancelled"))
		return 1;
	/* Have a heap of our own, or we take over the whole of the thread's. */
	free(malloc(1));
	ok(places_again() > 2000, "what a thread had free when it ended, others use");
	ok(run(exchange, &good) && good, "threads free what others allocated: contents are kept");
	good = true;
	ok(run(many_lives, &good) && good, "threads that end: contents are kept");
	for (i = 0; i < SLOTS; i++) {
		good &= !slots[i] || is_whole(slots[i]);
		free(slots[i]);
	}
	ok(good, "what threads that have ended left is as they left it");
	ok(produce() < 64, "what is freed by another thread is used again");
	return tap_done();
}
