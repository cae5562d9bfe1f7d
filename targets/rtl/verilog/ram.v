// A memory with one port that writes and one that reads.
//
// Contract:   a word that is read while it is written comes out as it was before. Nothing is known of a word before it
//             is first written.
// Latency:    1 cycle from `read_address` to `read_data`.
// Throughput: one read and one write a cycle.
module ram #(
    parameter WIDTH = 16,
    parameter DEPTH = 256,
    parameter ADDRESS_BITS = $clog2(DEPTH)
) (
    input  wire                    clock,
    input  wire                    write,
    input  wire [ADDRESS_BITS-1:0] write_address,
    input  wire        [WIDTH-1:0] write_data,
    input  wire [ADDRESS_BITS-1:0] read_address,
    output reg         [WIDTH-1:0] read_data
);

    reg [WIDTH-1:0] words [0:DEPTH-1];

    always @(posedge clock) begin
        if (write) words[write_address] <= write_data;
        read_data <= words[read_address];
    end

endmodule
