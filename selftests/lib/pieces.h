/* SPDX-License-Identifier: GPL-2.0-only */
/* A region whose free bytes lie in pieces, between buffers whose bytes are known. */
#ifndef PIECES_H
#define PIECES_H

#include "memalloc_test.h"

#define PIECES		32
#define PIECE_PAGES	64
#define PIECE		(PIECE_PAGES * PAGE)

/* Every second piece, from the first one on, is a buffer; the others are free. */
struct pieces {
	int fd;
	struct memalloc_alloc buffers[PIECES];
	char *maps[PIECES];
	struct memalloc_stats before;	/* as it is then */
};

/* The first pieces of the region are buffers, every second of which is freed; the rest is full. */
static inline int make_pieces(struct pieces *pieces)
{
	struct memalloc_alloc rest;
	int i, err;

	pieces->fd = open_idle_device();
	err = pieces->fd < 0 ? pieces->fd : no_limits();
	for (i = 0; i < PIECES && !err; i++) {
		err = alloc_buffer(pieces->fd, PIECE, &pieces->buffers[i]);
		if (err)
			return err;
		pieces->maps[i] = map_buffer(pieces->fd, &pieces->buffers[i]);
		if (pieces->maps[i] == MAP_FAILED)
			return -errno;
		fill(pieces->maps[i], PIECE, i);
	}
	err = err ?: get_stats(pieces->fd, &pieces->before);
	err = err ?: alloc_buffer(pieces->fd, pieces->before.free, &rest);
	for (i = 1; i < PIECES && !err; i += 2) {
		munmap(pieces->maps[i], PIECE);
		err = free_buffer(pieces->fd, pieces->buffers[i].handle);
	}
	return err ?: get_stats(pieces->fd, &pieces->before);
}

/* Which of the buffers has a wrong byte? -1: none. All are unmapped. */
static inline int end_pieces(struct pieces *pieces)
{
	int wrong = -1;
	int i;

	for (i = 0; i < PIECES; i += 2) {
		if (first_difference(pieces->maps[i], PIECE, i) != PIECE)
			wrong = i;
		munmap(pieces->maps[i], PIECE);
	}
	close(pieces->fd);
	return wrong;
}

/* The statistics now, without what they were before. */
static inline struct memalloc_stats since(const struct pieces *pieces)
{
	const struct memalloc_stats *before = &pieces->before;
	struct memalloc_stats now = {};

	get_stats(pieces->fd, &now);
	now.moves -= before->moves;
	now.moved -= before->moved;
	now.moves_refused -= before->moves_refused;
	now.served_by_moves -= before->served_by_moves;
	now.over_budget -= before->over_budget;
	now.failures -= before->failures;
	return now;
}

#endif /* PIECES_H */
