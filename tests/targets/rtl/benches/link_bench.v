// Gives bytes of a file to the link, with pauses, and prints every beat; then sends beats of a file, and prints the bytes.
module link_bench;
    parameter CODE_BITS = 12;
    parameter VALUE_BITS = 1;
    parameter BYTES = 10;
    parameter BEATS = 3;

    reg                   clock = 0;
    reg                   reset = 1;
    reg             [7:0] bytes [0:BYTES-1];
    reg            [63:0] beats [0:BEATS-1];
    integer               at = 0, beat = 0, cycle = 0;
    wire                  rx_ready, tx_valid, load_valid, in_valid, out_ready;
    wire            [7:0] tx_byte;
    wire           [15:0] load_data;
    wire            [1:0] in_kind;
    wire  [CODE_BITS-1:0] in_index;
    wire [VALUE_BITS-1:0] in_value;
    // Everything stalls now and then.
    wire                  flows = (cycle * 7 + cycle / 5) % 3 != 0;
    wire                  rx_valid = at < BYTES && flows;
    wire                  out_valid = beat < BEATS;
    wire           [63:0] sent = beats[beat < BEATS ? beat : 0];

    link #(.CODE_BITS(CODE_BITS), .VALUE_BITS(VALUE_BITS)) dut (
        .clock(clock), .reset(reset),
        .rx_valid(rx_valid), .rx_ready(rx_ready), .rx_byte(bytes[at < BYTES ? at : 0]),
        .tx_valid(tx_valid), .tx_ready(flows), .tx_byte(tx_byte),
        .load_valid(load_valid), .load_ready(flows), .load_data(load_data),
        .in_valid(in_valid), .in_ready(flows), .in_kind(in_kind), .in_index(in_index), .in_value(in_value),
        .out_valid(out_valid), .out_ready(out_ready), .out_kind(sent[57:56]), .out_source(sent[49:48]),
        .out_index(sent[24+CODE_BITS-1:24]), .out_value(sent[23:0]),
        .fault(1'b1), .lost(1'b0)
    );

    always #1 clock = !clock;

    always @(posedge clock) begin
        cycle <= cycle + 1;
        if (!reset) begin
            if (rx_valid && rx_ready) at <= at + 1;
            if (out_valid && out_ready) beat <= beat + 1;
            if (load_valid && flows) $display("load %0d", load_data);
            if (in_valid && flows) $display("in %0d %0d %0d", in_kind, in_index, $signed(in_value));
            if (tx_valid && flows) $display("out %0d", tx_byte);
        end
        if (cycle > 40 * (BYTES + BEATS) + 100) $finish;
    end

    initial begin
        $readmemh("bytes.hex", bytes);
        $readmemh("beats.hex", beats);
        #8 reset = 0;
    end
endmodule
