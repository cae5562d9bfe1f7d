// The neurons of a lane: `toolchain.fixedpoint.lif_step`, one neuron after the other.
//
// Contract:   the addresses stay while a neuron is computed. Once its state, its parameters and `sum` are there, the
//             sequencer gives one cycle each of `decay_current`, `add_input`, `decay_potential` (the same cycle),
//             `add_current`, with RULES `decay_rise` (the same cycle) and `add_rise`; then `spike` until no lane is
//             `above` its threshold: each such cycle is one spike of those that are. In the first `spike` in which
//             `settled` is high the state is written. `count`, `potential` and `current` then hold what came out, until the next
//             neuron. `clear` writes rest.
// Latency:    4 cycles from memories to `spike`, 5 with RULES, and one for each spike.
// Throughput: one neuron at a time.
//
//     u' = wrap(decay(u) + (sum << 6))      v' = saturate(decay(v) + u' + bias)      spikes while v' > threshold
//
// In WORK_BITS no sum overflows, or it does as the reference does, which has 32 bits: with CURRENT_BITS 25, |sum| is at
// most 2^18, and nothing leaves 27 bits.
module neuron #(
    parameter STATE_DEPTH = 256,
    parameter STATE_BITS = $clog2(STATE_DEPTH),
    parameter PARAMETER_DEPTH = 256,
    parameter PARAMETER_BITS = $clog2(PARAMETER_DEPTH),
    parameter SUM_BITS = 32,
    parameter CURRENT_BITS = 25,
    parameter RULES = 0
) (
    input  wire                      clock,

    input  wire                      load,
    input  wire                [3:0] load_column,
    input  wire [PARAMETER_BITS-1:0] load_address,
    input  wire               [15:0] load_data,

    input  wire     [STATE_BITS-1:0] state_address,
    input  wire [PARAMETER_BITS-1:0] parameter_address,
    input  wire       [SUM_BITS-1:0] sum,

    input  wire                      clear,
    input  wire                      decay_current,
    input  wire                      add_input,
    input  wire                      add_current,
    input  wire                      add_rise,
    input  wire                      spike,
    input  wire                      settled,

    input  wire                [1:0] effect,
    input  wire                      refractory,
    input  wire                      adapts,
    input  wire                [7:0] most,

    output wire                      above,
    output reg                 [7:0] count,
    output reg  signed        [23:0] potential,
    output wire               [31:0] current
);

    localparam COLUMNS = RULES != 0 ? 10 : 4;
    localparam WIDTH = CURRENT_BITS + 24 + (RULES != 0 ? 35 : 0);
    localparam WORK_BITS = CURRENT_BITS > 25 ? 32 : 27;
    localparam signed [WORK_BITS-1:0] LIMIT = {{(WORK_BITS-24){1'b0}}, 24'h800000};
    localparam signed [WORK_BITS-1:0] TURN = {{(WORK_BITS-25){1'b0}}, 25'h1000000};

    // Parameters, in columns of 16 bits.
    wire [16*COLUMNS-1:0] parameters;
    genvar i;
    generate
        for (i = 0; i < COLUMNS; i = i + 1) begin : columns
            ram #(.WIDTH(16), .DEPTH(PARAMETER_DEPTH), .ADDRESS_BITS(PARAMETER_BITS)) memory (
                .clock(clock),
                .write(load && load_column == i),
                .write_address(load_address),
                .write_data(load_data),
                .read_address(parameter_address),
                .read_data(parameters[16*i+15:16*i])
            );
        end
    endgenerate

    wire        [11:0] keep_current   = parameters[11:0];
    wire signed [19:0] bias           = {parameters[15:12], parameters[31:16]};
    wire        [16:0] vth            = {parameters[63], parameters[47:32]};
    wire        [12:0] keep_potential = parameters[60:48];

    // State.
    wire [WIDTH-1:0] state;
    wire [WIDTH-1:0] next_state;

    ram #(.WIDTH(WIDTH), .DEPTH(STATE_DEPTH), .ADDRESS_BITS(STATE_BITS)) states (
        .clock(clock),
        .write(clear || (spike && settled)),
        .write_address(state_address),
        .write_data(clear ? {WIDTH{1'b0}} : next_state),
        .read_address(state_address),
        .read_data(state)
    );

    wire signed [CURRENT_BITS-1:0] u = state[CURRENT_BITS-1:0];
    wire signed             [23:0] v = state[CURRENT_BITS+23:CURRENT_BITS];

    // One product, three times.
    wire signed [CURRENT_BITS-1:0] decaying, kept;
    wire                    [12:0] keep;

    decay #(.WIDTH(CURRENT_BITS)) fading (
        .clock(clock),
        .enable(1'b1),
        .value(decaying),
        .keep(keep),
        .kept(kept)
    );

    // The current.
    wire signed [WORK_BITS-1:0] kept_wide = {{(WORK_BITS-CURRENT_BITS+1){kept[CURRENT_BITS-1]}}, kept[CURRENT_BITS-2:0]};
    wire signed [WORK_BITS-1:0] arriving;

    generate
        if (SUM_BITS >= WORK_BITS - 6) begin : whole
            assign arriving = {sum[WORK_BITS-7:0], 6'd0};
        end else begin : extended
            assign arriving = {{(WORK_BITS-6-SUM_BITS){sum[SUM_BITS-1]}}, sum, 6'd0};
        end
    endgenerate

    wire signed [WORK_BITS-1:0] driven  = kept_wide + arriving;
    wire signed [WORK_BITS-1:0] wrapped = driven > LIMIT ? driven - TURN : driven <= -LIMIT ? driven + TURN : driven;

    reg signed [CURRENT_BITS-1:0] next_u;
    always @(posedge clock) if (add_input) next_u <= wrapped[CURRENT_BITS-1:0];

    wire signed [WORK_BITS-1:0] next_u_wide = {{(WORK_BITS-CURRENT_BITS+1){next_u[CURRENT_BITS-1]}}, next_u[CURRENT_BITS-2:0]};
    assign current = {{(33-CURRENT_BITS){next_u[CURRENT_BITS-1]}}, next_u[CURRENT_BITS-2:0]};

    // The potential.
    wire signed [WORK_BITS-1:0] raised = kept_wide + next_u_wide + {{(WORK_BITS-20){bias[19]}}, bias};
    wire signed          [23:0] saturated = raised >= LIMIT ? 24'h7fffff : raised <= -LIMIT ? 24'h800001 : raised[23:0];

    // Spikes.
    wire [23:0] threshold;
    wire        active;
    wire signed [23:0] after;
    wire [7:0]  largest;

    assign above = active && count < largest && $signed({potential[23], potential}) > $signed({1'b0, threshold});

    always @(posedge clock)
        if (add_current) begin
            potential <= active ? saturated : v;
            count     <= 8'd0;
        end else if (spike && above) begin
            potential <= after;
            count     <= count + 8'd1;
        end

    generate
        if (RULES == 0) begin : plain
            assign decaying   = decay_current ? u : {{(CURRENT_BITS-24){v[23]}}, v};
            assign keep       = decay_current ? {1'b0, keep_current} : keep_potential;
            assign threshold  = {1'b0, vth, 6'd0};
            assign active     = 1'b1;
            assign after      = 24'd0;
            assign largest    = 8'd1;
            assign next_state = {potential, next_u};
            wire unused = &{1'b0, add_rise, effect, refractory, adapts, most};
        end else begin : ruled
            wire signed [23:0] amount     = {parameters[87:80], parameters[79:64]};
            wire        [11:0] period     = parameters[107:96];
            wire        [22:0] adaptation = {parameters[150:144], parameters[127:112]};
            wire        [11:0] keep_rise  = parameters[139:128];
            wire        [11:0] wait_left  = state[CURRENT_BITS+35:CURRENT_BITS+24];
            wire        [22:0] rise       = state[CURRENT_BITS+58:CURRENT_BITS+36];

            reg  [22:0] next_rise;
            wire [23:0] risen     = {1'b0, next_rise} + {1'b0, adaptation};
            wire [11:0] next_wait = count != 8'd0 && refractory ? period
                                  : wait_left == 12'd0 ? 12'd0 : wait_left - 12'd1;

            // `add_input` is the cycle in which the potential decays, `add_current` that of the rise.
            assign decaying = decay_current ? u
                            : add_input ? {{(CURRENT_BITS-24){v[23]}}, v}
                            : {{(CURRENT_BITS-23){1'b0}}, rise};
            assign keep     = decay_current ? {1'b0, keep_current}
                            : add_input ? keep_potential
                            : {1'b0, keep_rise};

            assign threshold  = {1'b0, vth, 6'd0} + {1'b0, rise};
            assign active     = wait_left == 12'd0;
            assign largest    = most;
            assign after      = effect == 2'd0 ? 24'd0
                              : effect == 2'd1 ? amount
                              : effect == 2'd2 ? potential - amount
                              : potential;
            assign next_state = {next_rise, next_wait, potential, next_u};

            always @(posedge clock)
                if (add_rise) next_rise <= adapts ? kept[22:0] : 23'd0;
                else if (spike && above && adapts) next_rise <= risen[23] ? 23'h7fffff : risen[22:0];

            wire unused = &{1'b0, parameters[95:88], parameters[111:108], parameters[143:140], parameters[159:151]};
        end
    endgenerate

    // Bits of a sum above those of a current count modulo 2^WORK_BITS.
    wire unused_bits = &{1'b0, sum, parameters[62:61], wrapped[WORK_BITS-1]};

endmodule
