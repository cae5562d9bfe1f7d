// A memory with a single port, as the large memories of small chips have: it reads or it writes.
//
// Contract:   while it writes, `read_data` stays. Nothing is known of a word before it is first written.
// Latency:    1 cycle from `address` to `read_data`.
// Throughput: one read or write a cycle.
module ram_single #(
    parameter WIDTH = 16,
    parameter DEPTH = 256,
    parameter ADDRESS_BITS = $clog2(DEPTH)
) (
    input  wire                    clock,
    input  wire                    write,
    input  wire [ADDRESS_BITS-1:0] address,
    input  wire        [WIDTH-1:0] write_data,
    output reg         [WIDTH-1:0] read_data
);

    // A chip that has large memories takes one, however small this one is; others know no such style.
`ifdef LARGE_RAMS
    (* ram_style = "huge" *)
`endif
    reg [WIDTH-1:0] words [0:DEPTH-1];

    always @(posedge clock)
        if (write) words[address] <= write_data;
        else read_data <= words[address];

endmodule
