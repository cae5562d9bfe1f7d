// Many decays side by side: neighbouring values, one decay. Verilator makes one loop of them.
module decay_proof #(
    parameter WIDTH  = 25,
    parameter COPIES = 64
) (
    input  wire                    clock,
    input  wire signed [WIDTH-1:0] value,
    input  wire             [12:0] keep,
    output wire             [31:0] wrong
);

    wire [COPIES-1:0] differs;
    assign wrong = {31'd0, |differs};

    genvar i;
    generate
        for (i = 0; i < COPIES; i = i + 1) begin : copies
            wire signed [WIDTH-1:0] mine = value + i;
            wire signed [WIDTH-1:0] kept;
            decay #(.WIDTH(WIDTH)) dut (
                .clock(clock), .enable(1'b1), .value(mine), .keep(keep), .kept(kept)
            );
            // The definition, in words so wide that nothing can be lost.
            wire signed [63:0] wide      = {{(64 - WIDTH){mine[WIDTH-1]}}, mine};
            wire        [63:0] magnitude = (wide < 0) ? -wide : wide;
            wire        [63:0] decayed   = (magnitude * {51'd0, keep}) >> 12;
            wire signed [63:0] expected  = (wide < 0) ? -decayed : decayed;
            reg  signed [63:0] expected_then;
            always @(posedge clock) expected_then <= expected;
            wire signed [63:0] result = {{(64 - WIDTH){kept[WIDTH-1]}}, kept};
            assign differs[i] = result != expected_then;
        end
    endgenerate

endmodule
