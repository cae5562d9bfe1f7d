// The top level of a board: a clock, and a serial line to a host.
//
// Contract:   what the host sends and gets is what `link.v` says. A break on the line, and power-up, reset everything;
//             then the network is loaded. The host sends no more than 2^QUEUE_BITS bytes beyond the step that runs: they
//             wait in a queue. What goes out waits for the line.
// Latency:    that of the line, 10 DIVISOR cycles a byte, and of the core.
// Throughput: likewise.
module board #(
    parameter DIVISOR = 12,
    parameter QUEUE_BITS = 9,
    parameter CODE_BITS = 12,
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
    parameter IMAGES = 0
) (
    input  wire clock,
    input  wire rx,
    output wire tx
);

    localparam ADDRESS_BITS = 16 * TABLE_COLUMNS;
    localparam VALUE_WIDTH  = VALUE_BITS == 0 ? 1 : VALUE_BITS;

    // Registers are zero at power-up: a few cycles of reset follow.
    reg [3:0] awake = 4'd0;
    always @(posedge clock) if (!(&awake)) awake <= awake + 4'd1;

    wire dark = !(&awake);
    wire broken;
    reg  reset;
    always @(posedge clock) reset <= dark || broken;

    // The line.
    wire       arrived, rx_valid, rx_ready, tx_valid, tx_ready, lost;
    wire [7:0] arriving, rx_byte, tx_byte;

    uart_rx #(.DIVISOR(DIVISOR)) receiver (
        .clock(clock), .reset(dark), .line(rx), .byte_out(arriving), .arrived(arrived), .broken(broken)
    );

    fifo #(.ADDRESS_BITS(QUEUE_BITS)) queue (
        .clock(clock), .reset(reset), .push(arrived), .in(arriving), .pop(rx_valid && rx_ready), .valid(rx_valid),
        .out(rx_byte), .lost(lost)
    );

    uart_tx #(.DIVISOR(DIVISOR)) sender (
        .clock(clock), .reset(reset), .byte_in(tx_byte), .valid(tx_valid), .ready(tx_ready), .line(tx)
    );

    // The streams.
    wire                   load_valid, load_ready, in_valid, in_ready, out_valid, out_ready, fault;
    wire            [15:0] load_data;
    wire             [1:0] in_kind, out_kind;
    wire   [CODE_BITS-1:0] in_index;
    wire [VALUE_WIDTH-1:0] in_value;
    wire [ADDRESS_BITS-1:0] out_source, out_index;
    wire            [31:0] out_value;

    link #(.CODE_BITS(CODE_BITS), .VALUE_BITS(VALUE_WIDTH)) the_link (
        .clock(clock), .reset(reset),
        .rx_valid(rx_valid), .rx_ready(rx_ready), .rx_byte(rx_byte),
        .tx_valid(tx_valid), .tx_ready(tx_ready), .tx_byte(tx_byte),
        .load_valid(load_valid), .load_ready(load_ready), .load_data(load_data),
        .in_valid(in_valid), .in_ready(in_ready), .in_kind(in_kind), .in_index(in_index), .in_value(in_value),
        .out_valid(out_valid), .out_ready(out_ready), .out_kind(out_kind), .out_source(out_source[1:0]),
        .out_index(out_index[CODE_BITS-1:0]), .out_value(out_value[23:0]),
        .fault(fault), .lost(lost)
    );

    // Nobody listens to the trace, so it costs nothing.
    wire                    trace_valid;
    wire [ADDRESS_BITS-1:0] trace_group;
    wire     [32*LANES-1:0] trace_u;
    wire     [24*LANES-1:0] trace_v;
    wire      [8*LANES-1:0] trace_spikes;

    core #(
        .LANES(LANES), .TABLE_COLUMNS(TABLE_COLUMNS), .TABLE_DEPTH(TABLE_DEPTH), .MESSAGE_DEPTH(MESSAGE_DEPTH),
        .SYNAPSE_DEPTH(SYNAPSE_DEPTH), .SUM_DEPTH(SUM_DEPTH), .STATE_DEPTH(STATE_DEPTH),
        .PARAMETER_DEPTH(PARAMETER_DEPTH), .VALUE_BITS(VALUE_BITS), .SUM_BITS(SUM_BITS), .CURRENT_BITS(CURRENT_BITS),
        .RULES(RULES), .IMAGES(IMAGES), .TRACE(0)
    ) the_core (
        .clock(clock), .reset(reset),
        .load_valid(load_valid), .load_ready(load_ready), .load_data(load_data),
        .in_valid(in_valid), .in_ready(in_ready), .in_kind(in_kind),
        .in_index({{(ADDRESS_BITS - CODE_BITS){1'b0}}, in_index}), .in_value(in_value),
        .out_valid(out_valid), .out_ready(out_ready), .out_kind(out_kind), .out_source(out_source),
        .out_index(out_index), .out_value(out_value),
        .fault(fault),
        .trace_valid(trace_valid), .trace_group(trace_group), .trace_u(trace_u), .trace_v(trace_v),
        .trace_spikes(trace_spikes)
    );

    wire unused = &{1'b0, out_source, out_index, out_value, trace_valid, trace_group, trace_u, trace_v, trace_spikes};

endmodule
