// Runs samples through a core that Verilator compiled, and says what its neurons did.
//
//     bench CONFIG BATCH V U SEED [BEATS]
//
// CONFIG holds words of 32 bits: the length of the load stream and its words, the groups of neurons, the number of
// inputs, the elements of each, and the code of each element. A step is read from the standard input, in words of 32
// bits, too: 1 from rest or 0 from where the last step ended, then for every sample of the batch the values of all
// elements. The standard output says how many cycles loading took; then for every step and sample the cycles, spikes of
// all neurons, and, if V or U is 1, potentials or currents. With a SEED other than 0, streams stall at random, and what
// is not reset begins at random. BEATS is a file for everything that `out` said: kind, source, index, value.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "Vcore.h"
#include "verilated.h"

#ifndef VALUE_WIDTH
#error "VALUE_WIDTH is the width of the port in_value"
#endif

namespace {

enum Status { kFine = 0, kArguments = 2, kMemory = 3, kInput = 4, kOutput = 5, kFault = 6 };
enum Kind { kEvent = 0, kComplete = 1, kRest = 2, kStepOver = 2 };

constexpr uint64_t kValueMask = VALUE_WIDTH >= 32 ? 0xffffffffu : (uint64_t(1) << VALUE_WIDTH) - 1;

struct Network {
    std::vector<uint32_t> load;
    uint32_t groups = 0;
    std::vector<uint32_t> extents;
    std::vector<uint32_t> codes;
};

bool read_words(FILE *file, std::vector<uint32_t> &words, size_t count) {
    words.resize(count);
    return count == 0 || fread(words.data(), sizeof(uint32_t), count, file) == count;
}

bool read_network(const char *path, Network &network) {
    std::unique_ptr<FILE, int (*)(FILE *)> file(fopen(path, "rb"), fclose);
    uint32_t count = 0;
    if (!file || fread(&count, sizeof count, 1, file.get()) != 1) return false;
    if (!read_words(file.get(), network.load, count)) return false;
    if (fread(&network.groups, sizeof(uint32_t), 1, file.get()) != 1) return false;
    if (fread(&count, sizeof count, 1, file.get()) != 1) return false;
    if (!read_words(file.get(), network.extents, count)) return false;
    size_t elements = 0;
    for (uint32_t extent : network.extents) elements += extent;
    return read_words(file.get(), network.codes, elements);
}

class Core {
  public:
    Core(const Network &network, uint32_t seed, FILE *beats)
        : network_(network), state_(seed), beats_(beats), spikes_(neurons()), v_(neurons()), u_(neurons()) {
        context_.randReset(seed == 0 ? 0 : 2);
        context_.randSeed(static_cast<int>(seed & 0x7fffffff));
        model_ = std::make_unique<Vcore>(&context_);
        model_->load_valid = 0;
        model_->in_valid = 0;
        model_->out_ready = 0;
        model_->reset = 1;
        cycle();
        cycle();
        model_->reset = 0;
        for (uint32_t word : network.load) {
            while (stalls()) cycle();
            model_->load_valid = 1;
            model_->load_data = static_cast<uint16_t>(word);
            while (!cycle_taken(model_->load_ready)) {
            }
            model_->load_valid = 0;
        }
    }

    uint32_t cycles() const { return static_cast<uint32_t>(cycles_); }

    void rest() { send(kRest, 0, 0); }

    Status step(const std::vector<int32_t> &values) {
        const uint64_t before = cycles_;
        size_t element = 0;
        step_over_ = false;
        for (uint32_t extent : network_.extents) {
            for (uint32_t i = 0; i < extent; i++, element++)
                if (values[element] != 0) send(kEvent, network_.codes[element], values[element]);
            send(kComplete, 0, 0);
        }
        while (!step_over_ && !model_->fault) cycle();
        took_ = static_cast<uint32_t>(cycles_ - before);
        return model_->fault ? kFault : kFine;
    }

    bool answer(bool potentials, bool currents) const {
        return fwrite(&took_, sizeof took_, 1, stdout) == 1 && write(spikes_) && (!potentials || write(v_)) &&
               (!currents || write(u_));
    }

  private:
    size_t neurons() const { return size_t(network_.groups) * LANES; }

    template <typename Number>
    static bool write(const std::vector<Number> &numbers) {
        return fwrite(numbers.data(), sizeof(Number), numbers.size(), stdout) == numbers.size();
    }

    // Whether a stream pauses in this cycle.
    bool stalls() {
        if (state_ == 0) return false;
        state_ ^= state_ << 13;
        state_ ^= state_ >> 17;
        state_ ^= state_ << 5;
        return (state_ >> 7 & 1) != 0;
    }

