// A queue of bytes in one block RAM.
//
// Contract:   a byte is taken in every cycle in which `push` is high and `full` is low; one that comes while the queue is
//             full is dropped, and `lost` rises until a reset. `out` is the oldest byte while `valid` is high, and `pop`
//             removes it.
// Latency:    a byte is at `out` two cycles after its `push`.
// Throughput: a byte in every cycle, and a byte out every second one.
module fifo #(
    parameter ADDRESS_BITS = 9
) (
    input  wire       clock,
    input  wire       reset,
    input  wire       push,
    input  wire [7:0] in,
    input  wire       pop,
    output reg        valid,
    output reg  [7:0] out,
    output reg        lost
);

    // A byte is never read in the cycle in which it is written, so what a memory does then is of no interest.
    (* no_rw_check *)
    reg [7:0] memory [0:(1 << ADDRESS_BITS) - 1];

    // One bit more than an address: equal when empty, half a turn apart when full.
    reg [ADDRESS_BITS:0] writes;
    reg [ADDRESS_BITS:0] reads;

    wire empty = writes == reads;
    wire full  = writes == {~reads[ADDRESS_BITS], reads[ADDRESS_BITS-1:0]};
    wire fetch = !empty && !valid;

    always @(posedge clock) begin
        if (push && !full) memory[writes[ADDRESS_BITS-1:0]] <= in;
        if (fetch) out <= memory[reads[ADDRESS_BITS-1:0]];
    end

    always @(posedge clock)
        if (reset) begin
            writes <= {(ADDRESS_BITS + 1){1'b0}};
            reads  <= {(ADDRESS_BITS + 1){1'b0}};
            valid  <= 1'b0;
            lost   <= 1'b0;
        end else begin
            if (push && !full) writes <= writes + 1'b1;
            if (push && full) lost <= 1'b1;
            if (fetch) reads <= reads + 1'b1;
            valid <= fetch || (valid && !pop);
        end

endmodule
