// Bytes to a serial line: 8 data bits, lowest first, no parity, one stop bit.
//
// Contract:   `byte_in` is taken in a cycle in which `valid` and `ready` are high. The line rests at 1.
// Latency:    the start bit begins in the next cycle.
// Throughput: one byte in 10 DIVISOR cycles; DIVISOR (clock over baud rate) is at least 2, and at most 1023.
module uart_tx #(
    parameter DIVISOR = 12
) (
    input  wire       clock,
    input  wire       reset,
    input  wire [7:0] byte_in,
    input  wire       valid,
    output wire       ready,
    output wire       line
);

    localparam [9:0] WHOLE = DIVISOR[9:0] - 10'd1;

    reg [9:0] wait_left;
    reg [3:0] bits_left;
    // The lowest is on the line. Inverted, since registers are zero at power-up, and the line rests at 1.
    reg [8:0] inverted;

    assign ready = bits_left == 4'd0;
    assign line  = !inverted[0];

    always @(posedge clock)
        if (reset) begin
            wait_left <= 10'd0;
            bits_left <= 4'd0;
            inverted  <= 9'd0;
        end else if (ready) begin
            if (valid) begin
                inverted  <= {~byte_in, 1'b1};
                bits_left <= 4'd10;
                wait_left <= WHOLE;
            end
        end else if (wait_left != 10'd0)
            wait_left <= wait_left - 10'd1;
        else begin
            wait_left <= WHOLE;
            bits_left <= bits_left - 4'd1;
            inverted  <= {1'b0, inverted[8:1]};
        end

endmodule
