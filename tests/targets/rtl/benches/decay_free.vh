// For the proof of `neuron`: a decay that may leave anything, since the proof of `decay` is another one.
module decay #(
    parameter WIDTH = 25
) (
    input  wire                    clock,
    input  wire                    enable,
    input  wire signed [WIDTH-1:0] value,
    input  wire             [12:0] keep,
    output wire signed [WIDTH-1:0] kept
);
    (* anyseq *) wire signed [WIDTH-1:0] anything;
    assign kept = anything;
    wire unused = &{1'b0, clock, enable, value, keep};
endmodule
