// Every value of WIDTH bits and every decay: 0 if all are equal to the definition, 1 and the first difference otherwise.
// Arguments: the first and the last `keep`; so that several processes share the work.
#include <cstdio>
#include <cstdlib>
#include "Vdecay_proof.h"
#include "verilated.h"

int main(int argc, char **argv)
{
    const int first = argc > 1 ? std::atoi(argv[1]) : 0, last = argc > 2 ? std::atoi(argv[2]) : 4096;
    Vdecay_proof top;
    unsigned long long compared = 0;
    for (int keep = first; keep <= last; keep++) {
        for (long value = -(1L << (WIDTH - 1)); value < (1L << (WIDTH - 1)); value += COPIES) {
            top.keep = keep;
            top.value = value & ((1L << WIDTH) - 1);
            top.clock = 0;
            top.eval();
            top.clock = 1;
            top.eval();
            if (top.wrong) {
                std::printf("keep %d, a value from %ld on\n", keep, value);
                return 1;
            }
            compared += COPIES;
        }
    }
    std::printf("%llu decays are equal\n", compared);
    return 0;
}
