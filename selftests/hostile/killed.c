// SPDX-License-Identifier: GPL-2.0-only
/*
 * 2,000 processes of the attacker's, some at a time, do everything at once with buffers: they
 * allocate, map, write, share, pass on, pin, have a disk write there. Each is killed at a
 * random moment. All that they had comes back, once, and nobody sees anything of it: not
 * the bystander, and not one another.
 */
#include "dmaheap.h"
#include "hostile.h"

#include <sys/uio.h>

#define PROCESSES	2000
#define AT_A_TIME	8
#define PAGES_MAX	64
#define HELD		6
#define DISK		"/dev/nvme0n1"

FIXTURE(killed) {
	struct scene scene;
	unsigned int processes;
	int disk;
};

FIXTURE_SETUP(killed)
{
	ASSERT_EQ(0, begin_scene(&self->scene));
	self->processes = PROCESSES / self->scene.slow;
	self->disk = open(DISK, O_RDONLY | O_DIRECT);
	ASSERT_LE(0, self->disk);
}

FIXTURE_TEARDOWN(killed)
{
	close(self->disk);
	EXPECT_STREQ("", end_scene(&self->scene));
}

/* What a process holds in one place. */
struct held {
	struct memalloc_alloc buffer;
	char *map;		/* NULL: nothing is held here */
	__u32 seed;
	bool handle;		/* that is, the buffer still has it */
	int dmabuf;		/* -1: none */
};

/* Of one process. */
struct life {
	int fd, other, heap, disk;
	int pipe[2], sockets[2];
	__u64 random;
	struct held held[HELD];
};

static bool is_right(const struct held *held)
{
	return first_difference(held->map, held->buffer.real_length, held->seed) ==
	       held->buffer.real_length;
}

/* 0, or what is wrong as an exit status. */
static int take(struct life *life, struct held *held)
{
	__u64 length = PAGE * (1 + random_below(&life->random, PAGES_MAX));
	int err = alloc_buffer(life->fd, length, &held->buffer);

	/* What was shared stays with the other client: some day that is all he may have. */
	if (err)
		return err == -EDQUOT ? 0 : 1;
	held->map = map_buffer(life->fd, &held->buffer);
	if (held->map == MAP_FAILED)
		return 2;
	if (first_nonzero(held->map, length) != length)
		return 3;
	held->seed = random_below(&life->random, 1 << 30);
	fill(held->map, length, held->seed);
	held->handle = true;
	held->dmabuf = -1;
	return 0;
}

/* In any order with the handle's end. */
static int give_up(struct life *life, struct held *held)
{
	if (!is_right(held))
		return 4;
	if (held->dmabuf >= 0)
		close(held->dmabuf);
	munmap(held->map, held->buffer.real_length);
	held->map = NULL;
	return held->handle && free_buffer(life->fd, held->buffer.handle) ? 5 : 0;
}

static int share(struct life *life, struct held *held)
{
	struct memalloc_import import;

	if (!held->handle)
		return 0;
	if (held->dmabuf < 0)
		held->dmabuf = export_buffer(life->fd, held->buffer.handle, O_RDWR | O_CLOEXEC);
	if (held->dmabuf < 0)
		return 6;
	if (import_buffer(life->other, held->dmabuf, MEMALLOC_IMPORT_READ_ONLY, &import))
		return 7;
	held->handle = false;
	/* It is in flight until somebody takes it, and nobody does. */
	if (random_below(&life->random, 2) && send_fd(life->sockets[0], held->dmabuf) < 0)
		return 8;
	return free_buffer(life->fd, held->buffer.handle) ? 9 : 0;
}

static int let_disk_write(struct life *life, struct held *held)
{
	if (pread(life->disk, held->map, held->buffer.real_length, 0) !=
	    (ssize_t)held->buffer.real_length)
		return 10;
	fill(held->map, held->buffer.real_length, held->seed);
	return 0;
}

/* The pipe has it for as long as the process lives, or until the next one. */
static int pin(struct life *life, struct held *held)
{
	struct iovec data = { held->map, PAGE };

	close(life->pipe[0]);
	close(life->pipe[1]);
	return pipe(life->pipe) || vmsplice(life->pipe[1], &data, 1, 0) != (ssize_t)PAGE ? 11 : 0;
}

static int use_the_heap(struct life *life, struct held *held)
{
	int dmabuf = dmaheap_alloc(life->heap, held->buffer.real_length, O_RDWR | O_CLOEXEC);

	if (dmabuf < 0)
		return dmabuf == -EDQUOT ? 0 : 12;
	return close(dmabuf);
}

/* Until it is killed, or something is wrong. */
static int live(struct life *life)
{
	static int (*const acts[])(struct life *life, struct held *held) = {
		give_up, share, let_disk_write, pin, use_the_heap,
	};
	int err = 0;

	life->fd = open_device();
	life->other = open_device();
	life->heap = open_dmaheap();
	if (life->fd < 0 || life->other < 0 || life->heap < 0 || pipe(life->pipe) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, life->sockets))
		return 13;
	while (!err) {
		struct held *held = &life->held[random_below(&life->random, HELD)];

		if (!held->map)
			err = take(life, held);
		else if (!is_right(held))
			err = 4;
		else
			err = acts[random_below(&life->random, ARRAY_SIZE(acts))](life, held);
		/* What is in flight is enough. */
		if (err == 8 && (errno == EAGAIN || errno == ETOOMANYREFS))
			err = 0;
	}
	return err;
}

static pid_t begin_life(FIXTURE_DATA(killed) * self, unsigned int number)
{
	struct life life = { .random = number + 1, .disk = self->disk };
	pid_t child = fork_child();

	if (!child) {
		close(self->scene.fd);
		close(self->scene.mallory);
		if (become(MALLORY))
			_exit(14);
		_exit(live(&life));
	}
	return child;
}

TEST_F_TIMEOUT(killed, processes_at_random, 1200)
{
	pid_t children[AT_A_TIME];
	unsigned int begun = 0, i;
	__u64 random = 1;

	for (i = 0; i < AT_A_TIME; i++)
		children[i] = begin_life(self, begun++);
	while (begun < self->processes) {
		usleep(random_below(&random, 3000));
		i = random_below(&random, AT_A_TIME);
		kill(children[i], SIGKILL);
		ASSERT_EQ(128 + SIGKILL, wait_child(children[i]));
		children[i] = begin_life(self, begun++);
	}
	for (i = 0; i < AT_A_TIME; i++) {
		kill(children[i], SIGKILL);
		EXPECT_EQ(128 + SIGKILL, wait_child(children[i]));
	}
	TH_LOG("%u processes", begun);
}

TEST_HARNESS_MAIN
