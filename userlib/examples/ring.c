// SPDX-License-Identifier: MIT
/*
 * A mirrored ring: a buffer that is mapped twice in a row, so that what goes over its end is in one
 * piece all the same. Who writes and who reads needs no case for the wrap, nor does a system call
 * that is given an address and a length.
 *
 *   ring [BYTES]
 *
 * A child writes records of all lengths, by read(2) from a pipe straight into the ring; the parent
 * takes them out, checks each in one go, and counts those that lay over the end.
 */
#include <errno.h>
#include <memalloc_view.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"

#define RING		(64 << 10)	/* bytes */
#define RECORD_MAX	5000

/* In memory that both processes share: bytes that were ever written, and taken out. */
struct counts {
	_Atomic uint64_t written;
	_Atomic uint64_t taken;
};

struct record {
	uint32_t length;		/* with this */
	uint32_t number;
};

/* What a record has, byte by byte. */
static unsigned char byte_of(uint32_t number, uint32_t i)
{
	return number * 31 + i;
}

static uint32_t length_of(uint32_t number)
{
	return sizeof(struct record) + number * 2654435761U % (RECORD_MAX - sizeof(struct record));
}

/* In one piece, wherever it begins: from a file, by one system call. */
static void write_record(char *at, uint32_t number, const int *ends)
{
	static unsigned char record[RECORD_MAX];
	const struct record head = { .length = length_of(number), .number = number };
	uint32_t i;

	memcpy(record, &head, sizeof(head));
	for (i = sizeof(head); i < head.length; i++)
		record[i] = byte_of(number, i);
	must(write(ends[1], record, head.length) == (ssize_t)head.length, "the pipe takes no more");
	must(read(ends[0], at, head.length) == (ssize_t)head.length,
	     "reading into the ring failed");
}

static void write_records(char *ring, struct counts *counts, uint64_t bytes)
{
	uint32_t number;
	int ends[2];

	must(!pipe(ends), "there is no pipe");
	for (number = 0; counts->written < bytes; number++) {
		while (counts->written + length_of(number) - counts->taken > RING)
			usleep(50);
		write_record(ring + counts->written % RING, number, ends);
		counts->written += length_of(number);
	}
}

static void check_record(const char *at, uint32_t number)
{
	struct record head;
	uint32_t i;

	memcpy(&head, at, sizeof(head));
	must(head.number == number && head.length == length_of(number),
	     "record %u is not the next one", number);
	for (i = sizeof(head); i < head.length; i++)
		must((unsigned char)at[i] == byte_of(number, i), "record %u, byte %u is wrong",
		     number, i);
}

static void take_records(const char *ring, struct counts *counts, uint64_t bytes, pid_t writer)
{
	uint32_t number, wrapped = 0;

	for (number = 0; counts->taken < bytes; number++) {
		const uint64_t at = counts->taken % RING;

		while (counts->written < counts->taken + length_of(number)) {
			must(!kill(writer, 0), "the writer has ended");
			usleep(50);
		}
		check_record(ring + at, number);
		wrapped += at + length_of(number) > RING;
		counts->taken += length_of(number);
	}
	printf("  %u records came through a ring of %d KiB; %u lay over its end, in one piece\n",
	       number, RING >> 10, wrapped);
	must(wrapped, "no record lay over the end");
}

int main(int argc, char **argv)
{
	const uint64_t bytes = argc > 1 ? strtoull(argv[1], NULL, 0) : 4 << 20;
	struct memalloc *mem = open_device();
	struct memalloc_buffer buffer = new_buffer(mem, RING);
	struct memalloc_view *view;
	struct counts *counts;
	pid_t child;
	int err;

	err = memalloc_view_create(mem, 2 * RING, &view);
	if (!err)
		err = memalloc_view_map(view, 0, &buffer, 0, RING, 0);
	if (!err)
		err = memalloc_view_map(view, RING, &buffer, 0, RING, 0);
	if (err)
		die(err, "the ring can't be mapped");
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	must(counts != MAP_FAILED, "no memory for the counts");
	/* A writer that fails is gone at once, and who waits for it sees that. */
	signal(SIGCHLD, SIG_IGN);
	child = fork();
	must(child >= 0, "there can be no other process");
	if (!child) {
		write_records(memalloc_view_address(view), counts, bytes);
		_exit(0);
	}
	take_records(memalloc_view_address(view), counts, bytes, child);
	memalloc_view_destroy(view);
	memalloc_close(mem);
	return 0;
}
