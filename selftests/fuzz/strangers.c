// SPDX-License-Identifier: GPL-2.0-only
/*
 * Strangers: other users of the group, with clients and buffers of their own, who guess all the
 * time what the workers have. They get the best guesses, as they look into the workers' model:
 * their handles, offsets, descriptors and addresses. No guess may get a stranger anything, what
 * he has himself stays as it is, and he is charged for that and nothing else. That the workers
 * notice nothing of it is for their model to say.
 *
 * Where a worker is alone, its model knows each block and each figure of STATS. There the
 * strangers are quiet: they have what they had before that worker began, and nothing of what
 * they try changes a figure.
 */
#include "fuzz.h"

#include <sys/syscall.h>
#include <sys/uio.h>

#include "handle_calls.h"

#define CLIENTS_OF_STRANGER	2
#define OWN			3	/* buffers of such a client, at most */
#define OWN_PAGES		4
#define BLOCKS			1024

struct own {
	struct memalloc_alloc buffer;
	char *map;		/* NULL: there is none */
	__u32 seed;
};

struct life {
	struct stranger *s;
	const struct worker *workers;
	__u64 random;
	__u32 stamp;
	int fds[CLIENTS_OF_STRANGER];
	int heap;
	struct own own[CLIENTS_OF_STRANGER][OWN];
};

static unsigned int some(struct life *life, unsigned int n)
{
	return random_below(&life->random, n);
}

static const struct worker *some_worker(struct life *life)
{
	return &life->workers[some(life, WORKERS)];
}

static const struct own *find_own(const struct life *life, unsigned int client, __u32 handle)
{
	unsigned int i;

	for (i = 0; i < OWN; i++)
		if (life->own[client][i].map && life->own[client][i].buffer.handle == handle)
			return &life->own[client][i];
	return NULL;
}

static bool is_own_offset(const struct life *life, unsigned int client, __u64 offset)
{
	unsigned int i;

	for (i = 0; i < OWN; i++) {
		const struct own *own = &life->own[client][i];

		if (own->map && offset >= own->buffer.mmap_offset &&
		    offset < own->buffer.mmap_offset + own->buffer.real_length)
			return true;
	}
	return false;
}

/* A handle in any call. */
static const char *guess_handle(struct life *life)
{
	const unsigned int client = some(life, CLIENTS_OF_STRANGER);
	const struct worker *w = some_worker(life);
	const unsigned int call = some(life, ARRAY_SIZE(handle_calls));
	__u32 handle;

	switch (some(life, 4)) {
	case 0:
		handle = some(life, ~0U);
		break;
	case 1:
		handle = some(life, 500);
		break;
	case 2:
		handle = life->own[!client][some(life, OWN)].buffer.handle;
		break;
	default:
		handle = w->clients[some(life, CLIENTS)].handles[some(life, HANDLES)].id;
	}
	if (find_own(life, client, handle))
		return NULL;
	return handle_calls[call].make(life->fds[client], handle) == -ENOENT ?
	       NULL : "a call took a handle that a stranger guessed";
}

/* An offset for mmap(): of what there is, near it, or any. */
static const char *guess_offset(struct life *life)
{
	const unsigned int client = some(life, CLIENTS_OF_STRANGER);
	const struct buffer *buffer = &some_worker(life)->buffers[some(life, BUFFERS)];
	const __u64 pages = 1 + some(life, ALONE_PAGES);
	__u64 offset;
	int err;

	switch (some(life, 5)) {
	case 0:
		offset = (__u64)some(life, 1 << 30) << (12 + some(life, 20));
		break;
	case 1:
		/* Another slot of a band, or a slot of another band. */
		offset = life->own[client][some(life, OWN)].buffer.mmap_offset ^
			 PAGE << some(life, 30);
		break;
	case 2:
		offset = life->own[!client][some(life, OWN)].buffer.mmap_offset;
		break;
	default:
		offset = buffer->mmap_offset + some(life, ALONE_PAGES) * PAGE;
		if (some(life, 2))
			offset = buffer->mmap_offset;
	}
	offset &= INT64_MAX & -PAGE;
	if (is_own_offset(life, client, offset))
		return NULL;
	err = map_errno(life->fds[client], offset, (some(life, 2) ? 1 : pages) * PAGE,
			some(life, 2) ? PROT_READ : PROT_READ | PROT_WRITE);
	/* EINVAL: it is close behind what is his. */
	return err == -ENOENT || err == -EINVAL ?
	       NULL : "mmap() took an offset that a stranger guessed";
}

