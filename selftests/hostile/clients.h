/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Four clients, each of which uses buffers in a way of its own: they write patterns to them, read
 * these back, and see at once if a byte is wrong. They may be killed at any time.
 */
#ifndef CLIENTS_H
#define CLIENTS_H

#include "hostile.h"

#include <liburing.h>

#define CLIENT_USER	61020		/* and the next ones */
#define SLOTS		8		/* buffers of a client */
#define SIZES		13		/* of buffers: 1 to 4,096 pages, log-uniform */
#define DISK		"/dev/nvme0n1"
#define DISK_AT		(52 * MIB)	/* no other test reads there */
#define DISK_PART	MIB		/* of a client */
#define STRETCH_MAX	64		/* pages of a buffer that are written to the disk */
#define PAUSE_US	300

enum {
	BY_MAPPING,
	BY_DMABUF,
	BY_DISK,
	BY_RING,
	CLIENTS,
};

static const char *const client_names[CLIENTS] = {
	"mapping", "dma-buf", "direct I/O", "io_uring",
};

/* What a client does with a buffer. */
enum {
	WRITE,			/* in its own way */
	WRITE_IN_CHILD,
	RESIZE,
	MAP_AGAIN,
	USES,
	FREE = USES + 3,	/* more often */
	CHOICES,
};

/* In memory that all share. */
struct tally {
	unsigned long uses[CLIENTS][USES];
	bool stop;
	char wrong[64];
};

struct slot {
	struct memalloc_alloc buffer;
	char *map;			/* NULL: there is no buffer */
	size_t length;			/* in pages, as bytes */
	__u32 seed;
};

struct client {
	int number;
	int fd;
	int disk;
	off_t part;			/* of the disk */
	struct io_uring ring;
	struct slot slots[SLOTS];
	__u64 random;
};

static inline __u64 random_pages(__u64 *random)
{
	return 1 + random_below(random, 1 << random_below(random, SIZES));
}

/* The length that is asked for tells whose the buffer is: whole pages are nobody's. */
static inline __u64 length_of(int client, __u64 bytes)
{
	return bytes - client - 1;
}

static inline int client_of(__u64 length)
{
	return (int)(-length % PAGE) - 1;
}

static inline bool is_whole_slot(const struct slot *slot)
{
	return first_difference(slot->map, slot->length, slot->seed) == slot->length;
}

static inline const char *fill_slot(struct client *c, struct slot *slot)
{
	slot->length = random_pages(&c->random) * PAGE;
	/* There may be no room, and the user may have no more. */
	if (alloc_buffer(c->fd, length_of(c->number, slot->length), &slot->buffer))
		return "";
	slot->map = map_buffer(c->fd, &slot->buffer);
	if (slot->map == MAP_FAILED)
		return "mmap() failed";
	if (first_nonzero(slot->map, slot->length) != slot->length)
		return "a new buffer is not zero";
	slot->seed = random_below(&c->random, 1 << 30);
	fill(slot->map, slot->length, slot->seed);
	return "";
}

static inline const char *empty_slot(struct client *c, struct slot *slot)
{
	munmap(slot->map, slot->length);
	slot->map = NULL;
	return free_buffer(c->fd, slot->buffer.handle) ? "FREE failed" : "";
}

/* Writes through @map, and reads there while a pipe holds a page. */
static inline const char *write_by(char *map, struct client *c, struct slot *slot)
{
	const size_t at = random_below(&c->random, slot->length / PAGE) * PAGE;
	struct iovec data = { map + at, PAGE };
	const char *wrong = "";
	char copy[PAGE];
	int ends[2];

	fill(map, slot->length, ++slot->seed);
	if (pipe(ends))
		return "pipe() failed";
	if (vmsplice(ends[1], &data, 1, 0) != (ssize_t)PAGE)
		wrong = "vmsplice() failed";
	else if (first_difference(map, slot->length, slot->seed) != slot->length)
		wrong = "what was written has changed";
	else if (read(ends[0], copy, PAGE) != (ssize_t)PAGE || memcmp(copy, map + at, PAGE))
		wrong = "a pipe had something else";
	close(ends[0]);
	close(ends[1]);
	return wrong;
}

static inline const char *write_by_mapping(struct client *c, struct slot *slot)
{
	return write_by(slot->map, c, slot);
}

static inline const char *write_by_dmabuf(struct client *c, struct slot *slot)
{
	int dmabuf = export_buffer(c->fd, slot->buffer.handle, O_RDWR);
	const char *wrong;
	char *map;

	if (dmabuf < 0)
		return "EXPORT failed";
	map = map_at(dmabuf, 0, slot->length, PROT_READ | PROT_WRITE);
	close(dmabuf);
	if (map == MAP_FAILED)
		return "mmap() of a dma-buf failed";
	wrong = write_by(map, c, slot);
	munmap(map, slot->length);
	return wrong;
}

static inline bool disk_does(struct client *c, char *page, bool write)
{
	return (write ? pwrite(c->disk, page, PAGE, c->part) :
			pread(c->disk, page, PAGE, c->part)) == (ssize_t)PAGE;
}

