/* The part of the standard header that programs on an emulated processor use; start.c has the functions. */
#ifndef BOARD_STDIO_H
#define BOARD_STDIO_H

#include <stddef.h>

typedef int FILE;
#define EOF (-1)
#define stdin ((FILE *)0)
#define stdout ((FILE *)0)

int getchar(void);
int putchar(int letter);
size_t fread(void *into, size_t size, size_t count, FILE *file);
size_t fwrite(const void *from, size_t size, size_t count, FILE *file);
int fflush(FILE *file);

#endif
