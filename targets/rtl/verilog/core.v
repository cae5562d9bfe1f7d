// The core: any network that fits its memories.
//
// Contract:   after a reset it is loaded (`load`), then takes steps: for each input its events and an end (`in`), and
//             gives messages, potentials and the end of the step (`out`). See the README for streams and images. `fault`
//             says that the input broke its contract. With TRACE, `trace_valid` shows all lanes of a group of neurons at
//             the end of its turn; without it these ports are zero and cost nothing.
// Latency:    see the table of cycles in the README.
// Throughput: one step at a time; LANES synapses a cycle.
module core #(
    parameter LANES = 1,
    parameter TABLE_COLUMNS = 1,
    parameter TABLE_DEPTH = 1024,
    parameter MESSAGE_DEPTH = 512,
    parameter SYNAPSE_DEPTH = 16384,
    parameter SUM_DEPTH = 256,
    parameter STATE_DEPTH = 256,
    parameter PARAMETER_DEPTH = 256,
    parameter VALUE_BITS = 0,
    parameter SUM_BITS = 32,
    parameter CURRENT_BITS = 25,
    parameter RULES = 0,
    parameter IMAGES = 0,
    parameter TRACE = 0,
    parameter ADDRESS_BITS = 16 * TABLE_COLUMNS,
    parameter VALUE_WIDTH = VALUE_BITS == 0 ? 1 : VALUE_BITS
) (
    input  wire                          clock,
    input  wire                          reset,

    input  wire                          load_valid,
    output wire                          load_ready,
    input  wire                   [15:0] load_data,

    input  wire                          in_valid,
    output wire                          in_ready,
    input  wire                    [1:0] in_kind,
    input  wire       [ADDRESS_BITS-1:0] in_index,
    input  wire signed [VALUE_WIDTH-1:0] in_value,

    output wire                          out_valid,
    input  wire                          out_ready,
    output wire                    [1:0] out_kind,
    output wire       [ADDRESS_BITS-1:0] out_source,
    output wire       [ADDRESS_BITS-1:0] out_index,
    output wire signed            [31:0] out_value,

    output wire                          fault,

    output wire                          trace_valid,
    output wire       [ADDRESS_BITS-1:0] trace_group,
    output wire           [32*LANES-1:0] trace_u,
    output wire           [24*LANES-1:0] trace_v,
    output wire            [8*LANES-1:0] trace_spikes
);

    localparam TABLE_BITS   = $clog2(TABLE_DEPTH);
    localparam MESSAGE_BITS = $clog2(MESSAGE_DEPTH);
    localparam [3:0] TABLES = 4'd1;

    // Loading.
    wire        loading, load;
    wire  [3:0] load_kind, load_column;
    wire  [7:0] load_lane;
    wire [31:0] load_address;
    wire [15:0] load_word;

    loader the_loader (
        .clock(clock),
        .reset(reset),
        .load_valid(load_valid),
        .load_ready(load_ready),
        .load_data(load_data),
        .loading(loading),
        .write(load),
        .kind(load_kind),
        .column(load_column),
        .lane(load_lane),
        .address(load_address),
        .data(load_word)
    );

    // Tables, in columns of 16 bits.
    wire [ADDRESS_BITS-1:0] table_address, table_word, table_write_address, table_write_word;
    wire                    table_write;

    genvar i;
    generate
        for (i = 0; i < TABLE_COLUMNS; i = i + 1) begin : columns
            ram #(.WIDTH(16), .DEPTH(TABLE_DEPTH), .ADDRESS_BITS(TABLE_BITS)) memory (
                .clock(clock),
                .write(loading ? load && load_kind == TABLES && load_column == i : table_write),
                .write_address(loading ? load_address[TABLE_BITS-1:0] : table_write_address[TABLE_BITS-1:0]),
                .write_data(loading ? load_word : table_write_word[16*i +: 16]),
                .read_address(table_address[TABLE_BITS-1:0]),
                .read_data(table_word[16*i +: 16])
            );
        end
    endgenerate

    // Messages.
    wire [ADDRESS_BITS-1:0]       message_address, message_code, message_write_address, message_write_code;
    wire signed [VALUE_WIDTH-1:0] message_value, message_write_value;
    wire                          message_write;

    generate
        if (VALUE_BITS == 0) begin : spikes
            ram #(.WIDTH(ADDRESS_BITS), .DEPTH(MESSAGE_DEPTH), .ADDRESS_BITS(MESSAGE_BITS)) memory (
                .clock(clock),
                .write(message_write),
                .write_address(message_write_address[MESSAGE_BITS-1:0]),
                .write_data(message_write_code),
                .read_address(message_address[MESSAGE_BITS-1:0]),
                .read_data(message_code)
            );
            assign message_value = 1'b1;
            wire unused_value = &{1'b0, message_write_value};
        end else begin : values
            ram #(.WIDTH(ADDRESS_BITS + VALUE_BITS), .DEPTH(MESSAGE_DEPTH), .ADDRESS_BITS(MESSAGE_BITS)) memory (
                .clock(clock),
                .write(message_write),
                .write_address(message_write_address[MESSAGE_BITS-1:0]),
                .write_data({message_write_value, message_write_code}),
                .read_address(message_address[MESSAGE_BITS-1:0]),
                .read_data({message_value, message_code})
            );
        end
    endgenerate

    // Control.
    wire                          issue, issue_sparse, issue_first, issue_upper, unsigned_weights, negated;
    wire       [ADDRESS_BITS-1:0] issue_address, issue_place, sum_address, state_address, parameter_address;
    wire signed [VALUE_WIDTH-1:0] value;
    wire                    [3:0] shift;
    wire                          clear, keep_part, fold, in_place, wraps, pool, joins;
    wire                          decay_current, add_input, add_current, add_rise, spike, settled, refractory, adapts;
    wire                    [1:0] effect;
    wire                    [7:0] most;
    wire              [LANES-1:0] above, sends;
    wire  [LANES*VALUE_WIDTH-1:0] sent;
    wire           [24*LANES-1:0] potentials;
    wire           [32*LANES-1:0] currents;
    wire            [8*LANES-1:0] counts;

    sequencer #(
        .LANES(LANES), .ADDRESS_BITS(ADDRESS_BITS), .VALUE_WIDTH(VALUE_WIDTH), .RULES(RULES), .IMAGES(IMAGES)
    ) the_sequencer (
        .clock(clock), .reset(reset), .loading(loading), .fault(fault),
        .in_valid(in_valid), .in_ready(in_ready), .in_kind(in_kind), .in_index(in_index), .in_value(in_value),
        .out_valid(out_valid), .out_ready(out_ready), .out_kind(out_kind), .out_source(out_source),
        .out_index(out_index), .out_value(out_value),
        .table_address(table_address), .table_word(table_word), .table_write(table_write),
        .table_write_address(table_write_address), .table_write_word(table_write_word),
        .message_address(message_address), .message_code(message_code), .message_value(message_value),
        .message_write(message_write), .message_write_address(message_write_address),
        .message_write_code(message_write_code), .message_write_value(message_write_value),
        .issue(issue), .issue_address(issue_address), .issue_sparse(issue_sparse), .issue_first(issue_first),
        .issue_upper(issue_upper), .issue_place(issue_place), .value(value), .unsigned_weights(unsigned_weights),
        .negated(negated), .shift(shift), .sum_address(sum_address), .state_address(state_address),
        .parameter_address(parameter_address), .clear(clear), .keep_part(keep_part), .fold(fold),
        .in_place(in_place), .wraps(wraps), .pool(pool), .joins(joins), .decay_current(decay_current),
        .add_input(add_input), .add_current(add_current), .add_rise(add_rise), .spike(spike), .settled(settled),
        .effect(effect), .refractory(refractory), .adapts(adapts), .most(most),
        .above(above), .sends(sends), .sent(sent), .potentials(potentials)
    );

    generate
        for (i = 0; i < LANES; i = i + 1) begin : lanes
            lane #(
                .LANE(i), .SYNAPSE_DEPTH(SYNAPSE_DEPTH), .SUM_DEPTH(SUM_DEPTH), .STATE_DEPTH(STATE_DEPTH),
                .PARAMETER_DEPTH(PARAMETER_DEPTH), .ADDRESS_BITS(ADDRESS_BITS), .VALUE_BITS(VALUE_BITS),
                .SUM_BITS(SUM_BITS), .CURRENT_BITS(CURRENT_BITS), .RULES(RULES), .VALUE_WIDTH(VALUE_WIDTH)
            ) the_lane (
                .clock(clock), .reset(reset),
                .load(load), .load_kind(load_kind), .load_column(load_column), .load_lane(load_lane),
                .load_address(load_address), .load_data(load_word),
                .issue(issue), .issue_address(issue_address), .issue_sparse(issue_sparse), .issue_first(issue_first),
                .issue_upper(issue_upper), .issue_place(issue_place), .value(value),
                .unsigned_weights(unsigned_weights), .negated(negated), .scale(shift),
                .sum_address(sum_address), .state_address(state_address), .parameter_address(parameter_address),
                .clear(clear), .keep_part(keep_part), .fold(fold), .in_place(in_place), .wraps(wraps),
                .pool(pool), .joins(joins), .decay_current(decay_current), .add_input(add_input),
                .add_current(add_current), .add_rise(add_rise), .spike(spike), .settled(settled),
                .effect(effect), .refractory(refractory), .adapts(adapts), .most(most),
                .above(above[i]), .sends(sends[i]), .sent(sent[i*VALUE_WIDTH +: VALUE_WIDTH]),
                .count(counts[8*i +: 8]), .potential(potentials[24*i +: 24]), .current(currents[32*i +: 32])
            );
        end
    endgenerate

    generate
        if (TRACE != 0) begin : traced
            assign trace_valid  = spike && settled;
            assign trace_group  = state_address;
            assign trace_u      = currents;
            assign trace_v      = potentials;
            assign trace_spikes = counts;
        end else begin : untraced
            assign trace_valid  = 1'b0;
            assign trace_group  = {ADDRESS_BITS{1'b0}};
            assign trace_u      = {(32*LANES){1'b0}};
            assign trace_v      = {(24*LANES){1'b0}};
            assign trace_spikes = {(8*LANES){1'b0}};
            wire unused_trace = &{1'b0, currents, counts};
        end
    endgenerate

    wire unused = &{1'b0, table_address, table_write_address, message_address, message_write_address};

endmodule
