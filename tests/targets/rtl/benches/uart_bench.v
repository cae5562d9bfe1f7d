// Sends bytes from a file through the sender to the receiver, then noise and a break.
module uart_bench;
    parameter DIVISOR = 12;
    parameter COUNT = 100;

    reg        clock = 0;
    reg        reset = 1;
    reg  [7:0] bytes [0:COUNT-1];
    reg        valid = 0;
    reg  [7:0] next = 0;
    reg        forced_low = 0;
    wire       ready, line, arrived, broken;
    wire [7:0] got;
    integer    i, waited;

    uart_tx #(.DIVISOR(DIVISOR)) sender (
        .clock(clock), .reset(reset), .byte_in(next), .valid(valid), .ready(ready), .line(line)
    );
    uart_rx #(.DIVISOR(DIVISOR)) receiver (
        .clock(clock), .reset(reset), .line(line && !forced_low), .byte_out(got), .arrived(arrived), .broken(broken)
    );

    always #1 clock = !clock;
    always @(posedge clock) if (arrived) $display("%0d", got);

    task bits(input integer number);
        repeat (number * DIVISOR) @(negedge clock);
    endtask

    initial begin
        $readmemh("bytes.hex", bytes);
        bits(2);
        reset = 0;
        for (i = 0; i < COUNT; i = i + 1) begin
            next  = bytes[i];
            valid = 1;
            @(negedge clock);
            while (!ready) @(negedge clock);
            // Some bytes follow at once, others later.
            if (i % 3 == 0) begin
                valid = 0;
                bits(i % 7);
            end
        end
        valid = 0;
        bits(12);
        forced_low = 1;
        @(negedge clock);
        forced_low = 0;
        bits(12);
        $display("noise: broken %0d", broken);
        forced_low = 1;
        bits(30);
        $display("low: broken %0d", broken);
        forced_low = 0;
        bits(2);
        $display("high: broken %0d", broken);
        $finish;
    end
endmodule
