// The sums of a lane: what synapses add, and what a sweep takes, clears or completes.
//
// Contract:   `ask` reads the sum at `ask_target`, and `add` in the next cycle adds `amount` to the sum that was asked
//             for last. Without `ask`, `read_address` is read. `clear`, `keep_part` and `fold` write at the address that
//             was read for `sum`, the one of the last cycle: `clear` zero; `keep_part` zero, too, and the sum becomes the
//             part; `fold` the sum (nothing with `in_place`) and the part, which was wrapped at 24 bits (`wraps`) or has
//             lost `drops` bits, rounded down.
// Latency:    1 cycle to `sum`.
// Throughput: one addition a cycle, to any sum: where two of one sum follow one another, the second takes the first's
//             result from a register: the memory says nothing of a word in the cycle in which it is written.
module sums #(
    parameter DEPTH = 256,
    parameter ADDRESS_BITS = $clog2(DEPTH),
    parameter SUM_BITS = 32
) (
    input  wire                    clock,

    input  wire                    ask,
    input  wire [ADDRESS_BITS-1:0] ask_target,
    input  wire                    add,
    input  wire [ADDRESS_BITS-1:0] add_target,
    input  wire     [SUM_BITS-1:0] amount,

    input  wire [ADDRESS_BITS-1:0] read_address,
    input  wire                    clear,
    input  wire                    keep_part,
    input  wire                    fold,
    input  wire                    in_place,
    input  wire                    wraps,
    input  wire              [3:0] drops,
    output wire     [SUM_BITS-1:0] sum
);

    wire [ADDRESS_BITS-1:0] address = ask ? ask_target : read_address;

    reg [ADDRESS_BITS-1:0] address_before;
    always @(posedge clock) address_before <= address;

    // Additions.
    reg                forwarded;
    reg [SUM_BITS-1:0] last;
    wire [SUM_BITS-1:0] added = (forwarded ? last : sum) + amount;

    always @(posedge clock) begin
        forwarded <= add && ask && add_target == ask_target;
        if (add) last <= added;
    end

    // Completion.
    reg signed [SUM_BITS-1:0] part;
    always @(posedge clock) if (keep_part) part <= sum;

    wire signed [SUM_BITS-1:0] dropped = part >>> drops;
    wire        [SUM_BITS-1:0] completed;

    generate
        if (SUM_BITS > 24) begin : wide
            assign completed = wraps ? {{(SUM_BITS-24){part[23]}}, part[23:0]} : dropped;
        end else begin : narrow
            assign completed = wraps ? part : dropped;
        end
    endgenerate

    wire [SUM_BITS-1:0] folded = (in_place ? {SUM_BITS{1'b0}} : sum) + completed;
    wire [SUM_BITS-1:0] swept  = fold ? folded : {SUM_BITS{1'b0}};

    ram #(.WIDTH(SUM_BITS), .DEPTH(DEPTH), .ADDRESS_BITS(ADDRESS_BITS)) memory (
        .clock(clock),
        .write(add || clear || keep_part || fold),
        .write_address(add ? add_target : address_before),
        .write_data(add ? added : swept),
        .read_address(address),
        .read_data(sum)
    );

endmodule
