/*
 * Firmware that classifies handwritten digits: what a microcontroller does with a network of pumice.
 *
 * net_hrsnn.h and net_hrsnn.c are written by `pumice export BUILD --format c`; digits.h, the pictures, by
 * examples/digits_firmware.py. On a board, pictures would come from a camera, and putchar from its UART.
 */
#include <stdio.h>

#include "digits.h"
#include "net_hrsnn.h"

/* All that changes: no heap, and a stack of some dozen bytes. */
static net_hrsnn_state state;

static void say(const char *text)
{
    for (; *text != '\0'; text++) {
        putchar(*text);
    }
}

static void say_number(uint32_t number)
{
    if (number >= 10u) {
        say_number(number / 10u);
    }
    putchar((int)('0' + number % 10u));
}

/* Shows one picture for all of its steps, and returns what the network takes it for. */
static int classify(uint32_t digit, uint32_t *class)
{
    uint32_t step;
    net_hrsnn_reset(&state);
    for (step = 0; step < DIGITS_STEPS; step++) {
        const uint32_t place = digit * DIGITS_STEPS + step;
        net_hrsnn_input input;
        net_hrsnn_output output;
        input.input_events = &digits_events[digits_starts[place]];
        input.input_count = digits_starts[place + 1u] - digits_starts[place];
        if (net_hrsnn_step(&state, &input, &output) != 0) {
            return 1;
        }
    }
    *class = net_hrsnn_output_decode(&state);
    return 0;
}

int main(void)
{
    uint32_t digit, right = 0;
    for (digit = 0; digit < DIGITS; digit++) {
        uint32_t class;
        if (classify(digit, &class) != 0) {
            say("a picture does not fit the network\n");
            return 1;
        }
        right += class == digits_labels[digit] ? 1u : 0u;
        say_number(class);
        say(digit % 32u == 31u || digit == DIGITS - 1u ? "\n" : " ");
    }
    say_number(right);
    say(" of ");
    say_number(DIGITS);
    say(" are right\n");
    return 0;
}