    void send(Kind kind, uint32_t index, int32_t value) {
        while (stalls()) cycle();
        model_->in_valid = 1;
        model_->in_kind = kind;
        model_->in_index = index;
        model_->in_value = static_cast<uint32_t>(value) & kValueMask;
        while (!cycle_taken(model_->in_ready)) {
        }
        model_->in_valid = 0;
    }

    // Lets a cycle pass; returns whether `ready` was high at its end.
    template <typename Signal>
    bool cycle_taken(const Signal &ready) {
        settle();
        const bool taken = ready != 0;
        edge();
        return taken || model_->fault;
    }

    void cycle() {
        settle();
        edge();
    }

    void settle() {
        model_->out_ready = !stalls();
        model_->clock = 0;
        model_->eval();
        // Before the first edge with a reset nothing means anything.
        if (model_->reset) return;
        if (model_->trace_valid) note_neurons();
        if (model_->out_valid && model_->out_ready) note_beat();
    }

    void edge() {
        model_->clock = 1;
        model_->eval();
        cycles_++;
    }

    // Verilator stores vectors of any width with their lowest byte first, as this machine does.
    void note_neurons() {
        const auto *u = reinterpret_cast<const unsigned char *>(&model_->trace_u);
        const auto *v = reinterpret_cast<const unsigned char *>(&model_->trace_v);
        const auto *spikes = reinterpret_cast<const unsigned char *>(&model_->trace_spikes);
        for (size_t lane = 0; lane < LANES; lane++) {
            const size_t neuron = size_t(model_->trace_group) * LANES + lane;
            if (neuron >= spikes_.size()) continue;
            spikes_[neuron] = spikes[lane];
            const uint32_t low = v[3 * lane] | v[3 * lane + 1] << 8 | v[3 * lane + 2] << 16;
            v_[neuron] = static_cast<int32_t>(low << 8) >> 8;
            std::memcpy(&u_[neuron], u + 4 * lane, sizeof(int32_t));
        }
    }

    void note_beat() {
        if (model_->out_kind == kStepOver) step_over_ = true;
        if (beats_ == nullptr) return;
        const uint32_t beat[] = {model_->out_kind, model_->out_source, model_->out_index,
                                 static_cast<uint32_t>(model_->out_value)};
        fwrite(beat, sizeof beat, 1, beats_);
    }

    const Network &network_;
    uint32_t state_;
    FILE *beats_;
    VerilatedContext context_;
    std::unique_ptr<Vcore> model_;
    std::vector<uint32_t> spikes_;
    std::vector<int32_t> v_, u_;
    uint64_t cycles_ = 0;
    uint32_t took_ = 0;
    bool step_over_ = false;
};

Status run(int count, char **arguments) {
    if (count != 6 && count != 7) return kArguments;
    Network network;
    if (!read_network(arguments[1], network)) return kArguments;
    const size_t batch = strtoul(arguments[2], nullptr, 10);
    const bool potentials = arguments[3][0] == '1', currents = arguments[4][0] == '1';
    const auto seed = static_cast<uint32_t>(strtoul(arguments[5], nullptr, 10));
    std::unique_ptr<FILE, int (*)(FILE *)> beats(count == 7 ? fopen(arguments[6], "wb") : nullptr, fclose);
    std::vector<std::unique_ptr<Core>> cores;
    for (size_t b = 0; b < batch; b++) cores.push_back(std::make_unique<Core>(network, seed, beats.get()));
    const uint32_t took = cores.empty() ? 0 : cores.back()->cycles();
    if (fwrite(&took, sizeof took, 1, stdout) != 1 || fflush(stdout) != 0) return kOutput;
    std::vector<int32_t> values(network.codes.size());
    uint32_t from_rest = 0;
    while (fread(&from_rest, sizeof from_rest, 1, stdin) == 1)
        for (auto &core : cores) {
            if (!values.empty() && fread(values.data(), sizeof(int32_t), values.size(), stdin) != values.size())
                return kInput;
            if (from_rest != 0) core->rest();
            const Status status = core->step(values);
            if (status != kFine) return status;
            // Who steps by hand waits for it before the next sample is sent.
            if (!core->answer(potentials, currents) || fflush(stdout) != 0) return kOutput;
        }
    return kFine;
}

}  // namespace

int main(int count, char **arguments) {
    try {
        return run(count, arguments);
    } catch (const std::bad_alloc &) {
        return kMemory;
    }
}
