/* The part of the standard header that programs on an emulated processor use; start.c has the functions. */
#ifndef BOARD_STDLIB_H
#define BOARD_STDLIB_H

#include <stddef.h>

unsigned long strtoul(const char *text, char **rest, int base);
void *calloc(size_t count, size_t size);
void free(void *block);

#endif