static inline bool ring_does(struct client *c, char *page, bool write)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&c->ring);
	struct io_uring_cqe *cqe;
	bool done;

	if (write)
		io_uring_prep_write(sqe, c->disk, page, PAGE, c->part);
	else
		io_uring_prep_read(sqe, c->disk, page, PAGE, c->part);
	if (io_uring_submit_and_wait(&c->ring, 1) != 1 || io_uring_wait_cqe(&c->ring, &cqe))
		return false;
	done = cqe->res == (int)PAGE;
	io_uring_cqe_seen(&c->ring, cqe);
	return done;
}

/*
 * What the disk got is what was there, and what is read from it arrives. Page by page, so that the
 * kernel looks for pages often.
 */
static inline const char *write_to_disk(struct client *c, struct slot *slot,
					bool (*does)(struct client *c, char *page, bool write))
{
	const size_t pages = slot->length / PAGE;
	const size_t n = pages < STRETCH_MAX ? pages : STRETCH_MAX;
	char *page = slot->map + random_below(&c->random, pages - n + 1) * PAGE;
	char *end = page + n * PAGE;

	for (; page < end; page += PAGE) {
		if (!does(c, page, true))
			return "writing to the disk failed";
		memset(page, 0, PAGE);
		if (!does(c, page, false))
			return "reading from the disk failed";
		/* What comes next is the kernel's access, which may have to wait for a move. */
		usleep(PAUSE_US);
	}
	return "";
}

static inline const char *write_in_its_way(struct client *c, struct slot *slot)
{
	switch (c->number) {
	case BY_MAPPING:
		return write_by_mapping(c, slot);
	case BY_DMABUF:
		return write_by_dmabuf(c, slot);
	case BY_DISK:
		return write_to_disk(c, slot, disk_does);
	default:
		return write_to_disk(c, slot, ring_does);
	}
}

static inline const char *write_in_child(struct slot *slot)
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

/* Shorter, and longer again if there is room: what is new is zero. */
static inline const char *resize_slot(struct client *c, struct slot *slot)
{
	const size_t half = (slot->length / 2 + PAGE - 1) & -PAGE;
	const __u32 handle = slot->buffer.handle;

	if (resize_buffer(c->fd, handle, length_of(c->number, half)))
		return "RESIZE to less failed";
	if (first_difference(slot->map, half, slot->seed) != half)
		return "what RESIZE left is wrong";
	if (resize_buffer(c->fd, handle, length_of(c->number, slot->length))) {
		munmap(slot->map + half, slot->length - half);
		slot->length = half;
		return "";
	}
	if (first_nonzero(slot->map + half, slot->length - half) != slot->length - half)
		return "what RESIZE added is not zero";
	fill(slot->map, slot->length, slot->seed);
	return "";
}

static inline const char *map_again(struct client *c, struct slot *slot)
{
	char *map = map_at(c->fd, slot->buffer.mmap_offset, slot->length, PROT_READ | PROT_WRITE);

	if (map == MAP_FAILED)
		return "a second mmap() failed";
	munmap(slot->map, slot->length);
	slot->map = map;
	return "";
}

static inline const char *use_slot(struct client *c, struct tally *tally)
{
	struct slot *slot = &c->slots[random_below(&c->random, SLOTS)];
	const unsigned int use = random_below(&c->random, CHOICES);
	const char *wrong = "";

	if (!slot->map)
		return fill_slot(c, slot);
	if (!is_whole_slot(slot))
		return "a buffer has changed";
	switch (use) {
	case WRITE_IN_CHILD:
		wrong = write_in_child(slot);
		break;
	case RESIZE:
		wrong = resize_slot(c, slot);
		break;
	case MAP_AGAIN:
		wrong = map_again(c, slot);
		break;
	case FREE:
		return empty_slot(c, slot);
	default:
		wrong = write_in_its_way(c, slot);
		break;
	}
	if (!*wrong && !is_whole_slot(slot))
		wrong = "a buffer has changed by what was done with it";
	__atomic_fetch_add(&tally->uses[c->number][use < USES ? use : WRITE], 1, __ATOMIC_RELAXED);
	return wrong;
}

static inline const char *work(struct tally *tally, int number, __u64 random)
{
	struct client c = {
		.number = number,
		.part = DISK_AT + number * DISK_PART,
		.random = random,
	};
	const char *wrong = "";

	c.disk = open(DISK, O_RDWR | O_DIRECT);
	if (c.disk < 0 || become(CLIENT_USER + number) || io_uring_queue_init(4, &c.ring, 0))
		return "it can't begin";
	c.fd = open_device();
	if (c.fd < 0)
		return "it can't open the device";
	while (!*wrong && !GET(tally->stop))
		wrong = use_slot(&c, tally);
	return wrong;
}

static inline pid_t begin_client(struct tally *tally, int number, __u64 random)
{
	const char *wrong;
	pid_t child = fork_child();
	int error;

	if (child)
		return child;
	setpriority(PRIO_PROCESS, 0, 0);
	/* Who sees what is wrong is not killed for it. */
	wrong = work(tally, number, random);
	error = errno;
	if (*wrong) {
		snprintf(tally->wrong, sizeof(tally->wrong), "%s: %s (errno %d)",
			 client_names[number], wrong, error);
		SET(tally->stop, true);
	}
	_exit(0);
}

/* They all end. */
static inline void end_clients(struct tally *tally, const pid_t *clients)
{
	int i;

	SET(tally->stop, true);
	for (i = 0; i < CLIENTS; i++)
		wait_child(clients[i]);
}

#endif /* CLIENTS_H */
