// Bytes of a host to the streams of the core, and back.
//
// Contract, bytes that come in (numbers of several bytes have their highest byte first):
//     00hhhhhh i..            an event of value 1; its code is hhhhhh and CODE_BYTES bytes
//     01hhhhhh i.. v..        an event with a value of VALUE_BYTES bytes, in two's complement
//     10nnnnnn (w w)..        nnnnnn + 1 words of the load stream, of two bytes each
//     110-----                the input is complete
//     111-----                rest, before the first beat of a step
// and bytes that go out:
//     00sshhhh i..            a message of value 1 of output ss; its code is hhhh and OUT_BYTES bytes
//     11sshhhh i.. v v v      a message with its value
//     01sshhhh i.. v v v      a potential
//     10----lf                the step is over; l: a byte was lost since the reset, f: `fault` of the core
// CODE_BYTES is 1 for codes of up to 14 bits, otherwise 2 (up to 20 bits); OUT_BYTES is 1 for up to 12 bits, otherwise
// 2; VALUE_BYTES are as many as VALUE_BITS need (up to 32).
// Latency:    a beat is offered in the cycle after its last byte was taken; a byte goes out in the cycle of its beat.
// Throughput: one byte a cycle, and one cycle for each beat.
module link #(
    parameter CODE_BITS  = 12,
    parameter VALUE_BITS = 1
) (
    input  wire                  clock,
    input  wire                  reset,

    input  wire                  rx_valid,
    output wire                  rx_ready,
    input  wire            [7:0] rx_byte,
    output wire                  tx_valid,
    input  wire                  tx_ready,
    output reg             [7:0] tx_byte,

    output wire                  load_valid,
    input  wire                  load_ready,
    output wire           [15:0] load_data,

    output wire                  in_valid,
    input  wire                  in_ready,
    output reg             [1:0] in_kind,
    output wire  [CODE_BITS-1:0] in_index,
    output wire [VALUE_BITS-1:0] in_value,

    input  wire                  out_valid,
    output wire                  out_ready,
    input  wire            [1:0] out_kind,
    input  wire            [1:0] out_source,
    input  wire  [CODE_BITS-1:0] out_index,
    input  wire           [23:0] out_value,

    input  wire                  fault,
    input  wire                  lost
);

    localparam [2:0] FIRST = 3'd0, CODE = 3'd1, VALUE = 3'd2, BEAT = 3'd3, HIGH = 3'd4, LOW = 3'd5, WORD = 3'd6;
    localparam [1:0] EVENT = 2'd0, COMPLETE = 2'd1, REST = 2'd2;

    // ---- Bytes in ----

    reg  [2:0] state;
    reg  [1:0] bytes_left;  // of a code or a value, beyond the next one
    reg  [5:0] words_left;  // of the load stream, beyond this one
    reg        valued;
    reg [21:0] code;
    reg [31:0] value;       // a value, or a word of the load stream

    localparam [1:0] MORE_CODE  = (CODE_BITS > 14) ? 2'd1 : 2'd0;
    localparam [1:0] MORE_VALUE = (VALUE_BITS > 24) ? 2'd3 : (VALUE_BITS > 16) ? 2'd2 : (VALUE_BITS > 8) ? 2'd1 : 2'd0;

    assign rx_ready   = state != BEAT && state != WORD;
    assign in_valid   = state == BEAT;
    assign in_index   = code[CODE_BITS-1:0];
    assign in_value   = value[VALUE_BITS-1:0];
    assign load_valid = state == WORD;
    assign load_data  = value[15:0];

    always @(posedge clock)
        if (reset) begin
            state      <= FIRST;
            bytes_left <= 2'd0;
            words_left <= 6'd0;
            valued     <= 1'b0;
            in_kind    <= EVENT;
            code       <= 22'd0;
            value      <= 32'd0;
        end else case (state)
            FIRST: if (rx_valid) begin
                valued     <= rx_byte[6];
                words_left <= rx_byte[5:0];
                code       <= {16'd0, rx_byte[5:0]};
                value      <= 32'd1;
                bytes_left <= MORE_CODE;
                in_kind    <= !rx_byte[7] ? EVENT : rx_byte[5] ? REST : COMPLETE;
                state      <= !rx_byte[7] ? CODE : rx_byte[6] ? BEAT : HIGH;
            end
            CODE: if (rx_valid) begin
                code       <= {code[13:0], rx_byte};
                bytes_left <= bytes_left - 2'd1;
                if (bytes_left == 2'd0) begin
                    bytes_left <= MORE_VALUE;
                    state      <= valued ? VALUE : BEAT;
                end
            end
            VALUE: if (rx_valid) begin
                value      <= {value[23:0], rx_byte};
                bytes_left <= bytes_left - 2'd1;
                if (bytes_left == 2'd0) state <= BEAT;
            end
            BEAT: if (in_ready) state <= FIRST;
            HIGH, LOW: if (rx_valid) begin
                value <= {value[23:0], rx_byte};
                state <= (state == HIGH) ? LOW : WORD;
            end
            default: if (load_ready) begin  // WORD
                words_left <= words_left - 6'd1;
                state      <= (words_left == 6'd0) ? FIRST : HIGH;
            end
        endcase

    // ---- Bytes out ----

    localparam [2:0] CODE_END  = (CODE_BITS > 12) ? 3'd2 : 3'd1;
    localparam [2:0] VALUE_END = CODE_END + 3'd3;

    reg  [2:0] place;  // of the byte in its beat
    wire       over     = out_kind == 2'd2;
    wire       message  = out_kind == 2'd0;
    wire       alone    = message && out_value == 24'd1;
    wire [2:0] last     = over ? 3'd0 : alone ? CODE_END : VALUE_END;
    wire [1:0] tag      = {over || (message && !alone), !over && !alone};
    wire [19:0] padded  = {{(20 - CODE_BITS){1'b0}}, out_index};
    wire  [3:0] highest = (CODE_END == 3'd1) ? padded[11:8] : padded[19:16];

    assign tx_valid  = out_valid;
    assign out_ready = tx_ready && place == last;

    always @*
        case (place)  // the highest byte of a code comes before its lowest, those of a value after it
            3'd0:          tx_byte = over ? {6'b100000, lost, fault} : {tag, out_source, highest};
            CODE_END:      tx_byte = padded[7:0];
            VALUE_END:     tx_byte = out_value[7:0];
            CODE_END + 3'd1:  tx_byte = out_value[23:16];
            CODE_END + 3'd2:  tx_byte = out_value[15:8];
            default:       tx_byte = padded[15:8];
        endcase

    always @(posedge clock)
        if (reset) place <= 3'd0;
        else if (tx_valid && tx_ready) place <= out_ready ? 3'd0 : place + 3'd1;

    // Both are as wide as the widest, and synthesis removes what a network has no use for.
    wire unused = &{1'b0, code, value, padded};

endmodule
