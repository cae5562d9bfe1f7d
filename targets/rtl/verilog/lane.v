// A lane: every LANES-th neuron, with its synapses, sums, states and parameters.
//
// Contract:   joins `synapses`, `sums` and `neuron`; see there. `pool` takes the sum that was read as a message (1 with
//             `joins`, whatever it is); otherwise a message is the number of spikes. `sends` says whether there is one.
// Latency:    that of its parts.
// Throughput: that of its parts.
module lane #(
    parameter LANE = 0,
    parameter SYNAPSE_DEPTH = 1024,
    parameter SUM_DEPTH = 256,
    parameter STATE_DEPTH = 256,
    parameter PARAMETER_DEPTH = 256,
    parameter ADDRESS_BITS = 16,
    parameter VALUE_BITS = 0,
    parameter SUM_BITS = 32,
    parameter CURRENT_BITS = 25,
    parameter RULES = 0,
    parameter VALUE_WIDTH = VALUE_BITS == 0 ? 1 : VALUE_BITS
) (
    input  wire                          clock,
    input  wire                          reset,

    input  wire                          load,
    input  wire                    [3:0] load_kind,
    input  wire                    [3:0] load_column,
    input  wire                    [7:0] load_lane,
    input  wire                   [31:0] load_address,
    input  wire                   [15:0] load_data,

    input  wire                          issue,
    input  wire       [ADDRESS_BITS-1:0] issue_address,
    input  wire                          issue_sparse,
    input  wire                          issue_first,
    input  wire                          issue_upper,
    input  wire       [ADDRESS_BITS-1:0] issue_place,
    input  wire signed [VALUE_WIDTH-1:0] value,
    input  wire                          unsigned_weights,
    input  wire                          negated,
    input  wire                    [3:0] scale,

    input  wire       [ADDRESS_BITS-1:0] sum_address,
    input  wire       [ADDRESS_BITS-1:0] state_address,
    input  wire       [ADDRESS_BITS-1:0] parameter_address,
    input  wire                          clear,
    input  wire                          keep_part,
    input  wire                          fold,
    input  wire                          in_place,
    input  wire                          wraps,
    input  wire                          pool,
    input  wire                          joins,
    input  wire                          decay_current,
    input  wire                          add_input,
    input  wire                          add_current,
    input  wire                          add_rise,
    input  wire                          spike,
    input  wire                          settled,
    input  wire                    [1:0] effect,
    input  wire                          refractory,
    input  wire                          adapts,
    input  wire                    [7:0] most,

    output wire                          above,
    output wire                          sends,
    output wire signed [VALUE_WIDTH-1:0] sent,
    output wire                    [7:0] count,
    output wire signed            [23:0] potential,
    output wire                   [31:0] current
);

    localparam SYNAPSE_ADDRESS_BITS   = $clog2(SYNAPSE_DEPTH);
    localparam TARGET_BITS            = $clog2(SUM_DEPTH);
    localparam STATE_ADDRESS_BITS     = $clog2(STATE_DEPTH);
    localparam PARAMETER_ADDRESS_BITS = $clog2(PARAMETER_DEPTH);
    localparam [3:0] SYNAPSES = 4'd2, PARAMETERS = 4'd3;

    wire load_here = load && load_lane == LANE[7:0];

    wire                   ask, add;
    wire [TARGET_BITS-1:0] ask_target, add_target;
    wire    [SUM_BITS-1:0] amount, sum;

    synapses #(
        .DEPTH(SYNAPSE_DEPTH), .ADDRESS_BITS(SYNAPSE_ADDRESS_BITS), .TARGET_BITS(TARGET_BITS),
        .VALUE_BITS(VALUE_BITS), .SUM_BITS(SUM_BITS), .VALUE_WIDTH(VALUE_WIDTH)
    ) the_synapses (
        .clock(clock),
        .reset(reset),
        .load(load_here && load_kind == SYNAPSES),
        .load_address(load_address[SYNAPSE_ADDRESS_BITS-1:0]),
        .load_data(load_data),
        .issue(issue),
        .issue_address(issue_address[SYNAPSE_ADDRESS_BITS-1:0]),
        .issue_sparse(issue_sparse),
        .issue_first(issue_first),
        .issue_upper(issue_upper),
        .issue_place(issue_place[TARGET_BITS-1:0]),
        .value(value),
        .unsigned_weights(unsigned_weights),
        .negated(negated),
        .shift(scale),
        .ask(ask),
        .ask_target(ask_target),
        .add(add),
        .add_target(add_target),
        .amount(amount)
    );

    sums #(.DEPTH(SUM_DEPTH), .ADDRESS_BITS(TARGET_BITS), .SUM_BITS(SUM_BITS)) the_sums (
        .clock(clock),
        .ask(ask),
        .ask_target(ask_target),
        .add(add),
        .add_target(add_target),
        .amount(amount),
        .read_address(sum_address[TARGET_BITS-1:0]),
        .clear(clear || pool || (spike && settled)),
        .keep_part(keep_part),
        .fold(fold),
        .in_place(in_place),
        .wraps(wraps),
        .drops(scale),
        .sum(sum)
    );

    neuron #(
        .STATE_DEPTH(STATE_DEPTH), .STATE_BITS(STATE_ADDRESS_BITS),
        .PARAMETER_DEPTH(PARAMETER_DEPTH), .PARAMETER_BITS(PARAMETER_ADDRESS_BITS),
        .SUM_BITS(SUM_BITS), .CURRENT_BITS(CURRENT_BITS), .RULES(RULES)
    ) the_neuron (
        .clock(clock),
        .load(load_here && load_kind == PARAMETERS),
        .load_column(load_column),
        .load_address(load_address[PARAMETER_ADDRESS_BITS-1:0]),
        .load_data(load_data),
        .state_address(state_address[STATE_ADDRESS_BITS-1:0]),
        .parameter_address(parameter_address[PARAMETER_ADDRESS_BITS-1:0]),
        .sum(sum),
        .clear(clear),
        .decay_current(decay_current),
        .add_input(add_input),
        .add_current(add_current),
        .add_rise(add_rise),
        .spike(spike),
        .settled(settled),
        .effect(effect),
        .refractory(refractory),
        .adapts(adapts),
        .most(most),
        .above(above),
        .count(count),
        .potential(potential),
        .current(current)
    );

    // What a pooling sends is kept: its sum is cleared while it waits to be sent.
    assign sends = pool ? sum != {SUM_BITS{1'b0}} : count != 8'd0;

    generate
        if (VALUE_BITS == 0) begin : spikes
            assign sent = 1'b1;
            wire unused_joins = joins;
        end else begin : values
            wire [VALUE_BITS-1:0] sum_value, count_value;
            reg                         pooled;
            reg signed [VALUE_BITS-1:0] pooled_value;
            always @(posedge clock)
                if (pool) begin
                    pooled       <= 1'b1;
                    pooled_value <= joins ? {{(VALUE_BITS-1){1'b0}}, 1'b1} : sum_value;
                end else if (decay_current) pooled <= 1'b0;

            if (SUM_BITS >= VALUE_BITS) begin : low
                assign sum_value = sum[VALUE_BITS-1:0];
            end else begin : extended
                assign sum_value = {{(VALUE_BITS-SUM_BITS){sum[SUM_BITS-1]}}, sum};
            end
            if (VALUE_BITS >= 8) begin : counts
                assign count_value = {{(VALUE_BITS-8){1'b0}}, count};
            end else begin : few
                assign count_value = count[VALUE_BITS-1:0];
            end
            assign sent = pooled ? pooled_value : count_value;
        end
    endgenerate

    // Addresses and columns lie within the memories, as the images were made.
    wire unused = &{1'b0, issue_address, issue_place, sum_address, state_address, parameter_address, load_address};

endmodule
