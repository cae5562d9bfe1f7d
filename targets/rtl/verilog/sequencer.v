// Runs the program: fetches instructions, walks lists of messages, rows and windows, and sweeps over populations.
//
// Contract:   the instructions and tables of the README. `in` and `out` move when valid and ready are high; an `out`
//             that is valid stays until it is taken. `fault` rises when an input gets more events than it has elements,
//             or something else than an event, an end, or a rest at the start of a step; it stays until the next reset.
// Latency:    see the table of cycles in the README.
// Throughput: one instruction at a time.
module sequencer #(
    parameter LANES = 1,
    parameter ADDRESS_BITS = 16,
    parameter VALUE_WIDTH = 1,
    parameter RULES = 0,
    parameter IMAGES = 0
) (
    input  wire                           clock,
    input  wire                           reset,
    input  wire                           loading,
    output reg                            fault,

    // Streams
    input  wire                           in_valid,
    output wire                           in_ready,
    input  wire                     [1:0] in_kind,
    input  wire        [ADDRESS_BITS-1:0] in_index,
    input  wire signed  [VALUE_WIDTH-1:0] in_value,
    output wire                           out_valid,
    input  wire                           out_ready,
    output wire                     [1:0] out_kind,
    output wire        [ADDRESS_BITS-1:0] out_source,
    output wire        [ADDRESS_BITS-1:0] out_index,
    output wire signed             [31:0] out_value,

    // Tables
    output reg         [ADDRESS_BITS-1:0] table_address,
    input  wire        [ADDRESS_BITS-1:0] table_word,
    output wire                           table_write,
    output wire        [ADDRESS_BITS-1:0] table_write_address,
    output wire        [ADDRESS_BITS-1:0] table_write_word,

    // Messages
    output wire        [ADDRESS_BITS-1:0] message_address,
    input  wire        [ADDRESS_BITS-1:0] message_code,
    input  wire signed  [VALUE_WIDTH-1:0] message_value,
    output wire                           message_write,
    output wire        [ADDRESS_BITS-1:0] message_write_address,
    output wire        [ADDRESS_BITS-1:0] message_write_code,
    output wire signed  [VALUE_WIDTH-1:0] message_write_value,

    // Lanes
    output wire                           issue,
    output wire        [ADDRESS_BITS-1:0] issue_address,
    output wire                           issue_sparse,
    output wire                           issue_first,
    output wire                           issue_upper,
    output wire        [ADDRESS_BITS-1:0] issue_place,
    output reg  signed  [VALUE_WIDTH-1:0] value,
    output wire                           unsigned_weights,
    output wire                           negated,
    output wire                     [3:0] shift,
    output wire        [ADDRESS_BITS-1:0] sum_address,
    output wire        [ADDRESS_BITS-1:0] state_address,
    output wire        [ADDRESS_BITS-1:0] parameter_address,
    output wire                           clear,
    output wire                           keep_part,
    output wire                           fold,
    output wire                           in_place,
    output wire                           wraps,
    output wire                           pool,
    output wire                           joins,
    output wire                           decay_current,
    output wire                           add_input,
    output wire                           add_current,
    output wire                           add_rise,
    output wire                           spike,
    output wire                           settled,
    output wire                     [1:0] effect,
    output wire                           refractory,
    output wire                           adapts,
    output wire                     [7:0] most,
    input  wire               [LANES-1:0] above,
    input  wire               [LANES-1:0] sends,
    input  wire [LANES*VALUE_WIDTH-1:0]   sent,
    input  wire            [24*LANES-1:0] potentials
);

    localparam LANE_BITS = $clog2(LANES);
    localparam [ADDRESS_BITS-1:0] ZERO = 0, ONE = 1, TWO = 2, LENGTH = 16;

    localparam [2:0] RECEIVE = 3'd1, DELIVER = 3'd2, CONVOLVE = 3'd3, FOLD = 3'd4, FIRE = 3'd5, POOL = 3'd6, END = 3'd7;
    localparam [1:0] EVENT = 2'd0, COMPLETE = 2'd1, REST = 2'd2;

    localparam [5:0]
        START = 6'd0, FETCH = 6'd1, BEGIN = 6'd2, ADVANCE = 6'd3, CLEARING = 6'd4, RECEIVING = 6'd5, ENDING = 6'd6,
        NUMBER = 6'd8, EVENTS = 6'd9, CODE = 6'd10, FROM = 6'd11, UNTIL = 6'd12, ROW = 6'd13,
        SPLIT = 6'd16, KERNEL = 6'd17, PLACE = 6'd18, ROWS_FROM = 6'd19, ROWS_UNTIL = 6'd20, COLUMNS_FROM = 6'd21,
        COLUMNS_UNTIL = 6'd22, DOWN = 6'd23, DOWN_PLACE = 6'd24, ALONG = 6'd25, ALONG_PLACE = 6'd26, GROUPS = 6'd27,
        PART = 6'd32, WHOLE = 6'd33, JOIN = 6'd34,
        READ = 6'd40, CURRENT = 6'd41, INPUT = 6'd42, POTENTIAL = 6'd43, RISE = 6'd44, SPIKE = 6'd45, POOLING = 6'd46,
        SEND = 6'd47, NEXT = 6'd48, COUNT = 6'd49;

    reg [5:0] state;

    // The instruction.
    reg [ADDRESS_BITS-1:0] pc;
    reg              [4:0] word_number;
    reg             [13:0] operation;
    reg [ADDRESS_BITS-1:0] cursor, first, last, stride, place, groups, base, rows, columns, across, down, skip, leap, source;
    reg             [11:0] scale;

    wire [2:0] kind = operation[2:0];

    assign unsigned_weights = operation[3];
    assign negated          = operation[4];
    assign wraps            = operation[5];
    assign in_place         = operation[6];
    assign joins            = operation[7];
    assign effect           = operation[11:10];
    assign refractory       = operation[12];
    assign adapts           = operation[13];
    assign shift            = scale[3:0];
    assign most             = scale[7:0];
    wire   sends_out        = operation[8];
    wire   shows            = operation[9];

    // Lists, rows and windows.
    reg [ADDRESS_BITS-1:0] message, events_left, code, synapse, synapse_end;
    reg                    row_begins;
    wire                   is_last_event = events_left == ONE;

    // Sweeps. `group` also counts events that are received and addresses that are cleared.
    reg [ADDRESS_BITS-1:0] group, parameter_group, pixel_group, column, code_group, count;
    reg        [LANES-1:0] to_send, to_show;

    always @(posedge clock)
        if (state == FETCH)
            case (word_number)
                5'd1:  operation <= table_word[13:0];
                5'd2:  cursor    <= table_word;
                5'd3:  first     <= table_word;
                5'd4:  last      <= table_word;
                5'd5:  stride    <= table_word;
                5'd6:  place     <= table_word;
                5'd7:  groups    <= table_word;
                5'd8:  base      <= table_word;
                5'd9:  rows      <= table_word;
                5'd10: columns   <= table_word;
                5'd11: scale     <= table_word[11:0];
                5'd12: across    <= table_word;
                5'd13: down      <= table_word;
                5'd14: skip      <= table_word;
                5'd15: leap      <= table_word;
                5'd16: source    <= table_word;
                default: ;
            endcase

    // The window of a convolution; a core without images has none of it.
    wire [ADDRESS_BITS-1:0] window_table, window_synapse, window_place;
    wire                    window_issue;
    wire              [5:0] window_state;

    generate
        if (IMAGES != 0) begin : images
            reg [ADDRESS_BITS-1:0] channel, x, y, weight, target, row, row_end, column_first, along, column_end;
            reg [ADDRESS_BITS-1:0] row_weight, row_target, at_weight, at_target, left;

            // DOWN is entered for every row, but only at first with the end of the columns.
            reg column_end_known, opening;
            always @(posedge clock) begin
                column_end_known <= state == COLUMNS_UNTIL;
                opening          <= state == ALONG_PLACE;
            end

            wire [ADDRESS_BITS-1:0] over_channel = code >> scale[7:4];
            wire [ADDRESS_BITS-1:0] all = {ADDRESS_BITS{1'b1}};
            wire last_group  = left == ONE;
            wire last_column = along == column_end;
            wire last_row    = row == row_end;

            always @(posedge clock)
                case (state)
                    SPLIT: begin
                        channel <= code & ~(all << scale[7:4]);
                        x       <= over_channel & ~(all << scale[11:8]);
                        y       <= over_channel >> scale[11:8];
                    end
                    PLACE:         weight       <= table_word;
                    ROWS_FROM:     target       <= table_word + place;
                    ROWS_UNTIL:    row          <= table_word;
                    COLUMNS_FROM:  row_end      <= table_word;
                    COLUMNS_UNTIL: column_first <= table_word;
                    DOWN:          if (column_end_known) column_end <= table_word;
                    DOWN_PLACE:    row_weight   <= weight + table_word;
                    ALONG: begin
                        row_target <= target + table_word;
                        row        <= row + TWO;
                        along      <= column_first;
                    end
                    ALONG_PLACE: begin
                        at_weight <= row_weight + table_word;
                        left      <= groups;
                    end
                    GROUPS:
                        if (opening) begin
                            at_target <= row_target + table_word;
                            along     <= along + TWO;
                        end else begin
                            at_weight <= at_weight + ONE;
                            at_target <= at_target + ONE;
                            left      <= left - ONE;
                        end
                    default: ;
                endcase

            // Twice a coordinate lies within the tables.
            wire unused = &{1'b0, channel, x, y};

            wire nothing = row == row_end || column_first == (column_end_known ? table_word : column_end);

            assign window_issue   = state == GROUPS && !opening;
            assign window_synapse = at_weight;
            assign window_place   = at_target;
            assign window_table   = state == KERNEL ? base + {channel[ADDRESS_BITS-2:0], 1'b0}
                                  : state == PLACE ? base + {channel[ADDRESS_BITS-2:0], 1'b1}
                                  : state == ROWS_FROM ? rows + {y[ADDRESS_BITS-2:0], 1'b0}
                                  : state == ROWS_UNTIL ? rows + {y[ADDRESS_BITS-2:0], 1'b1}
                                  : state == COLUMNS_FROM ? columns + {x[ADDRESS_BITS-2:0], 1'b0}
                                  : state == COLUMNS_UNTIL ? columns + {x[ADDRESS_BITS-2:0], 1'b1}
                                  : state == DOWN ? row
                                  : state == DOWN_PLACE ? row + ONE
                                  : state == ALONG ? column_first
                                  : state == ALONG_PLACE ? along + ONE
                                  : along;
            assign window_state   = state == DOWN ? (nothing ? (is_last_event ? ADVANCE : EVENTS) : DOWN_PLACE)
                                  : state != GROUPS ? state + 6'd1
                                  : opening || !last_group ? GROUPS
                                  : !last_column ? ALONG_PLACE
                                  : !last_row ? DOWN
                                  : is_last_event ? ADVANCE : EVENTS;
        end else begin : no_images
            assign window_issue   = 1'b0;
            assign window_synapse = ZERO;
            assign window_place   = ZERO;
            assign window_table   = ZERO;
            assign window_state   = ADVANCE;
            wire unused = &{1'b0, rows, columns, scale};
        end
    endgenerate

    // Tables: what is asked for here is there in the next state.
    always @(*)
        case (state)
            FETCH:   table_address = pc + {{(ADDRESS_BITS-5){1'b0}}, word_number};
            CODE:    table_address = base + message_code;
            FROM:    table_address = base + code + ONE;
            default: table_address = window_table;
        endcase

    assign table_write         = state == ADVANCE;
    assign table_write_address = pc + ONE;
    assign table_write_word    = cursor == last ? first : cursor + stride;

    // Messages.
    wire moves;  // a message or potential leaves the sweep
    wire [ADDRESS_BITS-1:0] sent_code;
    reg signed [VALUE_WIDTH-1:0] sent_value;
    wire starts_step = pc == LENGTH && group == ZERO;
    wire taken       = state == RECEIVING && in_valid;
    wire is_event    = taken && in_kind == EVENT;
    wire has_room    = group + ONE != stride;
    wire is_complete = taken && in_kind == COMPLETE;

    assign in_ready        = state == RECEIVING;
    assign message_address = state == BEGIN ? cursor : message;

    wire writes_message = state == SEND && moves && to_send != {LANES{1'b0}};
    assign message_write = clear || (is_event && has_room) || is_complete || writes_message || state == COUNT;
    assign message_write_address = clear ? group
                                 : is_event ? cursor + ONE + group
                                 : writes_message ? cursor + ONE + count
                                 : cursor;
    assign message_write_code = clear ? ZERO
                              : is_event ? in_index
                              : is_complete ? group
                              : writes_message ? sent_code
                              : count;
    assign message_write_value = is_event ? in_value : sent_value;

    // Synapses of a row.
    assign issue         = state == ROW || window_issue;
    assign issue_sparse  = state == ROW;
    assign issue_first   = row_begins;
    assign issue_address = state == ROW ? synapse : {1'b0, window_synapse[ADDRESS_BITS-1:1]};
    assign issue_upper   = state != ROW && window_synapse[0];
    assign issue_place   = state == ROW ? place : window_place;

    // Sweeps.
    assign clear             = state == CLEARING;
    assign sum_address       = (clear ? ZERO : state == WHOLE ? base : place) + group;
    assign state_address     = (clear ? ZERO : rows) + group;
    assign parameter_address = base + parameter_group;
    assign keep_part         = state == WHOLE;
    assign fold              = state == JOIN;
    assign pool              = state == POOLING;
    assign decay_current     = state == CURRENT;
    assign add_input         = state == INPUT;
    assign add_current       = state == POTENTIAL;
    assign add_rise          = state == RISE;
    assign spike             = state == SPIKE;
    assign settled           = above == {LANES{1'b0}};

    wire             is_last_group = group + ONE == groups;
    wire [LANES-1:0] sending       = to_send != {LANES{1'b0}} ? to_send : to_show;
    wire [LANES-1:0] chosen        = sending & (~sending + {{(LANES-1){1'b0}}, 1'b1});
    wire             is_last_sent  = to_send == {LANES{1'b0}} ? to_show == chosen
                                   : to_send == chosen && to_show == {LANES{1'b0}};

    reg [ADDRESS_BITS-1:0] chosen_lane;
    reg signed [23:0] shown;
    integer i;
    always @(*) begin
        chosen_lane = ZERO;
        sent_value  = {VALUE_WIDTH{1'b0}};
        shown       = 24'd0;
        for (i = 0; i < LANES; i = i + 1)
            if (chosen[i]) begin
                chosen_lane = i[ADDRESS_BITS-1:0];
                sent_value  = sent[i*VALUE_WIDTH +: VALUE_WIDTH];
                shown       = potentials[i*24 +: 24];
            end
    end
    assign sent_code = (code_group << LANE_BITS) | chosen_lane;

    wire asks_out = to_send == {LANES{1'b0}} || sends_out;
    assign moves      = out_ready || !asks_out;
    assign out_valid  = state == ENDING || (state == SEND && asks_out);
    assign out_kind   = state == ENDING ? 2'd2 : to_send == {LANES{1'b0}} ? 2'd1 : 2'd0;
    assign out_source = source;
    assign out_index  = sent_code;

    wire signed [31:0] sent_wide;
    generate
        if (VALUE_WIDTH == 1) begin : single
            assign sent_wide = 32'd1;
        end else if (VALUE_WIDTH >= 32) begin : low
            assign sent_wide = sent_value[31:0];
        end else begin : extended
            assign sent_wide = {{(32-VALUE_WIDTH){sent_value[VALUE_WIDTH-1]}}, sent_value};
        end
    endgenerate
    assign out_value = to_send == {LANES{1'b0}} ? {{8{shown[23]}}, shown} : sent_wide;

    wire sends_any = sends != {LANES{1'b0}};

    always @(posedge clock)
        if (reset || loading) begin
            state       <= START;
            pc          <= ZERO;
            word_number <= 5'd0;
            fault       <= fault && !reset;
            group       <= ZERO;
        end else
            case (state)
                START: begin
                    word_number <= 5'd0;
                    state       <= FETCH;
                end
                FETCH: begin
                    word_number <= word_number + 5'd1;
                    if (word_number == 5'd16) state <= BEGIN;
                end

                BEGIN: begin
                    message         <= cursor + ONE;
                    group           <= ZERO;
                    parameter_group <= ZERO;
                    pixel_group     <= ZERO;
                    column          <= ZERO;
                    code_group      <= ZERO;
                    count           <= ZERO;
                    case (kind)
                        RECEIVE:           state <= RECEIVING;
                        DELIVER, CONVOLVE: state <= NUMBER;
                        FOLD:              state <= PART;
                        FIRE, POOL:        state <= READ;
                        END:               state <= ENDING;
                        default:           state <= CLEARING;
                    endcase
                end
                ADVANCE: begin
                    pc    <= pc + LENGTH;
                    state <= START;
                end

                CLEARING: begin
                    group <= group + ONE;
                    if (group == groups) begin
                        pc    <= LENGTH;
                        state <= START;
                    end
                end
                RECEIVING:
                    if (in_valid) begin
                        if (is_event && has_room) group <= group + ONE;
                        if (is_complete) state <= ADVANCE;
                        if (in_kind == REST && starts_step) begin
                            pc    <= ZERO;
                            state <= START;
                        end
                        if (!(is_event && has_room) && !is_complete && !(in_kind == REST && starts_step))
                            fault <= 1'b1;
                    end
                ENDING:
                    if (out_ready) begin
                        pc    <= LENGTH;
                        state <= START;
                    end

                // A list: its number of messages, then each.
                NUMBER: begin
                    events_left <= message_code;
                    state       <= message_code == ZERO ? ADVANCE : CODE;
                end
                EVENTS: begin
                    events_left <= events_left - ONE;
                    state       <= CODE;
                end
                CODE: begin
                    code    <= message_code;
                    value   <= message_value;
                    message <= message + ONE;
                    state   <= kind == DELIVER ? FROM : SPLIT;
                end

                // A row of synapses.
                FROM: begin
                    synapse    <= table_word;
                    row_begins <= 1'b1;
                    state      <= UNTIL;
                end
                UNTIL: begin
                    synapse_end <= table_word;
                    state       <= table_word != synapse ? ROW : is_last_event ? ADVANCE : EVENTS;
                end
                ROW: begin
                    synapse    <= synapse + ONE;
                    row_begins <= 1'b0;
                    if (synapse + ONE == synapse_end) state <= is_last_event ? ADVANCE : EVENTS;
                end

                // A window: the channel's kernel, then rows and columns.
                SPLIT, KERNEL, PLACE, ROWS_FROM, ROWS_UNTIL, COLUMNS_FROM, COLUMNS_UNTIL, DOWN, DOWN_PLACE, ALONG,
                ALONG_PLACE, GROUPS:
                    state <= window_state;

                // Completion of sums.
                PART:  state <= WHOLE;
                WHOLE: state <= JOIN;
                JOIN: begin
                    group <= group + ONE;
                    state <= is_last_group ? ADVANCE : PART;
                end

                // Populations and poolings.
                READ:      state <= kind == POOL ? POOLING : CURRENT;
                CURRENT:   state <= INPUT;
                INPUT:     state <= POTENTIAL;
                POTENTIAL: state <= RULES != 0 ? RISE : SPIKE;
                RISE:      state <= SPIKE;
                SPIKE, POOLING: begin
                    to_send <= sends;
                    to_show <= {LANES{shows && state == SPIKE}};
                    if (state == POOLING || settled) state <= sends_any || (shows && state == SPIKE) ? SEND : NEXT;
                end
                SEND:
                    if (moves) begin
                        if (to_send != {LANES{1'b0}}) begin
                            to_send <= to_send & ~chosen;
                            count   <= count + ONE;
                        end else to_show <= to_show & ~chosen;
                        if (is_last_sent) state <= NEXT;
                    end
                NEXT: begin
                    group           <= group + ONE;
                    parameter_group <= parameter_group + ONE == columns ? ZERO : parameter_group + ONE;
                    code_group      <= code_group + ONE;
                    pixel_group     <= pixel_group + ONE;
                    if (pixel_group + ONE == across) begin
                        pixel_group <= ZERO;
                        column      <= column + ONE;
                        code_group  <= code_group + ONE + skip;
                        if (column + ONE == down) begin
                            column     <= ZERO;
                            code_group <= code_group + ONE + skip + leap;
                        end
                    end
                    state <= is_last_group ? COUNT : READ;
                end
                COUNT: state <= ADVANCE;

                default: state <= START;
            endcase

    // The last row has no next synapse, and the highest words of the scale are for images.
    wire unused = &{1'b0, TWO, window_table};

endmodule
