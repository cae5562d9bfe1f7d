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
    reg [8:0] shifted;  // the bit on the line is the lowest

    assign ready = bits_left == 4'd0;
    assign line  = shifted[0];

    always @(posedge clock)
        if (reset) begin
            wait_left <= 10'd0;
            bits_left <= 4'd0;
            shifted   <= 9'h1ff;
        end else if (ready) begin
            if (valid) begin
                shifted   <= {byte_in, 1'b0};
                bits_left <= 4'd10;
                wait_left <= WHOLE;
            end
        end else if (wait_left != 10'd0)
            wait_left <= wait_left - 10'd1;
        else begin
            wait_left <= WHOLE;
            bits_left <= bits_left - 4'd1;
            shifted   <= {1'b1, shifted[8:1]};
        end

endmodule
