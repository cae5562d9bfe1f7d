// A host's serial line to the simulated top level of a board, bit by bit.
//
// Standard input: pairs of bytes, (0, b) to send b, (1, any) to hold the line low for three bytes. Standard output: what
// the board sends. At the end the cycles that were simulated are printed to standard error.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <poll.h>
#include <unistd.h>
#include "Vboard.h"
#include "verilated.h"

static const int BREAK_BITS = 30;

// What goes to the board: levels of the line, each for one bit.
struct Sender {
    std::deque<bool> levels;
    int left = 0;
    bool level = true;

    void send(unsigned char byte)
    {
        levels.push_back(false);
        for (int bit = 0; bit < 8; bit++) levels.push_back(byte >> bit & 1);
        levels.push_back(true);
    }
    void hold_low()
    {
        for (int bit = 0; bit < BREAK_BITS; bit++) levels.push_back(false);
        levels.push_back(true);
    }
    bool advance()
    {
        if (left) left--;
        else if (levels.empty()) level = true;
        else {
            level = levels.front();
            levels.pop_front();
            left = DIVISOR - 1;
        }
        return level;
    }
    bool idle() const { return !left && levels.empty(); }
};

// What comes from it: a start bit, then a look into the middle of each bit.
struct Receiver {
    int left = 0, bits = 0;
    unsigned byte = 0;

    bool advance(bool level)
    {
        if (!bits) {
            if (level) return false;
            bits = 10;
            left = DIVISOR / 2;
        }
        if (left) {
            left--;
            return false;
        }
        left = DIVISOR - 1;
        bits--;
        if (bits == 9 || bits == 0) return bits == 0;
        byte = byte >> 1 | (level ? 128u : 0u);
        return false;
    }
};

int main()
{
    Vboard top;
    Sender sender;
    Receiver receiver;
    const int patience = 200 * DIVISOR;
    unsigned long long cycles = 0;
    long quiet = 0;
    bool open = true;
    top.rx = 1;
    for (;;) {
        if (sender.idle() && (cycles % 64 == 0 || quiet > patience) && open) {
            // Nothing moves: wait for the host. Otherwise only look whether it has said something.
            pollfd said = {0, POLLIN, 0};
            if (poll(&said, 1, quiet > patience * 500L ? -1 : 0) > 0) {
                unsigned char pairs[8192];
                long count = read(0, pairs, sizeof pairs);
                if (count <= 0) open = false;
                if (count % 2) count += read(0, pairs + count, 1);
                for (long i = 0; i + 1 < count; i += 2) {
                    if (pairs[i]) sender.hold_low();
                    else sender.send(pairs[i + 1]);
                }
                quiet = 0;
            }
        }
        if (!open && sender.idle() && quiet > patience) break;
        top.rx = sender.advance();
        top.clock = 0;
        top.eval();
        top.clock = 1;
        top.eval();
        cycles++;
        quiet++;
        if (!top.tx || !sender.idle()) quiet = 0;
        if (receiver.advance(top.tx)) {
            unsigned char byte = receiver.byte;
            if (write(1, &byte, 1) != 1) return 1;
        }
    }
    std::fprintf(stderr, "%llu\n", cycles);
    return 0;
}
