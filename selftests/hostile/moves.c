// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers are moved without pause, while four clients write patterns to theirs and read them back,
 * each in a way of its own, and are killed in the middle of it. No byte is ever wrong. Of each
 * client, pages are held that were to be moved, and it has to wait for moves: the kernel's tracing
 * tells how often. MOVES=n: go on until so many buffers of the clients were moved.
 */
#include "hostile.h"
#include "tracefs.h"

#include <liburing.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define INSTANCE	TRACEFS "/instances/moves/"
#define EVENTS		INSTANCE "events/memalloc/"

#define CLIENT_USER	61020		/* and the next ones */
#define SLOTS		8		/* buffers of a client */
#define FILLERS		16		/* buffers without bytes, which only make pieces */
#define SIZES		13		/* of buffers: 1 to 4,096 pages, log-uniform */
#define ROOM		(96 * MIB)	/* of the region, for all of them */
#define DISK		"/dev/nvme0n1"
#define DISK_AT		(52 * MIB)	/* no other test reads there */
#define DISK_PART	MIB		/* of a client */
#define STRETCH_MAX	64		/* pages of a buffer that are written to the disk */
#define PAUSE_US	300
#define MOVES_MIN	1000
#define ROUND_MS	300

static __attribute__((constructor)) void needs_memory_that_moves(void)
{
	skip_program_if(!memory_moves(), "buffers of this region can't be moved");
}

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

