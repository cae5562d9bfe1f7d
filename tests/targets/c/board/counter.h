/* Counts the instructions of an emulated processor; QEMU's -icount makes them the only thing that takes time. */
#ifndef BOARD_COUNTER_H
#define BOARD_COUNTER_H

#include <stdint.h>

#if defined(__arm__)
/* The timer of Cortex-M counts 24 bits down, 25 million a second; an instruction takes 32 ns of that. */
#define SYSTICK ((volatile uint32_t *)0xE000E010u)

static inline void counter_begin(void)
{
    SYSTICK[1] = 0xFFFFFFu;
    SYSTICK[2] = 0;
    SYSTICK[0] = 5;
}

static inline uint32_t counter_now(void)
{
    return 0xFFFFFFu - SYSTICK[2];
}

/* Instructions between two readings that are less than 20 million instructions apart. */
static inline uint32_t counter_between(uint32_t before, uint32_t after)
{
    return (uint32_t)(((uint64_t)((after - before) & 0xFFFFFFu) * 40u + 16u) / 32u);
}
#else
static inline void counter_begin(void)
{
}

static inline uint32_t counter_now(void)
{
    uint32_t count;
    __asm__ volatile("rdinstret %0" : "=r"(count));
    return count;
}

static inline uint32_t counter_between(uint32_t before, uint32_t after)
{
    return after - before;
}
#endif

#endif
