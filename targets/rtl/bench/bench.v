// The bench for Icarus: it does what `bench.cpp` does, for one sample at a time.
//
//     vvp -n PROGRAM +config=FILE +asked=FILE +answered=FILE [+beats=FILE] [+seed=NUMBER]
//
// All files hold words of 32 bits, lowest byte first. A step is asked for by 1 (from rest) or 0, and a value for each
// element; it is answered by its cycles, then spikes, potentials and currents of all neurons. The first answer is how
// many cycles loading took.
`timescale 1ns / 1ns
module bench;

    parameter LANES = 1;
    parameter TABLE_COLUMNS = 1;
    parameter TABLE_DEPTH = 1024;
    parameter MESSAGE_DEPTH = 512;
    parameter SYNAPSE_DEPTH = 16384;
    parameter SUM_DEPTH = 256;
    parameter STATE_DEPTH = 256;
    parameter PARAMETER_DEPTH = 256;
    parameter VALUE_BITS = 0;
    parameter SUM_BITS = 32;
    parameter CURRENT_BITS = 25;
    parameter RULES = 0;
    parameter IMAGES = 0;
    localparam ADDRESS_BITS = 16 * TABLE_COLUMNS;
    localparam VALUE_WIDTH = VALUE_BITS == 0 ? 1 : VALUE_BITS;
    localparam NEURONS = STATE_DEPTH * LANES;
    localparam [1:0] EVENT = 2'd0, COMPLETE = 2'd1, REST = 2'd2, STEP_OVER = 2'd2;

    reg                          clock, reset, load_valid, in_valid, out_ready;
    reg                   [15:0] load_data;
    reg                    [1:0] in_kind;
    reg       [ADDRESS_BITS-1:0] in_index;
    reg signed [VALUE_WIDTH-1:0] in_value;
    wire                         load_ready, in_ready, out_valid, fault, trace_valid;
    wire                   [1:0] out_kind;
    wire      [ADDRESS_BITS-1:0] out_source, out_index, trace_group;
    wire signed           [31:0] out_value;
    wire          [32*LANES-1:0] trace_u;
    wire          [24*LANES-1:0] trace_v;
    wire           [8*LANES-1:0] trace_spikes;

    core #(
        .LANES(LANES), .TABLE_COLUMNS(TABLE_COLUMNS), .TABLE_DEPTH(TABLE_DEPTH), .MESSAGE_DEPTH(MESSAGE_DEPTH),
        .SYNAPSE_DEPTH(SYNAPSE_DEPTH), .SUM_DEPTH(SUM_DEPTH), .STATE_DEPTH(STATE_DEPTH),
        .PARAMETER_DEPTH(PARAMETER_DEPTH), .VALUE_BITS(VALUE_BITS), .SUM_BITS(SUM_BITS),
        .CURRENT_BITS(CURRENT_BITS), .RULES(RULES), .IMAGES(IMAGES), .TRACE(1)
    ) the_core (
        .clock(clock), .reset(reset),
        .load_valid(load_valid), .load_ready(load_ready), .load_data(load_data),
        .in_valid(in_valid), .in_ready(in_ready), .in_kind(in_kind), .in_index(in_index), .in_value(in_value),
        .out_valid(out_valid), .out_ready(out_ready), .out_kind(out_kind), .out_source(out_source),
        .out_index(out_index), .out_value(out_value), .fault(fault),
        .trace_valid(trace_valid), .trace_group(trace_group), .trace_u(trace_u), .trace_v(trace_v),
        .trace_spikes(trace_spikes)
    );

    integer config_file, asked, answered, beats, seed, found;
    reg [8*512-1:0] path;

    // A word of a file; `ended` says that there was none.
    reg        ended;
    reg [31:0] word;
    task read_word(input integer file);
        reg [31:0] bytes;
        begin
            ended = $fread(bytes, file) != 4;
            word  = {bytes[7:0], bytes[15:8], bytes[23:16], bytes[31:24]};
        end
    endtask

    // Whether a stream pauses in this cycle.
    reg stalls;
    task draw;
        stalls = seed != 0 && $random(seed) % 2 != 0;
    endtask

    reg [31:0] cycles, spikes [0:NEURONS-1];
    reg [31:0] v [0:NEURONS-1], u [0:NEURONS-1];
    reg        step_over, taken;
    integer    lane;

    // A cycle; `taken` says whether the stream that is chosen was ready at its end.
    task cycle(input integer stream);
        begin
            draw;
            out_ready = !stalls;
            #1;
            taken = stream == 0 ? load_ready : in_ready;
            // Before the first edge with a reset nothing means anything.
            if (!reset && trace_valid)
                for (lane = 0; lane < LANES; lane = lane + 1) begin
                    spikes[trace_group * LANES + lane] = {24'd0, trace_spikes[8*lane +: 8]};
                    v[trace_group * LANES + lane] = {{8{trace_v[24*lane+23]}}, trace_v[24*lane +: 24]};
                    u[trace_group * LANES + lane] = trace_u[32*lane +: 32];
                end
            if (!reset && out_valid && out_ready) begin
                if (out_kind == STEP_OVER) step_over = 1'b1;
                if (beats != 0) begin
                    $fwrite(beats, "%u", {30'd0, out_kind});
                    $fwrite(beats, "%u", {{(32-ADDRESS_BITS){1'b0}}, out_source});
                    $fwrite(beats, "%u", {{(32-ADDRESS_BITS){1'b0}}, out_index});
                    $fwrite(beats, "%u", out_value);
                end
            end
            clock = 1'b1;
            #1;
            clock  = 1'b0;
            cycles = cycles + 32'd1;
            if (fault === 1'b1) begin
                $fflush(answered);
                $finish(0);
                // Whoever reads the answers misses some.
                #1;
            end
        end
    endtask

    task pause;
        begin
            draw;
            while (stalls) begin
                cycle(0);
                draw;
            end
        end
    endtask

    task send(input [1:0] kind, input [31:0] index, input [31:0] value);
        begin
            pause;
            in_valid = 1'b1;
            in_kind  = kind;
            in_index = index[ADDRESS_BITS-1:0];
            in_value = value[VALUE_WIDTH-1:0];
            cycle(1);
            while (!taken) cycle(1);
            in_valid = 1'b0;
        end
    endtask

    reg [31:0] extents [0:255];
    reg [31:0] codes [0:1048575];
    integer groups, inputs, elements, i, k, element, from_rest;

    task load_core;
        integer left;
        begin
            read_word(config_file);
            left = word;
            for (i = 0; i < left; i = i + 1) begin
                read_word(config_file);
                pause;
                load_valid = 1'b1;
                load_data  = word[15:0];
                cycle(0);
                while (!taken) cycle(0);
                load_valid = 1'b0;
            end
            read_word(config_file);
            groups = word;
            read_word(config_file);
            inputs   = word;
            elements = 0;
            for (i = 0; i < inputs; i = i + 1) begin
                read_word(config_file);
                extents[i] = word;
                elements   = elements + word;
            end
            for (i = 0; i < elements; i = i + 1) begin
                read_word(config_file);
                codes[i] = word;
            end
        end
    endtask

    task step;
        begin
            if (from_rest != 0) send(REST, 32'd0, 32'd0);
            cycles    = 32'd0;
            step_over = 1'b0;
            element   = 0;
            for (i = 0; i < inputs; i = i + 1) begin
                for (k = 0; k < extents[i]; k = k + 1) begin
                    read_word(asked);
                    if (word != 32'd0) send(EVENT, codes[element], word);
                    element = element + 1;
                end
                send(COMPLETE, 32'd0, 32'd0);
            end
            while (!step_over) cycle(0);
            $fwrite(answered, "%u", cycles);
            for (i = 0; i < groups * LANES; i = i + 1) $fwrite(answered, "%u", spikes[i]);
            for (i = 0; i < groups * LANES; i = i + 1) $fwrite(answered, "%u", v[i]);
            for (i = 0; i < groups * LANES; i = i + 1) $fwrite(answered, "%u", u[i]);
            $fflush(answered);
        end
    endtask

    initial begin
        clock      = 1'b0;
        reset      = 1'b1;
        load_valid = 1'b0;
        in_valid   = 1'b0;
        out_ready  = 1'b0;
        cycles     = 32'd0;
        seed       = 0;
        found      = $value$plusargs("seed=%d", seed);
        found      = $value$plusargs("config=%s", path);
        config_file = $fopen(path, "rb");
        found      = $value$plusargs("asked=%s", path);
        asked      = $fopen(path, "rb");
        found      = $value$plusargs("answered=%s", path);
        answered   = $fopen(path, "wb");
        beats      = 0;
        if ($value$plusargs("beats=%s", path)) beats = $fopen(path, "wb");
        cycle(0);
        cycle(0);
        reset = 1'b0;
        load_core;
        $fwrite(answered, "%u", cycles);
        $fflush(answered);
        read_word(asked);
        while (!ended) begin
            from_rest = word;
            step;
            read_word(asked);
        end
        $finish(0);
    end

endmodule