/* What the kernel tells of a client's buffers. */
struct seen {
	unsigned long moves;
	unsigned long refused;	/* moves, since pages were held */
	unsigned long waits;	/* of accesses in its way */
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

FIXTURE(moves) {
	struct scene scene;
	struct tally *tally;
	struct memalloc_alloc rest;
	struct memalloc_alloc fillers[FILLERS];
	pid_t clients[CLIENTS];
	__u64 random;
	int pipe;			/* of events */
	struct seen seen[CLIENTS];
};

static __u64 random_pages(__u64 *random)
{
	return 1 + random_below(random, 1 << random_below(random, SIZES));
}

/* The length that is asked for tells whose the buffer is: whole pages are nobody's. */
static __u64 length_of(int client, __u64 bytes)
{
	return bytes - client - 1;
}

static int client_of(__u64 length)
{
	return (int)(-length % PAGE) - 1;
}

static bool is_whole_slot(const struct slot *slot)
{
	return first_difference(slot->map, slot->length, slot->seed) == slot->length;
}

static const char *fill_slot(struct client *c, struct slot *slot)
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

static const char *empty_slot(struct client *c, struct slot *slot)
{
	munmap(slot->map, slot->length);
	slot->map = NULL;
	return free_buffer(c->fd, slot->buffer.handle) ? "FREE failed" : "";
}

/* Writes through @map, and reads there while a pipe holds a page. */
static const char *write_by(char *map, struct client *c, struct slot *slot)
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

static const char *write_by_mapping(struct client *c, struct slot *slot)
{
	return write_by(slot->map, c, slot);
}

static const char *write_by_dmabuf(struct client *c, struct slot *slot)
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

static bool disk_does(struct client *c, char *page, bool write)
{
	return (write ? pwrite(c->disk, page, PAGE, c->part) :
			pread(c->disk, page, PAGE, c->part)) == (ssize_t)PAGE;
}

static bool ring_does(struct client *c, char *page, bool write)
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
static const char *write_to_disk(struct client *c, struct slot *slot,
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

static const char *write_in_its_way(struct client *c, struct slot *slot)
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

static const char *write_in_child(struct slot *slot)
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
static const char *resize_slot(struct client *c, struct slot *slot)
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

static const char *map_again(struct client *c, struct slot *slot)
{
	char *map = map_at(c->fd, slot->buffer.mmap_offset, slot->length, PROT_READ | PROT_WRITE);

	if (map == MAP_FAILED)
		return "a second mmap() failed";
	munmap(slot->map, slot->length);
	slot->map = map;
	return "";
}

static const char *use_slot(struct client *c, struct tally *tally)
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

static const char *work(struct tally *tally, int number, __u64 random)
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

static pid_t begin_client(struct tally *tally, int number, __u64 random)
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

/* Events of moves, of held pages, and of page faults that waited. The file's descriptor, or -1. */
static int begin_events(void)
{
	if (mount_tracefs() || (mkdir(INSTANCE, 0700) && errno != EEXIST) ||
	    write_file(EVENTS "memalloc_stay/filter", "reason == 1") ||
	    write_file(EVENTS "memalloc_move/enable", "1") ||
	    write_file(EVENTS "memalloc_stay/enable", "1") ||
	    write_file(EVENTS "memalloc_wait/enable", "1"))
		return -1;
	return open(INSTANCE "trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static void end_events(int pipe)
{
	close(pipe);
	rmdir(INSTANCE);
}

static void count_event(struct seen *seen, const char *line)
{
	const char *event = strstr(line, " memalloc_"), *length, *user;
	int client;

	length = event ? strstr(event, " length=") : NULL;
	client = length ? client_of(strtoull(length + 8, NULL, 10)) : -1;
	if (client < 0 || client >= CLIENTS)
		return;
	seen += client;
	seen->moves += !strncmp(event, " memalloc_move:", 15);
	seen->refused += !strncmp(event, " memalloc_stay:", 15);
	user = strstr(length, " user=");
	/* Direct I/O is the kernel's access, for the program. */
	seen->waits += user && (user[6] == '1') == (client == BY_MAPPING || client == BY_DMABUF);
}

static void count_events(FIXTURE_DATA(moves) * self)
{
	static char events[1 << 16];
	static size_t kept;		/* of a line that has not ended */
	char *line, *end;
	ssize_t n;

	while ((n = read(self->pipe, events + kept, sizeof(events) - 1 - kept)) > 0) {
		events[kept + n] = 0;
		for (line = events; (end = strchr(line, '\n')); line = end + 1) {
			*end = 0;
			count_event(self->seen, line);
		}
		kept = strlen(line);
		memmove(events, line, kept);
	}
}

FIXTURE_SETUP(moves)
{
	struct memalloc_stats stats;
	int i;

	memset(self->fillers, 0, sizeof(self->fillers));
	memset(self->seen, 0, sizeof(self->seen));
	self->random = 7;
	ASSERT_EQ(0, begin_scene(&self->scene));
	SET(self->scene.bystander->full, true);
	self->tally = mmap(NULL, sizeof(*self->tally), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->tally);
	self->pipe = begin_events();
	ASSERT_LE(0, self->pipe);
	/* Those who work take all that there is: it is the moving that is looked at. */
	ASSERT_EQ(0, setpriority(PRIO_PROCESS, 0, -10));
	ASSERT_EQ(0, get_stats(self->scene.fd, &stats));
	ASSERT_EQ(0, alloc_buffer(self->scene.fd, stats.largest_free - ROOM, &self->rest));
	for (i = 0; i < CLIENTS; i++)
		self->clients[i] = begin_client(self->tally, i, 1 + i);
}

FIXTURE_TEARDOWN(moves)
{
	int i;

	for (i = 0; i < FILLERS; i++)
		if (self->fillers[i].handle)
			EXPECT_EQ(0, free_buffer(self->scene.fd, self->fillers[i].handle));
	EXPECT_EQ(0, free_buffer(self->scene.fd, self->rest.handle));
	end_events(self->pipe);
	EXPECT_STREQ("", end_scene(&self->scene));
}

/* Something comes or goes, so that what is free lies in pieces again. */
static int make_pieces(FIXTURE_DATA(moves) * self)
{
	struct memalloc_alloc *filler = &self->fillers[random_below(&self->random, FILLERS)];
	const int fd = self->scene.fd;
	int err = 0;

	if (filler->handle)
		err = free_buffer(fd, filler->handle);
	filler->handle = 0;
	if (!err && alloc_buffer(fd, random_pages(&self->random) * PAGE, filler))
		filler->handle = 0;
	return err;
}

static int move_for_a_while(FIXTURE_DATA(moves) * self)
{
	const __u64 end = now_ms() + ROUND_MS;
	int err = 0;

	while (!err && now_ms() < end && !GET(self->tally->stop)) {
		/* Buffers become longer meanwhile, and some then have more than is left of it. */
		struct memalloc_compact arg = {
			.size = sizeof(arg),
			.budget = random_below(&self->random, 2) ? UINT64_MAX :
				  random_pages(&self->random) * PAGE,
		};

		err = make_pieces(self) ?: call(self->scene.fd, MEMALLOC_IOC_COMPACT, &arg);
	}
	count_events(self);
	return err;
}

static unsigned long count_moves(const struct seen *seen)
{
	unsigned long moves = 0;
	int i;

	for (i = 0; i < CLIENTS; i++)
		moves += seen[i].moves;
	return moves;
}

/* @moves in all; and each client was in the way, and waited, once for a thousand, but ten times. */
static bool has_seen_enough(const struct seen *seen, unsigned long moves)
{
	const unsigned long each = moves < 10000 ? 10 : moves / 1000;
	int i;

	for (i = 0; i < CLIENTS; i++)
		if (seen[i].refused < each || seen[i].waits < each)
			return false;
	return count_moves(seen) >= moves;
}

static void tell(const struct seen *seen)
{
	int i;

	printf("# %lu moves;", count_moves(seen));
	for (i = 0; i < CLIENTS; i++)
		printf(" %s: %lu, %lu refused, %lu waits;", client_names[i], seen[i].moves,
		       seen[i].refused, seen[i].waits);
	printf("\n");
	fflush(stdout);
}

TEST_F_TIMEOUT(moves, notice_nothing, 4 * 3600)
{
	const char *number = getenv("MOVES");
	const unsigned long moves = number ? strtoul(number, NULL, 10) : MOVES_MIN;
	struct tally *tally = self->tally;
	unsigned long told = moves / 10;
	unsigned int round;
	int i, use;

	for (round = 0; !GET(tally->stop); round++) {
		if (has_seen_enough(self->seen, moves) || count_moves(self->seen) > 10 * moves)
			break;
		ASSERT_EQ(0, move_for_a_while(self));
		i = round % CLIENTS;
		kill(self->clients[i], SIGKILL);
		ASSERT_NE(-1, wait_child(self->clients[i]));
		if (!GET(tally->stop))
			self->clients[i] = begin_client(tally, i, 100 + round);
		if (count_moves(self->seen) < told)
			continue;
		tell(self->seen);
		told += moves / 10;
	}
	SET(tally->stop, true);
	for (i = 0; i < CLIENTS; i++)
		wait_child(self->clients[i]);
	EXPECT_STREQ("", tally->wrong);
	tell(self->seen);
	EXPECT_TRUE(has_seen_enough(self->seen, moves));
	for (i = 0; i < CLIENTS; i++)
		for (use = 0; use < USES; use++)
			EXPECT_LT(0, tally->uses[i][use]) TH_LOG("client %d, use %d", i, use);
}

TEST_HARNESS_MAIN
