/* The part of the standard header that programs on an emulated processor use; start.c has the functions. */
#ifndef BOARD_STRING_H
#define BOARD_STRING_H

#include <stddef.h>

void *memset(void *to, int value, size_t size);
void *memcpy(void *to, const void *from, size_t size);
size_t strlen(const char *text);

#endif