static const char *guess_descriptor(struct life *life)
{
	const struct worker *w = some_worker(life);
	struct memalloc_import import;
	int fd = some(life, 2) ? (int)some(life, 100) : w->dmabufs[some(life, DMABUFS)].fd;
	int err;

	if (!some(life, 8))
		fd = some(life, ~0U);
	err = import_buffer(life->fds[some(life, CLIENTS_OF_STRANGER)], fd, 0, &import);
	return err == (fcntl(fd, F_GETFD) < 0 ? -EBADF : -EINVAL) ?
	       NULL : "IMPORT took a descriptor that a stranger guessed";
}

/* What a worker has open or mapped, by way of its process. */
static const char *guess_process(struct life *life)
{
	static const char *const files[] = { "fd", "fdinfo" };
	const struct worker *w = some_worker(life);
	const struct mapping *mapping = &w->mappings[some(life, MAPPINGS)];
	int fd = w->clients[some(life, CLIENTS)].fds[some(life, 2)];
	char path[64], byte;
	struct iovec here = { &byte, 1 }, there = { mapping->address, 1 };
	int process, got;

	if (!w->pid)
		return NULL;
	if (some(life, 2))
		fd = w->dmabufs[some(life, DMABUFS)].fd;
	switch (some(life, 3)) {
	case 0:
		snprintf(path, sizeof(path), "/proc/%d/%s/%d", w->pid, files[some(life, 2)], fd);
		got = open(path, some(life, 2) ? O_RDONLY : O_RDWR);
		break;
	case 1:
		process = syscall(SYS_pidfd_open, w->pid, 0);
		got = syscall(SYS_pidfd_getfd, process, fd, 0);
		close(process);
		break;
	default:
		got = process_vm_readv(w->pid, &here, 1, &there, 1, 0);
	}
	return got < 0 ? NULL : "a stranger got into a worker's process";
}

/* A mask of any width tells what it tells everybody, and takes nothing from the workers. */
static const char *guess_mask(struct life *life)
{
	const struct worker *w = &life->workers[0];
	const int fd = life->fds[some(life, CLIENTS_OF_STRANGER)];
	struct memalloc_alloc alloc = {
		.size = sizeof(alloc), .length = PAGE, .dma_mask_bits = some(life, 66),
	};
	const __u32 bits = alloc.dma_mask_bits;
	int err = call(fd, MEMALLOC_IOC_ALLOC, &alloc), expected = 0;

	if (!err)
		err = free_buffer(fd, alloc.handle);
	if (bits > 64 || (bits && bits < 64 && 1ULL << bits < PAGE))
		expected = -EINVAL;
	else if (life->s->quiet)
		expected = -EDQUOT;
	else if (!mask_reaches(bits, w->base + w->info.region_length, w->memory_end))
		expected = -ENOMEM;
	return err == expected ? NULL : "a mask was answered as it must not be";
}

/* The layout names what is his, and nobody else's. */
static const char *look_at_layout(struct life *life)
{
	static struct memalloc_block blocks[BLOCKS];
	const unsigned int client = some(life, CLIENTS_OF_STRANGER);
	int n = read_layout(life->fds[client], blocks, BLOCKS, BLOCKS), i;

	if (n < 0)
		return "LAYOUT failed";
	for (i = 0; i < n; i++) {
		const struct own *own = find_own(life, client, blocks[i].handle);

		if (blocks[i].handle && (!own || own->buffer.real_length != blocks[i].length))
			return "LAYOUT told a stranger a handle that is not his";
	}
	return NULL;
}

/* He is charged for what he has. */
static const char *look_at_limits(struct life *life)
{
	unsigned int client = some(life, CLIENTS_OF_STRANGER), of, i;
	struct memalloc_limits limits;
	struct amount charged[CLIENTS_OF_STRANGER] = { 0 };

	for (of = 0; of < CLIENTS_OF_STRANGER; of++) {
		for (i = 0; i < OWN; i++) {
			if (!life->own[of][i].map)
				continue;
			charged[of].bytes += life->own[of][i].buffer.real_length;
			charged[of].buffers++;
		}
	}
	if (get_limits(life->fds[client], &limits) ||
	    limits.client_bytes != charged[client].bytes ||
	    limits.client_buffers != charged[client].buffers ||
	    limits.user_bytes != charged[0].bytes + charged[1].bytes ||
	    limits.user_buffers != charged[0].buffers + charged[1].buffers)
		return "a stranger is charged for what he has not";
	return NULL;
}

