// Reads values and decays from a file, and prints what is left of each.
module decay_bench;
    parameter WIDTH = 25;
    parameter COUNT = 1000;

    reg                     clock = 0;
    reg              [31:0] values [0:COUNT-1];
    reg              [15:0] keeps  [0:COUNT-1];
    reg signed  [WIDTH-1:0] value;
    reg              [12:0] keep;
    wire signed [WIDTH-1:0] kept;
    integer i;

    decay #(.WIDTH(WIDTH)) dut (.clock(clock), .enable(1'b1), .value(value), .keep(keep), .kept(kept));

    initial begin
        $readmemh("values.hex", values);
        $readmemh("keeps.hex", keeps);
        for (i = 0; i < COUNT; i = i + 1) begin
            value = values[i][WIDTH-1:0];
            keep  = keeps[i][12:0];
            #1 clock = 1;
            #1 clock = 0;
            $display("%0d", kept);
        end
        $finish;
    end
endmodule
