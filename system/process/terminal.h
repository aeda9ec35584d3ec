/*
 * A terminal that is drawn on: its alternate screen, keys without waiting for a line, and all of it put back at the end.
 * Plain VT100. Nothing waits for a terminal that does not take what is written: what is drawn is drawn whole, and while
 * the last screen is on its way no other one is made.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

enum { COLUMNS_MAX = 512, ROWS_MAX = 256 };

struct terminal {
	int fd;                /* -1: there is none */
	int key_fd;            /* -1: standard input is no terminal */
	struct termios before; /* of key_fd */
	int rows, columns;
	bool is_entered; /* and so it has to be put back */
	bool is_shared;  /* others write by the same description: it may wait, so in small pieces */
	char *screen;    /* from begin to end it is still to be written */
	size_t begin, end, size;
};

/* A terminal that shows colors, whose user has not said otherwise (NO_COLOR). */
bool has_colors(int fd);

/* Standard output, where that is a terminal that can be drawn on. */
bool open_terminal(struct terminal *);
void enter_screen(struct terminal *);
void leave_screen(struct terminal *);
/* False: it is the shell's now, and a change would stop us. */
bool has_terminal(const struct terminal *);
void measure_terminal(struct terminal *);

/* Lines that end in newlines; what does not fit is cut off. Not while it is busy. */
void draw_screen(struct terminal *, const char *text);
bool is_busy(const struct terminal *);
/* False: the terminal is gone. */
bool write_screen(struct terminal *);
/* A key that was pressed; 0: none. False: the keyboard is gone. */
bool read_key(struct terminal *, char *key);
