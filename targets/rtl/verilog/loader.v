// Fills the memories after a reset, from a stream of 16-bit words.
//
// Contract:   blocks of {kind, column, lane}, address (low, high), number of words, words; see the README. `kind`,
//             `column`, `lane`, `address` and `data` belong to the cycles in which `write` is high. `loading` falls after
//             the word of kind 0 and stays low until the next reset.
// Latency:    a word is written in the cycle in which it is taken.
// Throughput: one word a cycle.
module loader (
    input  wire        clock,
    input  wire        reset,

    input  wire        load_valid,
    output wire        load_ready,
    input  wire [15:0] load_data,

    output reg         loading,
    output wire        write,
    output reg   [3:0] kind,
    output reg   [3:0] column,
    output reg   [7:0] lane,
    output reg  [31:0] address,
    output wire [15:0] data
);

    localparam [2:0] HEAD = 3'd0, LOW = 3'd1, HIGH = 3'd2, COUNT = 3'd3, WORDS = 3'd4;

    reg  [2:0] state;
    reg [15:0] left;

    assign load_ready = loading;
    assign write      = loading && load_valid && state == WORDS;
    assign data       = load_data;

    always @(posedge clock)
        if (reset) begin
            loading <= 1'b1;
            state   <= HEAD;
            kind    <= 4'd0;
            column  <= 4'd0;
            lane    <= 8'd0;
            address <= 32'd0;
            left    <= 16'd0;
        end else if (loading && load_valid)
            case (state)
                HEAD: begin
                    {kind, column, lane} <= load_data;
                    if (load_data[15:12] == 4'd0) loading <= 1'b0;
                    else state <= LOW;
                end
                LOW: begin
                    address[15:0] <= load_data;
                    state         <= HIGH;
                end
                HIGH: begin
                    address[31:16] <= load_data;
                    state          <= COUNT;
                end
                COUNT: begin
                    left  <= load_data;
                    state <= load_data == 16'd0 ? HEAD : WORDS;
                end
                default: begin
                    address <= address + 32'd1;
                    left    <= left - 16'd1;
                    if (left == 16'd1) state <= HEAD;
                end
            endcase

endmodule
