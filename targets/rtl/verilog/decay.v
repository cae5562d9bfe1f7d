// What a decay leaves of a state, rounded toward zero.
//
// Contract:   kept = sign(value) * ((|value| * keep) >> 12), which is `toolchain.fixedpoint.decay` of `value` by
//             4096 - keep. `keep` is 0 .. 4096; every `value` of WIDTH bits is allowed.
// Latency:    1 cycle: `kept` belongs to the `value` and `keep` of the last cycle in which `enable` was high.
// Throughput: 1 value a cycle.
//
// With value = 4096 high + low, where 0 <= low < 4096 and `high` carries the sign,
//
//     floor(value keep / 4096) = high keep + floor(low keep / 4096),
//
// so two small products are enough and none of their bits is thrown away early: for WIDTH up to 28 each is one
// 16 x 16 multiplier. Rounding toward zero is one more for a negative value whose lowest 12 bits of `low keep` are
// not all zero: a carry into the one addition. No magnitude is taken and nothing is negated.
//
// WIDTH 25 holds every current and potential: a current that wraps may be +2^23, which 24 bits with a sign do not.
module decay #(
    parameter WIDTH = 25
) (
    input  wire                    clock,
    input  wire                    enable,
    input  wire signed [WIDTH-1:0] value,
    input  wire             [12:0] keep,
    output wire signed [WIDTH-1:0] kept
);

    localparam HIGH_BITS = WIDTH - 12;

    // A factor is unsigned: a zero in front of it keeps the signed product signed.
    wire signed [HIGH_BITS-1:0] high   = value[WIDTH-1:12];
    wire signed          [13:0] factor = {1'b0, keep};

    reg signed [HIGH_BITS+13:0] high_product;
    reg                  [23:0] low_product;
    reg                         negative;

    always @(posedge clock)
        if (enable) begin
            high_product <= high * factor;
            low_product  <= value[11:0] * keep;  // at most 4095 * 4096 < 2^24
            negative     <= value[WIDTH-1];
        end

    // |kept| <= |value|, so the sum has WIDTH bits.
    wire upward = negative && low_product[11:0] != 12'd0;
    wire [WIDTH-1:0] floored = high_product[WIDTH-1:0] + {{(WIDTH-12){1'b0}}, low_product[23:12]};

    assign kept = floored + {{(WIDTH-1){1'b0}}, upward};

    // The bits of `high_product` above the sum repeat its sign.
    wire unused = &{1'b0, high_product[HIGH_BITS+13:WIDTH]};

endmodule
