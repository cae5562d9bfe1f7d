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

// And memories that may hold anything: what is shown holds for every state and every parameter, then.
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
    output wire        [WIDTH-1:0] read_data
);
    (* anyseq *) wire [WIDTH-1:0] anything;
    assign read_data = anything;
    wire unused = &{1'b0, clock, write, write_address, write_data, read_address};
endmodule
