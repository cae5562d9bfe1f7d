// The synapses of a lane: from a word of the synapse memory to what is added to which sum.
//
// Contract:   `issue` asks for a word. Its target is `issue_place`; or, where `issue_sparse` is high, the target of the
//             word before it (with `issue_first`, `issue_place` takes its place) and the word's own distance, bits
//             15..8. The weight is bits 7..0, or 15..8 with `issue_upper`. What is added is weight x `value` << `shift`
//             modulo 2^SUM_BITS; a weight has a sign unless `unsigned_weights`, and is negated with `negated`.
// Latency:    2 cycles from `issue` to `ask`, when the sum at `ask_target` must be read, and 3 to `add`, when `amount`
//             is added to it. `value` belongs to the cycle after `issue`, the shift to the one after that.
// Throughput: one synapse a cycle.
module synapses #(
    parameter DEPTH = 1024,
    parameter ADDRESS_BITS = $clog2(DEPTH),
    parameter TARGET_BITS = 8,
    parameter VALUE_BITS = 0,
    parameter SUM_BITS = 32,
    parameter VALUE_WIDTH = VALUE_BITS == 0 ? 1 : VALUE_BITS
) (
    input  wire                          clock,
    input  wire                          reset,

    input  wire                          load,
    input  wire       [ADDRESS_BITS-1:0] load_address,
    input  wire                   [15:0] load_data,

    input  wire                          issue,
    input  wire       [ADDRESS_BITS-1:0] issue_address,
    input  wire                          issue_sparse,
    input  wire                          issue_first,
    input  wire                          issue_upper,
    input  wire        [TARGET_BITS-1:0] issue_place,

    input  wire signed [VALUE_WIDTH-1:0] value,
    input  wire                          unsigned_weights,
    input  wire                          negated,
    input  wire                    [3:0] shift,

    output reg                           ask,
    output reg         [TARGET_BITS-1:0] ask_target,
    output reg                           add,
    output reg         [TARGET_BITS-1:0] add_target,
    output reg            [SUM_BITS-1:0] amount
);

    wire [15:0] word;

    ram_single #(.WIDTH(16), .DEPTH(DEPTH), .ADDRESS_BITS(ADDRESS_BITS)) memory (
        .clock(clock),
        .write(load),
        .address(load ? load_address : issue_address),
        .write_data(load_data),
        .read_data(word)
    );

    // First stage: the word is there.
    reg                   arrived, sparse, first, upper;
    reg [TARGET_BITS-1:0] place;

    always @(posedge clock) begin
        arrived <= issue && !reset;
        sparse  <= issue_sparse;
        first   <= issue_first;
        upper   <= issue_upper;
        place   <= issue_place;
    end

    // `ask_target` still is the target of the word before: nothing else is asked for in between.
    wire [TARGET_BITS-1:0] from   = sparse && !first ? ask_target : place;
    wire [TARGET_BITS+7:0] farther = {8'd0, from} + {{TARGET_BITS{1'b0}}, sparse ? word[15:8] : 8'd0};
    wire             [7:0] byte_of = upper ? word[15:8] : word[7:0];
    wire signed      [8:0] weight  = {byte_of[7] && !unsigned_weights, byte_of};
    wire signed      [8:0] signed_weight = negated ? -weight : weight;

    // Second stage: the product.
    reg signed [SUM_BITS-1:0] product;
    wire       [SUM_BITS-1:0] next_product;

    generate
        if (VALUE_BITS == 0) begin : spikes
            assign next_product = {{(SUM_BITS-9){signed_weight[8]}}, signed_weight};
            wire unused = &{1'b0, value};
        end else begin : values
            wire signed [VALUE_BITS+8:0] whole = signed_weight * value;
            if (VALUE_BITS + 9 >= SUM_BITS) begin : low
                assign next_product = whole[SUM_BITS-1:0];
                wire unused = &{1'b0, whole};
            end else begin : extended
                assign next_product = {{(SUM_BITS-VALUE_BITS-9){whole[VALUE_BITS+8]}}, whole};
            end
        end
    endgenerate

    always @(posedge clock) begin
        ask <= arrived && !reset;
        if (arrived) begin
            ask_target <= farther[TARGET_BITS-1:0];
            product    <= next_product;
        end
    end

    // Third stage: the shift.
    always @(posedge clock) begin
        add        <= ask && !reset;
        add_target <= ask_target;
        amount     <= product << shift;
    end

    // Targets lie within the sums, as the tables were made.
    wire unused_high = &{1'b0, farther[TARGET_BITS+7:TARGET_BITS]};

endmodule
