// Bytes from a serial line: 8 data bits, lowest first, no parity, one stop bit.
//
// Contract:   `byte_out` is valid in the one cycle in which `arrived` is high; whoever listens takes it then, since a
//             line cannot wait. A byte whose stop bit is low is dropped. `broken` is high while the line has been low
//             for longer than any byte (a break), which is how a host asks for a reset.
// Latency:    `arrived` comes two cycles after the middle of the stop bit.
// Throughput: one byte in 10 DIVISOR cycles; DIVISOR (clock over baud rate) is at least 4, and at most 1023.
module uart_rx #(
    parameter DIVISOR = 12
) (
    input  wire       clock,
    input  wire       reset,
    input  wire       line,
    output reg  [7:0] byte_out,
    output reg        arrived,
    output wire       broken
);

    // A line is asynchronous: two registers before anybody decides on it.
    reg [1:0] calm;
    always @(posedge clock) calm <= reset ? 2'b11 : {calm[0], line};
    wire level = calm[1];

    localparam [9:0] WHOLE = DIVISOR[9:0] - 10'd1;
    localparam [9:0] HALF  = {1'b0, DIVISOR[9:1]} - 10'd1;

    reg [9:0] wait_left;  // cycles until the line is looked at again
    reg [3:0] bits_left;  // 10 at the start bit, 1 at the stop bit, 0 while idle
    reg       low_so_far; // whether every bit of this byte was low

    always @(posedge clock) begin
        arrived <= 1'b0;
        if (reset) begin
            wait_left  <= 10'd0;
            bits_left  <= 4'd0;
            low_so_far <= 1'b0;
            byte_out   <= 8'd0;
        end else if (bits_left == 4'd0) begin
            if (level) low_so_far <= 1'b0;
            else if (!low_so_far) begin
                bits_left <= 4'd10;
                wait_left <= HALF;
            end
        end else if (wait_left != 10'd0)
            wait_left <= wait_left - 10'd1;
        else begin
            wait_left <= WHOLE;
            bits_left <= bits_left - 4'd1;
            if (bits_left == 4'd10) begin
                // Half a bit ago the line fell; if it is high again, that was noise.
                if (level) bits_left <= 4'd0;
                low_so_far <= !level;
            end else begin
                if (level) low_so_far <= 1'b0;
                if (bits_left == 4'd1) arrived <= level;
                else byte_out <= {level, byte_out[7:1]};
            end
        end
    end

    // After a byte without a single high bit the line is waited for: until it rises, it is broken.
    assign broken = low_so_far && bits_left == 4'd0;

endmodule
