/*
 * What a program needs of an emulated processor: a start, a console, two files and an end, by semihosting.
 *
 * The host's file `asked` is the standard input, and `answered` the standard output. There is no C library.
 * For Cortex-M (QEMU's machine mps2-an386) and RISC-V of 32 bits (QEMU's machine virt).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_GET_CMDLINE = 0x15, SYS_EXIT_EXTENDED = 0x20 };
enum { OPEN_READ = 1, OPEN_WRITE = 5, APPLICATION_EXIT = 0x20026, PIECE = 4096, MOST_ARGUMENTS = 8 };

extern unsigned char heap_begins[], heap_ends[];
int main(int count, char **arguments);
void begin(void);
void end(int status);

static unsigned char asked[PIECE], answered[PIECE];
static size_t asked_size, asked_place, answered_size;
static uintptr_t asked_file, answered_file;
static char command[256];

static uintptr_t call(uintptr_t number, const void *block)
{
#if defined(__arm__)
    register uintptr_t r0 __asm__("r0") = number;
    register const void *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
#else
    register uintptr_t a0 __asm__("a0") = number;
    register const void *a1 __asm__("a1") = block;
    /* The three instructions must be of four bytes each, and on one page. */
    __asm__ volatile(".balign 16\n.option push\n.option norvc\n"
                     "slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n.option pop\n"
                     : "+r"(a0) : "r"(a1) : "memory");
    return a0;
#endif
}

static uintptr_t open_file(const char *name, uintptr_t mode)
{
    const uintptr_t block[3] = {(uintptr_t)name, mode, strlen(name)};
    return call(SYS_OPEN, block);
}

static void send(void)
{
    const uintptr_t block[3] = {answered_file, (uintptr_t)answered, answered_size};
    if (answered_size != 0 && call(SYS_WRITE, block) != 0) {
        answered_size = 0;
        end(99);
    }
    answered_size = 0;
}

int getchar(void)
{
    if (asked_place == asked_size) {
        const uintptr_t block[3] = {asked_file, (uintptr_t)asked, sizeof asked};
        asked_size = sizeof asked - call(SYS_READ, block);
        asked_place = 0;
        if (asked_size == 0) {
            return EOF;
        }
    }
    return asked[asked_place++];
}

int putchar(int letter)
{
    if (answered_size == sizeof answered) {
        send();
    }
    answered[answered_size++] = (unsigned char)letter;
    return letter;
}

size_t fread(void *into, size_t size, size_t count, FILE *file)
{
    unsigned char *bytes = into;
    size_t i;
    (void)file;
    for (i = 0; i < size * count; i++) {
        const int letter = getchar();
        if (letter == EOF) {
            return i / size;
        }
        bytes[i] = (unsigned char)letter;
    }
    return count;
}

size_t fwrite(const void *from, size_t size, size_t count, FILE *file)
{
    const unsigned char *bytes = from;
    size_t i;
    (void)file;
    for (i = 0; i < size * count; i++) {
        putchar(bytes[i]);
    }
    return count;
}

int fflush(FILE *file)
{
    (void)file;
    return 0;
}

unsigned long strtoul(const char *text, char **rest, int base)
{
    unsigned long number = 0;
    (void)rest;
    for (; *text >= '0' && *text <= '9'; text++) {
        number = number * (unsigned long)base + (unsigned long)(*text - '0');
    }
    return number;
}

size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    return length;
}

/* The compiler calls these two of its own accord, and must not find them in their own loops. */
void *memset(void *to, int value, size_t size)
{
    volatile unsigned char *bytes = to;
    size_t i;
    for (i = 0; i < size; i++) {
        bytes[i] = (unsigned char)value;
    }
    return to;
}

void *memcpy(void *to, const void *from, size_t size)
{
    volatile unsigned char *bytes = to;
    const unsigned char *others = from;
    size_t i;
    for (i = 0; i < size; i++) {
        bytes[i] = others[i];
    }
    return to;
}

/* What lies beyond the program's own memory is zero when the machine starts, and nothing is given twice. */
void *calloc(size_t count, size_t size)
{
    static size_t used;
    unsigned char *const block = heap_begins + used;
    const size_t wanted = (count * size + 15u) & ~(size_t)15u;
    if (wanted > (size_t)(heap_ends - block)) {
        return NULL;
    }
    used += wanted;
    return block;
}

void free(void *block)
{
    (void)block;
}

void end(int status)
{
    const uintptr_t block[2] = {APPLICATION_EXIT, (uintptr_t)status};
    send();
    call(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}

void begin(void)
{
    const uintptr_t block[2] = {(uintptr_t)command, sizeof command};
    char *arguments[MOST_ARGUMENTS + 1], *letter = command;
    int count = 0;
    call(SYS_GET_CMDLINE, block);
    while (*letter != '\0' && count < MOST_ARGUMENTS) {
        arguments[count++] = letter;
        while (*letter != ' ' && *letter != '\0') {
            letter++;
        }
        if (*letter == ' ') {
            *letter++ = '\0';
        }
    }
    arguments[count] = NULL;
    asked_file = open_file("asked", OPEN_READ);
    answered_file = open_file("answered", OPEN_WRITE);
    end(main(count, arguments));
}

#if defined(__arm__)
extern unsigned char stack_begins[];
__attribute__((section(".start"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)stack_begins, (uintptr_t)begin};
#else
__attribute__((section(".start"), naked, used)) void start(void);
void start(void)
{
    __asm__ volatile("la sp, stack_begins\nj begin");
}
#endif
