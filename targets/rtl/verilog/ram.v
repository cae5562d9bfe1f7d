// A memory with one port that writes and one that reads.
//
// Contract:   of a word that is read while it is written, and of one that was never written, nothing is known. So no
//             circuit is needed that compares the addresses; in simulations the first comes out inverted.
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

    (* no_rw_check *)
    reg [WIDTH-1:0] words [0:DEPTH-1];

    always @(posedge clock) begin
        if (write) words[write_address] <= write_data;
        read_data <= words[read_address];
`ifndef SYNTHESIS
        if (write && write_address == read_address) read_data <= ~words[read_address];
`endif
    end

endmodule