static const char *look_at_own(struct life *life)
{
	const struct own *own = &life->own[some(life, CLIENTS_OF_STRANGER)][some(life, OWN)];
	__u64 length = own->buffer.real_length;

	return !own->map || first_difference(own->map, length, own->seed) == length ?
	       NULL : "what a stranger had has changed";
}

static const char *take(struct life *life, int fd, struct own *own)
{
	__u64 length = PAGE * (1 + some(life, OWN_PAGES));

	if (alloc_buffer(fd, length, &own->buffer))
		return "ALLOC of a stranger failed";
	own->map = map_buffer(fd, &own->buffer);
	if (own->map == MAP_FAILED)
		return "mmap() of a stranger failed";
	if (first_nonzero(own->map, length) != length)
		return "a new buffer of a stranger is not zero";
	own->seed = ++life->stamp * STRANGERS_MAX + life->s->number;
	fill(own->map, length, own->seed);
	return NULL;
}

/* What he has comes and goes. */
static const char *turn(struct life *life)
{
	const unsigned int client = some(life, CLIENTS_OF_STRANGER);
	struct own *own = &life->own[client][some(life, OWN)];

	if (life->s->quiet)
		return NULL;
	if (!own->map)
		return take(life, life->fds[client], own);
	munmap(own->map, own->buffer.real_length);
	own->map = NULL;
	return free_buffer(life->fds[client], own->buffer.handle) ?
	       "FREE of a stranger failed" : look_at_limits(life);
}

static const char *use_heap(struct life *life)
{
	struct dma_heap_allocation_data wrong = { .len = PAGE, .heap_flags = 1 };
	int dmabuf;

	if (call(life->heap, DMA_HEAP_IOCTL_ALLOC, &wrong) != -EINVAL)
		return "the dma-heap took unknown flags";
	if (life->s->quiet)
		return NULL;
	dmabuf = dmaheap_alloc(life->heap, PAGE, O_RDWR | O_CLOEXEC);
	if (dmabuf < 0)
		return "the dma-heap gave a stranger nothing";
	close(dmabuf);
	return look_at_limits(life);
}

static const struct {
	const char *name;
	const char *(*act)(struct life *life);
} acts[STRANGERS_ACTS] = {
	{ "handles", guess_handle },
	{ "offsets", guess_offset },
	{ "descriptors", guess_descriptor },
	{ "processes", guess_process },
	{ "masks", guess_mask },
	{ "layouts", look_at_layout },
	{ "limits", look_at_limits },
	{ "own buffers", look_at_own },
	{ "turns", turn },
	{ "dma-heap", use_heap },
};

const char *stranger_act(unsigned int act)
{
	return acts[act].name;
}

static const char *begin(struct life *life)
{
	const char *wrong = NULL;
	unsigned int i;

	life->heap = open_dmaheap();
	for (i = 0; i < CLIENTS_OF_STRANGER; i++) {
		life->fds[i] = open_device();
		if (life->fds[i] < 0 || life->heap < 0)
			return "a stranger can't open the device";
		wrong = wrong ?: take(life, life->fds[i], &life->own[i][0]);
		/* Whatever he asks for is then too much, and no failure that STATS counts. */
		if (!wrong && life->s->quiet &&
		    set_limits(life->fds[i], MEMALLOC_LIMITS_SET_BUFFERS, 0, 0))
			wrong = "a stranger can't lower his limit";
	}
	return wrong;
}

void be_strange(struct stranger *s, const struct worker *workers)
{
	struct life life = {
		.s = s, .workers = workers, .random = 0x9e3779b97f4a7c15ULL * (s->number + 1),
	};
	const char *wrong = begin(&life);
	unsigned int i;

	__atomic_store_n(&s->ready, true, __ATOMIC_RELEASE);
	for (i = 0; !wrong && !__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE); i++) {
		const unsigned int act = some(&life, STRANGERS_ACTS);

		wrong = acts[act].act(&life);
		s->acts[act]++;
	}
	if (wrong)
		snprintf(s->wrong, sizeof(s->wrong), "%s", wrong);
}
